"""The only module that reads text from procfs (proc(5)), for what has no netlink source.

That is names and cgroups of processes, holders of files other than descriptors (engine/descriptors.py), cgroup v2
mounts and, on kernels without the sock_diag modules, raw sockets and the number of some others.
"""

from __future__ import annotations

import posix
import sys

from .engine.text import raw as _raw
from .engine.text import text as _text
from .errors import NetinspectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .engine.columns import Batch, Values

_INITIAL_PID_NAMESPACE = 0xEFFFFFFC
"""linux/nsfs.h: PID_NS_INIT_INO, the inode number of the first pid namespace."""
_KERNEL_THREAD = 0x00200000
"""linux/sched.h: PF_KTHREAD, in the flags of /proc/PID/stat."""
LONE_THREAD = 3
"""Links of a /proc/PID/task with one thread in it: a directory's usual two, and one for each thread."""
_BUSY_RING = 5
"""How often a busy io_uring is read again."""
_ENDED = (FileNotFoundError, ProcessLookupError)
"""A process or thread that has ended."""
UNREAD = "?"
"""In place of a name that cannot be read."""
_SEES_ALL = 1 << 19
"""linux/capability.h: CAP_SYS_PTRACE"""
_MOUNT_POINT = 4
"""The field of a line of mountinfo, counted from 0."""
_OF_OTHERS = (b"fuse", b"nfs", b"cifs", b"smb", b"9p", b"ceph", b"afs", b"autofs", b"virtiofs")
"""File system types that depend on a program or another machine."""
_READING = posix.O_RDONLY | posix.O_NONBLOCK | posix.O_CLOEXEC
"""What is mounted in place of a file, such as a FIFO, blocks nobody."""
_GZIP = 31
"""zlib.h, inflateInit2: a window of 15 bits, and the header of gzip."""
_LONGEST_CONFIGURATION = 1 << 22
_LONGEST_TABLE_NAME = 32
"""linux/netfilter/x_tables.h: XT_TABLE_MAXNAMELEN, with the NUL."""
_HIDING = ("2", "invisible", "4", "ptraceable")
"""Values of /proc's option hidepid with which it leaves processes out."""


def tasks_running() -> int | None:
    """How many tasks of the whole machine run or want to, this one too (proc_loadavg(5)); None where not known."""
    try:
        return int(_record("/proc/loadavg", 256).split()[3].split(b"/")[0])
    except (OSError, ValueError, IndexError):
        return None


def process_ids() -> list[int]:
    """The processes of this /proc, in ascending order. Raises NetinspectError if it is not mounted or unreadable."""
    try:
        pids = sorted(map(int, filter(str.isdecimal, posix.listdir("/proc"))))
    except FileNotFoundError:
        pids = []
    except OSError as error:
        raise NetinspectError(f"the processes in /proc cannot be listed: {error.strerror}") from None
    if not pids:
        raise NetinspectError("no processes in /proc: mount it (mount -t proc proc /proc)")
    return pids


def counts_descriptors() -> bool:
    """Whether the size of /proc/PID/fd is the number of descriptors, as since Linux 6.2."""
    try:
        return posix.stat("/proc/self/fd").st_size > 0
    except OSError:
        return False


def open_files() -> int:
    """How many files are open on the machine, about, each once however many descriptors it has; 0 where unknown."""
    try:
        return int(_record("/proc/sys/fs/file-nr", 64).split()[0])
    except (OSError, ValueError, IndexError):
        return 0


def may_have_files(pid: int) -> bool:
    """Whether this may be an ordinary process: kernel threads and zombies have no descriptors."""
    try:
        if counts_descriptors():
            return posix.stat(f"/proc/{pid}/fd").st_size > 0
        return is_alive_program(pid)
    except _ENDED:
        return False
    except (OSError, ValueError, IndexError):
        return True  # not readable either (proc(5): hidepid=1)


def is_alive_program(pid: int) -> bool:
    """Whether this is neither a kernel thread nor a zombie. Raises OSError, ValueError, IndexError."""
    state, *fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return state != b"Z" and not int(fields[5]) & _KERNEL_THREAD


