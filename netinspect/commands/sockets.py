"""``netinspect sockets``."""

from __future__ import annotations

from ..collect.sockets import ALL_STATES, CONNECTED_STATES, FAMILIES, LISTENING_STATES, PROTOCOLS, Listing, Place, Query
from ..errors import ExitStatus, UsageError
from ..options import Command, Group, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..environment import Environment

FORMATS = ("table", "json", "ndjson", "csv")

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
            Option("s", "summary", "only counts, by protocol, family and state"),
            Option("n", "numeric", "no names at all: not for hosts, ports or users"),
            Option("", "numeric-hosts", "no host names"),
            Option("", "numeric-ports", "no names of ports"),
            Option("", "numeric-users", "no user names"),
        ),
        Group(
            "Namespaces",
            Option("N", "netns", "look into this network namespace: a name, a process id or a path", "NAME|PID|PATH"),
            Option("", "all-netns", "look into all of them: the named ones and those of running processes"),
        ),
        Group(
            "Output",
            Option("", "format", "table (the default), json, ndjson or csv", "FORMAT"),
            Option("j", "json", "the same as --format json"),
            Option("", "columns", "exactly these fields, separated by commas (`netinspect schema sockets`)", "FIELDS"),
            Option(
                "", "sort", "sort by these fields, each may have a - before it (holds the table in memory)", "FIELDS"
            ),
            Option("H", "no-header", "no heading"),
            Option("W", "watch", "list again every so many seconds, until interrupted", "SECONDS"),
        ),
    ),
    "Recv-Q and Send-Q are bytes: received and not yet read, sent and not yet acknowledged. For a listening socket "
    "Recv-Q is the number of connections that wait to be accepted now, and Send-Q the limit of that backlog.\n"
    "FILTER is an expression as ss(8) has them, for the kernel to apply: "
    "'sport = :ssh or dst 10.0.0.0/8 and not dport >= 1024'. Conditions: sport, dport, src, dst, dev, fwmark, cgroup, "
    "autobound; and, or, not and parentheses.",
)

PROTOCOL_OPTIONS = frozenset(PROTOCOLS)
_BASE_FIELDS = [
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
    "cookie",
]


class Options:
    """The command line, converted."""

    def __init__(self, arguments: Sequence[str]) -> None:
        found, operands = COMMAND.parse(arguments)
        self.help = False
        self.protocols: list[str] = []
        self.families: list[str] = []
        self.states = 0
        self.pids: list[int] = []
        self.processes: list[str] = []
        self.users: list[str] = []
        self.show: set[str] = set()
        self.numeric: set[str] = set()
        self.netns: list[str] = []
        self.all_netns = False
        self.format = "table"
        self.columns: list[str] | None = None
        self.sort: list[str] = []
        self.heading = True
        self.watch: float | None = None
        self.filter = " ".join(operands)
        for name, value in found:
            self._take(name, value or "")
        if self.all_netns and self.netns:
            raise UsageError("--netns and --all-netns exclude each other")

    def _take(self, name: str, value: str) -> None:
        if name in PROTOCOL_OPTIONS:
            self.protocols.append(name)
        elif name in ("ipv4", "ipv6"):
            self.families.append("inet" if name == "ipv4" else "inet6")
        elif name == "listening":
            self.states |= LISTENING_STATES
        elif name == "all":
            self.states = ALL_STATES
        elif name == "state":
            from ..collect.sockets import state_mask

            self.states |= state_mask(value.split(","))
        elif name == "pid":
            self.pids.append(_whole_number(value, "--pid"))
        elif name == "process":
            self.processes.append(value)
        elif name == "user":
            self.users.append(value)
        elif name == "timers" and value:
            self.format = value
        elif name in ("processes", "extended", "info", "memory", "timers", "peers", "summary"):
            self.show.add(name)
        elif name == "numeric":
            self.numeric |= {"hosts", "ports", "users"}
        elif name.startswith("numeric-"):
            self.numeric.add(name.removeprefix("numeric-"))
        elif name == "netns":
            self.netns.append(value)
        elif name == "all-netns":
            self.all_netns = True
        elif name == "format":
            if value not in FORMATS:
                raise UsageError(f"no format {value!r}: {', '.join(FORMATS)}")
            self.format = value
        elif name == "json":
            self.format = "json"
        elif name == "columns":
            self.columns = _fields(value)
        elif name == "sort":
            self.sort = [item.strip() for item in value.split(",")]
            _fields(",".join(item.removeprefix("-") for item in self.sort))
        elif name == "no-header":
            self.heading = False
        elif name == "watch":
            self.watch = _seconds(value)
        elif name == "help":
            self.help = True

    @property
    def query(self) -> Query:
        """What to ask of the kernel."""
        expression = None
        states = self.states or CONNECTED_STATES
        if self.filter:
            from ..filters import parse

            expression = parse(self.filter)
        wanted = self.fields
        return Query(
            self.protocols or PROTOCOLS,
            self.families or FAMILIES,
            states,
            explicit=bool(self.protocols),
            expression=expression,
            tcp_info="tcp_info" in wanted,
            memory="memory" in wanted,
        )

    @property
    def fields(self) -> list[str]:
        """The record's fields that will be shown."""
        if self.columns is not None:
            return self.columns
        fields = list(_BASE_FIELDS)
        for name, more in _SHOWN_FIELDS.items():
            if name in self.show:
                fields += more
        if self.all_netns or len(self.netns) > 1:
            fields.insert(0, "netns")
        return [*fields, "source"]


_SHOWN_FIELDS = {
    "processes": ("processes", "owner_reason"),
    "extended": ("user", "mark", "cgroup", "shutdown", "v6only"),
    "timers": ("timer",),
    "memory": ("memory",),
    "info": ("tcp_info",),
    "peers": ("peers",),
}


def _whole_number(value: str, option: str) -> int:
    if not value.isdecimal():
        raise UsageError(f"{option} takes a whole number, not {value!r}")
    return int(value)


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1
    if not 0.05 <= seconds < 1e9:
        raise UsageError(f"--watch takes a number of seconds, at least 0.05, not {value!r}")
    return seconds


def _fields(value: str) -> list[str]:
    from ..records import Socket

    fields = [item.strip() for item in value.split(",")]
    for field in fields:
        if field not in Socket._fields:
            raise UsageError(f"sockets have no field {field!r}: {', '.join(Socket._fields)}")
    return fields


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    options = Options(arguments)
    if options.help:
        environment.write(COMMAND.help().encode())
        return ExitStatus.OK
    if options.watch is None:
        return _once(options, environment)
    from .watch import repeat

    return repeat(lambda: _once(options, environment), options.watch, environment)


def _once(options: Options, environment: Environment) -> int:
    listing = Listing(options.query, [Place()])
    batches = listing.batches()
    writer = _writer(options, environment)
    for batch in batches:
        writer.add(batch)
    writer.end()
    for text in listing.notes + listing.problems:
        environment.complain(text)
    return ExitStatus.INCOMPLETE if listing.problems else ExitStatus.OK


def _writer(options, environment):
    from ..render.table import Endpoint, Field, Table

    columns = [
        Field("Protocol", "protocol"),
        Field("State", "state"),
        Field("Recv-Q", "recv_queue", number=True),
        Field("Send-Q", "send_queue", number=True),
        Endpoint("Local Address:Port", "local"),
        Endpoint("Peer Address:Port", "remote"),
    ]
    if options.format == "table":
        return Table(columns, environment.write, heading=options.heading)
    from ..render.structured import JsonLines

    return JsonLines(options.fields, environment.write)
