"""The one module that reads text procfs (proc(5)), for what no netlink family tells.

That is which process holds which socket, a process's names and cgroups, the mounts of cgroup v2, and where the kernel
was built without the modules of sock_diag, raw sockets and the numbers of some others.
"""

from __future__ import annotations

import os
from _thread import allocate_lock, start_new_thread
from itertools import compress

from .engine.text import text as _text
from .errors import NetinspectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from functools import partial

    from .engine.columns import Batch, Values
else:
    from _functools import partial  # functools itself takes long to import

_INITIAL_PID_NAMESPACE = 0xEFFFFFFC
"""linux/nsfs.h: PID_NS_INIT_INO, the inode number of the first pid namespace."""
_KERNEL_THREAD = 0x00200000
"""linux/sched.h: PF_KTHREAD, in the flags of /proc/PID/stat."""
_LONE_THREAD = 3
"""Links of a /proc/PID/task with one thread in it: a directory's usual two, and one for each thread."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ENDED = (FileNotFoundError, ProcessLookupError)
"""A process, thread or descriptor that is no more."""
_LINK = "socket:["
_CHUNK = 1024
"""Descriptors looked at in one go: few enough for two threads to share the work."""


class Holder:
    """A process that holds sockets: its descriptors and, side by side, the inodes of the sockets they refer to."""

    __slots__ = ("descriptors", "inodes", "pid")

    def __init__(self, pid: int, descriptors: list[int], inodes: list[int]) -> None:
        self.pid = pid
        self.descriptors = descriptors
        self.inodes = inodes


def socket_holders(pids: Iterable[int] | None = None, *, threads: bool = False) -> tuple[list[Holder], set[int]]:
    """Which of these processes hold sockets, and the ids of those that did not let us see their descriptors.

    Without ``pids``: of all, in ascending order. Processes that end meanwhile are left out, and so are kernel threads
    and zombies, which have no descriptors. ``threads`` looks for threads with a descriptor table of their own as well
    (unshare(2): CLONE_FILES); one with as many descriptors as its process is taken to share them. Raises
    NetinspectError where /proc is not mounted or cannot be read.
    """
    counted = _counts_descriptors()
    searches = [_Search(pid, threads, counted) for pid in (process_ids() if pids is None else pids)]
    try:
        for search in searches:
            search.begin()
        _share([part for search in searches for table in search.large for part in table.parts])
        holders = [holder for search in searches if (holder := search.holder()) is not None]
    except OSError as error:  # too many open files, say
        raise NetinspectError(f"the descriptors in /proc cannot be read: {error.strerror}") from None
    return holders, {search.pid for search in searches if search.refused}


def process_ids() -> list[int]:
    """The processes of this /proc, in ascending order. Raises NetinspectError where it is not mounted."""
    try:
        pids = sorted(map(int, filter(str.isdecimal, os.listdir("/proc"))))
    except OSError:
        pids = []
    if not pids:
        raise NetinspectError("no processes in /proc: mount it (mount -t proc proc /proc)")
    return pids


class _Search:
    """The search for sockets in the descriptor tables of a process, which has one as a rule."""

    __slots__ = ("counted", "descriptors", "inodes", "large", "pid", "refused", "tables", "threads")

    def __init__(self, pid: int, threads: bool, counted: bool) -> None:
        self.pid = pid
        self.threads = threads
        self.counted = counted
        self.refused = False
        self.tables = 0
        """How many tables have anything in them."""
        self.large: list[_Large] = []
        self.descriptors: list[int] = []
        self.inodes: list[int] = []

    def begin(self) -> None:
        """Reads small tables, and finds the large ones."""
        path = f"/proc/{self.pid}/fd"
        try:
            try:
                self._read(path)
            except PermissionError:
                if _may_have_files(self.pid):
                    raise
            # Where the first thread has ended, the process has no descriptors under its own name; others have them.
            if self.threads or not self.tables:
                self._look_at_threads(path)
        except PermissionError:
            self.refused = True
        except _ENDED:
            pass

    def _look_at_threads(self, path: str) -> None:
        tasks = f"/proc/{self.pid}/task"
        if os.stat(tasks).st_nlink <= _LONE_THREAD:
            return
        sizes = {0, os.stat(path).st_size}
        shared = not self.tables
        for path in [f"{tasks}/{thread}/fd" for thread in os.listdir(tasks)]:
            try:
                size = os.stat(path).st_size
                if size not in sizes:
                    self._read(path)
                    if shared:
                        sizes.add(size)  # the others share it
            except _ENDED:
                continue

    def _read(self, path: str) -> None:
        directory = os.open(path, _DIRECTORY)
        try:
            # A new descriptor gets the lowest free number, so nearly all of them are below their count.
            size = os.fstat(directory).st_size if self.counted else 0
            numbers = range(size) if self.counted else _listed(directory)
            if not numbers:
                return
            self.tables += 1
            if len(numbers) > _CHUNK:
                self.large.append(_Large(path, numbers, size))
            elif self._take(directory, numbers) and size:
                self._take(directory, _above(directory, size))
        finally:
            os.close(directory)

    def _take(self, directory: int, numbers: Sequence[int]) -> int:
        """Reads these descriptors, and returns how many of them are not open."""
        descriptors, inodes, missing = _sockets(directory, numbers)
        self.descriptors += descriptors
        self.inodes += inodes
        return missing

    def holder(self) -> Holder | None:
        """What was found, once all parts of large tables are read; None where that is no socket."""
        for table in self.large:
            self._finish(table)
        self.large = []
        if self.tables > 1:  # a descriptor may be in several
            pairs = dict.fromkeys(zip(self.descriptors, self.inodes, strict=True))
            self.descriptors, self.inodes = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        return Holder(self.pid, self.descriptors, self.inodes) if self.inodes else None

    def _finish(self, table: _Large) -> None:
        for part in table.parts:
            self.refused = self.refused or part.refused
            self.descriptors += part.descriptors
            self.inodes += part.inodes
        if table.size and any(part.missing for part in table.parts):
            try:
                directory = os.open(table.path, _DIRECTORY)
            except _ENDED:
                return
            try:
                self._take(directory, _above(directory, table.size))
            finally:
                os.close(directory)


class _Large:
    """A large table of descriptors, in parts."""

    __slots__ = ("parts", "path", "size")

    def __init__(self, path: str, numbers: Sequence[int], size: int) -> None:
        self.path = path
        self.size = size
        """The number of descriptors; 0 where it is not known."""
        self.parts = [_Part(path, numbers[at : at + _CHUNK]) for at in range(0, len(numbers), _CHUNK)]


class _Part:
    """Some descriptors of a large table. ``missing`` is how many of them turned out not to be open."""

    __slots__ = ("descriptors", "inodes", "missing", "numbers", "path", "refused")

    def __init__(self, path: str, numbers: Sequence[int]) -> None:
        self.path = path
        self.numbers = numbers
        self.missing = 0
        self.refused = False
        self.descriptors: list[int] = []
        self.inodes: list[int] = []

    def read(self) -> None:
        try:
            directory = os.open(self.path, _DIRECTORY)
        except _ENDED:
            return
        try:
            self.descriptors, self.inodes, self.missing = _sockets(directory, self.numbers)
        except PermissionError:
            self.refused = True
        finally:
            os.close(directory)


def _sockets(directory: int, numbers: Sequence[int]) -> tuple[list[int], list[int], int]:
    """Which of the descriptors are sockets, their inodes, and how many of the descriptors are not open."""
    links = _links(directory, numbers)
    mask = [link.startswith(_LINK) for link in links]
    if True not in mask:
        return [], [], links.count("")
    texts = "".join(compress(links, mask))
    inodes = list(map(int, texts[len(_LINK) : -1].split("]" + _LINK)))
    return list(compress(numbers, mask)), inodes, links.count("")


def _above(directory: int, size: int) -> list[int]:
    """The descriptors with numbers that are not below their count."""
    try:
        return [number for number in _listed(directory) if number >= size]
    except _ENDED:
        return []


def _listed(directory: int) -> list[int]:
    return list(map(int, os.listdir(directory)))


def _links(directory: int, numbers: Iterable[int]) -> list[str]:
    """What the descriptors refer to; "" for those that are not, or no longer, open."""
    links: list[str] = []
    remaining = map(partial(os.readlink, dir_fd=directory), map(str, numbers))
    while True:
        try:
            links.extend(remaining)
            return links
        except _ENDED:
            links.append("")


def _share(parts: list[_Part]) -> None:
    """Reads parts of large tables, with the help of a second thread.

    Nearly all the time is spent inside readlink(2), which releases the interpreter lock: two threads need half of it.
    With small tables, where more happens outside, they would only wait for each other.
    """
    waiting = parts[::-1]
    failed: list[_Part] = []

    def work() -> None:
        while True:
            try:
                part = waiting.pop()
            except IndexError:
                return
            try:
                part.read()
            except BaseException:
                failed.append(part)
                raise

    done = allocate_lock()

    def help_with_work() -> None:
        try:
            work()
        except Exception:
            pass  # no memory, say: what failed is read below
        finally:
            done.release()

    if parts:
        done.acquire()
        try:
            start_new_thread(help_with_work, ())
        except RuntimeError:  # no more threads allowed
            done.release()
    try:
        work()
    finally:
        waiting.clear()
        done.acquire()
    for part in failed:
        part.read()


def _counts_descriptors() -> bool:
    """Whether the size of /proc/PID/fd is the number of descriptors, as since Linux 6.2."""
    try:
        return os.stat("/proc/self/fd").st_size > 0
    except OSError:
        return False


def _may_have_files(pid: int) -> bool:
    """Whether this is neither a kernel thread nor a zombie: these have no descriptors that could be kept from us."""
    try:
        if _counts_descriptors():
            return os.stat(f"/proc/{pid}/fd").st_size > 0
        return _is_alive_program(_read(f"/proc/{pid}/stat"))
    except (OSError, ValueError, IndexError):
        return False


def _is_alive_program(status: bytes) -> bool:
    """Reads /proc/PID/stat, for kernels that do not count descriptors."""
    state, *fields = status.rpartition(b")")[2].split()
    return state != b"Z" and not int(fields[5]) & _KERNEL_THREAD


def command_name(pid: int) -> str | None:
    """The process's name (comm, 15 bytes); None where the process has ended."""
    try:
        return _text(_record(f"/proc/{pid}/comm", 64).removesuffix(b"\n"))
    except OSError:
        return None


