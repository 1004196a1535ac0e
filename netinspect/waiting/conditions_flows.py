"""Conditions on entries of the connection tracking table."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

from ..engine.netlink.groups import FLOW_CHANGES
from ..nouns.conntrack.filter import FlowFilter
from ..nouns.conntrack.listing import FlowListing
from ..uapi.netlink import NETLINK_NETFILTER
from .conditions import MOSTLY_REPORTED, Observation, shown
from .endpoint import Endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..engine.places import Place
    from ..records import Flow


def translated_to(flow: Flow, target: Endpoint) -> bool:
    """Whether the flow's source, or its destination, becomes that by translation."""
    source = flow.source_address, flow.source_port
    destination = flow.destination_address, flow.destination_port
    new_source = flow.reply_destination_address, flow.reply_destination_port
    new_destination = flow.reply_source_address, flow.reply_source_port
    return (new_source != source and target.matches(*new_source)) or (
        new_destination != destination and target.matches(*new_destination)
    )


class FlowExists(NamedTuple):
    """The table has an entry like this, ``least`` of them at least."""

    filter: str
    wanted: FlowFilter
    natted_to: Endpoint | None = None
    least: int = 1

    def __str__(self) -> str:
        what = "a flow is" if self.least == 1 else f"{self.least} flows are"
        like = f" ({self.filter})" if self.filter else ""
        return f"{what} tracked{like}{f', translated to {self.natted_to}' if self.natted_to else ''}"

    @property
    def pause(self) -> float:
        """Of entries older than the first listener it does not report (nf_conntrack_events=2, the default)."""
        return MOSTLY_REPORTED

    @property
    def events(self) -> Mapping[int, Sequence[int]]:
        """New, changed and ended entries."""
        return {NETLINK_NETFILTER: FLOW_CHANGES}

    def look(self, places: Sequence[Place]) -> Observation:
        """The entries; none where there are fewer than asked for."""
        rows, listing = self._rows(self.wanted, places)
        found = [row for row in rows if self.natted_to is None or translated_to(row, self.natted_to)]
        # A namespace that tracks nothing has no entry: that is no doubt, but worth a word.
        return Observation(
            tuple(found) if len(found) >= self.least else (), tuple(listing.problems), tuple(listing.notes)
        )

    @staticmethod
    def _rows(wanted: FlowFilter, places: Sequence[Place]) -> tuple[list[Flow], FlowListing]:
        listing = FlowListing(wanted, places)
        rows: list[Flow] = list(chain.from_iterable(listing.batches()))
        return rows, listing

    def nearest(self, places: Sequence[Place]) -> list[str]:
        """The flow with its translation, or else all flows."""
        rows, _ = self._rows(self.wanted, places)
        if rows:
            return shown("flows that match except for translation or count:", rows)
        rows, listing = self._rows(FlowFilter(), places)
        return shown("tracked there:", rows) or [f"no flows are tracked{''.join(f': {n}' for n in listing.notes)}"]
