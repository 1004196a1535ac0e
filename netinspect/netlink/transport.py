"""The dump transport: asks, receives and hands over, while the next part is being received.

The kernel builds a dump inside recv(2), which releases the interpreter lock. So a reader thread receives the next
buffer while this one is decoded, and a large dump takes as long as the slower of the two, not their sum. The queue
between them is short, so memory does not grow with the table.
"""

from __future__ import annotations

import _socket
import _thread
from _queue import SimpleQueue
from struct import pack

from ..errors import NetlinkError
from .messages import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    from .messages import Run

    class NetlinkSocket(Protocol):
        """What the transport needs of a socket: tests put a fake kernel behind it."""

        def send(self, data: bytes, /) -> int: ...
        def recvfrom_into(self, buffer: memoryview, nbytes: int, flags: int, /) -> tuple[int, tuple[int, int]]: ...
        def close(self) -> None: ...

    Connect = Callable[[int], NetlinkSocket]

AF_NETLINK = 16
NETLINK_ROUTE = 0
NETLINK_SOCK_DIAG = 4

_SOL_NETLINK = 270
_NETLINK_EXT_ACK = 11
_NETLINK_GET_STRICT_CHK = 12

_MSG_TRUNC = 0x20
_RECEIVE_SIZE = 1 << 20
"""Far more than any answer: the kernel builds dumps in pieces of at most 32 KiB (net/netlink/af_netlink.c)."""
_SOCKET_BUFFER = 1 << 20
_QUEUE_LENGTH = 32
_PATIENCE = 30
"""Seconds without a word from the kernel after which a dump counts as failed."""


def connect(protocol: int) -> NetlinkSocket:
    """A netlink socket in the current network namespace, with extended acknowledgments where the kernel has them."""
    try:
        opened = _socket.socket(AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, protocol)
    except OSError as error:
        raise NetlinkError("opening a netlink socket", error.errno or 0) from None
    opened.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, _SOCKET_BUFFER)
    opened.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVTIMEO, pack("@ll", _PATIENCE, 0))
    for option in (_NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK):
        try:
            opened.setsockopt(_SOL_NETLINK, option, 1)
        except OSError:
            continue  # a comfort that older kernels lack
    return opened


class Dump:
    """One dump: iterate over it once, to the end, for its runs of messages.

    Raises NetlinkError, and nothing else, for whatever goes wrong. ``interrupted`` is true when the kernel says that
    the table changed while it was read (NLM_F_DUMP_INTR), or had to drop a part (ENOBUFS): rows may be missing.
    """

    def __init__(self, opened: NetlinkSocket, request: bytes, operation: str) -> None:
        self.interrupted = False
        self._socket = opened
        self._request = request
        self.operation = operation

    def __iter__(self) -> Iterator[Run]:
        try:
            for buffer in self._buffers():
                answer = Answer(buffer, self.operation)
                self.interrupted |= answer.interrupted
                yield from answer.runs
                if answer.done:
                    break
        finally:
            self._socket.close()

    def _buffers(self) -> Iterator[bytes]:
        """Received buffers; the first two in this thread, since most dumps end there, the rest by a reader thread."""
        try:
            self._socket.send(self._request)
        except OSError as error:
            raise NetlinkError(self.operation, error.errno or 0) from None
        view = memoryview(bytearray(_RECEIVE_SIZE))
        for _ in range(2):
            yield self._receive(view)
        received: SimpleQueue[bytes | NetlinkError] = SimpleQueue()
        permits: SimpleQueue[bool] = SimpleQueue()
        for _ in range(_QUEUE_LENGTH):
            permits.put(True)

        def read() -> None:
            try:
                while permits.get():
                    received.put(self._receive(view))
            except NetlinkError as error:
                received.put(error)

        _thread.start_new_thread(read, ())
        try:
            while True:
                item = received.get()
                if isinstance(item, NetlinkError):
                    raise item
                yield item
                permits.put(True)
        finally:
            permits.put(False)

    def _receive(self, view: memoryview) -> bytes:
        while True:
            try:
                size, sender = self._socket.recvfrom_into(view, 0, _MSG_TRUNC)
            except OSError as error:
                if error.errno == 11:  # EAGAIN: the time allowed by SO_RCVTIMEO is over
                    raise NetlinkError(self.operation, 0, f"no answer in {_PATIENCE} s") from None
                raise NetlinkError(self.operation, error.errno or 0) from None
            if size > len(view):
                raise NetlinkError(self.operation, 0, f"an answer of {size} bytes was truncated")
            if sender[0] == 0:  # only the kernel has port id 0: nobody else may answer
                return bytes(view[:size])
