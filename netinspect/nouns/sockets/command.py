"""``netinspect sockets``."""

from __future__ import annotations

from ...engine.options import Command, Group, Option
from ...engine.output import FORMATS, NAMESPACES, NUMERIC, NumericOptions, OutputOptions, output_group, status_of
from ...engine.places import Place
from ...errors import ExitStatus, UsageError
from .listing import ALL_STATES, CONNECTED_STATES, FAMILIES, LISTENING_STATES, PROTOCOLS, Listing, Query, family_of
from .listing_joined import Selection, joined
from .request import needed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.table import Column
    from ...environment import Environment
    from .filter import Expression

COMMAND = Command(
    "sockets",
    "[FILTER]",
    "Lists sockets, asked of the kernel over sock_diag. Without -l or -a: those that have a peer.",
    (
        Group(
            "Select",
            Option("t", "tcp", "TCP"),
            Option("u", "udp", "UDP"),
            Option("U", "udplite", "UDP-Lite"),
            Option("M", "mptcp", "MPTCP"),
            Option("S", "sctp", "SCTP"),
            Option("d", "dccp", "DCCP"),
            Option("w", "raw", "raw IP"),
            Option("x", "unix", "unix domain"),
            Option("0", "packet", "packet: all that an interface sends and receives"),
            Option("", "netlink", "netlink: talks to the kernel"),
            Option("", "vsock", "vsock: talks to virtual machines"),
            Option("", "xdp", "AF_XDP"),
            Option("4", "ipv4", "IPv4 only"),
            Option("6", "ipv6", "IPv6 only"),
            Option("l", "listening", "listening sockets, and sockets that have no peer"),
            Option("a", "all", "sockets in every state"),
            Option(
                "",
                "state",
                "sockets in these states, separated by commas; may be given more than once (see `netinspect explain`; "
                "groups: all, connected, synchronized, bucket, big)",
                "NAME",
            ),
            Option("", "pid", "sockets that this process holds; may be given more than once", "PID"),
            Option("", "process", "sockets that a process of this name holds; `*` and `?` match any text", "NAME"),
            Option("", "user", "sockets of this user, by name or id", "NAME"),
        ),
        Group(
            "Show",
            Option("p", "processes", "every process and descriptor that holds the socket, or why none is known"),
            Option("e", "extended", "user, inode, cookie, mark and cgroup"),
            Option("i", "info", "TCP's own state: round-trip times, windows, rates, losses"),
            Option("m", "memory", "socket memory"),
            Option(
                "o",
                "timers",
                "TCP timers with the time left; followed by the name of a format, that format: table, json, ndjson or "
                "csv",
                "FORMAT",
                choices=FORMATS,
            ),
            Option("", "peers", "the owner of the other end, where it is on this machine (holds the table in memory)"),
            Option("s", "summary", "only counts, by protocol, family and state; of each namespace, where several"),
            *NUMERIC,
        ),
        NAMESPACES,
        output_group("sockets"),
    ),
    "Recv-Q and Send-Q are bytes: received and not yet read, sent and not yet acknowledged. For a listening socket "
    "Recv-Q is the number of connections that wait to be accepted now, and Send-Q the limit of that backlog.\n"
    "FILTER is an expression as ss(8) has them, for the kernel to apply: "
    "'sport = :ssh or dst 10.0.0.0/8 and not dport >= 1024'. Conditions: sport, dport, src, dst, dev, fwmark, cgroup, "
    "autobound; and, or, not and parentheses.",
)

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
    "processes": ("processes", "owner_reason"),
    "peers": ("peers",),
    "memory": ("memory",),
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

_NUMBERS = frozenset(
    ("recv_queue", "send_queue", "local_port", "remote_port", "uid", "inode", "peer_inode", "cgroup_id")
)
"""Shown to the right."""

_ENDPOINTS = ("local_address", "local_port", "remote_address", "remote_port")

_SERVICE_PROTOCOLS = ("tcp", "udp")
"""Protocols whose names of services a filter may use (services(5))."""

_HEXADECIMAL = frozenset(("cookie", "mark"))


