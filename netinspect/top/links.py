"""Interfaces and what they carry."""

from __future__ import annotations

from time import monotonic

from .figures import counted, short
from .frame import Column, Frame
from .source import Line, Places, Source, fields_of, filtered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from typing import Any

    from ..records import LinkStatistics

_RATES = (*("rx_bits", "tx_bits", "rx_packets", "tx_packets", "rx_dropped", "tx_dropped", "rx_errors", "tx_errors"),)


def _rate(name: str, title: str, rank: int) -> Column:
    return Column(name, title, short, rank=rank, right=True, least=6)


_COLUMNS = (
    Column("name", "Name", rank=0, least=8, most=24),
    Column("state", "State", rank=1, least=4, kind="state"),
    Column("kind", "Kind", rank=4, least=4),
    _rate("rate", "Rate bit/s", 1),
    _rate("rx_bits", "Rx bit/s", 0),
    _rate("tx_bits", "Tx bit/s", 0),
    _rate("rx_packets", "Rx pkt/s", 3),
    _rate("tx_packets", "Tx pkt/s", 3),
    _rate("rx_dropped", "Rx drop/s", 2),
    _rate("tx_dropped", "Tx drop/s", 2),
    _rate("rx_errors", "Rx err/s", 5),
    _rate("tx_errors", "Tx err/s", 5),
    Column("mtu", "MTU", rank=6, right=True),
    Column("master", "Master", rank=6, least=6),
)


class Links(Source):
    """The tab of the links."""

    title = "Links"
    sort = "rate"

    def __init__(self, places: Places, where: Sequence[str] = (), *, labelled: bool = False) -> None:
        super().__init__(places, where, labelled=labelled)
        self._before: dict[Hashable, tuple[float, LinkStatistics]] = {}

    def restart(self) -> None:
        """The next sample has no rates."""
        self._before = {}

    def shown(self, group: str) -> Sequence[Column]:
        """The same, however it is grouped."""
        return _COLUMNS

    def history(self, group: str) -> Sequence[tuple[str, str, str]]:
        """Rates, and what they depend on."""
        return ("rx_bits", "Received", "bit/s"), ("tx_bits", "Sent", "bit/s"), ("rx_dropped", "Rx drops", "/s")

    def sample(self, group: str) -> Frame:
        """Raises NetinspectError."""
        from ..nouns.links.listing import LinkListing, Query
        from ..nouns.links.listing_rates import rates_between

        listing = LinkListing(Query(statistics=True), self._begin())
        now: dict[Hashable, tuple[float, LinkStatistics]] = {}
        rows: list[Any] = []
        keys: list[Hashable] = []
        rates: list[Any] = []
        for batch in listing.batches():
            at = monotonic()
            for link in batch:
                key = link.netns, link.index
                keys.append(key)
                rows.append(link)
                rated = None
                if link.statistics is not None:
                    now[key] = at, link.statistics
                    if key in self._before:
                        rated = rates_between(self._before[key], now[key])
                rates.append(rated)
        known = bool(self._before)
        self._before = now
        self.problems, self.notes = listing.problems, listing.notes
        columns: dict[str, Sequence[Any]] = {"link": rows}
        for name in ("name", "state", "kind", "mtu", "master", "netns"):
            columns[name] = [getattr(link, name) for link in rows]
        for name in _RATES:
            columns[name] = [None if rated is None else getattr(rated, name) for rated in rates]
        columns["rate"] = [None if rated is None else rated.rx_bits + rated.tx_bits for rated in rates]
        seconds = monotonic() if known else None
        frame = Frame(keys, columns, seconds=seconds, facts=(counted(len(rows), "link"),))
        return filtered(frame, self.columns(group), self.filter)

    def command(self, group: str, sort: str) -> list[str]:
        """The rates of all of them."""
        return ["netinspect", "links", *self.where, "--rates", "1"]

    def command_of(self, frame: Frame, row: int, group: str) -> list[str]:
        """The link, with its counters."""
        name = str(frame.value(row, "name"))
        return ["netinspect", "links", *self.place_words(frame, row), "-s", "--", name]

    def look(self, frame: Frame, row: int, group: str) -> list[Line]:
        """Its settings and counters."""
        return [Line("All there is", kind="heading"), *fields_of(frame.value(row, "link"))]