def registered_files(path: str) -> tuple[list[int], bool]:
    """The inodes of the sockets among the files that are registered with an io_uring, ``path`` being its fdinfo.

    And whether these are all: older kernels, up to 6.12 at least, name a socket by its protocol, as in "TCPv6", and of
    a ring in use the files are counted but not named (io_uring/fdinfo.c). Raises OSError.
    """
    for _ in range(_BUSY_RING):
        lines = [words for line in _read(path).splitlines() if len(words := line.split()) == 2]
        files = [name for number, name in lines if number.rstrip(b":").isdigit()]
        if files or [b"UserFiles:", b"0"] in lines:
            break
    inodes = [int(name[8:-1]) for name in files if name.startswith(b"socket:[") and name[8:-1].isdigit()]
    return inodes, bool(files or [b"UserFiles:", b"0"] in lines) and not any(name[:1].isupper() for name in files)


def descriptors_in_flight(pid: int, descriptor: int) -> int:
    """Number of descriptors in the receive queue of a unix socket (unix(7): SCM_RIGHTS).

    0 if not reported: other sockets, and before about Linux 5.10.
    """
    try:
        lines = _read(f"/proc/{pid}/fdinfo/{descriptor}").splitlines()
        return sum(int(line[8:]) for line in lines if line.startswith(b"scm_fds:"))
    except (OSError, ValueError):
        return 0


def command_name(pid: int) -> str | None:
    """The process's name (comm, 15 bytes); None where the process has ended, "?" where it cannot be read."""
    try:
        return _text(_record(f"/proc/{pid}/comm", 64).removesuffix(b"\n"))
    except _ENDED:
        return None
    except OSError:
        return UNREAD


def has_ended(pid: int) -> bool:
    """Whether there is no such process any more; a zombie still is one, with a name."""
    try:
        posix.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def parent_and_users(pid: int) -> tuple[int, set[int]]:
    """The process that started it, 0 where that is outside of this pid namespace, and the users it runs as.

    These are more than one for a program that is set-user-ID. Raises OSError, and ValueError where they are not there.
    """
    fields = dict(line.split(b":", 1) for line in _read(f"/proc/{pid}/status").splitlines() if b":" in line)
    try:
        return int(fields[b"PPid"]), set(map(int, fields[b"Uid"].split()))
    except KeyError as error:
        raise ValueError(f"no {error}") from None


def program_name(pid: int) -> str | None:
    """The process's argument 0, without directories where it is an absolute path, as net-tools' netstat has it.

    None where the process has ended, "?" where it cannot be read.
    """
    try:
        line = _record(f"/proc/{pid}/cmdline", 511) or _command_line_of_threads(pid)
    except _ENDED:
        return None
    except OSError:
        return UNREAD
    argument = line.split(b"\0", 1)[0]
    return _text(argument.rpartition(b"/")[2] if argument.startswith(b"/") else argument)


def _command_line_of_threads(pid: int) -> bytes:
    """A main thread that has ended has no arguments; the other threads of the process still have them."""
    for thread in posix.listdir(f"/proc/{pid}/task"):
        try:
            if line := _record(f"/proc/{pid}/task/{thread}/cmdline", 511):
                return line
        except _ENDED:
            continue
    return b""


def arguments(pid: int) -> list[str]:
    """The process's command line, the first 64 KiB of it; empty where it has ended or cannot be read."""
    try:
        return [_text(word) for word in _read(f"/proc/{pid}/cmdline", 1 << 16).split(b"\0")]
    except OSError:
        return []


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
    """The process's security context (such as SELinux); None if not reported."""
    try:
        return _text(_read(f"/proc/{pid}/attr/current").rstrip(b"\0\n")) or None
    except OSError:
        return None