def program_name(pid: int) -> str | None:
    """The process's argument 0, without directories where it is an absolute path, as net-tools' netstat has it.

    None where the process has ended.
    """
    try:
        argument = _record(f"/proc/{pid}/cmdline", 511).split(b"\0", 1)[0]
    except OSError:
        return None
    return _text(argument.rpartition(b"/")[2] if argument.startswith(b"/") else argument)


def cgroup_lines(pid: int) -> bytes:
    """The cgroups that a process is in, as /proc/PID/cgroup has them; none where it has ended."""
    try:
        return _record(f"/proc/{pid}/cgroup", 1 << 16)
    except OSError:
        return b""


def cgroups(lines: bytes) -> list[tuple[str, str]]:
    """The controllers and the path of each cgroup (cgroups(7)).

    The controllers are "" for cgroup v2, else separated by commas: "cpu,cpuacct", "name=systemd".
    """
    fields = [_text(line).split(":", 2) for line in lines.splitlines()]
    return [(field[1], field[2]) for field in fields if len(field) == 3]


def security_context(pid: int) -> str | None:
    """The process's context in the security module that is in force, SELinux say; None where it is not told."""
    try:
        return _text(_read(f"/proc/{pid}/attr/current").rstrip(b"\0\n")) or None
    except OSError:
        return None


