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
    "FILTER is what people type: `10.0.0.1`, `host 10.0.0.0/8`, `src 10.0.0.1`, `10.0.0.1 -> 10.0.0.2:443`, "
    "`port 53`, `tcp`, `ip6`, `arp`, `dev eth0`, `pid 812`, `reason NO_SOCKET` or that alone. Several of one kind "
    "are alternatives, and all kinds must hold.\n"
    "The packets are told by a BPF program on the tracepoint kfree_skb, which netinspect makes and loads by itself. It "
    "takes root, or CAP_BPF and CAP_PERFMON, and a kernel that tells its types (since Linux 5.8 or so; reasons since "
    "5.17). Namespaces are told apart in the kernel. Nothing of it is left when netinspect ends, however it ends. What "
    "could not be kept up with is counted and said, and the exit status is 3 then. A kernel without such programs has "
    "counters alone: those that rise are shown, and that is said.\n"
    "The addresses are those of the packet as it was when it was dropped: behind NAT that took place before. Not every "
    "drop is a fault: what a closed socket has not read ends in one. `netinspect explain NO_SOCKET` tells what one "
    "means, and what to look at.\n"
    "account: every counter of drops from the card to the socket, read twice; those that rise fastest come first. "
    "Several may count the same packet, as it was dropped once and is counted by each layer that has a counter for it."
)


class Drops(ListingCommand):
    """One command line of ``netinspect drops``."""

    name = "drops"
    operands = "[[live|count] FILTER...|account]"
    summary = (
        "Shows packets as the kernel drops them: why, in which function, on which interface, from where to where, and "
        "whose socket it was. With count: how many of each kind. With account: every counter of drops."
    )
    views = {"live": "Drop", "count": "DropCount", "account": "DropCounter"}
    netns_first = False

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
                "end after so many packets; with count, after so many tables",
                "NUMBER",
                to=times.value(within(1)),
                views=("live", "count"),
            ),
            Option(
                "",
                "for",
                f"end after so many seconds; count without --interval ends after {_COUNT_TIME:g}",
                "SECONDS",
                to=duration.value(seconds(above=0)),
                views=("live", "count"),
            ),
            Option(
                "",
                "interval",
                "count: what was counted so far, again every so many seconds; account: seconds between the two "
                f"readings, {_ACCOUNT_INTERVAL:g} without this option",
                "SECONDS",
                to=interval.value(seconds(0.01, 1e6)),
                views=("count", "account"),
            ),
            Option("a", "all", "account: also the counters that are 0", to=zeros.on, views=("account",)),
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
        """Raises UsageError for a filter that makes no sense."""
        if self.view != "account":
            from .filter import parse
            from .names import texts

            parse(self.words, texts())
        if self.view == "count" and self.duration is None and self.interval is None:
            self.duration = _COUNT_TIME

    def run(self) -> int:
        """Watches, or lists, and returns the exit status. Raises NetinspectError."""
        if self.view == "account":
            return super().run()
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
