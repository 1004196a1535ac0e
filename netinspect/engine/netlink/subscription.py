"""Multicast groups of netlink: what the kernel reports unasked, and how many of its messages were lost.

A message that finds the receive buffer full is dropped. The kernel reports ENOBUFS once, then drops all further ones
until the buffer has been emptied, and counts every one (net/netlink/af_netlink.c: netlink_overrun).
"""

from __future__ import annotations

from _struct import unpack
from errno import EAGAIN, EINTR, ENOBUFS

from ...errors import NetlinkError, TruncatedError
from ...uapi.netlink import NETLINK_ADD_MEMBERSHIP, NLMSG_OVERRUN, SOL_NETLINK
from .messages import HEADER, HEADER_SIZE, malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

_SOL_SOCKET = 1
_SO_RCVBUF = 8
_SO_RCVBUFFORCE = 33
_SO_MEMINFO = 55
_SK_MEMINFO_DROPS = 8
"""linux/sock_diag.h: the place of the drops among nine figures."""
_MSG_DONTWAIT = 0x40
_MSG_TRUNC = 0x20
_RECEIVE_SIZE = 1 << 18
_AT_ONCE = 2000
"""Messages received before they are handed over."""
_MOST_PARTS = 10
"""Parts handed over before the caller looks at the clock again, where messages come as fast as they are taken."""


class Subscription:
    """A socket that has joined multicast groups. ``lost`` counts the messages that it could not take so far."""

    def __init__(self, opened: Any, groups: Iterable[int], buffer: int, operation: str) -> None:
        """``buffer`` is what the receive buffer should hold, in bytes; the kernel doubles it for its own part.

        Raises NetlinkError, with EPERM where joining takes a privilege.
        """
        self._socket = opened
        self._operation = operation
        self._buffer = bytearray(_RECEIVE_SIZE)
        self.lost = 0
        self._reported = 0
        try:
            try:
                opened.setsockopt(_SOL_SOCKET, _SO_RCVBUFFORCE, buffer)
            except OSError:
                opened.setsockopt(_SOL_SOCKET, _SO_RCVBUF, buffer)
            # Without a port id of its own a socket counts as the kernel's, and receives no events.
            opened.bind((0, 0))
            for group in groups:
                opened.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        except OSError as error:
            opened.close()
            raise NetlinkError(operation, error.errno or 0) from None

    def fileno(self) -> int:
        """The descriptor, for poll(2)."""
        number: int = self._socket.fileno()
        return number

    def close(self) -> None:
        """Leaves the groups."""
        self._socket.close()

    def pending(self) -> Iterator[list[bytes]]:
        """What has been received and not yet been taken, in parts. Raises NetlinkError.

        It ends when there is nothing more, or after many parts. ``lost`` is brought up to date when there is nothing
        more: what was lost came after all that was taken.
        """
        receive: Callable[..., tuple[int, tuple[int, int]]] = self._socket.recvfrom_into
        buffer, view = self._buffer, memoryview(self._buffer)
        messages: list[bytes] = []
        parts = 0
        while True:
            try:
                size, sender = receive(buffer, 0, _MSG_DONTWAIT | _MSG_TRUNC)
            except OSError as error:
                if error.errno == EAGAIN:
                    break
                if error.errno not in (ENOBUFS, EINTR):  # ENOBUFS: some were dropped, what came before is still there
                    raise NetlinkError(self._operation, error.errno or 0) from None
                continue
            if size > len(buffer):
                raise TruncatedError(self._operation, 0, f"a message of {size} bytes was truncated")
            if sender[0] != 0:
                continue  # only the kernel has port id 0: nobody else may tell us anything
            messages += split(bytes(view[:size]), self._operation)
            if len(messages) >= _AT_ONCE:
                yield messages
                messages = []
                parts += 1
                if parts == _MOST_PARTS:
                    return
        if messages:
            yield messages
        self.lost = self._drops()

    def newly_lost(self) -> int:
        """How many messages were lost since this was last asked."""
        new = self.lost - self._reported
        self._reported = self.lost
        return new

    def _drops(self) -> int:
        figures = self._socket.getsockopt(_SOL_SOCKET, _SO_MEMINFO, 4 * (_SK_MEMINFO_DROPS + 1))
        drops: int = unpack(f"={_SK_MEMINFO_DROPS + 1}I", figures)[_SK_MEMINFO_DROPS]
        return drops


def split(data: bytes, operation: str) -> Sequence[bytes]:
    """The messages of a datagram, without those about the subscription itself. Raises MalformedError."""
    if len(data) >= HEADER_SIZE:
        length, kind, _, _, _ = HEADER.unpack_from(data)
        if length == len(data) and kind > NLMSG_OVERRUN:
            return (data,)  # as with nearly all events: one in each datagram
    found, at = [], 0
    while at < len(data):
        if len(data) - at < HEADER_SIZE:
            raise malformed(f"{len(data) - at} bytes left over, less than a header", operation)
        length, kind, _, _, _ = HEADER.unpack_from(data, at)
        if length < HEADER_SIZE or at + length > len(data):
            raise malformed(f"a length of {length} with {len(data) - at} bytes left", operation)
        if kind > NLMSG_OVERRUN:
            found.append(data[at : at + length])
        at += length + 3 & ~3
    return found
