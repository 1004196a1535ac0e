"""Which process holds which socket: the descriptors of all processes (proc(5): /proc/PID/fd), and other holders.

Any user can create a descriptor, process or thread that cannot be read. Only that is left out, and ``Unseen`` records
it.
"""

from __future__ import annotations

import posix
from _thread import allocate_lock
from errno import ENAMETOOLONG, ENODATA
from itertools import compress

from ..procfs import (
    LONE_THREAD,
    counts_descriptors,
    may_have_files,
    open_files,
    other_threads,
    process_ids,
    registered_files,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from functools import partial

    Found = tuple[list[int], list[int], Sequence[int], int]
    """Descriptors of sockets, their inodes, the descriptors of io_urings, and how many are not open."""
else:
    from _functools import partial  # functools itself takes long to import

_DIRECTORY = posix.O_RDONLY | posix.O_DIRECTORY | posix.O_CLOEXEC
_ENDED = (FileNotFoundError, ProcessLookupError)
"""A process, thread or descriptor that is gone."""
_LINK = "socket:["
_NAMESPACE = "net:["
_TUN_DEVICES = ("/dev/net/tun", "/net/tun")
"""As seen from here, and where the file system that it is on is not mounted here."""
_MOST_SOCKETS = 128
"""Sockets at either end of a table that are looked at for their network namespace, at 15 µs each."""
_RING = "anon_inode:[io_uring]"
_UNREAD = "?"
_MANY, _PROCESS = 6000, 10
"""How many files must be open for all of them to be listed at once, which takes as long as to read 3,000 links, and how
many of them the directory of a process is worth.
"""
_CHUNK = 1024
"""Descriptors looked at in one go: few enough for two threads to share the work."""

_KCMP_FILES = 2
"""linux/kcmp.h"""
_KCMP = {
    **dict.fromkeys(("aarch64", "riscv64", "loongarch64"), 272),
    "x86_64": 312,
    "s390x": 343,
    **dict.fromkeys(("ppc64", "ppc64le"), 354),
}
"""Numbers of kcmp(2) for programs of 64 bits (asm/unistd.h)."""

IO_URING = "io_uring"
"""``Holder.via`` of files that are registered with an io_uring (io_uring_register(2)): the descriptor is the ring's."""


class Holder:
    """A process that holds sockets: its descriptors and, side by side, the inodes of the sockets they refer to.

    ``via`` says how, where these are no descriptors of the whole process: IO_URING, or ``thread`` and the id of a
    thread that has a descriptor table of its own. ``name`` is that of the process where it is known, undecoded, and
    ``group`` is then the same for all processes that were in the same cgroups of every hierarchy.
    """

    __slots__ = ("descriptors", "group", "inodes", "name", "pid", "via")

    def __init__(self, pid: int, descriptors: list[int], inodes: list[int], via: str | None = None) -> None:
        self.pid = pid
        self.descriptors = descriptors
        self.inodes = inodes
        self.via = via
        self.name: bytes | None = None
        self.group = 0


class Unseen:
    """Processes whose descriptors are not known, or not all of them."""

    __slots__ = ("failed", "refused")

    def __init__(self) -> None:
        self.refused: set[int] = set()
        """Those that we have no permission to read."""
        self.failed: dict[int, str] = {}
        """Those that could not be read for another reason, with the reason."""

    def add(self, pid: int, errors: list[OSError]) -> None:
        """Takes in why something of a process could not be read."""
        for error in errors:
            if isinstance(error, PermissionError):
                self.refused.add(pid)
                self.failed.pop(pid, None)
                return
            self.failed[pid] = error.strerror or str(error)

    def __bool__(self) -> bool:
        return bool(self.refused or self.failed)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unseen) and (self.refused, self.failed) == (other.refused, other.failed)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Unseen(refused={self.refused}, failed={self.failed})"

    def texts(self, pids: set[int] | None = None) -> list[str]:
        """Messages about them, or about those among ``pids``."""
        texts = []
        refused = len(self.refused if pids is None else self.refused & pids)
        if refused:
            texts.append(f"the open files of {_counted(refused)} may not be seen (needs CAP_SYS_PTRACE)")
        reasons: dict[str, int] = {}
        for pid, reason in self.failed.items():
            if pids is None or pid in pids:
                reasons[reason] = reasons.get(reason, 0) + 1
        texts += [
            f"open files of {_counted(count)} could not be read ({reason})" for reason, count in sorted(reasons.items())
        ]
        return texts


def _counted(processes: int) -> str:
    return "1 process" if processes == 1 else f"{processes} processes"


