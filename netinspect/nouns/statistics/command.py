"""``netinspect stats``: what the kernel counts, what it means, and what an administrator should look at first."""

from __future__ import annotations

from ...engine.options import Command, Group, Option
from ...engine.output import NAMESPACES, OutputOptions, output_group, seconds_of
from ...engine.table import Field
from ...errors import ExitStatus, UsageError
from .listing import GROUPS, SHORT, Listing, Query, tables_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.places import Place
    from ...engine.table import Column
    from ...environment import Environment
    from .listing_samples import Sample

VIEWS = {"list": "Statistic", "health": "HealthCheck", "explain": "CounterMeaning"}
"""What the first operand may be, and the record that each gives."""

COMMAND = Command(
    "stats",
    "[[list] [TABLE...]|health|explain COUNTER...]",
    "Shows every counter of IP, ICMP, TCP, UDP, UDP-Lite, MPTCP, SCTP, IPsec and TLS, of interfaces, neighbour tables "
    "and connection tracking, each with its unit and what it means. With health: the handful that matters most.",
    (
        Group(
            "Select",
            Option("t", "tcp", "TCP"),
            Option("u", "udp", "UDP"),
            Option("w", "raw", "IP and ICMP"),
            Option("4", "ipv4", "tables of IPv4 only"),
            Option("6", "ipv6", "tables of IPv6 only"),
            Option("i", "interface", "what is counted by interface, or neighbour table, for this one only", "NAME"),
            Option("z", "nonzero", "leave out what is 0; with --rates or --since, what did not change"),
        ),
        Group(
            "Change",
            Option("r", "rates", "read twice, so many seconds apart, and show the change in a second", "SECONDS"),
            Option("", "save", "write all counters to this file, for --since", "FILE"),
            Option("", "since", "show the change since what --save wrote to this file", "FILE"),
        ),
        NAMESPACES,
        output_group("stats"),
    ),
    f"TABLE is a table as the kernel names it ({', '.join(GROUPS)}) or a protocol ({', '.join(SHORT)}).\n"
    "Counters count since the network namespace was made; levels are what is so now. The field `source` says where "
    "each was read: there is no netlink source for the MIBs of a whole namespace, so these come from procfs.\n"
    "--since survives counters that begin anew, with the machine, the namespace, an interface or a module: what is "
    "counted since is then the change, the least it can be, and marked with `reset` (! in a table). Counters of 32 "
    "bits, as connection tracking has, look like that when they run over. --save and --since may name the same file: "
    "each run then shows what is new since the last one. The file that --save replaces keeps its owner and mode; a "
    "FIFO or a character device is written to, and what belongs to another user in a directory where everybody may "
    "write is refused.\n"
    "health judges all that was counted since the namespace was made; with --rates or --since what happened in that "
    "time. Its exit status is 0 whatever it finds; `state` tells.\n"
    "explain takes a counter as the kernel, nstat(8) or netstat(8) -s write it, and tells what it means.",
)

_FAMILIES = {
    "ipv4": ("Ip", "Icmp", "IcmpMsg", "IpExt", "Udp", "UdpLite"),
    "ipv6": ("Ip6", "Icmp6", "Udp6", "UdpLite6"),
}


