"""``netinspect groups``: multicast memberships, multicast routing, and the bridge's forwarding of groups."""

from __future__ import annotations

from ...engine.options import Group, Many, One, Option, seconds, within
from ...engine.output import NAMESPACES, ListingCommand, output_group
from ...engine.table import Field
from ...errors import UsageError
from .listing import FAMILIES, MembershipListing, Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...engine.output import Listed
    from ...engine.places import Place
    from ...engine.table import Column

_NUMBERS = frozenset(
    (
        *("users", "interface_index", "table", "number", "packets", "bytes", "wrong_interface", "vlan"),
        *("received_packets", "received_bytes", "sent_packets", "sent_bytes"),
    )
)

_NOTES = (
    "Users counts the sockets and kernel users that joined the group on the interface. Sources are the IGMPv3 and "
    "MLDv2 source filters: included (+) or excluded (-). Mode is the filter mode of the interface: exclude accepts "
    "every source that is not excluded.\n"
    "Groups are read over rtnetlink (IPv4: since about Linux 6.15). Users, source filters, the IGMP version and "
    "link-layer groups are only in procfs; the field `source` names the source of each row. The MLD version is known "
    "only if force_mld_version sets it.\n"
    "--sockets: `joined` are sockets that joined the group on that interface; each is queried through a copy of its "
    "descriptor, which needs CAP_SYS_PTRACE for other users' processes. `receives` are sockets whose binding matches "
    "the group: a membership of any socket counts for all (IP_MULTICAST_ALL).\n"
    "watch: the kernel reports joins and leaves of IPv4 and IPv6 groups since about Linux 6.14; link-layer groups, and "
    "all groups on older kernels, are sampled."
)


def _address(value: str) -> str:
    """A group as the records write it. Raises UsageError for what is not an address."""
    from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton

    for family in (AF_INET, AF_INET6):
        try:
            return inet_ntop(family, inet_pton(family, value))
        except (OSError, ValueError):
            continue
    if _is_link_address(value):
        return value.lower()
    raise UsageError(f"{value!r} is not a group address: give an IPv4, IPv6 or link-layer address")


def _is_link_address(value: str) -> bool:
    octets = value.split(":")
    return len(octets) >= 6 and all(len(octet) == 2 for octet in octets)


