"""Entries of connection tracking and what they carry: each, or added up by what they have in common."""

from __future__ import annotations

from itertools import chain, repeat
from shlex import split
from struct import Struct
from time import monotonic

from ..engine.columns import NONE
from .figures import counted, end_text, per_second, short
from .frame import Column, Frame, Joined, added_up, paced
from .meter import Meter, added, total
from .rates import read_times
from .source import Line, Places, Source, explained

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence
    from typing import Any

    from ..nouns.conntrack.filter import FlowFilter

COUNTERS = ("bytes", "reply_bytes", "packets", "reply_packets")
_PACKED = Struct(">4Q")
"""COUNTERS as the column ``counters`` of an entry has them."""
NOT_COUNTED = "connection tracking counts no bytes here: net.netfilter.nf_conntrack_acct is 0, or was when flows began"


def _translated(
    outside: str | None, outside_port: int | None, source: str | None, source_port: int | None, *ends: Any
) -> str:
    """What stands for the source outside, and what really answers, where they differ from what the packet says."""
    destination, destination_port, answering, answering_port = ends
    said = []
    if (outside, outside_port) != (source, source_port):
        said.append(f"as {end_text(outside, outside_port)}")
    if (answering, answering_port) != (destination, destination_port):
        said.append(f"to {end_text(answering, answering_port)}")
    return ", ".join(said) or "-"


_ENDS = ("source_address", "source_port"), ("destination_address", "destination_port")
_COLUMNS = (
    Column("protocol", "Proto", rank=4, least=4),
    Column("state", "State", rank=2, least=5, kind="state"),
    Column("source", "Source", end_text, fields=_ENDS[0], rank=0, least=12, usual=21, kind="address"),
    Column("destination", "Destination", end_text, fields=_ENDS[1], rank=0, least=12, usual=21, kind="address"),
    Column(
        "translated",
        "Translated",
        _translated,
        fields=(
            *("reply_destination_address", "reply_destination_port"),
            *(*_ENDS[0], *_ENDS[1], "reply_source_address", "reply_source_port"),
        ),
        rank=3,
        least=10,
    ),
    Column("rate", "Rate B/s", short, rank=0, right=True, least=6),
    Column("sent_rate", "Sent B/s", short, rank=4, right=True, least=6),
    Column("received_rate", "Recv B/s", short, rank=4, right=True, least=6),
    Column("packet_rate", "Packets/s", short, rank=5, right=True, least=6),
    Column("timeout", "Expires", rank=5, right=True, least=5),
)
_GROUP_COLUMNS = (
    Column("flows", "Flows", rank=0, right=True, least=5),
    Column("unreplied", "Unreplied", rank=2, right=True, least=5),
    Column("rate", "Rate B/s", short, rank=0, right=True, least=6),
    Column("sent_rate", "Sent B/s", short, rank=2, right=True, least=6),
    Column("received_rate", "Recv B/s", short, rank=2, right=True, least=6),
    Column("packet_rate", "Packets/s", short, rank=3, right=True, least=6),
)


class Counted(Source):
    """A tab that is made of the entries of connection tracking."""

    hint = "options as of `netinspect conntrack`: -p tcp --source 10.0.0.0/8 --state established"

    def __init__(
        self,
        places: Places,
        wanted: Callable[[str], FlowFilter],
        where: Sequence[str] = (),
        *,
        labelled: bool = False,
    ) -> None:
        """``wanted`` makes a filter of the options of `netinspect conntrack`, and raises UsageError."""
        super().__init__(places, where, labelled=labelled)
        self._asked = wanted
        self._wanted: FlowFilter | None = None
        self._meter = Meter()

    def select(self, text: str) -> None:
        """Takes a filter. Raises UsageError."""
        self._wanted = self._asked(text)
        self.filter = text

    def restart(self) -> None:
        """The next sample has no rates."""
        self._meter = Meter()

    def _taken(self) -> tuple[Joined, list[Hashable], list[list[float | None]] | None]:
        """The entries, their keys, and the rates of COUNTERS; None in the first sample. Raises NetinspectError."""
        from ..nouns.conntrack.listing import FlowListing

        listing = FlowListing(self._wanted, self._begin(), timed=True)
        began = monotonic()
        batches = list(paced(listing.batches()))
        self.problems, self.notes = listing.problems, listing.notes
        times = [*chain.from_iterable(map(read_times, batches))]
        found = Joined(batches)
        keys: list[Hashable] = found.column("id")
        if self.labelled:
            keys = [*zip(found.column("netns"), keys, strict=True)]
        if batches and all(batch.column("counters") is NONE for batch in batches):
            self.notes.append(NOT_COUNTED)
        rates = self._meter.packed_rates(keys, times, found.column("counters"), _PACKED, began)
        return found, keys, rates


