"""``netinspect links``."""

from __future__ import annotations

from ...engine.command import fields_of, write_listing
from ...engine.options import Command, Group, Option
from ...engine.output import NAMESPACES, OutputOptions, output_group, seconds_of
from ...engine.table import Column, Field
from ...errors import ExitStatus, UsageError
from .listing import Listing, Query
from .render import TEXTS, statistics_columns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...environment import Environment

COMMAND = Command(
    "links",
    "[NAME…]",
    "Lists network interfaces. NAME may be an alternative name.",
    (
        Group(
            "Select",
            Option("", "kind", "links of this kind: veth, bridge, vlan, vxlan …", "KIND"),
            Option("", "master", "links that are part of this bridge, bond or VRF", "NAME"),
            Option("u", "up", "links that are up"),
        ),
        Group(
            "Show",
            Option("s", "statistics", "the counters, errors by their kinds"),
            Option("", "rates", "bits, packets, drops and errors a second, measured over so many seconds", "SECONDS"),
            Option("", "tree", "which link is part of which, or on top of it, drawn as a tree"),
        ),
        NAMESPACES,
        output_group("links"),
    ),
    "Kind is that of a virtual link, - for hardware. Parent is the link below (vlan, macvlan, vxlan), or the other end "
    "of a veth; with the network namespace it is in, where that is another one.\n"
    "What only bridges, their ports, vxlan, tun and macvlan have is in JSON, and in the columns bridge, bridge_port, "
    "vxlan, tun and macvlan. Not told, though the kernel has it: timers of the spanning tree, IPv6's settings, virtual "
    "functions (SR-IOV), and the settings of other kinds but for mode and VLAN identifier.",
)

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


class Options:
    """The command line, converted."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Raises UsageError."""
        found, names = COMMAND.parse(arguments)
        self.output = OutputOptions("Link")
        self.rates: float | None = None
        self.statistics = self.tree = self.help = False
        chosen: dict[str, str] = {}
        for name, value in found:
            if name == "rates":
                self.rates = seconds_of("--rates", value or "", 0.01, 1e9)
            elif name in ("statistics", "tree", "help"):
                setattr(self, name, True)
            elif not self.output.take(name, value or ""):
                chosen[name] = value or ""
        self.query = Query(
            names,
            kind=chosen.get("kind"),
            master=chosen.get("master"),
            up="up" in chosen,
            statistics=self.statistics or self.rates is not None or "statistics" in self._needed,
        )
        if self.tree and (self.output.format != "table" or self.output.columns or self.output.sort):
            raise UsageError("--tree is a drawing: it goes with no other format, and no --columns or --sort")

    @property
    def _needed(self) -> list[str]:
        """The record's fields that are shown or sorted by."""
        return [*self.fields, *(key.removeprefix("-") for key in self.output.sort)]

    @property
    def fields(self) -> list[str]:
        """The record's fields that are shown."""
        fields = fields_of(self.output)
        if self.output.columns is None and self.rates is None:
            return [field for field in fields if field != "rates"]
        return fields


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    options = Options(arguments)
    if options.help:
        environment.write(COMMAND.help().encode())
        return ExitStatus.OK
    output = options.output

    def once() -> int:
        places = output.places(environment)
        listing = Listing(options.query, places)
        if options.rates is not None:
            from .listing_rates import RatedListing

            listing = RatedListing(options.query, places, options.rates)
        if options.tree:
            return _draw(listing, environment)
        return write_listing(listing, output, options.fields, lambda: _columns(options), environment)

    return output.run(once, environment)


def _draw(listing: Listing, environment: Environment) -> int:
    from .render_tree import tree

    links = [link for batch in listing.batches() for link in batch]
    environment.write(tree(links).encode("utf-8", "backslashreplace"))
    for text in listing.notes + listing.problems:
        environment.complain(text)
    return ExitStatus.INCOMPLETE if listing.problems else ExitStatus.OK


def _columns(options: Options) -> list[Column]:
    output = options.output
    if output.columns is not None:
        return [_column(field, field) for field in output.columns]
    if options.rates is not None:
        from .render import rate_columns

        columns = [_column("name", "Name"), _column("state", "State"), *rate_columns()]
    elif options.statistics:
        columns = [_column("name", "Name"), _column("state", "State"), *statistics_columns()]
    else:
        columns = [_column(field, title) for field, title in _TITLES.items()]
    return [Field("Namespace", "netns"), *columns] if output.told_apart else columns


def _column(field: str, title: str) -> Column:
    if field == "parent":
        from .render import parent_texts

        return Column(title, parent_texts)
    return Field(
        title, field, TEXTS.get(field, str), number=field in _NUMBERS, kept=field not in ("statistics", "rates")
    )