def socket_holders(pids: Iterable[int] | None = None, *, deep: bool = False) -> tuple[list[Holder], Unseen]:
    """Which of these processes hold sockets, and what of them could not be read.

    Without ``pids``: of all, in ascending order. Processes that end meanwhile are left out, and so are kernel threads
    and zombies, which have no descriptors. ``deep`` also looks into threads with a descriptor table of their own
    (unshare(2): CLONE_FILES) and at what is registered with io_urings; such holders follow that of their process.
    Where many files are open, root has the kernel list them at once (bpf/task_files.py), which hides no process.
    Raises NetinspectError where /proc is not mounted.
    """
    if pids is None:
        pids = process_ids()
        if not deep and posix.geteuid() == 0 and len(pids) * _PROCESS + open_files() >= _MANY:
            found = _found_at_once()
            if found is not None:
                return found
    return _searched(pids, deep)


def _found_at_once() -> tuple[list[Holder], Unseen] | None:
    """As ``socket_holders`` of all processes; None where the kernel does not allow it."""
    from .bpf.task_files import Unsuitable, held_sockets

    try:
        found, apart = held_sockets()
    except Unsuitable:
        return None
    holders = []
    for held in found:
        if held.pid not in apart:
            holder = Holder(held.pid, held.descriptors, held.inodes)
            holder.name, holder.group = held.name, held.group
            holders.append(holder)
    if not apart:
        return holders, Unseen()
    # Of threads with other tables than their process only the procfs says which one is seen as that of the process.
    others, unseen = _searched(sorted(apart), False)
    return sorted([*holders, *others], key=lambda holder: holder.pid), unseen


def _searched(pids: Iterable[int], deep: bool) -> tuple[list[Holder], Unseen]:
    """As ``socket_holders``, by procfs."""
    counted = counts_descriptors()
    searches = [_Search(pid, deep, counted) for pid in pids]
    for search in searches:
        search.begin()
    _share([part for search in searches for table in search.tables for part in table.parts])
    holders: list[Holder] = []
    for search in searches:
        if search.tables:
            holders += search.holders()
    unseen = Unseen()
    for search in searches:
        if search.errors:
            unseen.add(search.pid, search.errors)
    return holders, unseen


class _Search:
    """Finds the sockets in the descriptor tables of a process, which usually has one."""

    __slots__ = ("counted", "deep", "errors", "pid", "tables")

    def __init__(self, pid: int, deep: bool, counted: bool) -> None:
        self.pid = pid
        self.deep = deep
        self.counted = counted
        self.errors: list[OSError] = []
        """Why something of it could not be read."""
        self.tables: list[_Table] = []
        """The tables that have anything in them. The first one is that of the process as a whole."""

    def begin(self) -> None:
        """Reads small tables, and finds the large ones."""
        path = f"/proc/{self.pid}"
        try:
            try:
                self._read(path, None)
            except PermissionError:
                if may_have_files(self.pid):
                    raise
            # Where the first thread has ended, the process has no descriptors under its own name; others have them.
            if self.deep or not self.tables:
                self._look_at_threads(f"{path}/task")
        except _ENDED:
            pass
        except OSError as error:
            self.errors.append(error)

    def _look_at_threads(self, tasks: str) -> None:
        if posix.stat(tasks).st_nlink <= LONE_THREAD:
            return
        threads = sorted(map(int, filter(str.isdecimal, posix.listdir(tasks))))
        if not self.deep:
            for thread in threads:
                if self.tables:
                    break  # the others share it
                if thread != self.pid:  # that one has ended, and whoever is not root may not even look
                    self._read_thread(tasks, thread)
            return
        compare = _comparison()
        known = [self.pid] if self.tables else []
        for thread in threads:
            if thread != self.pid and not any(compare(thread, other) for other in known):
                known.append(thread)
                self._read_thread(tasks, thread)

    def _read_thread(self, tasks: str, thread: int) -> None:
        try:
            self._read(f"{tasks}/{thread}", thread)
        except _ENDED:
            pass
        except OSError as error:
            self.errors.append(error)

    def _read(self, path: str, thread: int | None) -> None:
        directory = posix.open(f"{path}/fd", _DIRECTORY)
        try:
            # A new descriptor gets the lowest free number, so nearly all of them are below their count.
            size = posix.fstat(directory).st_size if self.counted else 0
            numbers = range(size) if self.counted else _listed(directory)
            if not numbers:
                return
            table = _Table(path, thread, size)
            self.tables.append(table)
            if len(numbers) > _CHUNK:
                chunks = range(0, len(numbers), _CHUNK)
                table.parts = [_Part(path, numbers[at : at + _CHUNK], self.deep, self.errors) for at in chunks]
                return
            table.descriptors, table.inodes, table.rings, missing = _sockets(directory, numbers, self.deep, self.errors)
            if missing and size:
                table.take(_sockets(directory, _above(directory, size), self.deep, self.errors))
        finally:
            posix.close(directory)

    def holders(self) -> list[Holder]:
        """What was found, once all parts of large tables are read."""
        for table in self.tables:
            if table.parts:
                self._finish(table)
        holders = []
        first, *others = self.tables
        if first.inodes:
            holders.append(Holder(self.pid, first.descriptors, first.inodes))
        if others:
            known = set(zip(first.descriptors, first.inodes, strict=True))
            for table in others:
                pairs = [pair for pair in zip(table.descriptors, table.inodes, strict=True) if pair not in known]
                known.update(pairs)
                if pairs:
                    descriptors, inodes = map(list, zip(*pairs, strict=True))
                    holders.append(Holder(self.pid, descriptors, inodes, f"thread {table.thread}"))
        # Where it is not known which threads share a table, a ring is in several.
        registered: dict[tuple[int, int], None] = {}
        for table in self.tables:
            for ring in table.rings:
                registered |= dict.fromkeys((ring, inode) for inode in self._registered(table.path, ring))
        if registered:
            rings, inodes = map(list, zip(*registered, strict=True))
            holders.append(Holder(self.pid, rings, inodes, IO_URING))
        return holders

    def _registered(self, path: str, ring: int) -> list[int]:
        try:
            inodes, whole = registered_files(f"{path}/fdinfo/{ring}")
        except _ENDED:
            return []
        except OSError as error:
            self.errors.append(error)
            return []
        if not whole:
            self.errors.append(OSError(ENODATA, "the kernel does not name the sockets of an io_uring"))
        return inodes

    def _finish(self, table: _Table) -> None:
        missing = 0
        for part in table.parts:
            missing += part.found[-1]
            table.take(part.found)
        table.parts = []
        if table.size and missing:
            try:
                directory = posix.open(f"{table.path}/fd", _DIRECTORY)
            except _ENDED:
                return
            except OSError as error:
                self.errors.append(error)
                return
            try:
                table.take(_sockets(directory, _above(directory, table.size), self.deep, self.errors))
            finally:
                posix.close(directory)