class Groups(ListingCommand):
    """One command line of ``netinspect groups``."""

    name = "groups"
    operands = "[list|watch|routes|interfaces|bridge]"
    summary = (
        "Shows which multicast groups each interface receives, and who joined them; or, with a view, joins and leaves "
        "as they happen, the multicast routing table, the multicast router's interfaces, or the members behind bridge "
        "ports."
    )
    views = {
        "list": "Membership",
        "watch": "GroupEvent",
        "routes": "MulticastRoute",
        "interfaces": "MulticastInterface",
        "bridge": "BridgeGroup",
    }
    netns_first = False
    essential = ("Interface", "Group", "In", "Out", "Bridge", "Port")
    spare = (
        "Version",
        "Querier",
        "Reporter",
        "Age",
        "Timer",
        "Source",
        "Origin",
        "Flags",
        "Number",
        "Wrong-In",
        "Idle",
        "Protocol",
        "Kind",
        "Table",
        "Family",
        "Mode",
        "Users",
    )

    families = Many[str]()
    interfaces = Many[str]()
    addresses = Many[str]()
    show = Many[str]()
    interval = One[float](0.5)
    times = One[int | None](None)
    duration = One[float | None](None)

    groups = (
        Group(
            "Select",
            Option("4", "ipv4", "IPv4", to=families.constant("inet")),
            Option("6", "ipv6", "IPv6", to=families.constant("inet6")),
            Option(
                "0",
                "link",
                "the link layer: multicast addresses that the network card accepts",
                to=families.constant("link"),
            ),
            Option(
                "i",
                "interface",
                "groups on this interface; may be given more than once",
                "NAME",
                to=interfaces.value(str),
            ),
            Option("g", "group", "this group; may be given more than once", "ADDRESS", to=addresses.value(_address)),
        ),
        Group(
            "Show",
            Option(
                "s",
                "sockets",
                "which sockets and processes joined each group, and which receive its datagrams",
                to=show.constant("sockets"),
                views=("list",),
            ),
            Option(
                "e",
                "extended",
                "version, querier, reports, age and source",
                to=show.constant("extended"),
                views=("list",),
            ),
        ),
        Group(
            "watch",
            Option(
                "",
                "interval",
                "seconds between two samples; default 0.5",
                "SECONDS",
                to=interval.value(seconds(above=0)),
                views=("watch",),
            ),
            Option("", "times", "end after NUMBER events", "NUMBER", to=times.value(within(1)), views=("watch",)),
            Option(
                "",
                "for",
                "end after SECONDS",
                "SECONDS",
                to=duration.value(seconds(above=0)),
                views=("watch",),
            ),
        ),
        NAMESPACES,
        output_group("groups", listed=("list", "routes", "interfaces", "bridge")),
    )
    notes = _NOTES

    def take_operands(self) -> None:
        """Takes the view. Raises UsageError."""
        self.take_view()
        if self.view == "watch":
            self.netns_column = 1

    def check(self) -> None:
        """Raises UsageError."""
        if self.families:
            for group in self.addresses:
                family = "link" if _is_link_address(group) else "inet6" if ":" in group else "inet"
                # Bridges' groups of the link layer are listed with those of IPv4 and IPv6.
                if family not in self.families and not (family == "link" and self.view == "bridge"):
                    raise UsageError(f"the group {group} is of another address family than requested")

    @property
    def query(self) -> Query:
        """What to list."""
        families = [family for family in FAMILIES if family in self.families] or FAMILIES
        sockets = "sockets" in self.show or "sockets" in (self.chosen or ())
        return Query(families, groups=self.addresses, interfaces=self.interfaces, sockets=sockets)

    @property
    def fields(self) -> list[str]:
        """The record's fields that will be shown by the structured formats."""
        fields = super().fields
        if self.chosen is None and self.view == "list" and "sockets" not in self.show:
            fields.remove("sockets")
        return fields

    def screen(self) -> str:
        """What happens is shown as it does."""
        return "live" if self.view == "watch" else super().screen()

    def run(self) -> int:
        """Lists, or watches, and returns the exit status. Raises NetinspectError."""
        if self.view == "watch":
            from .command_watch import watch

            return watch(self)
        return super().run()

    def listing(self, places: Sequence[Place]) -> Listed:
        """What the view shows."""
        if self.view == "list":
            return MembershipListing(self.query, places)
        from .listing_routing import MulticastListing

        return MulticastListing(self.view, self.query, places)

    def table_columns(self) -> list[Column]:
        """The columns of a table."""
        from . import render as groups

        if self.view == "watch":
            from .command_watch import event_columns

            return event_columns()
        if self.view != "list":
            return groups.routing_columns(self.view)
        shown: list[Column] = [
            Field("Interface", "interface"),
            Field("Family", "family"),
            Field("Group", "group"),
            Field("Users", "users", number=True),
            Field("Mode", "filter_mode"),
            groups.sources(),
        ]
        if "extended" in self.show:
            shown += [
                Field("Version", "version"),
                Field("Querier", "querier"),
                Field("Reporter", "reporter", groups.yes_or_no),
                Field("Timer", "timer", groups.seconds),
                Field("Age", "age", groups.seconds, kept=False),
                Field("Source", "source"),
            ]
        shown.append(Field("Name", "name"))
        if "sockets" in self.show:
            shown.append(Field("Sockets", "sockets", groups.sockets_text, kept=False))
        return shown

    def column(self, field: str, title: str) -> Column:
        """The column of one field."""
        from . import render as groups

        if self.view == "watch":
            return Field(title, field)
        show: dict[str, Callable[..., str]] = {
            "sockets": groups.sockets_text,
            "outgoing": groups.hops_text,
            **dict.fromkeys(("included", "excluded", "sources", "flags"), ",".join),
        }
        return Field(title, field, show.get(field, str), number=field in _NUMBERS)


COMMAND = Groups