class Flows(Counted):
    """The tab of the flows."""

    title = "Flows"
    groups = ("", "source", "destination", "outside", "port", "protocol", "state")
    sort = "rate"

    def shown(self, group: str) -> Sequence[Column]:
        """An entry, or what the group adds up."""
        return (Column("group", group.capitalize(), rank=0, least=12), *_GROUP_COLUMNS) if group else _COLUMNS

    def history(self, group: str) -> Sequence[tuple[str, str, str]]:
        """Rates, and what they depend on."""
        return ("rate", "Rate", "B/s"), ("packet_rate", "Packets", "/s")

    def sample(self, group: str) -> Frame:
        """Raises NetinspectError."""
        found, keys, rates = self._taken()
        blank: list[float | None] = [None] * len(keys)
        sent, received, packets, replies = rates or repeat(blank, 4)
        values: dict[str, Sequence[Any]] = {
            "sent_rate": sent,
            "received_rate": received,
            "rate": added(sent, received) if rates else blank,
            "packet_rate": added(packets, replies) if rates else blank,
        }
        facts = [counted(len(keys), "flow")]
        if rates and (carried := total(values["rate"])) is not None:
            facts.append(per_second(carried))
        if self.labelled:
            values["netns"] = found.column("netns")
        seconds = monotonic() if rates else None
        if group:
            from ..nouns.conntrack.listing_groups import GROUPINGS

            values["unreplied"] = ["SEEN_REPLY" not in status for status in found.column("status")]
            names = [*chain.from_iterable(map(GROUPINGS[group], paced(found.batches)))]
            return added_up(names, values, facts, "flows", seconds)
        frame = Frame(keys, values, found.column, found.value, seconds=seconds, facts=facts)
        frame.compared = self._meter.compared
        return frame

    def command(self, group: str, sort: str) -> list[str]:
        """The largest groups, or the entries."""
        options = split(self.filter)
        if group:
            return ["netinspect", "conntrack", "top", *self.where, "--by", group, *options]
        return ["netinspect", "conntrack", *self.where, "-n", "-c", *options]

    def command_of(self, frame: Frame, row: int, group: str) -> list[str]:
        """The entry, by its ends; those of a group."""
        words = ["netinspect", "conntrack", *self.place_words(frame, row), "-n", "-c", "-e"]
        if group:
            option = {"outside": "reply-destination", "port": "destination-port"}.get(group, group)
            value = str(frame.value(row, "group")).partition("/")[0]
            return words if value == "-" or " " in value else [*words, f"--{option}", value]
        for end in ("source", "destination"):
            address, port = frame.value(row, f"{end}_address"), frame.value(row, f"{end}_port")
            words += [] if address is None else [f"--{end}", address]
            words += [] if port is None else [f"--{end}-port", str(port)]
        return [*words, "-p", str(frame.value(row, "protocol"))]

    def about(self, frame: Frame, row: int, group: str) -> list[Line]:
        """The cells; of an entry all its fields."""
        lines = super().about(frame, row, group)
        if not group:
            for name in ("status", "mark", "zone", "helper", "use", "id", *COUNTERS):
                value = frame.value(row, name)
                text = ", ".join(value) if isinstance(value, tuple) else str(value)
                lines += [] if value in (None, ()) else [Line(name.replace("_", " ").capitalize(), text)]
        return lines

    def look(self, frame: Frame, row: int, group: str) -> list[Line]:
        """What its state means."""
        state = frame.value(row, "group" if group == "state" else "state") if group in ("", "state") else None
        said = explained(str(state)) if state is not None else []
        return [Line(f"Explain {state}", kind="heading"), *said] if said else []
