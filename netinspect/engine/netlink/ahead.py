"""Long dumps: the next buffers are received while the last one is decoded, or several before they are decoded as one.

The kernel builds a dump inside recv(2), which releases the interpreter lock. So a reader thread receives the next
buffer while this one is decoded, and a large dump takes as long as the slower of the two, not their sum. The queue
between them is short, so memory does not grow with the table. Where no processor is free for it, a thread would only
cost the hand-over: then several buffers are received one after the other, and decoded as one.
"""

from __future__ import annotations

import posix
from sys import getswitchinterval, setswitchinterval

from ...errors import NetlinkError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _queue import SimpleQueue
    from collections.abc import Callable, Iterator, Sequence

_MSG_DONTWAIT = 0x40
_QUEUE_LENGTH = 32
"""Received buffers that may wait to be used: 1 MiB."""
_SWITCH_INTERVAL = 50e-6
"""Seconds after which the thread that decodes lets the reader have the interpreter. With Python's own 5 ms the reader
would stand still for most of the time: it needs the interpreter for a moment only, but after every buffer."""


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


def at_hand(receive: Callable[[int], bytes], most: int) -> Iterator[Sequence[bytes]]:
    """What is at hand, several buffers to be read as one, at least one, which is waited for.

    Once they have ``most`` bytes, no more are received.

    The kernel has the next part of a dump ready before it hands out one, so nothing is at hand when it has ended.
    """
    buffers = [receive(0)]
    size = len(buffers[0])
    failed: NetlinkError | None = None
    try:
        while size < most and not size % 4:
            buffers.append(receive(_MSG_DONTWAIT))
            size += len(buffers[-1])
    except BlockingIOError:
        pass
    except NetlinkError as error:
        failed = error
    yield buffers
    if failed is not None:
        raise failed


def read_ahead(receive: Callable[[int], bytes]) -> Iterator[Sequence[bytes]]:
    """What a reader thread receives while the buffers before are being used, until nothing more is at hand.

    The kernel has the next part of a dump ready before it hands out one, so the reader never waits: it ends with
    the dump, or soon after this generator is closed.
    """
    from _queue import Empty, SimpleQueue  # an extra library, which short listings do not need
    from _thread import allocate_lock

    from ..answering import STEP, aside, waited

    received: SimpleQueue[bytes | BaseException] = SimpleQueue()
    permits: SimpleQueue[None] = SimpleQueue()
    ended = allocate_lock()
    stopped = False

    def read() -> None:
        try:
            while True:
                permits.get()
                if stopped:
                    break
                received.put(receive(_MSG_DONTWAIT))
        except BaseException as error:
            received.put(error)
        finally:
            ended.release()

    for _ in range(_QUEUE_LENGTH):
        permits.put(None)
    ended.acquire()
    thread = aside(read)
    if thread is None:
        return  # no more threads allowed: continue without one
    _readers.began()
    try:
        while True:
            try:
                item = received.get(True, STEP)
            except Empty:
                if thread() is None and received.empty():
                    raise MemoryError from None
                continue
            if isinstance(item, BlockingIOError):
                return
            if isinstance(item, BaseException):
                raise item
            permits.put(None)
            yield (item,)
    finally:
        stopped = True
        permits.put(None)
        _readers.ended()
        waited(thread, ended)


def processor_free() -> bool:
    """Whether fewer tasks want to run than there are processors; true where that is not known."""
    if len(posix.sched_getaffinity(0)) == 1:
        return False
    from ...procfs import tasks_running

    running = tasks_running()
    return running is None or running < (posix.cpu_count() or 1)
