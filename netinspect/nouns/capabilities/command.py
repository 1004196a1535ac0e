"""``netinspect capabilities``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ...engine.namespaces import inside
from ...engine.options import Flag, Group, One, Option
from ...engine.output import ListingCommand, output_group
from ...engine.places import Place
from ...engine.table import Field
from ...engine.terminal import report, wants_rows
from ...errors import ExitStatus, UsageError
from .listing import capabilities
from .render import features, missing, summary

if TYPE_CHECKING:
    from ...engine.table import Column
    from ...records import Capability

_WIDEST = 100


class Capabilities(ListingCommand):
    """One command line of ``netinspect capabilities``."""

    name = "capabilities"
    record = "Capability"
    summary = (
        "Shows what this kernel, its configuration and your privileges support, for every view. Each feature is tried; "
        "for each one missing, the output shows what is lost and how to get it."
    )
    essential = ("View", "What", "State")
    spare = ("Evidence", "Lost")

    target = One[str | None](None)
    """The namespace."""
    every = Flag()
    brief = Flag()

    groups = (
        Group(
            "Show",
            Option("a", "all", "every feature with its evidence, also on a terminal", to=every.on),
            Option(
                "s",
                "summary",
                "one line for each view and what is missing: the default on a terminal",
                to=brief.on,
                excludes=("all",),
            ),
        ),
        Group(
            "Namespaces",
            Option("N", "netns", "this network namespace", "NAME|PID|PATH", to=target.value(str)),
        ),
        output_group("capabilities"),
    )
    notes = (
        "States: yes; no; partial (some parts are missing); unknown (the result was inconclusive). An unsupported "
        "feature is never shown as empty output.\n"
        "Probing has three side effects: the kernel may load a module that a probe needs, as for ss, ip and conntrack; "
        "netinspect briefly opens a TCP listener on 127.0.0.1; and, as root, it briefly attaches a BPF program.\n"
        "The exit status is 0 even if features are missing."
    )

    def check(self) -> None:
        """Raises UsageError where there are operands."""
        if self.words:
            name = self.words[0]
            raise UsageError(f"capabilities takes no name, such as {name!r} (see `netinspect capabilities --help`)")

    def table_columns(self) -> list[Column]:
        """The columns of a table that is sorted or repeated, or has fewer of them."""
        return [
            Field("View", "view"),
            Field("What", "name"),
            Field("State", "state"),
            Field("Evidence", "evidence"),
            Field("Lost", "lost"),
            Field("To get it", "remedy"),
        ]

    def once(self) -> int:
        """Shows them. Raises NamespaceError."""
        place = Place(self.target)
        place.open()
        try:
            found = inside(place.descriptor, partial(capabilities))
        finally:
            place.close()
        if wants_rows(self):
            self.write_records(found)
        else:
            report(self, self._text(found))
        return ExitStatus.OK

    def _text(self, found: list[Capability]) -> str:
        columns = self.environment.columns
        width = min(columns, _WIDEST)
        if self.brief or (self.environment.terminal and not self.every):
            text = summary(found, width) + missing(found, width, whole=False)
            return f"{text}\n`netinspect capabilities --all` shows every feature with its evidence.\n"
        return features(found, columns, fitted=self.environment.terminal) + missing(found, width)


COMMAND = Capabilities
