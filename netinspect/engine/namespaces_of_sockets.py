"""Network namespaces by sockets in them: a socket keeps its namespace when all else that did so is gone.

So does an open /dev/net/tun, which has a socket inside (drivers/net/tun.c), and what waits in a unix socket's queue.
"""

from __future__ import annotations

import os
import time
from fcntl import ioctl
from select import POLLIN, poll
from stat import S_ISSOCK

from ..procfs import descriptors_in_flight
from .copies import DEEPEST, copied, copies_on_their_way

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_SIOCGSKNS = 0x894C
"""linux/sockios.h: a descriptor of the socket's network namespace (since Linux 4.10)."""
_TUN = os.makedev(10, 200)
"""Documentation/admin-guide/devices.txt: /dev/net/tun."""
_WAITS = 0.05
"""Seconds: what is in a queue longer than that waits there."""


def keeps_a_namespace(status: os.stat_result) -> bool:
    """Whether that is a file to be asked for its network namespace: a socket, or an open /dev/net/tun."""
    return S_ISSOCK(status.st_mode) or status.st_rdev == _TUN


def is_socket_path(path: str) -> tuple[int, int] | None:
    """Process and descriptor of a path such as ``/proc/812/fd/3``; None for others."""
    words = path.split("/")
    if len(words) == 5 and words[:2] == ["", "proc"] and words[3] == "fd" and (words[2] + words[4]).isdecimal():
        return int(words[2]), int(words[4])
    return None


def namespace_of_socket(pid: int, descriptor: int) -> int:
    """A descriptor of the network namespace that a socket of that process is in.

    Raises OSError: EPERM without CAP_SYS_PTRACE or CAP_NET_ADMIN, ESRCH and EBADF where the socket is gone, ENOTTY
    where it is none. A copy of the socket lives meanwhile, for some 10 µs.
    """
    handle = os.pidfd_open(pid)
    try:
        return _namespace(handle, descriptor)
    finally:
        os.close(handle)


def _namespace(handle: int, descriptor: int, path: str = "", on_their_way: OnTheirWay | None = None) -> int:
    copy = copied(handle, descriptor)
    try:
        if on_their_way is not None:
            on_their_way.look(copy, path)
        return ioctl(copy, _SIOCGSKNS)
    finally:
        os.close(copy)


class OnTheirWay:
    """Network namespaces that descriptors on their way to a process keep (unix(7): SCM_RIGHTS).

    ``is_namespace`` shows whether a descriptor is one of a network namespace.
    """

    def __init__(self, is_namespace: Callable[[int], bool]) -> None:
        self._is_namespace = is_namespace
        self.found: dict[tuple[int, int], str] = {}
        """st_dev and st_ino of each, with the path of a socket in whose queue it waits."""
        self._unread: dict[str, int] = {}

    def look(self, descriptor: int, path: str, depth: int = 0) -> None:
        """Looks into the queue of a socket."""
        poller = poll()
        poller.register(descriptor, POLLIN)
        count = descriptors_in_flight(os.getpid(), descriptor) if poller.poll(0) else 0
        if not count:
            return
        copies = copies_on_their_way(descriptor) if depth < DEEPEST else []
        if len(copies) != count and not depth:
            self._unread[path] = count
        for copy in copies:
            try:
                self._take(copy, path, depth)
            except OSError:
                continue  # a file of another kind, or a socket that may not be asked
            finally:
                os.close(copy)

    def _take(self, copy: int, path: str, depth: int) -> None:
        status = os.fstat(copy)
        if keeps_a_namespace(status):
            if S_ISSOCK(status.st_mode):
                self.look(copy, path, depth + 1)
            namespace = ioctl(copy, _SIOCGSKNS)
            status = os.fstat(namespace)
            os.close(namespace)
        elif not self._is_namespace(copy):
            return
        self.found.setdefault((status.st_dev, status.st_ino), path)

    def unread(self) -> list[str]:
        """The paths of sockets in whose queues more descriptors wait than may be looked at: these stay there."""
        if self._unread:
            time.sleep(_WAITS)
        still = []
        for path, count in self._unread.items():
            found = is_socket_path(path)
            if found and descriptors_in_flight(*found) == count:
                still.append(path)
        return still


def namespaces_of_sockets(
    paths: Iterable[str], on_their_way: OnTheirWay | None = None
) -> Iterator[tuple[str, tuple[int, int]]]:
    """Where the sockets at these paths are: st_dev and st_ino of each namespace, with the path of a first socket in it.

    Sockets that may not be copied are left out. ``on_their_way`` gets what waits in their queues.
    """
    seen: set[tuple[int, int]] = set()
    handles: dict[int, int] = {}
    try:
        for path in paths:
            found = is_socket_path(path)
            if found is None:
                continue
            pid, descriptor = found
            try:
                if pid not in handles:
                    handles[pid] = -1  # if it may not be opened
                    handles[pid] = os.pidfd_open(pid)
                if handles[pid] < 0:
                    continue
                namespace = _namespace(handles[pid], descriptor, path, on_their_way)
            except OSError:
                continue
            status = os.fstat(namespace)
            os.close(namespace)
            identity = status.st_dev, status.st_ino
            if identity not in seen:
                seen.add(identity)
                yield path, identity
    finally:
        for handle in handles.values():
            if handle >= 0:
                os.close(handle)
