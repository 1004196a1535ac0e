"""``netinspect explain``."""

from __future__ import annotations

import re
from textwrap import fill, shorten
from typing import TYPE_CHECKING

from ..engine.output import ListingCommand, output_group
from ..engine.table import Field
from ..engine.terminal import report, wants_rows
from ..errors import ExitStatus
from .explanations import explanations, lookup, parts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..engine.table import Column
    from ..records import Explanation

_WIDEST = 100
"""Columns of running text: longer lines are hard to read."""


class Explain(ListingCommand):
    """One command line of ``netinspect explain``."""

    name = "explain"
    operands = "[STATE|COLUMN]..."
    summary = (
        "Explains a state or a column: what it means, who must act next, and what to look at. Without a name, lists "
        "all names."
    )

    record = "Explanation"

    groups = (output_group("explain", repeats=False),)
    notes = (
        "Names may be written as in netinspect, netstat or ss: CLOSE_WAIT or close-wait, recv_queue or Recv-Q, "
        "tcp_info.congestion_window or cwnd."
    )

    def table_columns(self) -> list[Column]:
        """The columns of a table that has fewer of them, or is sorted."""
        return [Field("Name", "name"), Field("Kind", "kind"), Field("Meaning", "meaning")]

    def once(self) -> int:
        """Explains. Raises UsageError for a name that nothing goes by."""
        names = self.words
        found = [explanation for name in names for explanation in lookup(name)] if names else explanations()
        if wants_rows(self):
            self.write_records(found)
            return ExitStatus.OK
        width = min(self.environment.columns, _WIDEST)
        text = "\n".join(_article(explanation, width) for explanation in found) if names else _overview(found, width)
        report(self, text)
        return ExitStatus.OK


def _article(explanation: Explanation, width: int) -> str:
    """All there is to say of one name."""

    def paragraph(label: str, text: str) -> str:
        return fill(text, width, initial_indent=f"  {label}", subsequent_indent="  ", break_long_words=False)

    lines = [f"{explanation.name} ({explanation.kind})", paragraph("", explanation.meaning)]
    if explanation.next:
        lines.append(paragraph("Who acts next: ", explanation.next))
    if explanation.absent:
        lines.append(paragraph("Shown as -: ", explanation.absent))
    lines.append(paragraph("Look at: ", explanation.look))
    if explanation.aliases:
        lines.append(paragraph("Also called: ", ", ".join(explanation.aliases)))
    fields = parts(explanation)
    if fields:
        lines.append(paragraph("Parts: ", ", ".join(field.name for field in fields)))
    lines.append(paragraph("Source: ", explanation.source))
    return "\n".join(lines) + "\n"


def _overview(found: Iterable[Explanation], width: int) -> str:
    """One line a name, under a heading for each kind."""
    by_kind: dict[str, list[Explanation]] = {}
    for explanation in found:
        by_kind.setdefault(explanation.kind, []).append(explanation)
    lines = []
    for kind, of_kind in by_kind.items():
        names = [_with_alias(explanation) for explanation in of_kind]
        column = min(max(map(len, names)), 44) + 2
        lines += ["", f"{_several(kind)}:"]
        for name, explanation in zip(names, of_kind, strict=True):
            room = max(width - 2 - max(column, len(name) + 2), 20)
            lines.append(f"  {name:{column - 2}}  {shorten(explanation.meaning, room, placeholder=' …')}")
    return "\n".join(lines[1:]) + "\n"


def _several(kind: str) -> str:
    """A heading: ``Columns of nat hosts``, ``Causes that path names``, ``TCP states``."""
    at = re.search(r" of | that |$", kind)
    one, rest = (kind[: at.start()], kind[at.start() :]) if at else (kind, "")
    several = f"{one[:-1]}ies" if one.endswith("y") else f"{one}es" if one.endswith("s") else f"{one}s"
    return f"{several[0].upper()}{several[1:]}{rest}"


def _with_alias(explanation: Explanation) -> str:
    """A column with netstat's name for it, which more people know."""
    headings = [alias for alias in explanation.aliases if alias[0].isupper() and explanation.kind == "column"]
    return f"{explanation.name} ({headings[0]})" if headings else explanation.name


COMMAND = Explain