def other_threads(pid: int) -> list[int]:
    """The threads of a process except the first one; none if it has ended, or is not readable."""
    tasks = f"/proc/{pid}/task"
    try:
        if posix.stat(tasks).st_nlink <= LONE_THREAD:
            return []
        return sorted(set(map(int, filter(str.isdecimal, posix.listdir(tasks)))) - {pid})
    except OSError:
        return []


def network_namespace_mounts(pids: list[int]) -> list[tuple[str, int, bool]]:
    """Where network namespaces are mounted, in our mount namespace and in those of these processes.

    Each is a path, the inode number of the namespace and whether the path may be followed: not where that may hang.
    Another mount may hide what is there. Those that cannot be read are left out.
    """
    mounts: list[tuple[str, int, bool]] = []
    seen: set[tuple[int, str]] = set()
    for process in ("self", *pids):
        try:
            # What a process has below its root is all that its mountinfo shows (chroot(2)).
            number = posix.stat(f"/proc/{process}/ns/mnt").st_ino, posix.readlink(f"/proc/{process}/root")
            if number in seen:
                continue
            seen.add(number)
            lines = _read(f"/proc/{process}/mountinfo").splitlines()
        except OSError:
            continue
        root = "" if process == "self" else f"/proc/{process}/root"
        points = [
            (fields[_MOUNT_POINT], int(inode))
            for line in lines
            if b" - nsfs " in line
            and len(fields := line.split(b" ")) > _MOUNT_POINT
            and fields[_MOUNT_POINT - 1].startswith(b"net:[")
            and (inode := fields[_MOUNT_POINT - 1][5:-1]).isdigit()
        ]
        if points:
            hanging = _may_hang(lines)
            mounts += [
                (root + _path(_unescaped(point)), inode, not (point + b"/").startswith(hanging))
                for point, inode in points
            ]
    return mounts


def _may_hang(lines: list[bytes]) -> tuple[bytes, ...]:
    """Mount points where stat(2) may hang, because another program or machine must answer."""
    found = []
    for line in lines:
        before, _, after = line.partition(b" - ")
        if after.startswith(_OF_OTHERS) and len(fields := before.split(b" ")) > _MOUNT_POINT:
            found.append(fields[_MOUNT_POINT].rstrip(b"/") + b"/")
    return tuple(found)


def cgroup2_mounts() -> list[tuple[str, str]]:
    """Where cgroup v2 is mounted: the cgroup that each mount shows as its root, and the directory."""
    try:
        lines = _read("/proc/self/mountinfo").splitlines()
    except OSError:
        return []
    mounts = []
    for line in lines:
        before, _, after = line.partition(b" - ")
        fields = before.split(b" ")
        if after.startswith(b"cgroup2 ") and len(fields) > _MOUNT_POINT:
            root, directory = fields[_MOUNT_POINT - 1 : _MOUNT_POINT + 1]
            mounts.append((_text(_unescaped(root)), _path(_unescaped(directory))))
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
        return posix.stat("/proc/self/ns/pid").st_ino == _INITIAL_PID_NAMESPACE
    except OSError:
        return False


def processes_hidden() -> bool:
    """Whether /proc hides other users' processes from us (proc(5): hidepid): process 1 is then missing.

    If process 1 is our own (in a pid namespace), /proc's options and our privileges decide.
    """
    if not exists("/proc/1"):
        return True
    return posix.geteuid() != 0 and _hides_processes() and not _is_privileged()


def _hides_processes() -> bool:
    try:
        lines = _read("/proc/self/mountinfo").splitlines()
    except OSError:
        return False
    options = b""
    for line in lines:  # the last mount covers the others
        words = line.split()
        if len(words) > _MOUNT_POINT and words[_MOUNT_POINT] == b"/proc":
            options = words[-1]
    found = [option.removeprefix("hidepid=") for option in _text(options).split(",") if option.startswith("hidepid=")]
    return bool(found) and found[-1] in _HIDING


def _is_privileged() -> bool:
    try:
        lines = _read("/proc/self/status").splitlines()
        return any(int(line.split()[1], 16) & _SEES_ALL for line in lines if line.startswith(b"CapEff:"))
    except (OSError, ValueError, IndexError):
        return False


