"""``netinspect conntrack``: the connection tracking table, its size, counters, events and expectations."""

from __future__ import annotations

from ...engine.options import Group, Many, One, Option, choice, seconds, whole_number, within
from ...engine.output import NAMESPACES, NUMERIC, output_group
from ...engine.table import Field
from .command_options import RESOLVE, FlowCommand, select_group
from .command_view import entry_columns, flow_column
from .listing import FlowListing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.places import Place
    from ...engine.table import Column

_GROUPS = ("source", "destination", "outside", "port", "protocol", "state", "zone")
"""What ``top`` adds up by: the keys of GROUPINGS in listing_groups."""
_EVENTS = ("new", "update", "destroy", "expect", "expect-destroy")
_WATCHED = ("events", "monitor")
_HOST_FIELDS = ("source_address", "destination_address", "reply_source_address", "reply_destination_address")

_NOTES = (
    "source is the inside host of a translated flow, outside the address it is translated to. Counters need "
    "net.netfilter.nf_conntrack_acct=1, set before the flow began; times need nf_conntrack_timestamp=1.\n"
    "events prints `overrun` with the number of lost events when they arrive faster than they can be received; the "
    "whole table follows as `current` entries, ended by `resynced`. monitor reads the table again by itself."
)


class Conntrack(FlowCommand):
    """One command line of ``netinspect conntrack``."""

    name = "conntrack"
    operands = "[list|count|stats|top|expectations|events|monitor]"
    summary = (
        "Shows the connection tracking table, read from the kernel over ctnetlink: IPv4 and IPv6 entries or, with a "
        "view, its size, counters, largest groups, expectations, events, or rates."
    )
    views = {
        "list": "Flow",
        "count": "ConntrackCount",
        "stats": "ConntrackStatistic",
        "top": "FlowGroup",
        "expectations": "Expectation",
        "events": "FlowEvent",
        "monitor": "FlowRates",
    }
    netns_first = False
    essential = ("Source", "Destination", "Event", "Counter", "CPU", "Group")
    spare = (
        "Use",
        "Secctx",
        "Id",
        "Start",
        "Labels",
        "Helper",
        "Zone-Dir",
        "Zone",
        "Master-Source",
        "Master-Destination",
        "Reply-Source",
        "Reply-Destination",
        "Timeout",
        "Mark",
        "Lost",
    )

    show = Many[str]()
    by = One[str]("source")
    limit = One[int](10)
    events = Many[str]()
    interval = One[float](1.0)
    times = One[int | None](None)
    duration = One[float | None](None)
    buffer = One[int](8 << 20)

    groups = (
        select_group(("list", "top", *_WATCHED)),
        Group(
            "Show",
            Option("c", "counters", "packets and bytes in each direction", to=show.constant("counters")),
            Option(
                "e",
                "extended",
                "mark, zone, labels, helper, start, security context, uses and id",
                to=show.constant("extended"),
            ),
            *NUMERIC,
            RESOLVE,
        ),
        Group(
            "top",
            Option(
                "",
                "by",
                f"group by: {', '.join(_GROUPS)}",
                "WHAT",
                to=by.value(choice("grouping", _GROUPS)),
                choices=_GROUPS,
                views=("top",),
            ),
            Option(
                "",
                "limit",
                "number of groups to show, largest first; default 10, 0 for all",
                "NUMBER",
                to=limit.value(whole_number),
                views=("top",),
            ),
        ),
        Group(
            "events and monitor",
            Option(
                "",
                "event",
                f"only these events: {', '.join(_EVENTS)}",
                "NAME",
                to=events.each(choice("event", _EVENTS)),
                choices=_EVENTS,
                views=("events",),
            ),
            Option(
                "",
                "interval",
                "seconds between the lines of monitor; default 1",
                "SECONDS",
                to=interval.value(seconds(above=0)),
                views=("monitor",),
            ),
            Option(
                "",
                "times",
                "end after NUMBER events, or NUMBER lines of monitor",
                "NUMBER",
                to=times.value(within(1)),
                views=_WATCHED,
            ),
            Option("", "for", "end after SECONDS", "SECONDS", to=duration.value(seconds(above=0)), views=_WATCHED),
            Option(
                "",
                "buffer",
                "size of the socket's receive buffer in bytes; default 8 MiB",
                "BYTES",
                to=buffer.value(within(1, (1 << 31) - 1)),
                views=_WATCHED,
            ),
        ),
        NAMESPACES,
        output_group("conntrack", listed=("list", "count", "stats", "top", "expectations")),
    )
    notes = _NOTES

    def take_operands(self) -> None:
        """Takes the view. Raises UsageError."""
        self.take_view()
        if self.view == "list":
            self.host_fields = _HOST_FIELDS

    def screen(self) -> str:
        """What happens is shown as it does."""
        return "live" if self.view in _WATCHED else super().screen()

    def run(self) -> int:
        """Lists, or watches, and returns the exit status. Raises NetinspectError."""
        if self.view in _WATCHED:
            self.environment.doing = "waiting for events"
            from .command_events import run_view

            return run_view(self)
        return super().run()

    def once(self) -> int:
        """Lists once, and returns the exit status."""
        if self.view == "list":
            return super().once()
        from .command_summaries import SUMMARIES

        return SUMMARIES[self.view](self)

    def listing(self, places: Sequence[Place]) -> FlowListing:
        """The entries."""
        return FlowListing(self.wanted, places)

    def table_columns(self) -> list[Column]:
        """The columns of a table."""
        if self.view == "list":
            return entry_columns(self)
        if self.view in _WATCHED:
            from .command_events import event_columns, monitor_columns

            return event_columns(self) if self.view == "events" else monitor_columns()
        from .command_summaries import summary_columns

        return summary_columns(self.view)

    def column(self, field: str, title: str) -> Column:
        """The column of one field."""
        if self.view in ("list", "events"):
            return flow_column(field, title)
        if self.view == "monitor":
            return Field(title, field, number=True)
        from .command_summaries import summary_column

        return summary_column(field)


COMMAND = Conntrack