def cgroup2_mounts() -> list[tuple[str, str]]:
    """Where cgroup v2 is mounted: the cgroup that each mount shows as its root, and the directory."""
    try:
        lines = _read("/proc/self/mountinfo").splitlines()
    except OSError:
        return []
    mounts = []
    for line in lines:
        before, _, after = line.partition(b" - ")
        if after.startswith(b"cgroup2 "):
            root, directory = before.split(b" ")[3:5]
            mounts.append((_text(_unescaped(root)), os.fsdecode(_unescaped(directory))))
    return mounts


def cgroup2_mount() -> str | None:
    """The directory where cgroup v2 is mounted; None where it is not."""
    return next((directory for _, directory in cgroup2_mounts()), None)


def _unescaped(field: bytes) -> bytes:
    r"""proc_pid_mountinfo(5): space, tab, newline and backslash are written as \040, \011, \012 and \134."""
    for escape, character in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        field = field.replace(escape, character)
    return field


def in_initial_pid_namespace() -> bool:
    """Whether every process of the machine is in our pid namespace (pid_namespaces(7))."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino == _INITIAL_PID_NAMESPACE
    except OSError:
        return False


def processes_hidden() -> bool:
    """Whether /proc hides other users' processes from us (proc(5): hidepid): process 1 is there for those who see."""
    return not os.path.exists("/proc/1")


