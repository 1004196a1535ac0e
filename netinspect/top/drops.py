"""Counters of dropped packets, from the card to the socket."""

from __future__ import annotations

from time import monotonic

from .figures import counted, short
from .frame import Column, Frame
from .meter import Meter
from .source import Line, Places, Source, filtered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from typing import Any

    from ..records import DropCounter

_COLUMNS = (
    Column("layer", "Layer", rank=1, least=5),
    Column("counter", "Counter", rank=0, least=12, most=40),
    Column("of", "Of", rank=1, least=6, most=40),
    Column("rate", "Drops/s", short, rank=0, right=True, least=6),
    Column("value", "In all", "{:,}".format, rank=2, right=True, least=6),
    Column("meaning", "Meaning", rank=3, least=16, most=100),
)


class Drops(Source):
    """The tab of the drops."""

    title = "Drops"
    sort = "rate"

    def __init__(self, places: Places, where: Sequence[str] = (), *, labelled: bool = False) -> None:
        super().__init__(places, where, labelled=labelled)
        self._meter = Meter()

    def restart(self) -> None:
        """The next sample has no rates."""
        self._meter = Meter()

    def shown(self, group: str) -> Sequence[Column]:
        """The same, however it is grouped."""
        return _COLUMNS

    def history(self, group: str) -> Sequence[tuple[str, str, str]]:
        """Rates, and what they depend on."""
        return (("rate", "Drops", "/s"),)

    def sample(self, group: str) -> Frame:
        """Raises NetinspectError."""
        from ..nouns.drops.listing_account import Account  # which takes longer to load than the first screen to show

        account = Account(self._begin(), None)
        began = monotonic()
        rows: list[DropCounter] = [row for batch in account.batches() for row in batch]
        self.problems, self.notes = account.problems, account.notes
        keys: list[Hashable] = [(row.netns, row.layer, row.counter, row.of) for row in rows]
        rates = self._meter.rates(keys, [monotonic()] * len(rows), [[row.value for row in rows]], began)
        columns: dict[str, Sequence[Any]] = {
            name: [getattr(row, name) for row in rows]
            for name in ("layer", "counter", "of", "value", "meaning", "look", "source", "netns")
        }
        columns["rate"] = rates[0] if rates else [None] * len(rows)
        dropping = sum(bool(rate) for rate in columns["rate"])
        facts = [f"{counted(len(rows), 'counter')} above 0"]
        if rates:
            facts.append(f"{dropping:,} rising")
        frame = Frame(keys, columns, seconds=began if rates else None, facts=facts)
        return filtered(frame, self.columns(group), self.filter)

    def command(self, group: str, sort: str) -> list[str]:
        """The account of all counters."""
        return ["netinspect", "drops", "account", *self.where]

    def look(self, frame: Frame, row: int, group: str) -> list[Line]:
        """What it counts, what to look at, and where the figure is from."""
        lines = [Line("What it means", kind="heading")]
        for label, name in (("", "meaning"), ("Look at: ", "look"), ("Source: ", "source")):
            value = frame.value(row, name)
            lines += [] if value is None else [Line("", f"{label}{value}", kind="text")]
        return lines
