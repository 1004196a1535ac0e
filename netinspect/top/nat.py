"""Address translation: what each inside host has, and how many ports of each outside address are in use."""

from __future__ import annotations

from itertools import chain
from shlex import split
from time import monotonic

from ..engine.columns import NONE
from ..records import InsideHost, OutsideAddress
from .figures import counted, end_text, per_second, short
from .flows import Counted
from .frame import Column, Frame, paced
from .meter import added, total
from .source import Line, explained

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from typing import Any

    from ..engine.columns import Batch

    Ranges = dict[str | None, dict[str, tuple[int, int]]]

_RANGES_SECONDS = 10.0
"""For so long the ports that rules name are taken to be the same."""


def _joined(values: Sequence[str]) -> str:
    return ",".join(values)


def _percent(value: float) -> str:
    return f"{value:.1f}%"


_COLUMNS = {
    "inside": (
        Column("inside_address", "Inside", rank=0, least=12, usual=21, kind="address"),
        Column("flows", "Flows", rank=0, right=True, least=5),
        Column("destinations", "Destinations", rank=3, right=True, least=5),
        Column("unreplied", "Unreplied", rank=3, right=True, least=5),
        Column("rate", "Rate B/s", short, rank=1, right=True, least=6),
        Column("sent_rate", "Sent B/s", short, rank=2, right=True, least=6),
        Column("received_rate", "Recv B/s", short, rank=2, right=True, least=6),
        Column("outside_addresses", "Outside", _joined, rank=4, least=12),
    ),
    "outside": (
        Column("outside_address", "Outside", rank=0, least=12, usual=21, kind="address"),
        Column("protocol", "Proto", rank=1, least=4),
        Column("percent", "In use", _percent, rank=0, right=True, least=6),
        Column("ports_used", "Ports used", rank=1, right=True, least=5),
        Column("ports", "Of", rank=2, right=True, least=5),
        Column(
            "busiest",
            "Towards",
            end_text,
            fields=("destination_address", "destination_port"),
            rank=2,
            least=12,
            kind="address",
        ),
        Column("flows", "Flows", rank=1, right=True, least=5),
        Column("inside_hosts", "Inside hosts", rank=3, right=True, least=5),
    ),
}


class Nat(Counted):
    """The tab of address translation."""

    title = "NAT"
    groups = ("inside", "outside")
    sort = "flows"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._ranges: Ranges = {}
        self._ranges_at = 0.0

    def shown(self, group: str) -> Sequence[Column]:
        """A host, or an outside address."""
        return _COLUMNS[group]

    def history(self, group: str) -> Sequence[tuple[str, str, str]]:
        """Rates, and what they depend on."""
        if group == "outside":
            return ("percent", "Ports in use", "%"), ("flows", "Flows", "")
        return ("flows", "Flows", ""), ("rate", "Rate", "B/s")

    def sample(self, group: str) -> Frame:
        """Raises NetinspectError."""
        from ..nouns.nat.listing import Kinds, translations
        from ..nouns.nat.listing_groups import inside_hosts, outside_addresses

        found, keys, rates = self._taken()
        rated = [*_rated(found.batches, rates)]
        kinds = Kinds(self.places.now()[0])  # whose columns are not asked for
        translated = [*chain.from_iterable(translations(batch, kinds) for batch in paced(rated))]
        flows = sum(map(len, translated))
        facts = [f"{flows:,} translated of {counted(len(keys), 'flow')}"]
        seconds = monotonic() if rates else None
        rows: Sequence[Any]
        own: list[Hashable]
        if group == "outside":
            rows = outside_addresses(paced(translated), self._port_ranges())
            own = [(row.netns, row.outside_address, row.protocol) for row in rows]
            columns = _columns(OutsideAddress, rows)
        else:
            rows = inside_hosts(paced(translated))
            own = [(row.netns, row.inside_address) for row in rows]
            columns = _columns(InsideHost, rows)
            columns["sent_rate"], columns["received_rate"] = columns["sent_bytes"], columns["received_bytes"]
            columns["rate"] = added(columns["sent_rate"], columns["received_rate"])
            if rates and (carried := total(columns["rate"])) is not None:
                facts.append(per_second(carried))
        return Frame(own, columns, seconds=seconds, facts=(f"{len(rows):,} {group}", *facts))

    def _port_ranges(self) -> Ranges:
        if monotonic() > self._ranges_at + _RANGES_SECONDS:
            from ..nouns.nat.listing_state import port_ranges

            self._ranges = port_ranges(self.places.now())
            self._ranges_at = monotonic()
        return self._ranges

    def command(self, group: str, sort: str) -> list[str]:
        """The view of `netinspect nat`."""
        view = "hosts" if group == "inside" else "outside"
        return ["netinspect", "nat", view, *self.where, *split(self.filter)]

    def command_of(self, frame: Frame, row: int, group: str) -> list[str]:
        """The translations of one host, or of one outside address."""
        words = ["netinspect", "nat", *self.place_words(frame, row), "-n", "-c", "-e"]
        if group == "outside":
            return [*words, "--reply-destination", str(frame.value(row, "outside_address"))]
        return [*words, "--source", str(frame.value(row, "inside_address"))]

    def look(self, frame: Frame, row: int, group: str) -> list[Line]:
        """What the figures mean."""
        name = "ports_used" if group == "outside" else "unreplied"
        said = explained(name)
        return [Line(f"Explain {name}", kind="heading"), *said] if said else []


def _rated(batches: Sequence[Batch], rates: Sequence[Sequence[float | None]] | None) -> Iterator[Batch]:
    """The entries with rates in place of their bytes, which translations put where they belong."""
    start = 0
    for batch in batches:
        end = start + len(batch)
        if rates is None or batch.column("bytes") is NONE:
            yield batch.joined({"bytes": lambda _: NONE, "reply_bytes": lambda _: NONE})
        else:
            parts = {"bytes": rates[0][start:end], "reply_bytes": rates[1][start:end]}
            yield batch.joined({name: _given(values) for name, values in parts.items()})
        start = end


def _given(values: Sequence[Any]) -> Callable[[Batch], Sequence[Any]]:
    return lambda _: values


def _columns(record: Any, rows: Sequence[Any]) -> dict[str, Sequence[Any]]:
    return {name: [row[number] for row in rows] for number, name in enumerate(record._fields)}