def has_protocol(protocol: str) -> bool:
    """Whether the kernel has this kind of sockets at all (``sctp``, ``raw`` …): built in or loaded.

    True where it cannot be known, so that nobody is told that there are none.
    """
    name = {"udplite": "UDP-Lite", "vsock": "AF_VSOCK"}.get(protocol, protocol.upper())
    try:
        return any(line.split()[0] == name for line in _lines("protocols"))
    except NetinspectError:
        return True


_COUNTED = {"xdp": ("XDP",), "sctp": ("SCTP", "SCTPv6")}
"""Protocols of which the kernel counts every socket; of vsock it counts none, of TCP not those in TIME_WAIT."""


def sockets_in_use(protocol: str) -> int | None:
    """How many sockets of a protocol the calling thread's network namespace has; None where it cannot be known."""
    names = _COUNTED.get(protocol, ())
    try:
        fields = [line.split() for line in _lines("protocols")]
        counts = [int(field[2]) for field in fields if field[0] in names]
    except (NetinspectError, ValueError, IndexError):
        return None
    return sum(counts) if counts else None


def sysctl(name: str) -> str | None:
    """The value of a sysctl, one of the calling thread's network namespace where it has its own.

    None where there is none, or it may not be read.
    """
    try:
        return _text(_read(f"/proc/sys/{name.replace('.', '/')}")).strip()
    except OSError:
        return None


def kernel_configuration() -> str | None:
    """How this kernel was built: lines of CONFIG_NAME=value. None where it does not tell (CONFIG_IKCONFIG_PROC)."""
    from gzip import decompress

    try:
        return decompress(_read("/proc/config.gz")).decode("utf-8", "replace")
    except (OSError, EOFError):
        return None


def has_network_file(name: str) -> bool:
    """Whether there is such a file in /proc/net, and it may be read."""
    return os.access(f"/proc/thread-self/net/{name}", os.R_OK)


def raw_sockets(family: str) -> Batch:
    """The raw sockets of the calling thread's network namespace, ``family`` being inet or inet6.

    The port of a raw socket is its IP protocol. What procfs does not tell is None: cookie, interface, mark and the
    like. None are listed where the kernel lacks the family. Raises NetinspectError where a line makes no sense.
    """
    from .engine.columns import Constant
    from .nouns.sockets.decode_common import SOCKET

    name = "raw" if family == "inet" else "raw6"
    try:
        rows = [_raw_row(line.split()) for line in _lines(name)]
    except (ValueError, IndexError) as error:
        raise NetinspectError(f"/proc/net/{name}: a line that makes no sense: {error}") from None
    columns: dict[str, Values] = dict(zip(_RAW_FIELDS, zip(*rows, strict=True), strict=True)) if rows else {}
    columns |= {
        "protocol": Constant("raw"),
        "family": Constant(family),
        "type": Constant("raw"),
        "source": Constant("procfs"),
    }
    return SOCKET.given(len(rows), columns)


