"""Copies of another process's socket, to query what dumps do not show (pidfd_getfd(2), getsockopt(2)).

While there is a copy the socket is not closed, though its process closes it: its port stays taken. So a copy lives for
a few questions, and there is never more than one.
"""

from __future__ import annotations

import _socket
import os
from ctypes import CDLL, c_int, c_uint, c_void_p, create_string_buffer
from ctypes import byref as reference
from fcntl import ioctl
from stat import S_ISSOCK

from ...engine.copies import DEEPEST, copied, copies_on_their_way
from ...procfs import descriptors_in_flight
from ..groups import request_filter as multicast_filter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...records import Process

_libc = CDLL(None, use_errno=True)
_libc.getsockopt.argtypes = (c_int, c_int, c_int, c_void_p, c_void_p)


class Copy:
    """A copy of a descriptor that another process has open."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def of(cls, process: Process) -> Copy:
        """A copy of this descriptor. Raises OSError: ESRCH and EBADF where it is gone, EPERM where it is kept from us,
        ENOSYS before Linux 5.6."""
        if process.pid == os.getpid():
            return cls(os.dup(process.fd))
        handle = os.pidfd_open(process.pid)
        try:
            return cls(copied(handle, process.fd))
        finally:
            os.close(handle)

    def __enter__(self) -> Copy:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def inode(self) -> int:
        """The inode number: whether the descriptor still is the socket that it was when it was found."""
        return os.fstat(self._descriptor).st_ino

    def source_filter(self, family: str, index: int, group: str) -> tuple[str, tuple[str, ...]] | None:
        """Mode and sources with which the socket joined the group on that interface; None where it has not."""
        room = 0
        while True:
            answer = self._option(
                multicast_filter.LEVELS[family],
                multicast_filter.MCAST_MSFILTER,
                multicast_filter.filter_request(family, index, group, room),
            )
            if answer is None:
                return None
            try:
                mode, count, sources = multicast_filter.filter_answer(answer, family)
            except OSError:
                return None
            if count <= room:
                return mode, sources
            room = count

    def takes_all(self, family: str) -> bool:
        """Whether the socket gets groups that it has not joined itself; it does where it cannot say otherwise."""
        answer = self._option(multicast_filter.LEVELS[family], multicast_filter.MULTICAST_ALL[family], bytes(4))
        return answer is None or any(answer)

    def namespace(self) -> bytes | None:
        """What tells its network namespace from others: the cookie (SO_NETNS_COOKIE), before Linux 5.14 the inode.

        The latter takes CAP_NET_ADMIN there (SIOCGSKNS, linux/sockios.h); None without it.
        """
        cookie = self._option(_socket.SOL_SOCKET, multicast_filter.SO_NETNS_COOKIE, bytes(8))
        if cookie is not None:
            return cookie
        try:
            opened = ioctl(self._descriptor, multicast_filter.SIOCGSKNS)
        except OSError:
            return None
        try:
            return os.fstat(opened).st_ino.to_bytes(8, "little")
        finally:
            os.close(opened)

    def on_their_way(self, depth: int = 0) -> tuple[list[int], bool]:
        """The inodes of the sockets that wait in this unix socket's queue, and whether these are all.

        That is the first message with descriptors (unix(7): SCM_RIGHTS): it is looked at, and stays in the queue. What
        waits may be a unix socket in whose queue others wait.
        """
        if depth >= DEEPEST:
            return [], False
        descriptors = copies_on_their_way(self._descriptor)
        inodes: list[int] = []
        whole = len(descriptors) == descriptors_in_flight(os.getpid(), self._descriptor)
        try:
            for descriptor in descriptors:
                about = os.fstat(descriptor)
                if S_ISSOCK(about.st_mode):
                    inodes.append(about.st_ino)
                    if descriptors_in_flight(os.getpid(), descriptor):
                        deeper, all_of_it = Copy(descriptor).on_their_way(depth + 1)
                        inodes += deeper
                        whole &= all_of_it
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return inodes, whole

    def _option(self, level: int, option: int, value: bytes) -> bytes | None:
        """getsockopt(2), which for some options reads what it is given; None where it fails."""
        buffer, size = create_string_buffer(value, len(value)), c_uint(len(value))
        if _libc.getsockopt(self._descriptor, level, option, buffer, reference(size)) != 0:
            return None
        return buffer.raw[: size.value]


def own_namespace() -> bytes | None:
    """The same of the calling thread's network namespace."""
    opened = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        return Copy(opened.fileno()).namespace()
    finally:
        opened.close()
