"""Network namespaces: naming them and opening sockets inside them (network_namespaces(7), setns(2))."""

from __future__ import annotations

import os
from errno import EACCES, ENOENT, EPERM

from ..errors import FileError, NamespaceError
from .files import open_regular
from .text import raw, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Result = TypeVar("Result")

NAMED = "/run/netns"
_CLONE_NEWNET = 0x40000000
_NS_GET_NSTYPE = 0xB703
"""linux/nsfs.h"""


def open_namespace(name: str) -> int:
    """A file descriptor of the network namespace with that name (ip-netns(8)), of that process id, or at that path.

    Raises NamespaceError where there is none, or it may not be opened.
    """
    if "/" in name:
        candidates = [name]
    else:
        # Listings label a namespace whose name is not UTF-8 by a text that stands for it.
        names = dict.fromkeys((name, os.fsdecode(raw(name))))
        candidates = [f"{NAMED}/{each}" for each in names] + ([f"/proc/{name}/ns/net"] if name.isdecimal() else [])
    failure = 0
    for path in candidates:
        try:
            descriptor = open_regular(path)
        except FileError as error:
            if not error.errno:
                raise NamespaceError(f"{name!r} is not a network namespace") from None
            if not failure or error.errno != ENOENT:
                failure = error.errno
            continue
        if _is_network_namespace(descriptor):
            return descriptor
        os.close(descriptor)
        raise NamespaceError(f"{name!r} is not a network namespace")
    if failure in (EACCES, EPERM):
        raise NamespaceError(f"network namespace {name!r}: permission denied (run as root, or as its owner)")
    raise NamespaceError(
        f"no network namespace {name!r}: give a name listed by `ip netns`, the id of a running process, or a path"
    )


def every_namespace(*, closely: bool = False) -> tuple[list[tuple[str, str, tuple[int, int]]], int]:
    """All network namespaces that have a name or a process, as (label, path, identity), the current one first.

    With ``closely`` also those that something else keeps: a thread that is not the first of its process, a mount
    outside of /run/netns, an open file. That is a look at every descriptor of the machine. Nobody can find one that
    only sockets keep, or the kernel.

    The label is the name (ip-netns(8)), the lowest id of a process or thread inside, or a path: `--netns` takes each.
    The identity (st_dev, st_ino) shows whether the path still leads there: processes end, or go elsewhere. Also
    returned is the number of processes whose namespace may not be seen: there may be namespaces that only they are in.
    Raises NetinspectError where /proc is not mounted.
    """
    from ..procfs import process_ids

    pids = process_ids()
    found: dict[tuple[int, int], tuple[str, str]] = {}
    try:
        current = os.stat("/proc/thread-self/ns/net")
    except OSError as error:
        raise NamespaceError(f"the current network namespace, /proc/thread-self/ns/net: {error.strerror}") from None
    try:
        names = sorted(os.listdir(NAMED))
    except OSError:
        names = []
    for name in names:
        _take(found, f"{NAMED}/{name}", text(os.fsencode(name)), current.st_dev)
    hidden = 0
    for pid in pids:
        path = f"/proc/{pid}/ns/net"
        try:
            status = os.stat(path)
        except PermissionError:
            hidden += 1
        except OSError:
            continue  # ended just now
        else:
            found.setdefault((status.st_dev, status.st_ino), (str(pid), path))
    if closely:
        from ..procfs import network_namespace_mounts, other_threads
        from .descriptors import network_namespace_files

        for pid in pids:
            for thread in other_threads(pid):
                _take(found, f"/proc/{thread}/ns/net", str(thread), current.st_dev)
        for path in (*network_namespace_mounts(pids), *network_namespace_files(pids)):
            _take(found, path, text(os.fsencode(path)), current.st_dev)
    first = found.pop((current.st_dev, current.st_ino), None)
    if first:
        found = {(current.st_dev, current.st_ino): first} | found
    return [(*named, identity) for identity, named in found.items()], hidden


def _take(found: dict[tuple[int, int], tuple[str, str]], path: str, label: str, device: int) -> None:
    """Takes in the namespace at that path, if there is one that is not known."""
    try:
        status = os.stat(path)
    except OSError:
        return  # removed just now, or not ours to see
    # What is not mounted is an empty file, on another file system.
    if status.st_dev == device:
        found.setdefault((status.st_dev, status.st_ino), (label, path))


def _is_network_namespace(descriptor: int) -> bool:
    import fcntl

    try:
        return fcntl.ioctl(descriptor, _NS_GET_NSTYPE) == _CLONE_NEWNET
    except OSError:
        return False


def inside(descriptor: int | None, action: Callable[[], Result]) -> Result:
    """What ``action`` returns when run inside that namespace; None is the current one.

    Only the calling thread moves, and moves back. Raises NamespaceError where entering is not permitted.
    """
    if descriptor is None:
        return action()
    try:
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise NamespaceError(f"the current network namespace, /proc/self/ns/net: {error.strerror}") from None
    try:
        try:
            _setns(descriptor)
        except PermissionError:
            raise NamespaceError("entering another network namespace needs CAP_SYS_ADMIN: run as root") from None
        except OSError as error:
            raise NamespaceError(f"entering the network namespace: {error.strerror}") from None
        try:
            return action()
        finally:
            _setns(home)
    finally:
        os.close(home)


def _setns(descriptor: int) -> None:
    if hasattr(os, "setns"):
        os.setns(descriptor, _CLONE_NEWNET)
        return
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
