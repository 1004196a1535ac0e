"""The one module that reads text procfs (proc(5)), for what no netlink family tells.

That is which process holds which socket, a process's names and cgroups, the mounts of cgroup v2, and raw sockets where
the kernel was built without raw_diag.
"""

from __future__ import annotations

import os
from _thread import allocate_lock, start_new_thread
from itertools import compress

from .errors import NetinspectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from functools import partial

    from .batch import Batch, Column
else:
    from _functools import partial  # functools itself takes long to import

_INITIAL_PID_NAMESPACE = 0xEFFFFFFC
"""linux/nsfs.h: PID_NS_INIT_INO, the inode number of the first pid namespace."""
_KERNEL_THREAD = 0x00200000
"""linux/sched.h: PF_KTHREAD, in the flags of /proc/PID/stat."""
_LONE_THREAD = 3
"""Links of a /proc/PID/task with one thread in it: a directory's usual two, and one for each thread."""

_LINK = "socket:["
_CHUNK = 2048
"""Descriptors looked at in one go: few enough for two threads to share a process that has very many."""
_NUMBERED = 64
"""Descriptors from which on asking for number after number is quicker than asking for a list first."""
_WORTH_A_THREAD = 2000
"""Descriptors from which on a second thread pays for itself."""


class Holder:
    """A process that holds sockets: its descriptors and, side by side, the inodes of the sockets they refer to."""

    __slots__ = ("descriptors", "inodes", "name", "pid")

    def __init__(self, pid: int, name: str) -> None:
        self.pid = pid
        self.name = name
        self.descriptors: list[int] = []
        self.inodes: list[int] = []


def socket_holders(pids: Iterable[int] | None = None, *, threads: bool = False) -> tuple[list[Holder], int]:
    """Which of these processes hold sockets, and how many of them did not let us see their descriptors.

    Without ``pids``: of all, in ascending order. Processes that end meanwhile are left out, and so are kernel threads
    and zombies, which have no descriptors. ``threads`` looks for threads with a descriptor table of their own as well
    (unshare(2): CLONE_FILES); one with as many descriptors as its process is taken to share them. Raises
    NetinspectError where /proc is not mounted.

    Nearly all the time is spent inside readlink(2), which releases the interpreter lock: two threads need half of it.
    """
    counted = _descriptors_counted()
    tables = [table for pid in pids or process_ids() for table in _tables(pid, counted, threads)]
    parts = [part for table in tables for part in table.parts]
    _read_all(parts, sum(table.size for table in tables) >= _WORTH_A_THREAD)
    holders: dict[int, Holder] = {}
    refused: set[int] = set()
    for table in tables:
        table.read_rest()
        for part in table.parts:
            if part.refused and (counted or _may_have_files(table.pid)):
                refused.add(table.pid)
            if part.inodes:
                holder = holders.get(table.pid)
                if holder is None:
                    name = command_name(table.pid)
                    if name is None:
                        break  # it ended
                    holder = holders[table.pid] = Holder(table.pid, name)
                holder.descriptors += part.descriptors
                holder.inodes += part.inodes
    if threads:
        for holder in holders.values():  # a descriptor may be in several tables
            pairs = dict.fromkeys(zip(holder.descriptors, holder.inodes, strict=True))
            holder.descriptors, holder.inodes = map(list, zip(*pairs, strict=True))
    return list(holders.values()), len(refused)


def process_ids() -> list[int]:
    """The processes of this /proc, in ascending order. Raises NetinspectError where it is not mounted."""
    try:
        pids = sorted(map(int, filter(str.isdecimal, os.listdir("/proc"))))
    except OSError:
        pids = []
    if not pids:
        raise NetinspectError("no processes in /proc: mount it (mount -t proc proc /proc) to see who owns a socket")
    return pids


def _descriptors_counted() -> bool:
    """Whether the size of /proc/PID/fd is the number of descriptors, as it is since Linux 6.2; before it is 0."""
    try:
        return os.stat("/proc/self/fd").st_size > 0
    except OSError:
        return False


def _tables(pid: int, counted: bool, threads: bool) -> list[_Table]:
    """The descriptor tables of a process: one as a rule, none for a kernel thread."""
    path = f"/proc/{pid}"
    try:
        size = os.stat(f"{path}/fd").st_size
        tables = [_Table(pid, f"{path}/fd", size)] if size or not counted else []
        # Where the first thread has ended, the process has no descriptors under its own name; other threads have them.
        if (threads or not tables) and counted and os.stat(f"{path}/task").st_nlink > _LONE_THREAD:
            for thread in os.listdir(f"{path}/task"):
                own = os.stat(f"{path}/task/{thread}/fd").st_size
                if own not in (0, size):
                    tables.append(_Table(pid, f"{path}/task/{thread}/fd", own))
                    size = size or own
    except OSError:
        return []  # it ended
    return tables


class _Table:
    """One table of descriptors, to be read in parts. ``size`` is how many there are, 0 where that is not known."""

    __slots__ = ("parts", "path", "pid", "size")

    def __init__(self, pid: int, path: str, size: int) -> None:
        self.pid = pid
        self.path = path
        self.size = size
        if size < _NUMBERED:
            self.parts = [_Part(path)]
        else:
            # Descriptors are numbered from the lowest free number up, so nearly all of them are below their count.
            self.parts = [_Part(path, range(first, min(first + _CHUNK, size))) for first in range(0, size, _CHUNK)]

    def read_rest(self) -> None:
        """Reads the descriptors that are numbered higher than their count."""
        if self.size < _NUMBERED or sum(part.found for part in self.parts) >= self.size:
            return
        rest = _Part(self.path, first=self.size)
        rest.read()
        self.parts.append(rest)


