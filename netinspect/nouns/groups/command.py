"""``netinspect groups``: multicast memberships, multicast routing, and the bridge's forwarding of groups."""

from __future__ import annotations

from ...engine.options import Command, Group, Option
from ...engine.output import NAMESPACES, OutputOptions, output_group
from ...engine.table import Field
from ...errors import ExitStatus, UsageError
from .listing import FAMILIES, Listing, Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...engine.table import Column
    from ...environment import Environment
    from .listing_routing import Listing as RoutingListing

VIEWS = {
    "list": "Membership",
    "watch": "GroupEvent",
    "routes": "MulticastRoute",
    "interfaces": "MulticastInterface",
    "bridge": "BridgeGroup",
}
"""What the operand may be, and the record that each gives."""

COMMAND = Command(
    "groups",
    "[list|watch|routes|interfaces|bridge]",
    "Shows which multicast groups each interface receives, and who joined them; or, with another word, joins and "
    "leaves as they happen, the multicast routing table, the multicast router's interfaces, or what bridges know of "
    "members behind their ports.",
    (
        Group(
            "Select",
            Option("4", "ipv4", "IPv4"),
            Option("6", "ipv6", "IPv6"),
            Option("0", "link", "the link layer: addresses that the network card lets through"),
            Option("i", "interface", "groups on this interface; may be given more than once", "NAME"),
            Option("g", "group", "this group; may be given more than once", "ADDRESS"),
        ),
        Group(
            "Show",
            Option(
                "s",
                "sockets",
                "which sockets and processes joined each group, and which get its datagrams",
            ),
            Option("e", "extended", "version, querier, reports, age and source"),
        ),
        Group(
            "watch",
            Option("", "interval", "seconds between two samples; 0.5 without this option", "SECONDS"),
            Option("", "times", "end after so many events", "NUMBER"),
            Option("", "for", "end after so many seconds", "SECONDS"),
        ),
        NAMESPACES,
        output_group("groups"),
    ),
    "Users counts the sockets, and parts of the kernel, that joined the group there. Sources are those that some user "
    "asks for (+) or refuses (-), as IGMPv3 and MLDv2 know it; Mode is what the interface does with all of them: "
    "exclude takes every source but the refused ones.\n"
    "rtnetlink tells which groups there are, of IPv4 since about Linux 6.15. Users, source filters, IGMP's version and "
    "the groups of the link layer are in procfs alone; the field `source` says what came from where. The version of "
    "MLD is told only where force_mld_version sets it.\n"
    "--sockets: `joined` are sockets that joined the group on that interface; each is asked for that by way of a copy "
    "of its descriptor, which takes CAP_SYS_PTRACE for other users' processes. `receives` are sockets that are bound "
    "so that they get the group's datagrams, since a membership of any socket counts for all (IP_MULTICAST_ALL).\n"
    "watch: the kernel tells joins and leaves of IPv4 and IPv6 groups since about Linux 6.14; those of the link layer, "
    "and of older kernels, are found by sampling.",
)

_NUMBERS = frozenset(
    (
        *("users", "interface_index", "table", "number", "packets", "bytes", "wrong_interface", "vlan"),
        *("received_packets", "received_bytes", "sent_packets", "sent_bytes"),
    )
)


class Options:
    """The command line, converted."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Raises UsageError."""
        found, operands = COMMAND.parse(arguments)
        self.view = operands[0] if operands else "list"
        if self.view not in VIEWS or len(operands) > 1:
            raise UsageError(f"groups takes one of {', '.join(VIEWS)}, not {' '.join(operands)!r}")
        self.help = False
        self.output = OutputOptions(VIEWS[self.view])
        self.show: set[str] = set()
        self.families: set[str] = set()
        self.interfaces: list[str] = []
        self.groups: list[str] = []
        self.interval = 0.5
        self.times: int | None = None
        self.seconds: float | None = None
        for name, value in found:
            self._take(name, value or "")

    def _take(self, name: str, value: str) -> None:
        family = {"ipv4": "inet", "ipv6": "inet6", "link": "link"}.get(name)
        if name == "help":
            self.help = True
        elif family is not None:
            self.families.add(family)
        elif name == "interface":
            self.interfaces.append(value)
        elif name == "group":
            self.groups.append(_address(value))
        elif name in ("sockets", "extended"):
            self._only("list", name)
            self.show.add(name)
        elif name in ("interval", "times", "for"):
            self._only("watch", name)
            if name == "interval":
                self.interval = _positive(name, value)
            elif name == "times":
                self.times = int(_positive(name, value, whole=True))
            else:
                self.seconds = _positive(name, value)
        else:
            self.output.take(name, value)
            if name == "watch":
                self._only("list", name, "routes", "interfaces", "bridge")

    def _only(self, view: str, name: str, *others: str) -> None:
        if self.view not in (view, *others):
            raise UsageError(f"--{name} does not go with `groups {self.view}`")

    @property
    def query(self) -> Query:
        """What to list."""
        families = [family for family in FAMILIES if family in self.families] or FAMILIES
        sockets = "sockets" in self.show or "sockets" in (self.output.columns or ())
        return Query(families, groups=self.groups, interfaces=self.interfaces, sockets=sockets)

    @property
    def fields(self) -> list[str]:
        """The record's fields that will be shown by the structured formats."""
        from ... import records

        if self.output.columns is not None:
            return self.output.columns
        fields: list[str] = [*getattr(records, VIEWS[self.view])._fields]
        if not self.output.told_apart:
            fields.remove("netns")
        if self.view == "list" and "sockets" not in self.show:
            fields.remove("sockets")
        return fields


