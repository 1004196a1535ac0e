"""Colours as Rich has them: those of engine/terminal.py, over the terminal's own background."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from ...engine.terminal import BOLD, CYAN, DIM, GREEN, MAGENTA, ORANGE, RED, REVERSE, cut, tone, width

if TYPE_CHECKING:
    from collections.abc import Sequence

PLAIN = Style()
_CODES = {
    BOLD: Style(bold=True),
    DIM: Style(dim=True),
    REVERSE: Style(reverse=True),
    **{
        code: Style(color=f"color({code.removeprefix(chr(27) + '[38;5;').removesuffix('m')})")
        for code in (GREEN, ORANGE, RED, MAGENTA, CYAN)
    },
}
BOLD_STYLE, DIM_STYLE, REVERSED = _CODES[BOLD], _CODES[DIM], _CODES[REVERSE]
NEW_STYLE, ENDED_STYLE, WARNING_STYLE, ERROR_STYLE = _CODES[GREEN], _CODES[DIM], _CODES[ORANGE], _CODES[RED]
TITLE_STYLE = Style(bold=True, underline=True)

Part = tuple[str, Style]
"""A text that is printable, and its style. It is never read as markup."""


class Palette:
    """The style of a cell by what it says."""

    def __init__(self, coloured: bool = True) -> None:
        self._coloured = coloured

    def of(self, kind: str, text: str) -> Style:
        """The style of a cell of this kind; plain where it has no colour."""
        if not (kind and self._coloured):
            return PLAIN
        return _CODES.get(tone(kind, text), PLAIN)

    def shade(self, style: Style) -> Style:
        """The style, or what is left of it without colours."""
        return style if self._coloured else Style(bold=style.bold, dim=style.dim, reverse=style.reverse)


def _merged(parts: Sequence[Part]) -> list[Part]:
    """Texts of the same style that follow each other as one: each costs as much as a long one."""
    merged: list[Part] = []
    last: Style | None = None
    for text, style in parts:
        if style is last:
            merged[-1] = merged[-1][0] + text, style
        else:
            merged.append((text, style))
            last = style
    return merged


def strip(parts: Sequence[Part], columns: int, around: Style = PLAIN) -> Strip:
    """One line of exactly so many columns: what does not fit is cut, what is left is blank."""
    segments: list[Segment] = []
    left = columns
    for text, style in _merged(parts):
        if left <= 0:
            break
        taken = width(text)
        if taken > left:
            text = cut(text, left)
            taken = width(text)
            if taken < left:  # half of a wide character
                text, taken = text + " " * (left - taken), left
        segments.append(Segment(text, style if around is PLAIN else around + style))
        left -= taken
    if left > 0:
        segments.append(Segment(" " * left, around))
    return Strip(segments, columns)