def has_protocol(protocol: str) -> bool:
    """Whether the kernel has this kind of sockets at all (``sctp``, ``raw`` …): built in or loaded.

    True if unknown, so that "there are none" is never reported by mistake.
    """
    name = {"udplite": "UDP-Lite", "vsock": "AF_VSOCK"}.get(protocol, protocol.upper())
    try:
        return any(line.split()[:1] == [name] for line in _lines("protocols"))
    except NetinspectError:
        return True


_COUNTED = {"xdp": ("XDP",), "sctp": ("SCTP", "SCTPv6")}
"""Protocols whose sockets the kernel counts completely; it counts no vsock, and no TCP sockets in TIME_WAIT."""


def sockets_in_use(protocol: str) -> int | None:
    """How many sockets of a protocol the calling thread's network namespace has; None if unknown."""
    names = _COUNTED.get(protocol, ())
    try:
        fields = [line.split() for line in _lines("protocols")]
        counts = [int(field[2]) for field in fields if field[0] in names]
    except (NetinspectError, ValueError, IndexError):
        return None
    return sum(counts) if counts else None


def sysctl(name: str) -> str | None:
    """The value of a sysctl, one of the calling thread's network namespace where it has its own.

    None if it does not exist or cannot be read.
    """
    try:
        return _text(_read(f"/proc/sys/{name.replace('.', '/')}")).strip()
    except OSError:
        return None


def kernel_configuration() -> str | None:
    """How this kernel was built: lines of CONFIG_NAME=value. None where it does not report (CONFIG_IKCONFIG_PROC)."""
    from zlib import decompressobj, error

    try:
        packed = decompressobj(_GZIP)
        text = packed.decompress(_read("/proc/config.gz"), _LONGEST_CONFIGURATION)
    except (OSError, error):
        return None
    return text.decode("utf-8", "replace") if packed.eof else None


def has_network_file(name: str) -> bool:
    """Whether /proc/net has such a file, and it is readable."""
    return posix.access(f"/proc/thread-self/net/{name}", posix.R_OK)


def raw_sockets(family: str) -> Batch:
    """The raw sockets of the calling thread's network namespace, ``family`` being inet or inet6.

    The port of a raw socket is its IP protocol. Fields that procfs does not report are None: cookie, interface, mark
    etc. Without the family in the kernel the list is empty. Raises NetinspectError for a malformed line.
    """
    from .engine.columns import Constant
    from .nouns.sockets.decode_common import SOCKET

    name = "raw" if family == "inet" else "raw6"
    try:
        rows = [_raw_row(line.split()) for line in _lines(name)]
    except (ValueError, IndexError, OverflowError) as error:
        raise NetinspectError(f"/proc/net/{name}: malformed line: {error}") from None
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
    from sys import byteorder

    address, port = text.split(":")
    raw = b"".join(int(address[at : at + 8], 16).to_bytes(4, byteorder) for at in range(0, len(address), 8))
    return inet_ntop(AF_INET if len(raw) == 4 else AF_INET6, raw), int(port, 16)


def _lines(name: str) -> list[str]:
    """The lines below the heading of a /proc/net file of this thread, which may have changed namespaces."""
    text = network_text(name)
    return [] if text is None else text.splitlines()[1:]


def _read(path: str, limit: int = 1 << 24) -> bytes:
    """A file's bytes. Unlike open(), this costs no more than the three system calls."""
    descriptor = posix.open(path, _READING)
    try:
        return b"".join(_blocks(descriptor, limit))
    finally:
        posix.close(descriptor)


def _record(path: str, limit: int) -> bytes:
    """A file of one record, which a single read(2) gives whole."""
    descriptor = posix.open(path, _READING)
    try:
        return posix.read(descriptor, limit)
    finally:
        posix.close(descriptor)


def _blocks(descriptor: int, limit: int) -> Iterator[bytes]:
    while limit > 0 and (block := posix.read(descriptor, min(limit, 1 << 16))):
        yield block
        limit -= len(block)