class Options:
    """The command line, converted."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Raises UsageError."""
        found, operands = COMMAND.parse(arguments)
        self.help = False
        self.output = OutputOptions("Socket")
        self.numeric = NumericOptions()
        self.protocols: list[str] = []
        self.families: list[str] = []
        self.states = 0
        self.pids: list[int] = []
        self.processes: list[str] = []
        self.users: list[str] = []
        self.show: set[str] = set()
        self.summary = False
        self.filter = " ".join(operands)
        for name, value in found:
            self._take(name, value or "")
        if self.summary and (self.output.columns is not None or self.output.sort):
            raise UsageError("--summary has its own columns and order: it goes with neither --columns nor --sort")

    def _take(self, name: str, value: str) -> None:
        if name in PROTOCOLS:
            self.protocols.append(name)
        elif name in ("ipv4", "ipv6"):
            self.families.append("inet" if name == "ipv4" else "inet6")
        elif name == "listening":
            self.states |= LISTENING_STATES
        elif name == "all":
            self.states = ALL_STATES
        elif name == "state":
            from .listing import state_mask

            self.states |= state_mask(value.split(","))
        elif name == "pid":
            self.pids.append(_whole_number(value, "--pid"))
        elif name == "process":
            self.processes.append(value)
        elif name == "user":
            self.users.append(value)
        elif name == "timers" and value:
            self.output.take("format", value)
        elif name in _SHOWN_FIELDS:
            self.show.add(name)
        elif name == "summary":
            self.summary = True
        elif name == "help":
            self.help = True
        elif not self.numeric.take(name):
            self.output.take(name, value)

    @property
    def query(self) -> Query:
        """What to ask of the kernel. Raises UsageError for a bad filter."""
        expression = None
        if self.filter:
            expression = self._expression()
        states = self.states or CONNECTED_STATES
        if expression is not None and expression.states is not None:
            states = expression.states & (self.states or ALL_STATES)
        needs = needed(self.wanted)
        return Query(
            self.protocols or PROTOCOLS,
            self.families or FAMILIES,
            states,
            explicit=bool(self.protocols),
            expression=expression,
            tcp_info="tcp_info" in needs,
            memory="memory" in needs,
        )

    def _expression(self) -> Expression:
        from .filter import Lookups, parse

        protocols = [name for name in self.protocols if name in _SERVICE_PROTOCOLS] or _SERVICE_PROTOCOLS
        family = family_of(self.protocols)
        if self.output.told_apart:
            # An interface need not be in all of several namespaces.
            return parse(self.filter, family=family, lookups=Lookups(protocols))
        with Place(*self.output.netns) as place:

            def exists(interface: str) -> bool:
                return place.interface_index(interface) is not None

            return parse(self.filter, family=family, lookups=Lookups(protocols, exists))

    @property
    def selection(self) -> Selection:
        """What only user space can select by. Raises UsageError for an unknown user."""
        return Selection(self.pids, self.processes, self.users)

    @property
    def wanted(self) -> list[str]:
        """These, and those that rows are sorted by."""
        return [*self.fields, *(key.removeprefix("-") for key in self.output.sort)]

    @property
    def fields(self) -> list[str]:
        """The record's fields that will be shown."""
        if self.summary:
            return []
        if self.output.columns is not None:
            return self.output.columns
        fields = list(_BASE_FIELDS)
        for name, more in _SHOWN_FIELDS.items():
            if name in self.show:
                fields += more
        if "info" in self.show and "mptcp" in (self.protocols or PROTOCOLS):
            fields.append("mptcp_info")
        if self.output.told_apart:
            fields.insert(0, "netns")
        return [*fields, "source"]


def _whole_number(value: str, option: str) -> int:
    if not (value.isascii() and value.isdecimal()):
        raise UsageError(f"{option} takes a whole number, not {value!r}")
    return int(value)


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    options = Options(arguments)
    if options.help:
        environment.write(COMMAND.help().encode())
        return ExitStatus.OK
    return options.output.run(_View(options, environment).once, environment)


_DECODERS = ("netinspect.nouns.sockets.decode_inet",)


class _View:
    """What a run of the command shows, once or again and again; names are kept from one time to the next."""

    def __init__(self, options: Options, environment: Environment) -> None:
        self._options = options
        self._environment = environment
        self._query = options.query
        self._selection = options.selection
        self._services: dict[str, dict[int, str]] = {}
        self._hosts = options.output.host_names(wanted=not options.numeric.hosts and not options.summary)

    def once(self) -> int:
        """Lists once, and returns the exit status."""
        options, output = self._options, self._options.output
        listing = Listing(self._query, output.places(self._environment))
        batches = joined(listing, options.wanted, self._selection)
        if options.summary:
            from ...engine.counts import write_counts
            from ...records import SocketCount
            from .command_summary import counts

            write_counts(counts(batches), SocketCount, output, self._environment)
        else:
            batches = output.sorted(batches, [field for field in _ENDPOINTS if field in options.fields])
            output.write(
                batches, options.fields, self._columns, self._environment, hosts=self._hosts, modules=_DECODERS
            )
        return status_of(listing, self._environment)

    def _columns(self) -> list[Column]:
        from ...engine.table import Endpoint, Field

        options = self._options
        if options.output.columns is not None:
            return [self._column(field, field) for field in options.fields]
        host = None if self._hosts is None else self._hosts.get
        port = None if options.numeric.ports else self._service
        columns = [
            Field("Protocol", "protocol"),
            Field("State", "state"),
            Field("Recv-Q", "recv_queue", number=True),
            Field("Send-Q", "send_queue", number=True),
            Endpoint("Local Address:Port", "local", host, port),
            Endpoint("Peer Address:Port", "remote", host, port),
        ]
        if "netns" in options.fields:
            columns.insert(0, self._column("netns", "Namespace"))
        for name, titles in _TABLE_COLUMNS.items():
            if name in options.show:
                columns += [self._column(field, title) for field, title in titles.items()]
        return columns

    def _column(self, field: str, title: str) -> Column:
        from ...engine.table import Field

        if field == "user" and self._options.numeric.users:
            field = "uid"
        if field in ("processes", "peers"):
            owners = {"processes": "owners", "peers": "peer_owners"}[field]
            return Field(title, owners, lambda text: text or "-", kept=False)
        if field in ("memory", "tcp_info", "mptcp_info"):
            from .render_details import Details

            # One column for what TCP tells of itself, and MPTCP.
            other = "mptcp_info" if title == _TCP_INFO else None
            return Details(title, field, other)
        if field == "timer":
            from .render_details import timer_text

            return Field(title, field, timer_text, kept=False)
        if field in _HEXADECIMAL:
            return Field(title, field, hexadecimal=True)
        return Field(title, field, number=field in _NUMBERS)

    def _service(self, protocol: str, port: int) -> str:
        names = self._services.get(protocol)
        if names is None:
            from ...engine.names import ServiceNames

            names = self._services[protocol] = ServiceNames(protocol)
        return names[port]
