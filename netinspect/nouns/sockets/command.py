"""``netinspect sockets``."""

from __future__ import annotations

from ...engine.options import Bits, Flag, Group, Many, Option, whole_number
from ...engine.output import FORMATS, NAMESPACES, NUMERIC, ListingCommand, output_group
from ...engine.places import EveryPlace, Place
from ...errors import NamespaceError, UsageError
from .listing import (
    ALL_STATES,
    CONNECTED_STATES,
    FAMILIES,
    IP_PROTOCOLS,
    LISTENING_STATES,
    PROTOCOLS,
    UNCONNECTED,
    Query,
    SocketListing,
    family_of,
)
from .listing_joined import Selection, joined
from .request import needed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...engine.columns import Batch
    from ...engine.table import Column
    from .filter import Expression

_BASE_FIELDS = (
    "protocol",
    "family",
    "type",
    "state",
    "recv_queue",
    "send_queue",
    "local_address",
    "local_port",
    "remote_address",
    "remote_port",
    "interface",
    "uid",
    "inode",
    "peer_inode",
    "cookie",
)
"""What JSON and CSV have in any case."""

_SHOWN_FIELDS = {
    "timers": ("timer",),
    "extended": ("user", "mark", "cgroup", "shutdown", "v6only"),
    "processes": ("processes", "owner_reason", "container", "behind"),
    "peers": ("peers",),
    "memory": ("memory", "drops"),
    "info": ("tcp_info",),
}
"""What the options of the group Show add to them."""

_TCP_INFO = "TCP Info"
_TABLE_COLUMNS = {
    "timers": {"timer": "Timer"},
    "extended": {"user": "User", "inode": "Inode", "cookie": "Cookie", "mark": "Mark", "cgroup": "Cgroup"},
    "processes": {"processes": "Process"},
    "peers": {"peers": "Peer Process"},
    "memory": {"memory": "Memory"},
    "info": {"tcp_info": _TCP_INFO},
}
"""What they add to the table."""

_NAMED = frozenset(("processes", "peers", "container", "behind"))
"""Fields with names of containers."""

_NUMBERS = frozenset(
    ("recv_queue", "send_queue", "local_port", "remote_port", "uid", "inode", "peer_inode", "cgroup_id")
)
"""Shown to the right."""

_ENDPOINTS = ("local_address", "local_port", "remote_address", "remote_port")

_SERVICE_PROTOCOLS = ("tcp", "udp")
"""Protocols whose names of services a filter may use (services(5))."""

_HEXADECIMAL = frozenset(("cookie", "mark"))


def _states(names: str) -> int:
    from .listing import state_mask

    return state_mask(names.split(","))


def _timers(command: Sockets, form: str) -> None:
    if form:
        command.format = form
    else:
        command.show.append("timers")


_NOTES = (
    "Recv-Q is the bytes received but not yet read, Send-Q the bytes sent but not yet acknowledged. For a listening "
    "socket Recv-Q is the number of connections waiting to be accepted, Send-Q the backlog limit.\n"
    "FILTER is an expression as in ss(8), applied by the kernel: 'sport = :ssh or dst 10.0.0.0/8 and not dport >= "
    "1024'. Conditions: sport, dport, src, dst, dev, fwmark, cgroup, autobound; and, or, not and parentheses."
)


def _may_have(place: Place, interface: str) -> bool:
    try:
        return place.interface_index(interface) is not None
    except NamespaceError:
        return True  # not readable


