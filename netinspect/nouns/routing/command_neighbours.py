"""``netinspect neighbours``."""

from __future__ import annotations

from ...engine.options import Flag, Group, Many, Option
from ...engine.output import NAMESPACES, ListingCommand, output_group
from ...engine.table import Column, Field
from ...errors import UsageError
from ..sockets.render_details import duration
from .listing_neighbours import NeighbourListing, Query, TableListing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ...engine.output import Listed
    from ...engine.places import Place

_NUMBERS = frozenset(("references", "probes", "entries", "gc_thresh1", "gc_thresh2", "gc_thresh3"))
_AGES = frozenset(("used", "confirmed", "updated"))
_TABLE_COLUMNS = {
    "name": "Table",
    "entries": "Entries",
    "used": "Used",
    "gc_thresh1": "Thresh1",
    "gc_thresh2": "Thresh2",
    "gc_thresh3": "Thresh3",
    "lookups": "Lookups",
    "hits": "Hits",
    "res_failed": "Unanswered",
    "forced_gc_runs": "Forced GC",
    "table_fulls": "Full",
}
_TITLES = {
    "address": "Address",
    "interface": "Interface",
    "link_address": "Link Address",
    "state": "State",
    "used": "Used",
    "confirmed": "Confirmed",
    "updated": "Updated",
    "probes": "Probes",
    "flags": "Flags",
}


class Neighbours(ListingCommand):
    """One command line of ``netinspect neighbours``."""

    name = "neighbours"
    operands = "[INTERFACE | tables]"
    summary = "Lists neighbours on the same links: the ARP and IPv6 neighbour discovery tables."
    record = "Neighbour"
    essential = ("Address", "Interface", "State", "Table")
    spare = (
        "Probes",
        "Updated",
        "Confirmed",
        "Used",
        "Flags",
        "Full",
        "Forced GC",
        "Hits",
        "Lookups",
        "Thresh1",
        "Thresh2",
    )

    families = Many[str]()
    states = Many[str]()
    everything = Flag()

    groups = (
        Group(
            "Select",
            Option("4", "ipv4", "IPv4 only", to=families.constant("inet")),
            Option("6", "ipv6", "IPv6 only", to=families.constant("inet6")),
            Option(
                "",
                "state",
                "entries in these states, separated by commas: reachable, stale, failed …",
                "NAME",
                to=states.each(str.lower),
            ),
            Option("a", "all", "include entries that need no resolution, such as multicast", to=everything.on),
        ),
        NAMESPACES,
        output_group("neighbours"),
    )
    notes = (
        "Entries with the flag proxy are addresses that this machine answers for on behalf of others.\n"
        "tables shows the tables themselves: entries, limits (gc_thresh1 to gc_thresh3) and counters. All network "
        "namespaces share them."
    )

    def take_operands(self) -> None:
        """Takes an interface, or ``tables``. Raises UsageError."""
        if len(self.words) > 1:
            raise UsageError(f"neighbours takes one interface at most, not {' '.join(self.words)!r}")
        if self.words == ["tables"]:
            self.view, self.record = "tables", "NeighbourTable"

    def check(self) -> None:
        """Raises UsageError where the tables are to be selected from, and for an unknown state."""
        interface = next(iter(self.words), None)
        if not self.view:
            self._query = Query(self.families, interface=interface, states=self.states, everything=self.everything)
        elif self.families or self.states or self.everything:
            raise UsageError("neighbours tables does not take the options that select entries")

    def listing(self, places: Sequence[Place]) -> Listed:
        """The entries, or the tables that they are in."""
        return TableListing(places) if self.view else NeighbourListing(self._query, places)

    def table_columns(self) -> list[Column]:
        """The columns of a table."""
        if not self.view:
            return [self.column(field, title) for field, title in _TITLES.items()]
        return [
            Field(title, field, "{}%".format if field == "used" else str, number=field not in ("name", "used"))
            for field, title in _TABLE_COLUMNS.items()
        ]

    def column(self, field: str, title: str) -> Column:
        """The column of one field."""
        if self.view:
            return Field(title, field, number=field in _NUMBERS)
        if field in _AGES:
            return Field(title, field, lambda seconds: duration(round(seconds) * 1000))
        return Field(title, field, _text, number=field in _NUMBERS)


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


COMMAND = Neighbours