class _Part:
    """The descriptors with these numbers, or else all from ``first`` on."""

    __slots__ = ("_first", "_numbers", "_path", "descriptors", "found", "inodes", "refused")

    def __init__(self, path: str, numbers: range | None = None, first: int = 0) -> None:
        self._path = path
        self._numbers = numbers
        self._first = first
        self.found = -1
        """Descriptors there were, -1 before reading."""
        self.refused = False
        self.descriptors: list[int] = []
        self.inodes: list[int] = []

    def read(self) -> None:
        try:
            directory = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                numbers = self._numbers or [n for n in map(int, os.listdir(directory)) if n >= self._first]
                self._keep(numbers, _links(directory, numbers))
            finally:
                os.close(directory)
        except OSError as error:
            self.refused = isinstance(error, PermissionError)
            self.found = 0  # or else the process ended

    def _keep(self, numbers: Sequence[int], links: list[str]) -> None:
        self.found = len(links) - links.count("")
        mask = [link.startswith(_LINK) for link in links]
        if any(mask):
            texts = "".join(compress(links, mask))
            self.inodes = list(map(int, texts[len(_LINK) : -1].split("]" + _LINK)))
            self.descriptors = list(compress(numbers, mask))


def _links(directory: int, numbers: Sequence[int]) -> list[str]:
    """What the descriptors refer to; "" for those that are not, or no longer, open."""
    links: list[str] = []
    remaining = map(partial(os.readlink, dir_fd=directory), map(str, numbers))
    while True:
        try:
            links.extend(remaining)
            return links
        except (FileNotFoundError, ProcessLookupError):
            links.append("")


def _read_all(parts: list[_Part], helped: bool) -> None:
    waiting = parts[::-1]

    def work() -> None:
        while True:
            try:
                part = waiting.pop()
            except IndexError:
                return
            part.read()

    done = allocate_lock()

    def help_with_work() -> None:
        try:
            work()
        finally:
            done.release()

    if helped:
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
    for part in parts:
        if part.found < 0:  # the helper failed
            part.read()


def _may_have_files(pid: int) -> bool:
    """Whether this is neither a kernel thread nor a zombie: these have no descriptors that could be kept from us."""
    try:
        state, *fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
        return state != b"Z" and not int(fields[5]) & _KERNEL_THREAD
    except (OSError, ValueError, IndexError):
        return False


def command_name(pid: int) -> str | None:
    """The process's name (comm, 15 bytes); None where the process has ended."""
    try:
        return _text(_read(f"/proc/{pid}/comm").removesuffix(b"\n"))
    except OSError:
        return None


def program_name(pid: int) -> str | None:
    """The process's argument 0, without directories where it is an absolute path, as net-tools' netstat has it.

    None where the process has ended.
    """
    try:
        argument = _read(f"/proc/{pid}/cmdline", 511).split(b"\0", 1)[0]
    except OSError:
        return None
    return _text(argument.rpartition(b"/")[2] if argument.startswith(b"/") else argument)


def cgroups(pid: int) -> list[tuple[str, str]]:
    """The controllers and the path of each cgroup a process is in (cgroups(7)); none where the process has ended.

    The controllers are "" for cgroup v2, else separated by commas: "cpu,cpuacct", "name=systemd".
    """
    try:
        lines = _read(f"/proc/{pid}/cgroup").splitlines()
    except OSError:
        return []
    fields = [_text(line).split(":", 2) for line in lines]
    return [(field[1], field[2]) for field in fields if len(field) == 3]


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
    """Whether the kernel has this kind of sockets at all (``sctp``, ``raw`` …): built in or loaded."""
    name = {"udplite": "UDP-Lite", "vsock": "AF_VSOCK"}.get(protocol, protocol.upper())
    return any(line.split()[0] == name for line in _lines("protocols"))


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
    from .batch import NONE, Batch, Constant

    name = "raw" if family == "inet" else "raw6"
    try:
        rows = [_raw_row(line.split()) for line in _lines(name)]
    except (ValueError, IndexError) as error:
        raise NetinspectError(f"/proc/net/{name}: a line that makes no sense: {error}") from None
    columns: dict[str, Column] = dict(zip(_RAW_FIELDS, zip(*rows, strict=True), strict=True)) if rows else {}
    columns |= {
        "protocol": Constant("raw"),
        "family": Constant(family),
        "type": Constant("raw"),
        "source": Constant("procfs"),
    }
    return Batch(len(rows), lambda field: columns.get(field, NONE))


_RAW_FIELDS = (
    "local_address", "local_port", "remote_address", "remote_port", "state", "send_queue", "recv_queue", "uid", "inode"
)  # fmt: skip


def _raw_row(fields: list[str]) -> tuple[str | int, ...]:
    """One line of /proc/net/raw: sl, local, remote, st, tx:rx, tr:when, retrnsmt, uid, timeout, inode and more."""
    from .decode.sock_diag import UNCONNECTED_STATES

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
    try:
        return _read(f"/proc/thread-self/net/{name}").decode("ascii").splitlines()[1:]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise NetinspectError(f"/proc/net/{name}: {error.strerror}") from None


def _read(path: str, limit: int = 1 << 24) -> bytes:
    """A file's bytes. Unlike open(), this costs no more than the three system calls."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return b"".join(_blocks(descriptor, limit))
    finally:
        os.close(descriptor)


def _blocks(descriptor: int, limit: int) -> Iterator[bytes]:
    while limit > 0 and (block := os.read(descriptor, min(limit, 1 << 16))):
        yield block
        limit -= len(block)


def _text(raw: bytes) -> str:
    """Names are bytes to the kernel: what is not UTF-8 is shown as escapes, so JSON stays valid."""
    return raw.decode("utf-8", "backslashreplace")


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
