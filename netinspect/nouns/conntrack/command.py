"""``netinspect conntrack``: the connection tracking table, its size, counters, events and expectations."""

from __future__ import annotations

from ...engine.options import Command, Group, Option
from ...engine.output import NAMESPACES, NUMERIC, NumericOptions, OutputOptions, output_group
from ...errors import ExitStatus, UsageError
from .command_options import SELECT, FlowOptions
from .command_view import SHOWN, FlowView

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...environment import Environment

VIEWS = {
    "list": "Flow",
    "count": "ConntrackCount",
    "stats": "ConntrackStatistic",
    "top": "FlowGroup",
    "expectations": "Expectation",
    "events": "FlowEvent",
    "monitor": "FlowRates",
}
"""What the operand may be, and the record that each gives."""

GROUPS = ("source", "destination", "outside", "port", "protocol", "state", "zone")
"""What ``top`` adds up by: the keys of collect.flow_groups.GROUPINGS."""

COMMAND = Command(
    "conntrack",
    "[list|count|stats|top|expectations|events|monitor]",
    "Shows the connection tracking table, asked of the kernel over ctnetlink: every entry of both address families or, "
    "with another word, its size, its counters, the largest groups, what helpers expect, what happens, or rates.",
    (
        SELECT,
        Group(
            "Show",
            Option("c", "counters", "packets and bytes in each direction"),
            Option("e", "extended", "mark, zone, labels, helper, start, security context, uses and id"),
            *NUMERIC,
        ),
        Group(
            "top",
            Option("", "by", f"add up by this: {', '.join(GROUPS)}", "WHAT"),
            Option("", "limit", "groups to show, the largest ones; 10 without this option, 0 is all", "NUMBER"),
        ),
        Group(
            "events and monitor",
            Option("", "event", "only these events: new, update, destroy", "NAME"),
            Option("", "interval", "seconds between the lines of monitor; 1 without this option", "SECONDS"),
            Option("", "times", "end after so many events, or lines of monitor", "NUMBER"),
            Option("", "for", "end after so many seconds", "SECONDS"),
            Option("", "buffer", "bytes of the socket's receive buffer; 8 MiB without this option", "BYTES"),
        ),
        NAMESPACES,
        output_group("conntrack"),
    ),
    "source is the inside host of a translated flow, outside the address that stands for it. Counters are there when "
    "net.netfilter.nf_conntrack_acct=1 was set before the flow began, times with nf_conntrack_timestamp=1.\n"
    "events says `overrun` with the number lost when events came faster than they could be received; the whole table "
    "follows as `current` entries, and `resynced` ends it. monitor re-reads the table by itself.",
)


class Options:
    """The command line, converted."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Raises UsageError."""
        found, operands = COMMAND.parse(arguments)
        self.view = operands[0] if operands else "list"
        if self.view not in VIEWS or len(operands) > 1:
            raise UsageError(f"conntrack takes one of {', '.join(VIEWS)}, not {' '.join(operands)!r}")
        self.help = False
        self.output = OutputOptions(VIEWS[self.view])
        self.numeric = NumericOptions()
        self.flows = FlowOptions()
        self.show: set[str] = set()
        self.by = "source"
        self.limit = 10
        self.events: set[str] = set()
        self.interval = 1.0
        self.times: int | None = None
        self.seconds: float | None = None
        self.buffer = 8 << 20
        for name, value in found:
            self._take(name, value or "")

    def _take(self, name: str, value: str) -> None:
        if name == "help":
            self.help = True
        elif name in SHOWN:
            self.show.add(name)
        elif name == "by":
            if value not in GROUPS:
                raise UsageError(f"--by takes one of {', '.join(GROUPS)}, not {value!r}")
            self._only("top", name)
            self.by = value
        elif name == "limit":
            self._only("top", name)
            self.limit = int(_positive(name, value, whole=True, zero=True))
        elif name in ("event", "times", "for", "buffer", "interval"):
            self._only(
                "monitor" if name == "interval" else "events", name, *(() if name == "interval" else ("monitor",))
            )
            self._take_of_events(name, value)
        elif not self.numeric.take(name) and not self.flows.take(name, value):
            self.output.take(name, value)

    def _take_of_events(self, name: str, value: str) -> None:
        if name == "event":
            for event in value.split(","):
                if event not in ("new", "update", "destroy"):
                    raise UsageError(f"no event {event!r}: new, update, destroy")
                self.events.add(event)
        elif name == "times":
            self.times = int(_positive(name, value, whole=True))
        elif name == "for":
            self.seconds = _positive(name, value)
        elif name == "buffer":
            self.buffer = int(_positive(name, value, whole=True))
        else:
            self.interval = _positive(name, value)

    def _only(self, view: str, name: str, *others: str) -> None:
        if self.view not in (view, *others):
            raise UsageError(f"--{name} goes with `conntrack {view}`")

    @property
    def fields(self) -> list[str]:
        """The record's fields that will be shown by the structured formats."""
        from ... import records

        if self.output.columns is not None:
            return self.output.columns
        fields: list[str] = [*getattr(records, VIEWS[self.view])._fields]
        if not self.output.told_apart:
            fields.remove("netns")
        return fields


def _positive(name: str, value: str, *, whole: bool = False, zero: bool = False) -> float:
    try:
        number = int(value) if whole else float(value)
    except ValueError:
        number = -1
    if not (number > 0 or (zero and number == 0)) or number > 1e12:
        raise UsageError(f"--{name} takes a {'whole ' if whole else ''}number, not {value!r}")
    return number


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    options = Options(arguments)
    if options.help:
        environment.write(COMMAND.help().encode())
        return ExitStatus.OK
    if options.view in ("events", "monitor"):
        from .command_events import run_view

        return run_view(options, environment)
    if options.view != "list":
        from .command_summaries import SUMMARIES

        return options.output.run(lambda: SUMMARIES[options.view](options, environment), environment)
    return options.output.run(FlowView(options, environment).once, environment)