class _Table:
    """A table of descriptors; ``thread`` is whose it is, None where it is found under the process's own name."""

    __slots__ = ("descriptors", "inodes", "parts", "path", "rings", "size", "thread")

    def __init__(self, path: str, thread: int | None, size: int) -> None:
        self.path = path
        self.thread = thread
        self.size = size
        """The number of descriptors; 0 where it is not known."""
        self.parts: list[_Part] = []
        """Of a large table, until they are read."""
        self.descriptors: list[int] = []
        self.inodes: list[int] = []
        self.rings: Sequence[int] = ()

    def take(self, found: Found) -> None:
        descriptors, inodes, rings, _ = found
        self.descriptors += descriptors
        self.inodes += inodes
        self.rings = (*self.rings, *rings)


def _sockets(directory: int, numbers: Sequence[int], deep: bool, errors: list[OSError]) -> Found:
    """Which of these descriptors are sockets, their inodes, which are io_urings, where these are looked for, and how
    many of them are not open. ``errors`` gets why some could not be read.
    """
    links = _links(directory, numbers, errors)
    rings: Sequence[int] = ()
    if deep and _RING in links:
        rings = [number for number, link in zip(numbers, links, strict=True) if link == _RING]
    mask = [link.startswith(_LINK) for link in links]
    if True not in mask:
        return [], [], rings, links.count("")
    texts = "".join(compress(links, mask))
    try:
        inodes = list(map(int, texts[len(_LINK) : -1].split("]" + _LINK)))
    except ValueError:  # not the kernel's words
        mask = [link.startswith(_LINK) and link[len(_LINK) : -1].isdecimal() for link in links]
        inodes = [int(link[len(_LINK) : -1]) for link in compress(links, mask)]
    return list(compress(numbers, mask)), inodes, rings, links.count("")


class _Part:
    """Some descriptors of a large table."""

    __slots__ = ("deep", "errors", "found", "numbers", "path")

    def __init__(self, path: str, numbers: Sequence[int], deep: bool, errors: list[OSError]) -> None:
        self.path = path
        self.numbers = numbers
        self.deep = deep
        self.errors = errors
        self.found: Found = [], [], (), 0

    def read(self) -> None:
        try:
            directory = posix.open(f"{self.path}/fd", _DIRECTORY)
        except _ENDED:
            return
        except OSError as error:
            self.errors.append(error)
            return
        try:
            self.found = _sockets(directory, self.numbers, self.deep, self.errors)
        finally:
            posix.close(directory)


