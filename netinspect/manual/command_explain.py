"""``netinspect explain``."""

from __future__ import annotations

from textwrap import fill, shorten
from typing import TYPE_CHECKING

from ..engine.command import Command
from ..engine.options import Flag, Group, Option
from ..engine.structured import dumps
from ..errors import ExitStatus
from .explanations import explanations, lookup, parts

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..records import Explanation

_WIDEST = 100
"""Columns of running text: longer lines are hard to read."""


class Explain(Command):
    """One command line of ``netinspect explain``."""

    name = "explain"
    operands = "[STATE|COLUMN]..."
    summary = (
        "Explains a state or a column: what it means, who must act next, and what to look at. Without a name, lists "
        "all names."
    )

    json = Flag()

    groups = (Group("Output", Option("j", "json", "a JSON array of objects", to=json.on)),)
    notes = (
        "Names may be written as in netinspect, netstat or ss: CLOSE_WAIT or close-wait, recv_queue or Recv-Q, "
        "tcp_info.congestion_window or cwnd."
    )

    def run(self) -> int:
        """Explains. Raises UsageError for a name that nothing goes by."""
        names = self.words
        found = [explanation for name in names for explanation in lookup(name)] if names else explanations()
        width = min(self.environment.columns, _WIDEST)
        if self.json:
            text = "[\n" + ",\n".join(map(dumps, found)) + "\n]\n"
        elif names:
            text = "\n".join(_article(explanation, width) for explanation in found)
        else:
            text = _overview(found, width)
        self.environment.write(text.encode())
        return ExitStatus.OK


def _article(explanation: Explanation, width: int) -> str:
    """All there is to say of one name."""

    def paragraph(label: str, text: str) -> str:
        return fill(text, width, initial_indent=f"  {label}", subsequent_indent="  ", break_long_words=False)

    lines = [f"{explanation.name} ({explanation.kind})", paragraph("", explanation.meaning)]
    if explanation.next:
        lines.append(paragraph("Who acts next: ", explanation.next))
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
        lines += ["", f"{kind[0].upper()}{kind[1:]}s:"]
        for name, explanation in zip(names, of_kind, strict=True):
            room = max(width - 2 - max(column, len(name) + 2), 20)
            lines.append(f"  {name:{column - 2}}  {shorten(explanation.meaning, room, placeholder=' …')}")
    return "\n".join(lines[1:]) + "\n"


def _with_alias(explanation: Explanation) -> str:
    """A column with netstat's name for it, which more people know."""
    headings = [alias for alias in explanation.aliases if alias[0].isupper() and explanation.kind == "column"]
    return f"{explanation.name} ({headings[0]})" if headings else explanation.name


COMMAND = Explain
