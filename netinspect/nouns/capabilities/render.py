"""Capabilities for people: what is missing, each view in one line, or every feature with its evidence."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

from tabulate import tabulate

from ...engine.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...records import Capability

_EVIDENCE_ROOM = 24
"""Columns that the evidence gets at least."""
_NOTHING = "nothing: "
"""How the loss begins where this machine has nothing that could be shown."""


def features(found: Sequence[Capability], columns: int, *, fitted: bool) -> str:
    """A table of every feature; ``fitted``: no line is longer."""
    rows = [[*map(printable, (item.view, item.name, item.state, item.evidence))] for item in found]
    others = sum(max(len(row[at]) for row in rows) + 2 for at in range(3))
    room = max(columns - others, _EVIDENCE_ROOM)
    for row in rows:
        row[3] = fill(row[3], room, break_on_hyphens=False, break_long_words=fitted)
    return tabulate(rows, ("View", "What", "State", "Evidence"), tablefmt="simple", disable_numparse=True) + "\n"


def summary(found: Sequence[Capability], width: int) -> str:
    """One paragraph a view: how much of it works here, and the names of what does not."""
    by_view: dict[str, list[Capability]] = {}
    for item in found:
        by_view.setdefault(item.view, []).append(item)
    column = max(map(len, by_view))
    lines = []
    for view, items in by_view.items():
        works = sum(item.state == "yes" for item in items)
        parts = [f"{works} of {len(items)} work" if works < len(items) else "all work"]
        for state, heading in (("partial", "in part"), ("no", "not"), ("unknown", "unknown")):
            if names := [item.name for item in items if item.state == state]:
                parts.append(f"{heading}: {', '.join(names)}")
        text = printable("; ".join(parts))
        indent = " " * (column + 2)
        lines.append(fill(text, width, initial_indent=f"{view:{column}}  ", subsequent_indent=indent))
    return "\n".join(lines) + "\n"


def missing(found: Iterable[Capability], width: int, *, whole: bool = True) -> str:
    """What is lost and how to get it; what has the same reason once. Not ``whole``: what is no loss is left out."""
    reasons: dict[tuple[str | None, ...], list[str]] = {}
    for item in found:
        if (item.lost or item.remedy) and (whole or not (item.lost or "").startswith(_NOTHING)):
            reasons.setdefault((item.state, item.lost, item.remedy), []).append(f"{item.view}: {item.name}")
    lines: list[str] = []
    for (state, lost, remedy), names in reasons.items():
        lines += ["", fill(f"{', '.join(names)} ({state})", width, subsequent_indent="  ")]
        for label, text in (("Lost", lost), ("To get it", remedy)):
            if text:
                paragraph = fill(printable(text), width, initial_indent=f"  {label}: ", subsequent_indent="    ")
                lines.append(paragraph)
    return "\n".join(lines) + "\n" if lines else ""
