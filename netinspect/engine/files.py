"""Reading and writing of files that users name or that the system provides.

Reading is bounded in time and size. A path is checked (O_PATH) before it is opened, since opening alone triggers some
devices; only regular files are read, and pipes where allowed.

Writing is atomic: a temporary file in the same directory is renamed when complete, and removed on failure. Only regular
files are replaced. In a sticky world-writable directory such as /tmp, files and links of other users are refused, as
with fs.protected_symlinks, protected_fifos and protected_regular, which may be off.
"""

from __future__ import annotations

import posix
from _stat import S_IFMT, S_IMODE, S_ISBLK, S_ISCHR, S_ISDIR, S_ISFIFO, S_ISLNK, S_ISREG, S_ISSOCK, S_ISVTX, S_IWOTH

from ..errors import FileError, OutputError
from .signals import Holding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    Result = TypeVar("Result")

_TABLE_LIMIT = 16 << 20
"""Bytes of a table of names (services(5) …): the longest that are kept have a few hundred thousand entries."""
_FILE_LIMIT = 2 << 30
"""Bytes of a file that is read line by line."""
_LINE_LIMIT = 16 << 20
"""Bytes of one line."""
_BLOCK = 1 << 18
_WRITER_WAIT = 2000
"""Milliseconds in which the other end of a named pipe must be opened."""
_SILENCE = 30_000
"""Milliseconds in which something must come from a named pipe."""
_LINK_LIMIT = 40
"""Symbolic links that are followed on the way to one file, as path_resolution(7) has it."""
_NAME_TRIES = 8
_LOCAL = ("/run/netns/", "/etc/", "/usr/share/iproute2/", "/usr/lib/iproute2/", "/proc/thread-self/")
"""Where no server has to answer for a file system beside that of the system itself, from which Python has come as well,
or another thread would find something else."""

_KINDS = (
    (S_ISDIR, "a directory"),
    (S_ISFIFO, "a FIFO"),
    (S_ISCHR, "a character device"),
    (S_ISBLK, "a block device"),
    (S_ISSOCK, "a socket"),
)

notes: dict[str, str] = {}
"""Name tables that exist but could not be read, by path, with the message. Numbers are shown instead."""


def kind_of(mode: int) -> str:
    """What a file of this st_mode is, in words."""
    return next((words for is_kind, words in _KINDS if is_kind(mode)), "not a regular file")


def _is_null(status: posix.stat_result) -> bool:
    """Whether it is /dev/null (1:3 in the kernel's admin-guide/devices.txt), which stands for an empty file."""
    return S_ISCHR(status.st_mode) and status.st_rdev == posix.makedev(1, 3)


def _failed(path: str, error: OSError | ValueError) -> FileError:
    if isinstance(error, OSError):
        return FileError(f"{path}: {error.strerror}", error.errno or 0)
    return FileError(f"{path}: not a valid file name")  # a NUL, or a lone surrogate


# Reading


def open_regular(path: str, *, pipes: bool = False) -> int:
    """A descriptor to read a regular file; with ``pipes`` also a FIFO. It does not block. Raises FileError.

    Where no server answers for the path, a signal ends the wait (see answering.py).
    """
    return _patiently(path, _open_regular, path, pipes)


def _patiently(path: str, call: Callable[..., Result], *arguments: object) -> Result:
    if path.startswith(_LOCAL):
        return call(*arguments)
    from .answering import answered

    return answered(call, *arguments)


def _open_regular(path: str, pipes: bool) -> int:
    try:
        looked_at = posix.open(path, posix.O_PATH | posix.O_CLOEXEC)
        try:
            status = posix.fstat(looked_at)
        finally:
            posix.close(looked_at)
        mode = status.st_mode
        if not (S_ISREG(mode) or (pipes and S_ISFIFO(mode)) or _is_null(status)):
            raise FileError(f"{path}: is {kind_of(mode)}")
        descriptor = posix.open(path, posix.O_RDONLY | posix.O_NONBLOCK | posix.O_NOCTTY | posix.O_CLOEXEC)
        if S_IFMT(posix.fstat(descriptor).st_mode) != S_IFMT(mode):
            posix.close(descriptor)
            raise FileError(f"{path}: was replaced while it was being opened")
    except (OSError, ValueError) as error:
        raise _failed(path, error) from None
    return descriptor


def read(path: str, limit: int = _TABLE_LIMIT) -> bytes:
    """A regular file of at most ``limit`` bytes. Raises FileError."""
    return _patiently(path, _read, path, limit)


