"""What links carry a second: their counters, read twice."""

from __future__ import annotations

from time import monotonic, sleep

from .listing import LinkListing, Query, difference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from ...engine.columns import Batch, Values
    from ...engine.places import Place
    from ...records import LinkRates, LinkStatistics

    Reading = dict[tuple[Any, int], tuple[float, LinkStatistics]]


class RatedListing(LinkListing):
    """The listing after ``seconds``, with what was carried meanwhile. Links that are new have no rates yet."""

    def __init__(self, query: Query, places: Sequence[Place], seconds: float) -> None:
        super().__init__(query, places)
        self._seconds = seconds

    def batches(self) -> Iterator[Batch]:
        """Takes ``seconds``. Raises NetlinkError and NamespaceError."""
        began = monotonic()
        before: Reading = {}
        for batch in super().batches():
            before |= _reading(batch)
        # What could not be listed is reported once, by the second listing.
        self.problems.clear()
        sleep(max(0.0, began + self._seconds - monotonic()))
        for batch in super().batches():
            yield batch.joined({"rates": lambda batch: _rates(batch, before)})


def _reading(batch: Batch) -> Reading:
    keys = zip(batch.values("netns"), batch.values("index"), strict=True)
    now = monotonic()
    return {
        key: (now, statistics)
        for key, statistics in zip(keys, batch.values("statistics"), strict=True)
        if statistics is not None
    }


def _rates(batch: Batch, before: Reading) -> Values:
    now = _reading(batch)
    keys = zip(batch.values("netns"), batch.values("index"), strict=True)
    return [rates_between(before[key], now[key]) if key in before and key in now else None for key in keys]


def rates_between(before: tuple[float, LinkStatistics], after: tuple[float, LinkStatistics]) -> LinkRates:
    """What was carried a second between two readings, each with its time in seconds."""
    from ...records import LinkRates

    interval = max(after[0] - before[0], 1e-9)

    def rate(field: str) -> float:
        return round(difference(getattr(after[1], field), getattr(before[1], field)) / interval, 3)

    return LinkRates(
        round(interval, 6),
        round(8 * rate("rx_bytes"), 3),
        round(8 * rate("tx_bytes"), 3),
        *map(rate, ("rx_packets", "tx_packets", "rx_dropped", "tx_dropped", "rx_errors", "tx_errors")),
    )
