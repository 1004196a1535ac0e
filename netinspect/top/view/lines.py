"""Lines that can be scrolled: the details of a row, and the list of the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ...engine.terminal import folded, width
from ...engine.text import printable
from ..figures import bars, short
from .styles import DIM_STYLE, PLAIN, TITLE_STYLE, Palette, Part, strip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.geometry import Region

    from ..source import Line

_LABEL = 18
_WIDEST = 100
"""Columns of running text: longer lines are hard to read."""


class Lines(ScrollView):
    """Lines, folded to the width that there is."""

    can_focus = True

    DEFAULT_CSS = "Lines { height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }"

    def __init__(self, palette: Palette, id: str = "lines") -> None:
        super().__init__(id=id)
        self._palette = palette
        self._lines: Sequence[Line] = ()
        self._folded: list[list[Part]] = []
        self._columns = 0

    def show(self, lines: Sequence[Line]) -> None:
        """Shows these lines, from where those before were scrolled to."""
        self._lines = lines
        self._fold()

    def on_resize(self) -> None:
        """Folds them anew."""
        self._fold()

    def _fold(self) -> None:
        columns = self.scrollable_content_region.width
        if columns <= 0:
            return
        self._columns = columns
        self._folded = [parts for line in self._lines for parts in self._parts(line, columns)]
        self.virtual_size = Size(columns, len(self._folded))
        self.refresh()

    def _parts(self, line: Line, columns: int) -> list[list[Part]]:
        label = printable(line.label)
        if line.kind == "heading":
            return [[("", PLAIN)], [(label, TITLE_STYLE)]]
        if line.kind == "text":
            text = folded(f"  {label}{printable(line.text)}", min(columns, _WIDEST))
            return [[(part, PLAIN)] for part in text.split("\n")]
        start: Part = (f"  {label}{' ' * max(_LABEL - width(label), 1)} ", DIM_STYLE)
        if line.kind == "history":
            return [[start, *self._history(line, columns - width(start[0]))]]
        text = printable(line.text)
        style = self._palette.of(line.tone, text)
        room = max(columns - width(start[0]), 16)
        first, *more = folded(text, room).split("\n")
        return [[start, (first, style)], *([(" " * width(start[0]), PLAIN), (part, style)] for part in more)]

    @staticmethod
    def _history(line: Line, columns: int) -> list[Part]:
        known = [value for value in line.values if value is not None]
        unit = printable(line.text)
        said = f" {f'{short(known[-1])} {unit}'.rstrip()}, most {short(max(known))}" if known else " none yet"
        return [(bars(line.values, max(columns - width(said), 8)), PLAIN), (said, PLAIN)]

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines on the screen, folded anew where a scrollbar came or went."""
        if self._columns != self.scrollable_content_region.width:
            self._fold()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        """One of them."""
        at = round(self.scroll_y) + y
        columns = self.scrollable_content_region.width
        return strip(self._folded[at] if at < len(self._folded) else (), columns)