def legacy_tables() -> list[str]:
    """Tables of legacy iptables that the calling thread's network namespace has, such as ``ip nat``; often none.

    Their rules have no netlink source: getsockopt(2) of raw sockets has them.
    """
    found = []
    for family, name in (("ip", "ip_tables_names"), ("ip6", "ip6_tables_names")):
        try:
            text = _text(_read(f"/proc/thread-self/net/{name}", 1 << 16))
        except OSError:
            continue
        found += [f"{family} {table}" for table in text.split() if len(table) < _LONGEST_TABLE_NAME]
    return found


def network_text(name: str) -> str | None:
    """A file of /proc/net of the calling thread's network namespace (``snmp``, ``igmp`` …); None where there is none.

    Raises NetinspectError if it is not readable.
    """
    try:
        return _text(_read(f"/proc/thread-self/net/{_path(_raw(name))}"))
    except FileNotFoundError:
        if exists("/proc/thread-self/net"):
            return None
        raise NetinspectError("/proc is not there: mount it (mount -t proc proc /proc)") from None
    except OSError as error:
        raise NetinspectError(f"/proc/net/{name}: {error.strerror}") from None


def interface_sysctl(family: str, interface: str, name: str) -> str | None:
    """The value of a per-interface sysctl; ``family`` is ipv4 or ipv6. None: not available."""
    try:
        return _text(_read(f"/proc/sys/net/{family}/conf/{_path(_raw(interface))}/{name}")).strip()
    except OSError:
        return None


def socket_protocol(pid: int, descriptor: int) -> str | None:
    """The kernel's name for the protocol of a socket that a process holds: ``UDP``, ``RAWv6``; None where unknown."""
    try:
        return _text(posix.getxattr(f"/proc/{pid}/fd/{descriptor}", "system.sockprotoname").rstrip(b"\0"))
    except OSError:
        return None


def sysctl_writable(name: str) -> bool:
    """Whether a sysctl is writable in the calling thread's network namespace, by its mode: some are read-only there."""
    try:
        return bool(posix.stat(f"/proc/sys/{name.replace('.', '/')}").st_mode & 0o200)
    except OSError:
        return False


def _path(name: bytes) -> str:
    """As os.fsdecode."""
    return name.decode(sys.getfilesystemencoding(), sys.getfilesystemencodeerrors())


def exists(path: str) -> bool:
    """As os.path.exists."""
    try:
        posix.stat(path)
    except OSError:
        return False
    return True


def has_module(name: str) -> bool:
    """Whether a module is loaded, built in, or available for loading."""
    if exists(f"/sys/module/{name}"):
        return True
    release = posix.uname().release
    for listing in ("modules.builtin", "modules.dep"):
        try:
            if f"/{name}.ko" in _text(_read(f"/lib/modules/{release}/{listing}")):
                return True
        except OSError:
            continue
    # Of what is built in and has no parameters, these say nothing.
    return f"CONFIG_{name.upper()}=y\n" in (kernel_configuration() or "")


def code_symbols() -> list[tuple[int, str]]:
    """The addresses of kernel functions, in order; without permission all are 0 (kernel.kptr_restrict).

    Empty where the kernel does not report. There are about 100,000, of which callers need a few: names are not checked.
    """
    from re import MULTILINE, compile

    try:
        text = _read("/proc/kallsyms", 1 << 26).decode("utf-8", "backslashreplace")
    except OSError:
        return []
    lines = compile(r"^([0-9a-f]+) [tTwW] (\S+)", MULTILINE)
    return sorted([(int(address, 16), name) for address, name in lines.findall(text)])


def outer_uid() -> int:
    """This user's id as the user namespace around this one has it (user_namespaces(7)): the same in the initial one."""
    uid = posix.geteuid()
    try:
        for line in _read("/proc/self/uid_map").splitlines():
            inside, outside, count = map(int, line.split())
            if inside <= uid < inside + count:
                return outside + uid - inside
    except (OSError, ValueError):
        pass  # without /proc it is taken for the initial one
    return uid