def _read(path: str, limit: int) -> bytes:
    descriptor = _open_regular(path, False)
    try:
        _check_size(path, posix.fstat(descriptor).st_size, limit)
        blocks = []
        left = limit
        while block := posix.read(descriptor, _BLOCK):
            blocks.append(block)
            left -= len(block)
            if left < 0:
                _check_size(path, limit + 1, limit)
    except OSError as error:
        raise _failed(path, error) from None
    finally:
        posix.close(descriptor)
    return b"".join(blocks)


def _check_size(path: str, size: int, limit: int) -> None:
    if size > limit:
        raise FileError(f"{path}: too large: more than {limit >> 20} MiB")


def package_text(module: str, name: str) -> str:
    """A text beside a module of this package. importlib.resources does the same, and loads forty modules for it."""
    from sys import modules

    specification = modules[module].__spec__
    assert specification is not None
    assert specification.origin is not None
    path = f"{specification.origin.rpartition('/')[0]}/{name}"
    return specification.loader.get_data(path).decode()  # type: ignore[union-attr, no-any-return]


def table_lines(path: str) -> list[str]:
    """The lines of a name table, which may be missing. Bytes that are not UTF-8 become escapes.

    An unreadable table gives no lines, and a note.
    """
    try:
        return read(path).decode("utf-8", "backslashreplace").split("\n")
    except FileError as error:
        _note(path, error)
        return []


def _note(path: str, error: FileError) -> None:
    from errno import ENOENT, ENOTDIR

    if error.errno not in (ENOENT, ENOTDIR):
        notes.setdefault(path, f"{error}: showing numbers instead of its names")


_CONSULTED = {"hosts": ("hosts", "host.conf", "resolv.conf", "gai.conf")}
"""Files of /etc that the C library reads for a database, where it is not the one of that name."""


def check_database(database: str) -> None:
    """Checks that the C library will not hang in a file of ``database`` (nsswitch.conf(5)). Raises FileError.

    It opens whatever is there: a FIFO blocks it forever, a huge file for long.
    """
    for name in ("nsswitch.conf", *_CONSULTED.get(database, (database,))):
        path = f"/etc/{name}"
        try:
            status = posix.stat(path)
        except OSError:
            continue
        if not (S_ISREG(status.st_mode) or _is_null(status)):
            raise FileError(f"{path}: is {kind_of(status.st_mode)}")
        _check_size(path, status.st_size, _TABLE_LIMIT)


def has_database(database: str) -> bool:
    """Whether ``database`` is safe to query (see check_database); if not, with a note."""
    try:
        check_database(database)
    except FileError as error:
        notes.setdefault(database, f"{error}: showing numbers instead of its names")
        return False
    return True


def lines(path: str) -> Iterator[bytes]:
    """The lines of a file or a pipe, without their ends; ``-`` is standard input.

    Raises FileError, also where a line has no end or nothing comes from a named pipe for half a minute.
    """
    if path == "-":
        yield from _split(path, _blocks(path, 0, None))
        return
    descriptor = open_regular(path, pipes=True)
    try:
        status = posix.fstat(descriptor)
        _check_size(path, status.st_size, _FILE_LIMIT)
        wait = _WRITER_WAIT if S_ISFIFO(status.st_mode) else 0
        yield from _split(path, _blocks(path, descriptor, wait))
    finally:
        posix.close(descriptor)


def _blocks(path: str, descriptor: int, wait: int | None) -> Iterator[bytes]:
    """What is read until the end; ``wait`` is how long in milliseconds to wait for a first block, None for ever."""
    total = 0
    try:
        while True:
            if wait and not _readable(descriptor, wait):
                # Before a writer opens, a read returns end of file; after that, EAGAIN.
                try:
                    if not posix.read(descriptor, 1):
                        raise FileError(f"{path}: is a FIFO without a writer")
                except BlockingIOError:
                    if wait == _SILENCE or not _readable(descriptor, _SILENCE):
                        raise FileError(f"{path}: no data for {_SILENCE // 1000} seconds") from None
            try:
                block = (
                    _patiently(path, posix.read, descriptor, _BLOCK) if wait == 0 else posix.read(descriptor, _BLOCK)
                )
            except BlockingIOError:
                if wait == 0:  # a file of the kernel's in which there is nothing yet, such as /proc/kmsg
                    raise
                _readable(descriptor, wait)
                continue
            if wait:
                wait = _SILENCE
            if not block:
                return
            total += len(block)
            _check_size(path, total, _FILE_LIMIT)
            yield block
    except OSError as error:
        raise _failed("standard input" if path == "-" else path, error) from None


