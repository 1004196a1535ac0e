"""``netinspect drops``: packets that the kernel drops, and every counter of drops."""

from __future__ import annotations

from ...engine.options import Flag, Group, One, Option, seconds, within
from ...engine.output import NAMESPACES, ListingCommand, output_group
from ...engine.table import Field
from ...errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.output import Listed
    from ...engine.places import Place
    from ...engine.table import Column

_ACCOUNT_INTERVAL = 1.0
_COUNT_TIME = 10.0

_NOTES = (
    "FILTER is written as `10.0.0.1`, `host 10.0.0.0/8`, `src 10.0.0.1`, `10.0.0.1 -> 10.0.0.2:443`, `port 53`, `tcp`, "
    "`ip6`, `arp`, `dev eth0`, `pid 812`, `reason NO_SOCKET` or just `NO_SOCKET`. Conditions of one kind are "
    "alternatives; all kinds must match.\n"
    "Packets are reported by a BPF program on the tracepoint kfree_skb, which netinspect generates and loads. It needs "
    "root, or CAP_BPF and CAP_PERFMON, and a kernel that describes its types (BTF, since about Linux 5.8; reasons "
    "since 5.17). The program filters by namespace in the kernel and is gone when netinspect ends. Lost packets are "
    "counted and reported, with exit status 3. A kernel without such programs has counters only: those that rise are "
    "shown, with a note.\n"
    "Addresses are those of the packet when it was dropped, after any NAT before that. Not every drop is a fault: "
    "unread data of a closed socket is also dropped. `netinspect explain NO_SOCKET` shows what a reason means, and "
    "what to look at.\n"
    "account: every drop counter from the card to the socket, read twice; the fastest rising come first. Several "
    "counters may count the same packet."
)


class Drops(ListingCommand):
    """One command line of ``netinspect drops``."""

    name = "drops"
    operands = "[[live|count] FILTER...|account]"
    summary = (
        "Shows packets as the kernel drops them: reason, function, interface, addresses, and owner of the socket. With "
        "count: how many of each kind. With account: every drop counter."
    )
    views = {"live": "Drop", "count": "DropCount", "account": "DropCounter"}
    netns_first = False
    essential = ("Reason", "Destination", "Counter", "Packets")
    spare = ("Look at", "Place", "Last", "Rule", "Layer", "Interface", "Proto")

    times = One[int | None](None)
    duration = One[float | None](None)
    interval = One[float | None](None)
    zeros = Flag()

    groups = (
        Group(
            "Watch",
            Option(
                "",
                "times",
                "end after NUMBER packets; with count, after NUMBER tables",
                "NUMBER",
                to=times.value(within(1)),
                views=("live", "count"),
            ),
            Option(
                "",
                "for",
                f"end after SECONDS; count without --interval ends after {_COUNT_TIME:g}",
                "SECONDS",
                to=duration.value(seconds(above=0)),
                views=("live", "count"),
            ),
            Option(
                "",
                "interval",
                "count: repeat the counts every SECONDS; account: seconds between the two readings, default "
                f"{_ACCOUNT_INTERVAL:g}",
                "SECONDS",
                to=interval.value(seconds(0.01, 1e6)),
                views=("count", "account"),
            ),
            Option("a", "all", "account: include counters that are 0", to=zeros.on, views=("account",)),
        ),
        NAMESPACES,
        output_group("drops", listed=("account",)),
    )
    notes = _NOTES

    def take_operands(self) -> None:
        """Takes the view; the rest is the filter. Raises UsageError."""
        self.take_view(operands=True)
        if self.view == "account" and self.words:
            raise UsageError(f"drops account takes no filter, such as {self.words[0]!r}")

    def check(self) -> None:
        """Raises UsageError for an invalid filter."""
        if self.view != "account":
            from .filter import parse
            from .names import texts

            parse(self.words, texts())
        if self.view == "count" and self.duration is None and self.interval is None:
            self.duration = _COUNT_TIME

    def screen(self) -> str:
        """What happens is shown as it does."""
        return super().screen() if self.view == "account" else "live"

    def run(self) -> int:
        """Watches, or lists, and returns the exit status. Raises NetinspectError."""
        if self.view == "account":
            return super().run()
        self.environment.doing = "waiting for dropped packets" if self.view == "live" else "counting dropped packets"
        from .command_watch import watch

        return watch(self)

    def listing(self, places: Sequence[Place]) -> Listed:
        """The account."""
        from .listing_account import Account

        return Account(places, _ACCOUNT_INTERVAL if self.interval is None else self.interval, zeros=self.zeros)

    def table_columns(self) -> list[Column]:
        """The columns of a table."""
        from . import render

        if self.view == "account":
            return render.columns_of_account()
        return render.columns_of_counts() if self.view == "count" else render.columns_of_drops()

    def column(self, field: str, title: str) -> Column:
        """The column of one field."""
        from .render import NUMBERS, TEXTS

        kept = field not in ("time", "processes")
        return Field(title, field, TEXTS.get(field, str), number=field in NUMBERS, kept=kept)


COMMAND = Drops
