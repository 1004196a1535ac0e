"""``netinspect top``."""

from __future__ import annotations

from time import sleep

from ..engine.options import Flag, Group, One, Option, choice, seconds, whole_number
from ..engine.output import NAMESPACES, NUMERIC, output_group
from ..nouns.sockets.command import Sockets
from ..nouns.sockets.listing import Query, SocketListing
from ..nouns.sockets.listing_joined import Selection, joined
from ..records import GroupRates, SocketRates
from .rates import GROUPS, SampledListing, Sampler, grouped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.table import Column
    from ..environment import Environment

_PROTOCOLS = ("tcp", "udp")
_OWNERS = ("processes", "owner_reason", "container")
_RATES = {
    "rate": "Rate B/s",
    "sent_rate": "Sent B/s",
    "received_rate": "Received B/s",
    "retransmit_rate": "Retrans/s",
    "drop_rate": "Drops/s",
}
_NUMBERS = frozenset((*_RATES, "sockets", "new", "rtt", "congestion_window", "recv_queue", "send_queue"))


class Top(Sockets):
    """One command line of ``netinspect top``."""

    name = "top"
    summary = (
        "Shows what sockets carry, the busiest first, again every second until interrupted; with --once a single time. "
        "On a terminal, a live view of sockets, flows, NAT, links, drops and health, if Textual is installed."
    )
    record = "SocketRates"

    by = One[str]("")
    interval = One[float](1.0)
    limit = One[int](0)
    single = Flag()
    plain = Flag()

    groups = (
        Sockets.groups[0],
        Group(
            "Show",
            Option("", "once", "one sample, over one interval", to=single.on),
            Option(
                "i",
                "interval",
                "measure over SECONDS, and repeat as often (default: 1)",
                "SECONDS",
                to=interval.value(seconds(0.05, 3600)),
            ),
            Option(
                "",
                "by",
                "add rates up by process, remote, container or state",
                "WHAT",
                to=by.value(choice("group", tuple(GROUPS))),
                choices=tuple(GROUPS),
            ),
            Option("p", "processes", "the processes that hold each socket", to=Sockets.show.constant("processes")),
            Option("", "limit", "only the first N rows", "N", to=limit.value(whole_number)),
            Option(
                "",
                "plain",
                "on a terminal, a plain table again and again instead of the live view; --columns, --limit, --wide and "
                "--no-header imply it",
                to=plain.on,
            ),
            *NUMERIC,
        ),
        NAMESPACES,
        Group("Output", *(option for option in output_group("top").options if option.long != "watch")),
    )
    notes = (
        "Rates are bytes per second, from the counters of TCP (bytes acknowledged, bytes received in order) and socket "
        "memory (drops). The kernel counts no bytes of UDP sockets.\n"
        "FILTER is an expression as in ss(8): see `netinspect sockets --help`.\n"
        "The live view needs Textual: pip install 'netinspect[top]'. `?` lists its keys; `/` takes a filter, Enter "
        "opens a row, `c` copies the command that shows the same. It shows addresses and ports as numbers."
    )

    @property
    def known_fields(self) -> Sequence[str]:
        """The fields of both records: --by may stand behind --columns, and says which of them it is."""
        return list(dict.fromkeys((*SocketRates._fields, *GroupRates._fields)))

    @property
    def _own_fields(self) -> Sequence[str]:
        return GroupRates._fields if self.by else SocketRates._fields

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.selecting: list[str] = []
        """The options that select sockets, as words."""

    def check(self) -> None:
        """Raises UsageError."""
        if self.by:
            self.record = "GroupRates"
            self.host_fields = ()
        for field in (*(self.chosen or ()), *(key.removeprefix("-") for key in self.sort)):
            if field not in self._own_fields:
                from ..engine.help import unknown

                raise unknown("field", field, self._own_fields)
        super().check()
        self.lacking = ""
        if not self.single:
            self.watch = self.interval
        self._sampler = Sampler()
        self._sampled = False

    def _asked(self) -> Query:
        if not self.protocols:
            self.protocols = list(_PROTOCOLS)
        query = super()._asked()
        query.tcp_info = query.memory = True
        return query

    @property
    def _with_owners(self) -> bool:
        wanted = {*self.wanted, *self.show}
        return self.by in ("process", "container") or not wanted.isdisjoint(_OWNERS)

    @property
    def names_wanted(self) -> bool:
        """Whether names of containers are shown."""
        return super().names_wanted or self.by == "container"

    @property
    def fields(self) -> list[str]:
        """The record's fields that will be shown."""
        if self.chosen is not None:
            return self.chosen
        fields = [field for field in self._own_fields if field != "netns"]
        if not self.by and "processes" not in self.show:
            fields = [field for field in fields if field not in _OWNERS]
        return ["netns", *fields] if self.labelled else fields

    def take(self, option: Option, text: str) -> None:
        """Takes one option, and keeps those that select. Raises UsageError."""
        super().take(option, text)
        if option in Sockets.groups[0].options:
            self.selecting += [f"--{option.long}", *([text] if option.value else [])]

    def run(self) -> int:
        """Shows one sample, or the live view, or one sample after the other as a table."""
        if not self._wants_live():
            return super().run()
        from .command_view import missing, show

        self.lacking = missing()
        return super().run() if self.lacking else show(self)

    def _wants_live(self) -> bool:
        if self.single or self.plain or not self.environment.terminal or self.format != "table":
            return False
        if self.chosen is not None or self.limit or self.wide or self.no_header:
            return False
        from os import isatty

        from ..engine.terminal import moves

        # Keys come from standard input, and Textual draws on standard error.
        return isatty(0) and isatty(2) and moves()

    def query(self, text: str) -> Query:
        """What to ask of sock_diag with this filter. Raises UsageError."""
        self.filter = text
        return self._asked()

    @property
    def selection(self) -> Selection:
        """Whose sockets are wanted."""
        return self._selection

    def once(self) -> int:
        """Shows one sample, and returns the exit status."""
        if self.lacking:
            self.environment.complain(self.lacking)
        if not self._sampled:
            self._sampled = True
            self._sample()
            sleep(self.interval if self.single else min(self.interval, 0.5))
        listing, rows = self._sample()
        found = grouped(rows, self.by) if self.by else rows
        self.write_records(found, order="-rate", limit=self.limit)
        return self.ended(listing)

    def _sample(self) -> tuple[SocketListing, list]:  # type: ignore[type-arg]
        listing = SampledListing(self._sampler, self._query, self.places())
        owners = self._with_owners
        batches = joined(listing, _OWNERS if owners else (), self._selection)
        return listing, self._sampler.rates(batches, owners=owners)

    def table_columns(self) -> list[Column]:
        """The columns of a table."""
        from ..engine.table import Endpoint, Field

        rates: list[Column] = [self.column(field, title) for field, title in _RATES.items()]
        if self.by:
            return [
                Field(self.by.capitalize(), "group"),
                Field("Sockets", "sockets", number=True),
                Field("New", "new", number=True),
                *rates,
            ]
        columns = [
            Field("Protocol", "protocol"),
            Field("State", "state"),
            Endpoint("Local Address:Port", "local", self.host_name, self.service_name),
            Endpoint("Peer Address:Port", "remote", self.host_name, self.service_name),
            *rates,
            Field("RTT", "rtt", number=True),
            Field("Cwnd", "congestion_window", number=True),
            Field("Recv-Q", "recv_queue", number=True),
            Field("Send-Q", "send_queue", number=True),
        ]
        if "processes" in self.show:
            columns.append(self.column("processes", "Process"))
        return columns

    def column(self, field: str, title: str) -> Column:
        """The column of one field."""
        from ..engine.table import Field

        if field in _RATES:
            return Field(title, field, lambda rate: "-" if rate is None else f"{rate:.0f}", number=True, kept=False)
        if field == "processes":
            return Field(title, field, _processes, kept=False)
        return Field(title, field, number=field in _NUMBERS)


def _processes(found: tuple | None) -> str:  # type: ignore[type-arg]
    return ",".join(dict.fromkeys(f"{process.pid}/{process.name}" for process in found or ())) or "-"


COMMAND = Top
