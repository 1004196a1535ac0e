"""A copy of another process's socket, to ask it what no dump tells (pidfd_getfd(2), getsockopt(2))."""

from __future__ import annotations

import _socket
import os
from ctypes import CDLL, c_int, c_long, c_uint, c_void_p, create_string_buffer
from ctypes import byref as reference

from ..groups import request_filter as multicast_filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...records import Process

_PIDFD_GETFD = 438
"""asm-generic/unistd.h; the same on every architecture but alpha."""
_SOURCES = 64
"""Room for so many sources in the first question."""

_libc = CDLL(None, use_errno=True)
_libc.syscall.argtypes = (c_long, c_long, c_long, c_long)
_libc.getsockopt.argtypes = (c_int, c_int, c_int, c_void_p, c_void_p)


class Copy:
    """A copy of a descriptor that another process has open."""

    __slots__ = ("_all", "_descriptor")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._all: dict[str, bool] = {}

    @classmethod
    def of(cls, process: Process) -> Copy | None:
        """A copy of this descriptor; None where it is not permitted, or the process is gone."""
        if process.pid == os.getpid():
            try:
                return cls(os.dup(process.fd))
            except OSError:
                return None
        try:
            handle = os.pidfd_open(process.pid)
        except OSError:
            return None
        try:
            descriptor: int = _libc.syscall(_PIDFD_GETFD, handle, process.fd, 0)
        finally:
            os.close(handle)
        return None if descriptor < 0 else cls(descriptor)

    def inode(self) -> int:
        """The inode number: whether the descriptor still is the socket that it was when it was found."""
        return os.fstat(self._descriptor).st_ino

    def close(self) -> None:
        """Closes the copy."""
        os.close(self._descriptor)

    def source_filter(self, family: str, index: int, group: str) -> tuple[str, tuple[str, ...]] | None:
        """Mode and sources with which the socket joined the group on that interface; None where it has not."""
        room = _SOURCES
        while True:
            answer = self._option(
                multicast_filter.LEVELS[family],
                multicast_filter.MCAST_MSFILTER,
                multicast_filter.filter_request(family, index, group, room),
            )
            if answer is None:
                return None
            mode, count, sources = multicast_filter.filter_answer(answer, family)
            if count <= room:
                return mode, sources
            room = count

    def takes_all(self, family: str) -> bool:
        """Whether the socket gets groups that it has not joined itself; it does where it cannot say otherwise."""
        if family not in self._all:
            answer = self._option(multicast_filter.LEVELS[family], multicast_filter.MULTICAST_ALL[family], bytes(4))
            self._all[family] = answer is None or any(answer)
        return self._all[family]

    def namespace_cookie(self) -> bytes | None:
        """What tells its network namespace from others (SO_NETNS_COOKIE, since Linux 5.14)."""
        return self._option(_socket.SOL_SOCKET, multicast_filter.SO_NETNS_COOKIE, bytes(8))

    def _option(self, level: int, option: int, value: bytes) -> bytes | None:
        """getsockopt(2), which for some options reads what it is given; None where it fails."""
        buffer, size = create_string_buffer(value, len(value)), c_uint(len(value))
        if _libc.getsockopt(self._descriptor, level, option, buffer, reference(size)) != 0:
            return None
        return buffer.raw[: size.value]


def namespace_cookie() -> bytes | None:
    """The cookie of the calling thread's network namespace; None before Linux 5.14."""
    opened = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        return opened.getsockopt(_socket.SOL_SOCKET, multicast_filter.SO_NETNS_COOKIE, 8)
    except OSError:
        return None
    finally:
        opened.close()
