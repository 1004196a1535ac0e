"""``netinspect capabilities``."""

from __future__ import annotations

from functools import partial
from textwrap import fill
from typing import TYPE_CHECKING

from tabulate import tabulate

from ...engine.command import Command
from ...engine.namespaces import inside
from ...engine.options import Flag, Group, One, Option
from ...engine.places import Place
from ...engine.structured import dumps
from ...engine.text import printable
from ...errors import ExitStatus, UsageError
from .listing import capabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...records import Capability

_WIDEST = 100
_EVIDENCE_ROOM = 24
"""Columns that the evidence gets at least."""


class Capabilities(Command):
    """One command line of ``netinspect capabilities``."""

    name = "capabilities"
    summary = (
        "Shows what this kernel, its configuration and your privileges support, for every view. Each feature is tried; "
        "for each one missing, the output shows what is lost and how to get it."
    )

    netns = One[str | None](None)
    json = Flag()

    groups = (
        Group(
            "Namespaces",
            Option("N", "netns", "this network namespace", "NAME|PID|PATH", to=netns.value(str)),
        ),
        Group("Output", Option("j", "json", "a JSON array of objects (`netinspect schema capabilities`)", to=json.on)),
    )
    notes = (
        "States: yes; no; partial (some parts are missing); unknown (the result was inconclusive). An unsupported "
        "feature is never shown as empty output.\n"
        "Probing has two side effects: the kernel may load a module that a probe needs, as for ss, ip and conntrack; "
        "and netinspect briefly opens a TCP listener on 127.0.0.1.\n"
        "The exit status is 0 even if features are missing."
    )

    def check(self) -> None:
        """Raises UsageError where there are operands."""
        if self.words:
            name = self.words[0]
            raise UsageError(f"capabilities takes no name, such as {name!r} (see `netinspect capabilities --help`)")

    def run(self) -> int:
        """Shows them. Raises NamespaceError."""
        place = Place(self.netns)
        place.open()
        try:
            found = inside(place.descriptor, partial(capabilities))
        finally:
            place.close()
        columns = self.environment.columns
        if self.json:
            text = "[\n" + ",\n".join(map(dumps, found)) + "\n]\n"
        else:
            text = _table(found, columns) + _missing(found, min(columns, _WIDEST))
        self.environment.write(text.encode())
        return ExitStatus.OK


def _table(found: Sequence[Capability], columns: int) -> str:
    rows = [[*map(printable, (item.view, item.name, item.state, item.evidence))] for item in found]
    others = sum(max(len(row[at]) for row in rows) + 2 for at in range(3))
    room = max(columns - others, _EVIDENCE_ROOM)
    for row in rows:
        row[3] = fill(row[3], room, break_on_hyphens=False, break_long_words=False)
    headings = ("View", "What", "State", "Evidence")
    return tabulate(rows, headings, tablefmt="simple", disable_numparse=True) + "\n"


def _missing(found: Sequence[Capability], width: int) -> str:
    """What is lost and how to get it. What has the same reason is reported once."""
    reasons: dict[tuple[str | None, ...], list[str]] = {}
    for item in found:
        if item.lost or item.remedy:
            reasons.setdefault((item.state, item.lost, item.remedy), []).append(f"{item.view}: {item.name}")
    lines: list[str] = []
    for (state, lost, remedy), names in reasons.items():
        lines += ["", fill(f"{', '.join(names)} ({state})", width, subsequent_indent="  ")]
        for label, text in (("Lost", lost), ("To get it", remedy)):
            if text:
                paragraph = fill(printable(text), width, initial_indent=f"  {label}: ", subsequent_indent="    ")
                lines.append(paragraph)
    return "\n".join(lines) + "\n" if lines else ""


COMMAND = Capabilities
