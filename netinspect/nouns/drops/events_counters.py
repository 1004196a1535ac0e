"""Rising drop counters, if the kernel does not report packets: which rise, and by how much."""

from __future__ import annotations

from time import monotonic, time

from ...records import Drop, DropCount
from .listing_account import Account

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...engine.places import Place
    from ...records import DropCounter

_EACH = 1.0
"""Seconds between two readings."""


class CounterWatch:
    """Stands in for a watch of packets. Nothing is lost: each counter is read again and again."""

    lost = 0
    unplaced = 0

    def __init__(self, places: Sequence[Place], each: float = _EACH) -> None:
        self._places = places
        self._each = each

    def close(self) -> None:
        """Nothing is held."""

    def _risen(self, seconds: float | None) -> Iterator[list[tuple[DropCounter, int]]]:
        end = None if seconds is None else monotonic() + seconds
        while end is None or monotonic() < end:
            each = self._each if end is None else min(self._each, max(end - monotonic(), 0.01))
            found = [row for batch in Account(self._places, each).batches() for row in batch if row.rate]
            yield [(row, max(round((row.rate or 0) * each), 1)) for row in found]

    def events(self, seconds: float | None = None) -> Iterator[list[Drop]]:
        """Risen counters as drops, with the increase in ``packets``; for this many seconds, None without limit."""
        for risen in self._risen(seconds):
            yield [
                Drop(
                    time(),
                    None,
                    f"{row.layer}: {row.counter}",
                    row.of,
                    packets=packets,
                    meaning=row.meaning,
                    look=row.look,
                    source=row.source,
                    netns=row.netns,
                )
                for row, packets in risen
            ]

    def counts(self, seconds: float | None = None, each: float | None = None) -> Iterator[list[DropCount]]:
        """What was counted so far, most first: at the end, and every ``each`` seconds where that is given."""
        totals: dict[tuple[str | None, ...], tuple[DropCounter, int]] = {}
        begun = monotonic()
        due = begun + each if each else float("inf")
        for risen in self._risen(seconds):
            for row, packets in risen:
                key = row.netns, row.layer, row.counter, row.of
                totals[key] = row, packets + (totals[key][1] if key in totals else 0)
            if monotonic() >= due:
                yield _counted(totals.values(), monotonic() - begun)
                due += each or 0
        yield _counted(totals.values(), monotonic() - begun)


def _counted(totals: Iterable[tuple[DropCounter, int]], elapsed: float) -> list[DropCount]:

    return [
        DropCount(
            packets=packets,
            rate=round(packets / elapsed, 3),
            reason=None,
            place=f"{row.layer}: {row.counter}",
            interface=row.of,
            meaning=row.meaning,
            look=row.look,
            source=row.source,
            netns=row.netns,
        )
        for row, packets in sorted(totals, key=lambda found: -found[1])
    ]
