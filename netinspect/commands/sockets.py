"""``netinspect sockets``."""

from __future__ import annotations

from ..collect.joining import Selection, joined
from ..collect.sockets import ALL_STATES, CONNECTED_STATES, FAMILIES, LISTENING_STATES, PROTOCOLS, Listing, Place, Query
from ..errors import ExitStatus, UsageError
from ..namespaces import every_namespace
from ..options import Command, Group, Option
from ..render.rows import WHOLE_NUMBERS
from ..render.table import Column, Endpoint, Field, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, Protocol

    from ..batch import Batch
    from ..environment import Environment
    from ..joins.names import HostNames

    class Writer(Protocol):
        """Tables and the structured formats: what writes batches."""

        def add(self, batch: Batch) -> None: ...
        def end(self) -> None: ...


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

_TABLE_COLUMNS = {
    "timers": {"timer": "Timer"},
    "extended": {"user": "User", "inode": "Inode", "cookie": "Cookie", "mark": "Mark", "cgroup": "Cgroup"},
    "processes": {"processes": "Process"},
    "peers": {"peers": "Peer Process"},
    "memory": {"memory": "Memory"},
    "info": {"tcp_info": "TCP Info"},
}
"""What they add to the table."""

_HEXADECIMAL = frozenset(("cookie", "mark"))


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
        self.summary = False
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
        if name in PROTOCOLS:
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
        elif name == "summary":
            self.summary = True
        elif name in _SHOWN_FIELDS:
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
            self.columns = _known_fields(value)
        elif name == "sort":
            self.sort = [item.strip() for item in value.split(",")]
            _known_fields(",".join(item.removeprefix("-") for item in self.sort))
        elif name == "no-header":
            self.heading = False
        elif name == "watch":
            self.watch = _seconds(value)
        elif name == "help":
            self.help = True

    @property
    def query(self) -> Query:
        """What to ask of the kernel. Raises UsageError for a bad filter."""
        expression = None
        if self.filter:
            from ..filters import parse

            expression = parse(self.filter)
        return Query(
            self.protocols or PROTOCOLS,
            self.families or FAMILIES,
            self.states or CONNECTED_STATES,
            explicit=bool(self.protocols),
            expression=expression,
            tcp_info="tcp_info" in self.fields,
            memory="memory" in self.fields,
        )

    @property
    def selection(self) -> Selection:
        """What only user space can select by. Raises UsageError for an unknown user."""
        return Selection(self.pids, self.processes, self.users)

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


def _whole_number(value: str, option: str) -> int:
    if not (value.isascii() and value.isdecimal()):
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


def _known_fields(value: str) -> list[str]:
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
    view = _View(options, environment)
    if options.watch is None:
        return view.once()
    from .watch import repeat

    return repeat(view.once, options.watch, environment)


class _View:
    """What a run of the command shows, once or again and again; names are kept from one time to the next."""

    def __init__(self, options: Options, environment: Environment) -> None:
        self._options = options
        self._environment = environment
        self._query = options.query
        self._selection = options.selection
        self._services: dict[str, dict[int, str]] = {}
        self._hosts: HostNames | None = None
        if options.format == "table" and not options.numeric.issuperset(("hosts",)) and not options.summary:
            from ..joins.names import HostNames

            self._hosts = HostNames()

    def once(self) -> int:
        """Lists once, and returns the exit status."""
        options = self._options
        listing = Listing(self._query, self._places())
        batches = joined(listing, options.fields, self._selection)
        if options.summary:
            self._summarize(batches)
        else:
            self._write(_sorted(batches, options.sort) if options.sort else batches)
        for text in listing.notes + listing.problems:
            self._environment.complain(text)
        return ExitStatus.INCOMPLETE if listing.problems else ExitStatus.OK

    def _places(self) -> list[Place]:
        options = self._options
        if not options.all_netns:
            told = len(options.netns) > 1
            return [Place(name, name if told else None) for name in options.netns] or [Place()]
        namespaces, hidden = every_namespace()
        if hidden:
            self._environment.complain(
                f"the network namespaces of {hidden} processes may not be seen: run as root to have all of them"
            )
        return [Place(path, label) for label, path in namespaces]

    def _summarize(self, batches: Iterator[Batch]) -> None:
        from .summary import write_counts

        write_counts(batches, self._options.format, self._options.heading, self._environment)

    def _write(self, batches: Iterator[Batch]) -> None:
        options = self._options
        write = self._environment.write
        writer: Writer
        if options.format == "table":
            writer = Table(self._columns(), write, heading=options.heading)
            if self._hosts is not None:
                batches = self._with_hosts(batches, self._hosts)
        else:
            from ..render.structured import writer_of

            writer = writer_of(options.format, options.fields, write, heading=options.heading)
        for batch in batches:
            writer.add(batch)
        writer.end()
        if self._hosts is not None and self._hosts.incomplete:
            self._environment.complain("some host names did not come in time: those addresses are shown as numbers")

    def _with_hosts(self, batches: Iterator[Batch], hosts: HostNames) -> Iterator[Batch]:
        from ..joins.names import as_named

        hosts.restart()
        if not self._options.sort:
            return as_named(batches, hosts)
        kept = list(batches)
        for batch in kept:
            hosts.want(batch.values("local_address"))
            hosts.want(batch.values("remote_address"))
        hosts.settle()
        return iter(kept)

    def _columns(self) -> list[Column]:
        options = self._options
        if options.columns is not None:
            return [self._column(field, field) for field in options.columns]
        host = None if self._hosts is None else self._hosts.get
        port = None if "ports" in options.numeric else self._service
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
        if field == "user" and "users" in self._options.numeric:
            field = "uid"
        if field == "processes":
            raise NotImplementedError
        if field in ("peers", "timer", "memory", "tcp_info"):
            from ..render import details

            return Field(title, field, details.TEXTS[field], kept=False)
        if field in _HEXADECIMAL:
            return Field(title, field, "{:x}".format)
        return Field(title, field, number=field in WHOLE_NUMBERS)

    def _service(self, protocol: str, port: int) -> str:
        names = self._services.get(protocol)
        if names is None:
            from ..joins.names import ServiceNames

            names = self._services[protocol] = ServiceNames(protocol)
        return names[port]


def _sorted(batches: Iterator[Batch], keys: Sequence[str]) -> Iterator[Batch]:
    """One batch with all rows, sorted by these fields; a - before one reverses it. Rows without a value come first."""
    from ..batch import Batch
    from ..records import Socket

    records = [record for batch in batches for record in batch]
    for key in reversed(keys):
        index = Socket._fields.index(key.removeprefix("-"))
        records.sort(key=_sort_key(index), reverse=key.startswith("-"))
    yield Batch.from_records(records)


def _sort_key(index: int) -> Callable[[Any], Any]:
    return lambda record: (record[index] is not None, record[index] if record[index] is not None else 0)