class Options:
    """The command line, converted."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Raises UsageError, and NetinspectError where the sample of --since cannot be read."""
        found, operands = COMMAND.parse(arguments)
        self.view = operands.pop(0) if operands and operands[0] in VIEWS else "list"
        self.names = operands
        self.help = False
        self.output = OutputOptions(VIEWS[self.view])
        self.groups: set[str] = set()
        self.families: set[str] = set()
        self.interfaces: list[str] = []
        self.nonzero = False
        self.seconds: float | None = None
        self.save: str | None = None
        self._since: str | None = None
        if self.view == "list":
            self.groups.update(group for name in operands for group in tables_of(name))
        elif self.view == "health" and operands:
            raise UsageError(f"stats health takes no name, such as {operands[0]!r}")
        for name, value in found:
            self._take(name, value or "")
        if self.families:
            chosen = {group for family in self.families for group in _FAMILIES[family]}
            self.groups = self.groups & chosen if self.groups else chosen
            if not self.groups:
                raise UsageError("no table is of that protocol and that address family")

    def _take(self, name: str, value: str) -> None:
        if name == "help":
            self.help = True
        elif name in ("tcp", "udp", "raw"):
            for protocol in ("ip", "ip6", "icmp", "icmp6") if name == "raw" else (name,):
                self.groups.update(SHORT[protocol])
        elif name in _FAMILIES:
            self.families.add(name)
        elif name == "interface":
            self.interfaces.append(value)
        elif name == "nonzero":
            self.nonzero = True
        elif name == "rates":
            self.seconds = seconds_of("--rates", value, 0.01, 1e6)
        elif name == "save":
            self.save = value
        elif name == "since":
            self._since = value
        else:
            self.output.take(name, value)
        if self.view != "list" and name in ("save", "nonzero", "interface", "tcp", "udp", "raw", *_FAMILIES):
            raise UsageError(f"--{name} does not go with `stats {self.view}`")

    def sample(self) -> Sample | None:
        """The sample of --since. Raises NetinspectError."""
        if self._since is None:
            return None
        from .listing_samples import load

        return load(self._since)

    @property
    def query(self) -> Query:
        """What to list."""
        return Query(tuple(self.groups), self.interfaces)

    @property
    def fields(self) -> list[str]:
        """The record's fields that will be shown by the structured formats."""
        from ... import records

        if self.output.columns is not None:
            return self.output.columns
        fields: list[str] = [*getattr(records, VIEWS[self.view])._fields]
        if "netns" in fields and not self.output.told_apart:
            fields.remove("netns")
        return fields

    @property
    def compared(self) -> bool:
        """Whether changes since a sample are shown."""
        return self._since is not None


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    options = Options(arguments)
    if options.help:
        environment.write(COMMAND.help().encode())
        return ExitStatus.OK
    if options.view == "explain":
        from .command_explain import explain

        return explain(options, environment)
    if options.view == "health":
        from .command_health import health

        return options.output.run(lambda: health(options, environment), environment)
    return options.output.run(lambda: _once(options, environment), environment)


def _once(options: Options, environment: Environment) -> int:
    since = options.sample()
    places = options.output.places(environment)
    if options.save is not None and since is None and options.seconds is None:
        return _save(options.save, places, environment)
    listing = Listing(options.query, places, seconds=options.seconds, since=since, nonzero=options.nonzero)
    writer = options.output.writer(options.fields, lambda: _columns(options), environment)
    for batch in options.output.sorted(listing.batches()):
        writer.add(batch)
    writer.end()
    status = told(listing, environment)
    if options.save is not None:
        status = max(status, _save(options.save, options.output.places(environment), environment))
    return status


def _save(path: str, places: Sequence[Place], environment: Environment) -> int:
    """Saves all counters: those that are shown are a choice of them."""
    from .listing_samples import save

    listing = Listing(Query(), places)
    save(path, listing.figures())
    return told(listing, environment)


def told(listing: Listing, environment: Environment) -> int:
    """Says what there is to say of a listing, and returns the exit status."""
    for text in listing.notes + listing.problems:
        environment.complain(text)
    return ExitStatus.INCOMPLETE if listing.problems else ExitStatus.OK


_NUMBERS = frozenset(("value", "change"))


def _columns(options: Options) -> list[Column]:
    """The columns of a table."""
    if options.output.columns is not None:
        return [Field(field, field, number=field in _NUMBERS) for field in options.fields]
    shown: list[Column] = [Field("Table", "group"), Field("Counter", "counter"), Field("Of", "interface")]
    if "netns" in options.fields:
        shown.insert(0, Field("Namespace", "netns"))
    shown.append(Field("Value", "value", number=True))
    if options.compared:
        shown += [Field("Change", "change", number=True), Field("", "reset", lambda reset: "!" if reset else "")]
    if options.seconds is not None:
        shown.append(Field("Per second", "rate", "{:.1f}".format))
    return [*shown, Field("Unit", "unit"), Field("Meaning", "meaning")]
