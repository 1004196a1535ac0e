"""The dump transport: sends the request, and receives the next buffer while the last one is decoded.

For long dumps it has a reader thread where a processor is free for one (ahead.py).
"""

from __future__ import annotations

import _socket
from _struct import pack
from itertools import chain

from ...errors import NetlinkError, NoAnswerError, TruncatedError
from ...uapi.netlink import AF_NETLINK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK, SOL_NETLINK
from .messages import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from typing import Protocol

    from .messages import Run

    class NetlinkSocket(Protocol):
        """The socket interface the transport needs; tests substitute a fake kernel."""

        def send(self, data: bytes, /) -> int: ...
        def recvfrom(self, size: int, flags: int, /) -> tuple[bytes, tuple[int, int]]: ...
        def setsockopt(self, level: int, option: int, value: int, /) -> None: ...
        def close(self) -> None: ...

    Connect = Callable[[int], NetlinkSocket]


_MSG_TRUNC = 0x20
MSG_DONTWAIT = 0x40
_RECEIVE_SIZE = 1 << 20
"""Far more than any answer: the kernel builds dumps in pieces of at most 32 KiB (net/netlink/af_netlink.c)."""
_SOCKET_BUFFER = 1 << 20
_BUFFERS_WITHOUT_THREAD = 2
_TOGETHER = 1 << 17
"""Bytes that are received before they are decoded where there is no thread."""
_BETWEEN_LOOKS = 4
"""So often that is done before the next look for a free processor."""
_PATIENCE = 30
"""Seconds without data from the kernel after which a dump has failed."""


def connect(protocol: int) -> NetlinkSocket:
    """A netlink socket in the current network namespace, with extended acknowledgments where the kernel has them."""
    try:
        opened = _socket.socket(AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, protocol)
    except OSError as error:
        raise NetlinkError("opening a netlink socket", error.errno or 0) from None
    opened.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVBUF, _SOCKET_BUFFER)
    opened.setsockopt(_socket.SOL_SOCKET, _socket.SO_RCVTIMEO, pack("@ll", _PATIENCE, 0))
    for option in (NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK):
        try:
            opened.setsockopt(SOL_NETLINK, option, 1)
        except OSError:
            continue  # a comfort that older kernels lack
    return opened


class Dump:
    """One dump: iterate over it once, for its runs of messages. The socket is closed with the iteration, whole or not.

    Raises NetlinkError, and nothing else, for whatever goes wrong: an error of the kernel's (with its words and the
    place in the request, where it gives them), ENOBUFS where it had to drop messages, and MalformedError,
    TruncatedError or NoAnswerError where an answer is malformed, truncated or does not come. ``interrupted`` is true
    when the kernel says that the table changed while it was read (NLM_F_DUMP_INTR): rows may be missing, or be there
    twice.
    """

    _together = _TOGETHER
    """Bytes that may be decoded as one."""

    def __init__(
        self, opened: NetlinkSocket, request: bytes, operation: str, *, wanted: Callable[[Run], bool] | None = None
    ) -> None:
        """``wanted`` tells quickly whether any message of a run may be: where few are."""
        self.interrupted = False
        self._wanted = wanted
        self._socket = opened
        self._request = request
        self._operation = operation

    def __iter__(self) -> Iterator[Run]:
        answers = self.answers()
        try:
            for runs in answers:
                yield from runs
        finally:
            answers.close()

    def answers(self) -> Generator[list[Run], None, None]:
        """The same by received buffer: the positions of its runs' messages give their order."""
        buffers = self._buffers()
        try:
            for answer in chain.from_iterable(map(self._parsed, buffers)):
                self.interrupted |= answer.interrupted
                yield answer.runs if self._wanted is None else list(filter(self._wanted, answer.runs))
                if answer.done:
                    break
        finally:
            buffers.close()
            self._socket.close()

    def _parsed(self, buffers: Sequence[bytes]) -> Iterator[Answer]:
        if len(buffers) > 1 and all(buffers):
            try:
                answer = Answer(b"".join(buffers), self._operation)
            except NetlinkError:
                pass  # what came before that is good, and comes first
            else:
                return iter((answer,))
        return (Answer(buffer, self._operation) for buffer in buffers)

    def _buffers(self) -> Generator[Sequence[bytes], None, None]:
        """What is received: at first in this thread, since most dumps are small, then by a reader thread."""
        try:
            self._socket.send(self._request)
        except OSError as error:
            raise self._failure(error) from None
        for _ in range(_BUFFERS_WITHOUT_THREAD):
            yield (self._receive(),)
        while self._wanted is not None:
            # What is hardly looked at is worth neither the hand-over nor putting it together.
            yield (self._receive(),)
        from .ahead import at_hand, processor_free, read_ahead

        while True:
            if processor_free():
                yield from read_ahead(self._receive)
            for _ in range(_BETWEEN_LOOKS):
                yield from at_hand(self._receive, self._together)

    def _receive(self, flags: int = 0) -> bytes:
        return receive(self._socket, self._operation, flags)

    def _failure(self, error: OSError) -> NetlinkError:
        return _failure(error, self._operation)


def receive(opened: NetlinkSocket, operation: str, flags: int = 0) -> bytes:
    """One message, or run of messages, from the kernel. Raises NetlinkError; BlockingIOError only where MSG_DONTWAIT
    is among the flags.
    """
    while True:
        try:
            received, sender = opened.recvfrom(_RECEIVE_SIZE, _MSG_TRUNC | flags)
        except BlockingIOError:
            if flags & MSG_DONTWAIT:
                raise
            raise NoAnswerError(operation, 0, f"no answer in {_PATIENCE} s") from None
        except OSError as error:
            raise _failure(error, operation) from None
        if len(received) > _RECEIVE_SIZE:  # as MSG_TRUNC shows
            raise TruncatedError(operation, 0, f"an answer of {len(received)} bytes was truncated")
        if sender[0] == 0:  # only the kernel has port id 0: answers from others are ignored
            return received


def _failure(error: OSError, operation: str) -> NetlinkError:
    return NetlinkError(operation, error.errno or 0, "" if error.errno else str(error) or "failed")