class Sockets(ListingCommand):
    """One command line of ``netinspect sockets``."""

    name = "sockets"
    operands = "[FILTER]"
    summary = "Lists sockets, read from the kernel over sock_diag. Without -l or -a: connected sockets."
    record = "Socket"
    essential = ("State", "Local Address:Port", "Peer Address:Port")
    spare = ("Cookie", "Inode", "Mark", "Cgroup", "Send-Q", "Recv-Q", "User", "Protocol")
    host_fields: Sequence[str] = ("local_address", "remote_address")
    modules = ("netinspect.nouns.sockets.decode_inet",)

    protocols = Many[str]()
    families = Many[str]()
    states = Bits()
    pids = Many[int]()
    processes = Many[str]()
    users = Many[str]()
    containers = Many[str]()
    show = Many[str]()
    summarized = Flag()

    groups = (
        Group(
            "Select",
            Option("t", "tcp", "TCP", to=protocols.constant("tcp")),
            Option("u", "udp", "UDP", to=protocols.constant("udp")),
            Option("U", "udplite", "UDP-Lite", to=protocols.constant("udplite")),
            Option("M", "mptcp", "MPTCP", to=protocols.constant("mptcp")),
            Option("S", "sctp", "SCTP", to=protocols.constant("sctp")),
            Option("d", "dccp", "DCCP", to=protocols.constant("dccp")),
            Option("w", "raw", "raw IP", to=protocols.constant("raw")),
            Option("x", "unix", "unix domain", to=protocols.constant("unix")),
            Option("0", "packet", "packet: sends and receives frames on an interface", to=protocols.constant("packet")),
            Option("", "netlink", "netlink: talks to the kernel", to=protocols.constant("netlink")),
            Option("", "tipc", "TIPC: talks within a cluster", to=protocols.constant("tipc")),
            Option("", "vsock", "vsock: talks to virtual machines", to=protocols.constant("vsock")),
            Option("", "xdp", "AF_XDP", to=protocols.constant("xdp")),
            Option("4", "ipv4", "IPv4 only", to=families.constant("inet")),
            Option("6", "ipv6", "IPv6 only", to=families.constant("inet6")),
            Option("l", "listening", "listening and unconnected sockets", to=states.add(LISTENING_STATES)),
            Option("a", "all", "sockets in every state", to=states.add(ALL_STATES)),
            Option(
                "",
                "state",
                "sockets in these states, separated by commas; may be given more than once (see `netinspect explain`; "
                "groups: all, connected, synchronized, bucket, big)",
                "NAME",
                to=states.parsed(_states),
            ),
            Option(
                "",
                "pid",
                "sockets that this process holds; may be given more than once",
                "PID",
                to=pids.value(whole_number),
            ),
            Option(
                "",
                "process",
                "sockets that a process of this name holds; `*` and `?` match any text",
                "NAME",
                to=processes.value(str),
            ),
            Option("", "user", "sockets of this user, by name or id", "NAME", to=users.value(str)),
            Option(
                "",
                "container",
                "sockets of this container or pod, in its network namespaces, and ports published for it; may be given "
                "more than once",
                "NAME|ID",
                to=containers.value(str),
            ),
        ),
        Group(
            "Show",
            Option(
                "p",
                "processes",
                "every process and descriptor that holds the socket, or why they are unknown",
                to=show.constant("processes"),
            ),
            Option("e", "extended", "user, inode, cookie, mark and cgroup", to=show.constant("extended")),
            Option("i", "info", "TCP information: round-trip times, windows, rates, losses", to=show.constant("info")),
            Option("m", "memory", "socket memory", to=show.constant("memory")),
            Option(
                "o",
                "timers",
                "TCP timers with the time left; if FORMAT follows (table, json, ndjson or csv), the output format",
                "FORMAT",
                to=_timers,
                choices=FORMATS,
                optional=True,
            ),
            Option(
                "",
                "peers",
                "the owner of the other end, if it is on this machine (holds the table in memory)",
                to=show.constant("peers"),
            ),
            Option(
                "s",
                "summary",
                "only counts, by protocol, family and state, for each namespace",
                to=summarized.on,
            ),
            *NUMERIC,
        ),
        NAMESPACES,
        output_group("sockets"),
    )
    notes = _NOTES

    def check(self) -> None:
        """Raises UsageError for a bad filter, and for an unknown user."""
        if self.summarized and (self.chosen is not None or self.sort):
            raise UsageError("--summary has its own columns and order: it goes with neither --columns nor --sort")
        self.filter = " ".join(self.words)
        self._selection = Selection(self.pids, self.processes, self.users, self.containers)
        self._query = self._asked()

    def _asked(self) -> Query:
        expression = self._expression() if self.filter else None
        states = self.states or CONNECTED_STATES
        if expression is not None and expression.states is not None:
            states = expression.states & (self.states or ALL_STATES)
        needs = needed(self.wanted)
        return Query(
            self.protocols or (IP_PROTOCOLS if self.families else PROTOCOLS),
            self.families or FAMILIES,
            states,
            explicit=bool(self.protocols),
            any_state=UNCONNECTED if not self.states and (expression is None or expression.states is None) else (),
            expression=expression,
            tcp_info="tcp_info" in needs,
            memory="memory" in needs,
        )

    @property
    def labelled(self) -> bool:
        """A container's sockets are in its namespace, and in ours."""
        return super().labelled or (bool(self.containers) and not self.netns)

    @property
    def names_wanted(self) -> bool:
        """Wherever names are shown."""
        return super().names_wanted or bool(self.containers) or not _NAMED.isdisjoint(self.wanted)

    def places(self) -> list[Place]:
        """With --container its namespaces, and the current one."""
        if not self.containers or self.netns or self.all_netns:
            return super().places()
        from .listing_containers import places_of

        return places_of(self._selection.containers)

    def _expression(self) -> Expression:
        from .filter import Lookups, parse

        protocols = [name for name in self.protocols if name in _SERVICE_PROTOCOLS] or _SERVICE_PROTOCOLS
        family = family_of(self.protocols)
        if self.labelled:

            def anywhere(interface: str) -> bool:
                # An interface need not be in all of several namespaces.
                places = EveryPlace() if self.all_netns else self.places()
                return any(_may_have(place, interface) for place in places)

            return parse(self.filter, family=family, lookups=Lookups(protocols, anywhere))
        with Place(*self.netns) as place:

            def exists(interface: str) -> bool:
                return place.interface_index(interface) is not None

            return parse(self.filter, family=family, lookups=Lookups(protocols, exists))

    @property
    def wanted(self) -> list[str]:
        """These fields, and those that rows are sorted by."""
        return [*self.fields, *(key.removeprefix("-") for key in self.sort)]

    @property
    def fields(self) -> list[str]:
        """The record's fields that will be shown."""
        if self.summarized:
            return []
        if self.chosen is not None:
            return self.chosen
        fields = list(_BASE_FIELDS)
        for name, more in _SHOWN_FIELDS.items():
            if name in self.show:
                fields += more
        if "info" in self.show and "mptcp" in (self.protocols or PROTOCOLS):
            fields.append("mptcp_info")
        if self.labelled:
            fields.insert(0, "netns")
        return [*fields, "source"]

    def once(self) -> int:
        """Lists once, and returns the exit status."""
        fields = self.fields
        listing = SocketListing(self._query, self.places())
        batches = joined(listing, self.wanted, self._selection)
        if self.summarized:
            self._write_counts(batches)
        else:
            self.write(self.sorted(batches, [field for field in _ENDPOINTS if field in fields]))
        return self.ended(listing)

    def _write_counts(self, batches: Iterable[Batch]) -> None:
        from ...engine.counts import write_counts
        from ...records import SocketCount
        from .listing_counts import counts

        write_counts(counts(batches), SocketCount, self)

    def table_columns(self) -> list[Column]:
        """The columns of a table."""
        from ...engine.table import Endpoint, Field

        columns = [
            Field("Protocol", "protocol"),
            Field("State", "state"),
            Field("Recv-Q", "recv_queue", number=True),
            Field("Send-Q", "send_queue", number=True),
            Endpoint("Local Address:Port", "local", self.host_name, self.service_name),
            Endpoint("Peer Address:Port", "remote", self.host_name, self.service_name),
        ]
        for name, titles in _TABLE_COLUMNS.items():
            if name in self.show:
                columns += [self.column(field, title) for field, title in titles.items()]
        return columns

    def column(self, field: str, title: str) -> Column:
        """The column of one field."""
        from ...engine.table import Field

        if field == "user" and self.numeric_users:
            field = "uid"
        if field in ("processes", "peers"):
            if field == "processes":
                return Field(title, "owners", kept=False)  # or why there are none
            return Field(title, "peer_owners", lambda text: text or "-", kept=False)
        if field in ("memory", "tcp_info", "mptcp_info"):
            from .render_details import Details

            # One column for TCP and MPTCP information.
            other = "mptcp_info" if title == _TCP_INFO else None
            return Details(title, field, other)
        if field == "timer":
            from .render_details import timer_text

            return Field(title, field, timer_text, kept=False)
        if field in _HEXADECIMAL:
            return Field(title, field, hexadecimal=True)
        return Field(title, field, number=field in _NUMBERS)


COMMAND = Sockets
