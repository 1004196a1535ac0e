"""``netinspect links``."""

from __future__ import annotations

from ...engine.options import Flag, Group, One, Option, seconds
from ...engine.output import NAMESPACES, ListingCommand, output_group
from ...engine.table import Column, Field
from ...errors import UsageError
from .listing import LinkListing, Query
from .render import TEXTS, statistics_columns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.places import Place

_NUMBERS = frozenset(
    ("index", "mtu", "parent_index", "queue_length", "carrier_changes", "carrier_up_count", "carrier_down_count")
)
_TITLES = {
    "index": "Index",
    "name": "Name",
    "kind": "Kind",
    "state": "State",
    "mtu": "MTU",
    "master": "Master",
    "parent": "Parent",
    "queue_discipline": "Queueing",
    "carrier_changes": "Carrier Changes",
    "address": "Address",
    "flags": "Flags",
}


class Links(ListingCommand):
    """One command line of ``netinspect links``."""

    name = "links"
    operands = "[NAME…]"
    summary = "Lists network interfaces. NAME may be an alternative name."
    record = "Link"
    essential = ("Name", "State")
    spare = ("Carrier Changes", "Queueing", "Index", "Flags", "Address", "Errors by Kind", "Multicast")
    shows_unknown_inside = False
    """Most kinds of links report much that is not decoded: the structured formats have the numbers."""

    kind = One[str | None](None)
    master = One[str | None](None)
    up = Flag()
    statistics = Flag()
    rates = One[float | None](None)
    tree = Flag()

    groups = (
        Group(
            "Select",
            Option("", "kind", "links of this kind: veth, bridge, vlan, vxlan …", "KIND", to=kind.value(str)),
            Option("", "master", "members of this bridge, bond or VRF", "NAME", to=master.value(str)),
            Option("u", "up", "links that are up", to=up.on),
        ),
        Group(
            "Show",
            Option("s", "statistics", "counters, with errors by kind", to=statistics.on),
            Option(
                "",
                "rates",
                "bits, packets, drops and errors per second, measured over SECONDS",
                "SECONDS",
                to=rates.value(seconds(0.01)),
            ),
            Option("", "tree", "draw the links as a tree: upper links, members and parents", to=tree.on),
        ),
        NAMESPACES,
        output_group("links"),
    )
    notes = (
        "Kind is the kind of a virtual link, - for hardware. Parent is the link below (vlan, macvlan, vxlan) or the "
        "other end of a veth, with its network namespace if that is another one.\n"
        "Settings of links of one kind are in JSON and in the columns bridge, bridge_port, vxlan, tun, macvlan, vlan, "
        "bond, bond_port, vrf, ipvlan, tunnel, macsec, hsr and xfrm. Not shown: spanning tree timers, IPv6 settings, "
        "virtual functions (SR-IOV), and settings of other kinds."
    )

    def check(self) -> None:
        """Raises UsageError where a drawing is wanted as something else."""
        if self.tree and (self.format != "table" or self.chosen or self.sort):
            raise UsageError("--tree draws a tree: it does not go with --format, --columns or --sort")

    @property
    def fields(self) -> list[str]:
        """The record's fields that are shown by the structured formats, or asked for."""
        fields = super().fields
        if self.chosen is None and self.rates is None:
            fields.remove("rates")
        return fields

    def listing(self, places: Sequence[Place]) -> LinkListing:
        """The links, with their counters where these are shown or sorted by, and their rates with --rates."""
        needed = [key.removeprefix("-") for key in self.sort]
        if self.chosen is not None or self.format != "table":
            needed += self.fields
        query = Query(
            self.words,
            kind=self.kind,
            master=self.master,
            up=self.up,
            statistics=self.statistics or self.rates is not None or "statistics" in needed,
        )
        if self.rates is None:
            return LinkListing(query, places)
        from .listing_rates import RatedListing

        return RatedListing(query, places, self.rates)

    def once(self) -> int:
        """Lists, or draws, once, and returns the exit status."""
        if not self.tree:
            return super().once()
        from ...engine.terminal import report
        from .render_tree import tree

        listing = self.listing(self.places())
        links = [link for batch in listing.batches() for link in batch]
        report(self, tree(links))
        return self.ended(listing)

    def table_columns(self) -> list[Column]:
        """The columns of a table."""
        if self.rates is not None:
            from .render import rate_columns

            return [self.column("name", "Name"), self.column("state", "State"), *rate_columns()]
        if self.statistics:
            return [self.column("name", "Name"), self.column("state", "State"), *statistics_columns()]
        return [self.column(field, title) for field, title in _TITLES.items()]

    def column(self, field: str, title: str) -> Column:
        """The column of one field."""
        if field == "parent":
            from .render import parent_texts

            return Column(title, parent_texts)
        kept = field not in ("statistics", "rates")
        return Field(title, field, TEXTS.get(field, str), number=field in _NUMBERS, kept=kept)


COMMAND = Links