def _address(value: str) -> str:
    """A group as the records write it. Raises UsageError for what is no address."""
    from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton

    for family in (AF_INET, AF_INET6):
        try:
            return inet_ntop(family, inet_pton(family, value))
        except (OSError, ValueError):
            continue
    octets = value.lower().split(":")
    if len(octets) >= 6 and all(len(octet) == 2 for octet in octets):
        return value.lower()
    raise UsageError(f"{value!r} is no address of a group: give an IPv4, IPv6 or link-layer address")


def _positive(name: str, value: str, *, whole: bool = False) -> float:
    try:
        number = int(value) if whole else float(value)
    except ValueError:
        number = -1
    if not 0 < number < 1e9:
        raise UsageError(f"--{name} takes a {'whole ' if whole else ''}number, not {value!r}")
    return number


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    options = Options(arguments)
    if options.help:
        environment.write(COMMAND.help().encode())
        return ExitStatus.OK
    if options.view == "watch":
        from .command_watch import watch

        return watch(options, environment)
    return options.output.run(lambda: _once(options, environment), environment)


def _once(options: Options, environment: Environment) -> int:
    places = options.output.places(environment)
    listing: Listing | RoutingListing
    if options.view == "list":
        listing = Listing(options.query, places)
    else:
        from .listing_routing import Listing as RoutingListing

        listing = RoutingListing(options.view, options.query, places)
    writer = options.output.writer(options.fields, lambda: columns(options), environment)
    for batch in options.output.sorted(listing.batches()):
        writer.add(batch)
    writer.end()
    for text in listing.notes + listing.problems:
        environment.complain(text)
    return ExitStatus.INCOMPLETE if listing.problems else ExitStatus.OK


def columns(options: Options) -> list[Column]:
    """The columns of a table."""
    from . import render as groups

    if options.output.columns is not None:
        return [_column(field, field) for field in options.fields]
    shown: list[Column]
    if options.view != "list":
        shown = groups.routing_columns(options.view)
        return [Field("Namespace", "netns"), *shown] if "netns" in options.fields else shown
    shown = [Field("Interface", "interface")]
    if "netns" in options.fields:
        shown.insert(0, Field("Namespace", "netns"))
    shown += [
        Field("Family", "family"),
        Field("Group", "group"),
        Field("Users", "users", number=True),
        Field("Mode", "filter_mode"),
        groups.sources(),
    ]
    if "extended" in options.show:
        shown += [
            Field("Version", "version"),
            Field("Querier", "querier"),
            Field("Reporter", "reporter", groups.yes_or_no),
            Field("Timer", "timer", groups.seconds),
            Field("Age", "age", groups.seconds, kept=False),
            Field("Source", "source"),
        ]
    shown.append(Field("Name", "name"))
    if "sockets" in options.show:
        shown.append(Field("Sockets", "sockets", groups.sockets_text, kept=False))
    return shown


def _column(field: str, title: str) -> Column:
    from . import render as groups

    show: dict[str, Callable[..., str]] = {
        "sockets": groups.sockets_text,
        "outgoing": groups.hops_text,
        **dict.fromkeys(("included", "excluded", "sources", "flags"), ",".join),
    }
    return Field(title, field, show.get(field, str), number=field in _NUMBERS)