def _readable(descriptor: int, milliseconds: int | None) -> bool:
    from select import POLLIN, poll

    waiting = poll()
    waiting.register(descriptor, POLLIN)
    return bool(waiting.poll(milliseconds))


def _split(path: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
    begun: list[bytes] = []
    size = 0
    for block in blocks:
        first, *others = block.split(b"\n")
        begun.append(first)
        size += len(first)
        if size > _LINE_LIMIT:
            raise FileError(f"{path}: has a line of more than {_LINE_LIMIT >> 20} MiB")
        if others:
            yield b"".join(begun)
            yield from others[:-1]
            begun, size = others[-1:], len(others[-1])
    if size:
        yield b"".join(begun)


# Writing


def write_file(path: str, fill: Callable[[Callable[[bytes], object]], Result]) -> Result:
    """Calls ``fill`` with a function that writes bytes, and returns its result.

    A regular file is replaced when ``fill`` has returned, and keeps its owner, mode and access list; a FIFO and a
    character device are written to as they are. Raises OutputError, and what ``fill`` raises.
    """
    try:
        directory, name, status, is_open = _patiently(path, _locate, path)
    except (OSError, ValueError) as error:
        raise OutputError(str(_failed(path, error))) from None
    try:
        if not is_open and (status is None or S_ISREG(status.st_mode)):
            with Holding(vital=True):
                return _replace(path, directory, name, status, fill)
        assert status is not None
        return _into(path, directory, name, status.st_mode, 0 if is_open else posix.O_NOFOLLOW, fill)
    finally:
        posix.close(directory)


def _locate(path: str) -> tuple[int, str, posix.stat_result | None, bool]:
    """The directory of a file that is to be written, the name there, and what is there: no symbolic link.

    At the end: whether it is a link all the same, one of /proc/PID/fd, which leads to an open file and not to a path.
    Each step is taken from the directory that was looked at. Raises OutputError, OSError, ValueError.
    """
    directory = _directory("/" if path.startswith("/") else ".")
    left = path.split("/")[::-1]
    links = 0
    try:
        while left:
            name = left.pop()
            if name in ("", "."):
                continue
            try:
                status = posix.stat(name, dir_fd=directory, follow_symlinks=False)
            except FileNotFoundError:
                if left:
                    raise
                return directory, name, None, False
            if S_ISLNK(status.st_mode):
                _check_owner(path, directory, status, "a symbolic link")
                if _is_open_file(name, status):
                    return directory, name, posix.stat(name, dir_fd=directory), True
                links += 1
                if links > _LINK_LIMIT:
                    raise OutputError(f"{path}: too many symbolic links")
                target = posix.readlink(name, dir_fd=directory)
                if target.startswith("/"):
                    posix.close(directory)
                    directory = _directory("/")
                left += target.split("/")[::-1]
            elif left or S_ISDIR(status.st_mode):
                inner = _directory(name, directory)
                posix.close(directory)
                directory = inner
            else:
                _check_owner(path, directory, status, kind_of(status.st_mode))
                return directory, name, status, False
        raise OutputError(f"{path}: is a directory" if path else "the name of a file to write is empty")
    except BaseException:
        posix.close(directory)
        raise


def _directory(name: str, parent: int | None = None) -> int:
    return posix.open(name, posix.O_PATH | posix.O_DIRECTORY | posix.O_NOFOLLOW | posix.O_CLOEXEC, dir_fd=parent)


def _is_open_file(name: str, status: posix.stat_result) -> bool:
    """Whether this link is one of /proc/PID/fd, to which /dev/stdout leads."""
    try:
        return name.isdecimal() and status.st_dev == posix.stat("/proc").st_dev
    except OSError:
        return False


def _check_owner(path: str, directory: int, status: posix.stat_result, what: str) -> None:
    """Raises OutputError for another user's file in a world-writable directory."""
    around = posix.fstat(directory)
    shared = S_ISVTX | S_IWOTH
    if around.st_mode & shared == shared and status.st_uid not in (posix.geteuid(), around.st_uid):
        what = what.replace("not a regular file", "a file")
        raise OutputError(f"{path}: refusing to replace {what} of another user in a world-writable directory")


def _into(
    path: str, directory: int, name: str, mode: int, flags: int, fill: Callable[[Callable[[bytes], object]], Result]
) -> Result:
    """Writes to what is there; to an open regular file, as standard output may be, at its end."""
    if not (S_ISCHR(mode) or S_ISFIFO(mode) or S_ISREG(mode)):
        raise OutputError(f"{path}: is {kind_of(mode)}: the output must be a file, a FIFO or a character device")
    descriptor = None
    try:
        try:
            descriptor = _open_other_end(path, directory, name, mode, flags)
            if S_IFMT(posix.fstat(descriptor).st_mode) != S_IFMT(mode):
                raise OutputError(f"{path}: was replaced while it was being opened")
            posix.set_blocking(descriptor, True)
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}") from None
        return fill(_putter(path, descriptor))
    finally:
        if descriptor is not None:
            posix.close(descriptor)


