"""``netinspect stats``: what the kernel counts, what it means, and what an administrator should look at first."""

from __future__ import annotations

from ...engine.options import Flag, Group, Many, One, Option, seconds
from ...engine.output import NAMESPACES, ListingCommand, output_group
from ...engine.table import Field
from ...errors import UsageError
from .listing import GROUPS, SHORT, Query, StatisticListing, tables_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.places import Place
    from ...engine.table import Column
    from .listing_samples import Sample

_FAMILIES = {
    "ipv4": ("Ip", "Icmp", "IcmpMsg", "IpExt", "Udp", "UdpLite"),
    "ipv6": ("Ip6", "Icmp6", "Udp6", "UdpLite6"),
}
_RAW = ("ip", "ip6", "icmp", "icmp6")
_NUMBERS = frozenset(("value", "change"))

_NOTES = (
    f"TABLE is a table as the kernel names it ({', '.join(GROUPS)}) or a protocol ({', '.join(SHORT)}).\n"
    "Counters count from the creation of the network namespace; levels are current values. The field `source` names "
    "the source of each: the MIBs of a namespace have no netlink source and are read from procfs.\n"
    "--since handles counters that restart at 0 (reboot, new namespace, interface or module): the change is then the "
    "new value, a lower bound, marked with `reset` (! in a table). 32-bit counters, as in connection tracking, look "
    "the same when they wrap. --save and --since may name the same file: each run then shows the change since the last "
    "one. A file that --save replaces keeps its owner and mode; FIFOs and character devices are written to; files of "
    "another user in a world-writable directory are refused.\n"
    "health judges the counters since the namespace was created or, with --rates or --since, the change in that time. "
    "Its exit status is 0 whatever it finds; see `state`.\n"
    "explain shows what a counter means; name it as the kernel, nstat(8) or netstat(8) -s do."
)


class Stats(ListingCommand):
    """One command line of ``netinspect stats``."""

    name = "stats"
    operands = "[[list] [TABLE...]|health|explain COUNTER...]"
    summary = (
        "Shows every counter of IP, ICMP, TCP, UDP, UDP-Lite, MPTCP, SCTP, IPsec and TLS, of interfaces, neighbour "
        "tables and connection tracking, with unit and meaning. health judges the most important ones."
    )
    views = {"list": "Statistic", "health": "HealthCheck", "explain": "CounterMeaning"}
    netns_first = False
    essential = ("State", "Check", "Counter", "Value")
    spare = ("Warning", "Critical", "Unit", "Of")

    protocols = Many[str]()
    families = Many[str]()
    interfaces = Many[str]()
    nonzero = Flag()
    interval = One[float | None](None)
    save = One[str | None](None)
    since = One[str | None](None)

    groups = (
        Group(
            "Select",
            Option("t", "tcp", "TCP", to=protocols.constant("tcp"), views=("list",)),
            Option("u", "udp", "UDP", to=protocols.constant("udp"), views=("list",)),
            Option("w", "raw", "IP and ICMP", to=protocols.constant("raw"), views=("list",)),
            Option("4", "ipv4", "tables of IPv4 only", to=families.constant("ipv4"), views=("list",)),
            Option("6", "ipv6", "tables of IPv6 only", to=families.constant("ipv6"), views=("list",)),
            Option(
                "i",
                "interface",
                "for counters by interface or neighbour table: only this one",
                "NAME",
                to=interfaces.value(str),
                views=("list",),
            ),
            Option(
                "z",
                "nonzero",
                "leave out counters that are 0 or, with --rates or --since, unchanged",
                to=nonzero.on,
                views=("list",),
            ),
        ),
        Group(
            "Change",
            Option(
                "r",
                "rates",
                "read twice, SECONDS apart, and show the change per second",
                "SECONDS",
                to=interval.value(seconds(0.01, 1e6)),
                views=("list", "health"),
            ),
            Option(
                "", "save", "write all counters to this file, for --since", "FILE", to=save.value(str), views=("list",)
            ),
            Option(
                "",
                "since",
                "show the change since --save wrote this file",
                "FILE",
                to=since.value(str),
                views=("list", "health"),
            ),
        ),
        NAMESPACES,
        output_group("stats"),
    )
    notes = _NOTES

    def take_operands(self) -> None:
        """Takes the view, and names of tables or counters. Raises UsageError."""
        self.take_view(operands=True)
        if self.view == "health" and self.words:
            raise UsageError(f"stats health takes no name, such as {self.words[0]!r}")

    def check(self) -> None:
        """Raises UsageError where no table is left."""
        self.query = Query((), self.interfaces)
        if self.view != "list":
            return
        names = [name for protocol in self.protocols for name in (_RAW if protocol == "raw" else (protocol,))]
        tables = {table for name in self.words for table in tables_of(name)}
        tables.update(table for name in names for table in SHORT[name])
        if self.families:
            chosen = {table for family in self.families for table in _FAMILIES[family]}
            tables = tables & chosen if tables else chosen
            if not tables:
                raise UsageError("no table matches both the protocol and the address family")
        self.query = Query(tuple(tables), self.interfaces)

    def sample(self) -> Sample | None:
        """The sample of --since. Raises NetinspectError."""
        if self.since is None:
            return None
        from .listing_samples import load

        return load(self.since)

    def run(self) -> int:
        """Lists, or explains, and returns the exit status. Raises NetinspectError."""
        if self.view == "explain":
            from .command_explain import explain

            return explain(self)
        return super().run()

    def once(self) -> int:
        """Lists once, and returns the exit status."""
        if self.view == "health":
            from .command_health import health

            return health(self)
        since = self.sample()
        places = self.places()
        if self.save is not None and since is None and self.interval is None:
            return self._save(self.save, places)
        listing = StatisticListing(self.query, places, seconds=self.interval, since=since, nonzero=self.nonzero)
        self.write(self.sorted(listing.batches()))
        status = self.ended(listing)
        if self.save is not None:
            status = max(status, self._save(self.save, self.places()))
        return status

    def _save(self, path: str, places: Sequence[Place]) -> int:
        """Saves all counters: those that are shown are a choice of them."""
        from .listing_samples import save

        listing = StatisticListing(Query(), places)
        save(path, listing.figures())
        return self.ended(listing)

    def table_columns(self) -> list[Column]:
        """The columns of a table."""
        if self.view == "health":
            from .command_health import health_columns

            return health_columns()
        shown: list[Column] = [
            Field("Table", "group"),
            Field("Counter", "counter"),
            Field("Of", "interface"),
            Field("Value", "value", number=True),
        ]
        if self.since is not None:
            shown += [Field("Change", "change", number=True), Field("", "reset", lambda reset: "!" if reset else "")]
        if self.interval is not None:
            shown.append(Field("Per second", "rate", "{:.1f}".format))
        return [*shown, Field("Unit", "unit"), Field("Meaning", "meaning")]

    def column(self, field: str, title: str) -> Column:
        """The column of one field."""
        return Field(title, field, number=self.view == "list" and field in _NUMBERS)


COMMAND = Stats
