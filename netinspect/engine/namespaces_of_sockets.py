"""Network namespaces by sockets in them: a socket keeps its namespace when all else that did so is gone."""

from __future__ import annotations

import os
from fcntl import ioctl

from .copies import copied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SIOCGSKNS = 0x894C
"""linux/sockios.h: a descriptor of the socket's network namespace (since Linux 4.10)."""


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


def _namespace(handle: int, descriptor: int) -> int:
    copy = copied(handle, descriptor)
    try:
        return ioctl(copy, _SIOCGSKNS)
    finally:
        os.close(copy)


def namespaces_of_sockets(paths: Iterable[str]) -> Iterator[tuple[str, tuple[int, int]]]:
    """Where the sockets at these paths are: st_dev and st_ino of each namespace, with the path of a first socket in it.

    Sockets that may not be copied are left out.
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
                namespace = _namespace(handles[pid], descriptor)
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