def network_namespace_files(pids: Iterable[int], sockets: dict[str, str] | None = None) -> Iterator[str]:
    """Paths of the open files of these processes that are network namespaces. Unreadable ones are left out.

    A thread with a descriptor table of its own has its own paths. ``sockets`` gets paths of sockets: each socket once,
    and of a process with very many the first and the last; and those of open tun devices, which are sockets as well.
    """
    counted = counts_descriptors()
    compare = None
    for pid in pids:
        tables = [pid]
        if threads := other_threads(pid):
            compare = compare or _comparison()
            tables += [thread for thread in threads if not compare(thread, pid)]
        for table in tables:
            path = f"/proc/{table}/fd"
            try:
                numbers, links = _table_of(path, counted)
            except OSError:
                continue
            for number, link in zip(numbers, links, strict=True):
                if link.startswith(_NAMESPACE):
                    yield f"{path}/{number}"
            if sockets is not None and table == pid:
                held = [pair for pair in zip(links, numbers, strict=True) if pair[0].startswith(_LINK)]
                for link, number in (*held[:_MOST_SOCKETS], *held[_MOST_SOCKETS:][-_MOST_SOCKETS:]):
                    sockets.setdefault(link, f"{path}/{number}")
                for device in _TUN_DEVICES:
                    if device in links:
                        opened = [number for number, link in zip(numbers, links, strict=True) if link == device]
                        sockets.update((tun, tun) for tun in (f"{path}/{number}" for number in opened))


def _table_of(path: str, counted: bool) -> tuple[Sequence[int], list[str]]:
    """The descriptors of a table, and what they refer to. Raises OSError."""
    directory = posix.open(path, _DIRECTORY)
    try:
        size = posix.fstat(directory).st_size if counted else 0
        numbers: Sequence[int] = range(size) if counted else _listed(directory)
        links = _links(directory, numbers, [])
        if size and "" in links:
            above = _above(directory, size)
            numbers, links = [*numbers, *above], links + _links(directory, above, [])
        return numbers, links
    finally:
        posix.close(directory)


_END = 1 << 31
"""A descriptor is an int, and not negative."""


def _above(directory: int, size: int) -> list[int]:
    """The descriptors with numbers that are not below their count."""
    try:
        return [number for number in _listed(directory) if number >= size]
    except _ENDED:
        return []


def _listed(directory: int) -> list[int]:
    # Something else may be mounted over a process's directory.
    names = filter(str.isdecimal, posix.listdir(directory))
    return [number for name in names if len(name) <= 10 and (number := int(name)) < _END]


def _links(directory: int, numbers: Iterable[int], errors: list[OSError]) -> list[str]:
    """What the descriptors refer to; "" for those that are not, or no longer, open.

    Those that cannot be read are _UNREAD, and ``errors`` has why, except paths that are too long to be known: these are
    no sockets.
    """
    links: list[str] = []
    remaining = map(partial(posix.readlink, dir_fd=directory), map(str, numbers))
    while True:
        try:
            links.extend(remaining)
            return links
        except _ENDED:
            links.append("")
        except OSError as error:
            links.append(_UNREAD)
            if error.errno != ENAMETOOLONG:
                errors.append(error)


def _share(parts: list[_Part]) -> None:
    """Reads parts of large tables, with the help of a second thread.

    Nearly all the time is spent inside readlink(2), which releases the interpreter lock: two threads need half of it.
    With small tables, where more happens outside, they would only wait for each other.
    """
    from .answering import aside, waited

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

    thread = None
    if parts:
        done.acquire()
        thread = aside(help_with_work)
    try:
        work()
    finally:
        waiting.clear()
        if thread is not None:
            waited(thread, done)
    for part in failed:
        part.read()


def _comparison() -> Callable[[int, int], bool]:
    """What shows whether two threads are known to share one descriptor table (kcmp(2)).

    Where the kernel does not report (CONFIG_KCMP), no two do: each table is read, which takes longer.
    """
    number = _KCMP.get(posix.uname().machine)
    if number is None or not _of_64_bits():
        return lambda thread, other: False
    from ctypes import CDLL, c_long

    syscall = CDLL(None).syscall
    syscall.argtypes = (c_long,) * 6
    syscall.restype = c_long
    return lambda thread, other: syscall(number, thread, other, _KCMP_FILES, 0, 0) == 0


def _of_64_bits() -> bool:
    import sys

    return sys.maxsize > 1 << 32