def _open_other_end(path: str, directory: int, name: str, mode: int, flags: int) -> int:
    """A descriptor to write. A FIFO's reader may still be on its way."""
    from errno import ENXIO
    from time import monotonic, sleep

    flags |= posix.O_WRONLY | posix.O_APPEND | posix.O_NONBLOCK | posix.O_NOCTTY | posix.O_CLOEXEC
    until = monotonic() + _WRITER_WAIT / 1000
    while True:
        try:
            return posix.open(name, flags, dir_fd=directory)
        except OSError as error:
            if error.errno != ENXIO or not S_ISFIFO(mode):
                raise
            if monotonic() >= until:
                raise OutputError(f"{path}: the FIFO has no reader") from None
            sleep(0.01)


def _putter(path: str, descriptor: int) -> Callable[[bytes], object]:
    def put(data: bytes) -> None:
        left = memoryview(data)
        try:
            while left:
                left = left[posix.write(descriptor, left) :]
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}") from None

    return put


def _replace(
    path: str,
    directory: int,
    name: str,
    status: posix.stat_result | None,
    fill: Callable[[Callable[[bytes], object]], Result],
) -> Result:
    """Makes a file beside it, which then takes its name."""
    from .deferring import Uninterrupted

    temporary = None
    descriptor = None
    try:
        try:
            if status is not None and not posix.access(name, posix.W_OK, dir_fd=directory, effective_ids=True):
                raise OutputError(f"{path}: permission denied")
            with Uninterrupted():
                temporary, descriptor = _temporary(directory, 0o666 if status is None else 0o600)
        except OSError as error:
            raise OutputError(f"{path}: cannot create a temporary file beside it: {error.strerror}") from None
        result = fill(_putter(path, descriptor))
        try:
            if status is not None:
                _keep_rights(descriptor, status, f"/proc/self/fd/{directory}/{name}")
            posix.fsync(descriptor)  # some file systems report only now that they are full
            with Uninterrupted():
                posix.rename(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
                temporary = None
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}") from None
        return result
    finally:
        with Uninterrupted():
            if descriptor is not None:
                posix.close(descriptor)
            if temporary is not None:
                try:
                    posix.unlink(temporary, dir_fd=directory)
                except OSError:
                    pass  # somebody has removed it, or the file system has gone


def _temporary(directory: int, mode: int) -> tuple[str, int]:
    """Name and descriptor of a new file: its random name cannot have been taken in advance."""
    for left in range(_NAME_TRIES, 0, -1):
        name = f".netinspect-{posix.urandom(8).hex()}.part"
        try:
            flags = posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_NOFOLLOW | posix.O_CLOEXEC
            return name, posix.open(name, flags, mode, dir_fd=directory)
        except FileExistsError:
            if left == 1:
                raise
    raise AssertionError


_ACCESS_LIST = "system.posix_acl_access"


def _keep_rights(descriptor: int, status: posix.stat_result, path: str) -> None:
    """Gives a new file the owner, mode and access list (acl(5)) of the old one; nobody gets more access than before.

    Raises OSError.
    """
    mode = S_IMODE(status.st_mode) & 0o777
    try:
        posix.fchown(descriptor, status.st_uid, status.st_gid)
    except OSError:
        try:
            posix.fchown(descriptor, -1, status.st_gid)
        except OSError:
            mode &= ~0o070  # it is of another group now
    posix.fchmod(descriptor, mode)
    try:
        found = posix.getxattr(path, _ACCESS_LIST, follow_symlinks=False)
    except OSError:
        return  # it has none, as nearly all files
    try:
        posix.setxattr(descriptor, _ACCESS_LIST, found)
    except OSError:
        posix.fchmod(descriptor, mode & ~0o070)  # what looks like the group's rights was a mask for those of the list
