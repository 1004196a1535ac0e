"""The dump transport: sends the request, and receives the next buffer while the last one is decoded.

The kernel builds a dump inside recv(2), which releases the interpreter lock. So a reader thread receives the next
buffer while this one is decoded, and a large dump takes as long as the slower of the two, not their sum. The queue
between them is short, so memory does not grow with the table.
"""

from __future__ import annotations

import _socket
import _thread
from _struct import pack
from sys import getswitchinterval, setswitchinterval

from ...errors import NetlinkError, NoAnswerError, TruncatedError
from ...uapi.netlink import AF_NETLINK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK, SOL_NETLINK
from .messages import Answer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
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
_QUEUE_LENGTH = 32
"""Received buffers that may wait to be used: 1 MiB."""
_BUFFERS_WITHOUT_THREAD = 2
_SWITCH_INTERVAL = 50e-6
"""Seconds after which the thread that decodes lets the reader have the interpreter. With Python's own 5 ms the reader
would stand still for most of the time: it needs the interpreter for a moment only, but after every buffer."""
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


class _Readers:
    """Shortens the interpreter's switch interval while there is a reader thread."""

    def __init__(self) -> None:
        self._count = 0
        self._before = 0.0

    def began(self) -> None:
        if self._count == 0:
            self._before = getswitchinterval()
            setswitchinterval(min(self._before, _SWITCH_INTERVAL))
        self._count += 1

    def ended(self) -> None:
        self._count -= 1
        if self._count == 0:
            setswitchinterval(self._before)


_readers = _Readers()


class Dump:
    """One dump: iterate over it once, for its runs of messages. The socket is closed with the iteration, whole or not.

    Raises NetlinkError, and nothing else, for whatever goes wrong: an error of the kernel's (with its words and the
    place in the request, where it gives them), ENOBUFS where it had to drop messages, and MalformedError,
    TruncatedError or NoAnswerError where an answer is malformed, truncated or does not come. ``interrupted`` is true
    when the kernel says that the table changed while it was read (NLM_F_DUMP_INTR): rows may be missing, or be there
    twice.
    """

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
            for buffer in buffers:
                answer = Answer(buffer, self._operation)
                self.interrupted |= answer.interrupted
                yield answer.runs if self._wanted is None else list(filter(self._wanted, answer.runs))
                if answer.done:
                    break
        finally:
            buffers.close()
            self._socket.close()

    def _buffers(self) -> Generator[bytes, None, None]:
        """What is received: at first in this thread, since most dumps are small, then by a reader thread."""
        try:
            self._socket.send(self._request)
        except OSError as error:
            raise self._failure(error) from None
        for _ in range(_BUFFERS_WITHOUT_THREAD):
            yield self._receive()
        if self._wanted is None:  # what is hardly looked at is not worth the hand-over
            yield from self._read_ahead()
        while True:
            yield self._receive()

    def _read_ahead(self) -> Iterator[bytes]:
        """What a reader thread receives while the buffers before are being used, until nothing more is at hand.

        The kernel has the next part of a dump ready before it hands out one, so the reader never waits: it ends with
        the dump, or soon after this generator is closed.
        """
        from _queue import SimpleQueue  # an extra library, which short listings do not need

        received: SimpleQueue[bytes | BaseException] = SimpleQueue()
        permits: SimpleQueue[None] = SimpleQueue()
        ended = _thread.allocate_lock()
        stopped = False

        def read() -> None:
            try:
                while True:
                    permits.get()
                    if stopped:
                        break
                    received.put(self._receive(MSG_DONTWAIT))
            except BaseException as error:
                received.put(error)
            finally:
                ended.release()

        for _ in range(_QUEUE_LENGTH):
            permits.put(None)
        ended.acquire()
        try:
            _thread.start_new_thread(read, ())
        except RuntimeError:
            return  # no more threads allowed: continue without one
        _readers.began()
        try:
            while True:
                item = received.get()
                if isinstance(item, BlockingIOError):
                    return
                if isinstance(item, BaseException):
                    raise item
                permits.put(None)
                yield item
        finally:
            stopped = True
            permits.put(None)
            ended.acquire()
            _readers.ended()

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