_RAW_FIELDS = (
    "local_address", "local_port", "remote_address", "remote_port", "state", "send_queue", "recv_queue", "uid", "inode"
)  # fmt: skip


def _raw_row(fields: list[str]) -> tuple[str | int, ...]:
    """One line of /proc/net/raw: sl, local, remote, st, tx:rx, tr:when, retrnsmt, uid, timeout, inode and more."""
    from .nouns.sockets.decode_common import UNCONNECTED_STATES

    send_queue, receive_queue = fields[4].split(":")
    return (
        *_endpoint(fields[1]),
        *_endpoint(fields[2]),
        UNCONNECTED_STATES[int(fields[3], 16)],
        int(send_queue, 16),
        int(receive_queue, 16),
        int(fields[7]),
        int(fields[9]),
    )


def _endpoint(text: str) -> tuple[str, int]:
    """ADDRESS:PORT in hexadecimal digits: one or four words as they lie in memory, and a number."""
    from _socket import AF_INET, AF_INET6, inet_ntop
    from struct import pack

    address, port = text.split(":")
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    raw = pack(f"={len(words)}I", *words)
    return inet_ntop(AF_INET if len(raw) == 4 else AF_INET6, raw), int(port, 16)


def _lines(name: str) -> list[str]:
    """The lines below the heading of a /proc/net file: that of this very thread, which may have changed namespaces."""
    text = network_text(name)
    return [] if text is None else text.splitlines()[1:]


def _read(path: str, limit: int = 1 << 24) -> bytes:
    """A file's bytes. Unlike open(), this costs no more than the three system calls."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return b"".join(_blocks(descriptor, limit))
    finally:
        os.close(descriptor)


def _record(path: str, limit: int) -> bytes:
    """A file of one record, which a single read(2) gives whole."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, limit)
    finally:
        os.close(descriptor)


def _blocks(descriptor: int, limit: int) -> Iterator[bytes]:
    while limit > 0 and (block := os.read(descriptor, min(limit, 1 << 16))):
        yield block
        limit -= len(block)


def legacy_tables() -> list[str]:
    """Tables of legacy iptables that the calling thread's network namespace has, such as ``ip nat``; often none.

    Their rules have no netlink source: getsockopt(2) of raw sockets has them.
    """
    found = []
    for family, name in (("ip", "ip_tables_names"), ("ip6", "ip6_tables_names")):
        try:
            text = _text(_read(f"/proc/thread-self/net/{name}"))
        except OSError:
            continue
        found += [f"{family} {table}" for table in text.split()]
    return found


def network_text(name: str) -> str | None:
    """A file of /proc/net of the calling thread's network namespace (``snmp``, ``igmp`` …); None where there is none.

    Raises NetinspectError where it may not be read.
    """
    try:
        return _text(_read(f"/proc/thread-self/net/{name}"))
    except FileNotFoundError:
        if os.path.exists("/proc/thread-self/net"):
            return None
        raise NetinspectError("/proc is not there: mount it (mount -t proc proc /proc)") from None
    except OSError as error:
        raise NetinspectError(f"/proc/net/{name}: {error.strerror}") from None


def interface_sysctl(family: str, interface: str, name: str) -> str | None:
    """The value of a sysctl that each interface has its own of, ``family`` being ipv4 or ipv6; None: not to be had."""
    try:
        return _text(_read(f"/proc/sys/net/{family}/conf/{interface}/{name}")).strip()
    except OSError:
        return None


def socket_protocol(pid: int, descriptor: int) -> str | None:
    """The kernel's name for the protocol of a socket that a process holds: ``UDP``, ``RAWv6``; None where unknown."""
    try:
        return _text(os.getxattr(f"/proc/{pid}/fd/{descriptor}", "system.sockprotoname").rstrip(b"\0"))
    except OSError:
        return None
