"""Dumps whose messages know when the kernel made them: what rates are divided by.

The kernel makes the first buffer when it is asked, and each other one while that before is received (recv(2) fills the
next: net/netlink/af_netlink.c, netlink_recvmsg). That may be long before the buffer is looked at, on a busy machine.
"""

from __future__ import annotations

from collections import deque
from itertools import chain, repeat
from time import monotonic

from .messages import Run, joined
from .transport import Dump

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from .transport import NetlinkSocket

_GATHERED = 1 << 18
"""Bytes of one shape that are decoded together (gathering.gathered)."""


class TimedRun(Run):
    """A run that knows when the kernel made each of its messages: ``times``, seconds of time.monotonic."""

    __slots__ = ("times",)

    def __init__(self, run: Run, times: Sequence[float]) -> None:
        for name in Run.__slots__:  # not made anew: they hold a copy of the data
            setattr(self, name, getattr(run, name))
        self.times = times

    def singles(self) -> Iterator[Run]:
        """Each message as a run of its own."""
        for number, single in enumerate(super().singles()):
            yield TimedRun(single, self.times[number : number + 1])

    def _split(self, keys: Sequence[int]) -> Iterator[tuple[int, Run]]:
        times: dict[int, list[float]] = {}
        for key, at in zip(keys, self.times, strict=True):
            times.setdefault(key, []).append(at)
        for key, run in super()._split(keys):
            yield key, TimedRun(run, times[key])


class TimedDump(Dump):
    """A dump of timed runs, each of several buffers where messages of one shape come in several."""

    _together = 0  # each buffer has its own time

    def __init__(self, opened: NetlinkSocket, request: bytes, operation: str) -> None:
        super().__init__(opened, request, operation)
        self._made: deque[float] = deque()
        """When each buffer was made that has not been looked at."""

    def __iter__(self) -> Iterator[Run]:
        waiting: dict[tuple[int, int], list[tuple[Run, float]]] = {}
        answers = self.answers()
        try:
            for runs in answers:
                at = self._made.popleft()
                for run in runs:
                    run.positions = None  # those of another buffer say nothing beside them
                    same = waiting.setdefault((run.length, run.kind), [])
                    same.append((run, at))
                    if sum(len(part.data) for part, _ in same) >= _GATHERED:
                        yield _together(same)
                        same.clear()
        finally:
            answers.close()
        yield from (_together(same) for same in waiting.values() if same)

    def _buffers(self) -> Generator[Sequence[bytes], None, None]:
        self._made.append(monotonic())
        return super()._buffers()

    def _receive(self, flags: int = 0) -> bytes:
        at = monotonic()
        received = super()._receive(flags)
        self._made.append(at)
        return received


def _together(parts: Sequence[tuple[Run, float]]) -> TimedRun:
    times = chain.from_iterable(repeat(at, run.count) for run, at in parts)
    return TimedRun(joined([run for run, _ in parts]), [*times])


def times_of(run: Run) -> Sequence[float] | None:
    """When each message of a run was made; None where the dump did not note that."""
    return run.times if isinstance(run, TimedRun) else None
