"""A table of any number of rows, of which only those on the screen are formatted, and its line of headings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from ...engine.terminal import shortened, width
from ..frame import ENDED, NEW
from .styles import BOLD_STYLE, ENDED_STYLE, NEW_STYLE, PLAIN, REVERSED, Palette, Part, strip

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from textual.events import Click
    from textual.geometry import Region

    from ..frame import Column, Frame

_MARKS = {NEW: "+ ", ENDED: "- "}
_GUTTER = 2


class Grid(ScrollView):
    """The rows."""

    can_focus = True

    DEFAULT_CSS = "Grid { height: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }"

    class Opened(Message):
        """A row is to be opened: the one that the cursor is on."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(id="grid")
        self.frame: Frame | None = None
        self.order: Sequence[int] = ()
        self.placed: list[tuple[Column, int]] = []
        """The columns that there is room for, and their widths."""
        self.cursor = 0
        """Where the cursor is, in the order of the rows."""
        self.key: Hashable = None
        """The row that it is on."""
        self.follower: Widget | None = None
        """What is drawn anew when the columns have other places or widths."""
        self.formatted = 0
        """How many cells have been formatted so far."""
        self._palette = palette
        self._columns: Sequence[Column] = ()
        self._sort = ""
        self._widths: dict[str, int] = {}
        self._cells: dict[int, list[str]] = {}

    def begin(self, columns: Sequence[Column]) -> None:
        """Something else will be shown, in these columns."""
        self.frame, self.order, self.cursor, self.key = None, (), 0, None
        self._columns, self._widths, self._cells = columns, {}, {}
        self._place()
        self.scroll_to(y=0, animate=False, force=True)
        self.virtual_size = Size(self.size.width, 0)
        self.refresh()

    def show(self, frame: Frame, order: Sequence[int], columns: Sequence[Column], sort: str) -> None:
        """Shows a sample. The cursor stays on its row, unless that is the first."""
        below = self.cursor - round(self.scroll_y)
        self.frame, self.order, self._columns, self._sort = frame, order, columns, sort
        self._cells = {}
        if self.cursor and self.key is not None:
            row = frame.row_of(self.key)
            if row is not None:
                self.cursor = order.index(row)
        self.cursor = max(min(self.cursor, len(order) - 1), 0)
        if self.virtual_size.height != len(order):
            self.virtual_size = Size(self.size.width, len(order))
        if 0 <= below < self.size.height:
            self._reveal()
        self._keep()
        self.refresh()

    def sorted_by(self, order: Sequence[int], sort: str) -> None:
        """The same sample in another order: the cursor goes to the top."""
        self.order, self._sort, self.cursor = order, sort, 0
        self._cells = {}
        self.scroll_to(y=0, animate=False, force=True)
        self._keep()
        self.refresh()

    def headed_by(self, sort: str) -> None:
        """Another order is to come: only the headings show it so far."""
        self._sort = sort

    def move(self, rows: int) -> None:
        """Moves the cursor by so many rows."""
        self.go(self.cursor + rows)

    def go(self, position: int) -> None:
        """Moves the cursor to a position in the order."""
        before, first = self.cursor, round(self.scroll_y)
        self.cursor = max(min(position, len(self.order) - 1), 0)
        self._keep()
        self._reveal()
        if round(self.scroll_y) != first:
            self.refresh()
            return
        for line in (before, self.cursor):
            self.refresh_line(line)

    # What the keys of a thing that scrolls do: here the cursor moves, and the rows follow.

    def action_scroll_up(self) -> None:
        """One row up."""
        self.move(-1)

    def action_scroll_down(self) -> None:
        """One row down."""
        self.move(1)

    def action_page_up(self) -> None:
        """A screen up."""
        self.move(-self.page)

    def action_page_down(self) -> None:
        """A screen down."""
        self.move(self.page)

    def action_scroll_home(self) -> None:
        """To the first row."""
        self.go(0)

    def action_scroll_end(self) -> None:
        """To the last row."""
        self.go(len(self.order) - 1)

    @property
    def row(self) -> int | None:
        """The row under the cursor, in the sample."""
        return self.order[self.cursor] if self.cursor < len(self.order) else None

    @property
    def page(self) -> int:
        """Rows on the screen."""
        return max(self.size.height - 1, 1)

    def column_at(self, x: int) -> Column | None:
        """The column at this place of a line."""
        at = _GUTTER
        for column, wide in self.placed:
            if x < at + wide + 1:
                return column
            at += wide + 1
        return None

    def headings(self) -> list[Part]:
        """The titles of the columns, that which rows are sorted by marked."""
        parts: list[Part] = [(" " * _GUTTER, PLAIN)]
        for column, wide in self.placed:
            title = shortened(f"{column.title}{_arrow(column, self._sort)}", wide)
            blank = " " * (wide - width(title))
            ours = column.name == self._sort.removeprefix("-")
            parts.append((f"{blank}{title} " if column.right else f"{title}{blank} ", REVERSED if ours else BOLD_STYLE))
        return parts

    def _keep(self) -> None:
        row = self.row
        self.key = None if row is None or self.frame is None else self.frame.keys[row]

    def _reveal(self) -> None:
        first, height = round(self.scroll_y), max(self.size.height, 1)
        if self.cursor < first:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= first + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, force=True)

    def on_resize(self) -> None:
        """The columns have another room."""
        self._widths = {}
        self._cells = {}
        self.refresh()

    def render_lines(self, crop: Region) -> list[Strip]:
        """The rows on the screen: their cells decide the widths."""
        frame = self.frame
        if frame is not None:
            first = round(self.scroll_y)
            for position in range(first, min(first + self.size.height, len(self.order))):
                if position not in self._cells:
                    self._cells[position] = [frame.cell(self.order[position], column) for column in self._columns]
                    self.formatted += len(self._columns)
        self._place()
        return super().render_lines(crop)

    def _place(self) -> None:
        """Finds out which columns there is room for, and how wide each is."""
        sort = self._sort.removeprefix("-")
        for number, column in enumerate(self._columns):
            wanted = width(column.title) + (column.name == sort)
            cells = (width(cells[number]) for cells in self._cells.values())
            wanted = max(wanted, column.least, *cells, self._widths.get(column.name, 0))
            self._widths[column.name] = max(min(wanted, column.most), width(column.title) + (column.name == sort))
        room = self.scrollable_content_region.width - _GUTTER
        ranked = sorted(enumerate(self._columns), key=lambda at: (at[1].name != sort, at[1].rank, at[0]))
        given: dict[int, int] = {}
        for number, column in ranked:
            wanted = self._widths[column.name]
            if not column.right:
                wanted = min(wanted, max(column.usual, width(column.title)))
                least = min(wanted, max(column.least, width(column.title)))
                wanted = min(wanted, max(room - 1, least))
            if wanted + 1 <= room:
                given[number] = wanted
                room -= wanted + 1
            elif not given:
                given[number], room = max(room - 1, 1), 0
        for number, column in ranked:
            if number in given and room > 0:
                more = min(self._widths[column.name] - given[number], room)
                given[number] += more
                room -= more
        placed = [(self._columns[number], given[number]) for number in sorted(given)]
        if placed != self.placed:
            self.placed = placed
            if self.follower is not None:
                self.follower.refresh()

    def render_line(self, y: int) -> Strip:
        """One row."""
        columns = self.scrollable_content_region.width
        position = round(self.scroll_y) + y
        cells = self._cells.get(position)
        if cells is None or self.frame is None:
            return strip((), columns)
        by_name = {column.name: cell for column, cell in zip(self._columns, cells, strict=True)}
        change = self.frame.changes.get(self.frame.keys[self.order[position]], "")
        around = ENDED_STYLE if change == ENDED else PLAIN
        if position == self.cursor:
            around += REVERSED
        shade = self._palette.shade(NEW_STYLE) if change == NEW else PLAIN
        parts: list[Part] = [(_MARKS.get(change, "  "), shade)]
        for column, wide in self.placed:
            text = shortened(by_name[column.name], wide)
            blank = " " * (wide - width(text))
            style = self._palette.of(column.kind, by_name[column.name]) if change != ENDED else PLAIN
            parts += [(blank, PLAIN), (text, style)] if column.right else [(text, style), (blank, PLAIN)]
            parts.append((" ", PLAIN))
        return strip(parts, columns, around)

    def on_click(self, event: Click) -> None:
        """Moves the cursor to the row under the pointer; a second click opens it."""
        position = round(self.scroll_y) + event.y
        if event.x < self.scrollable_content_region.width and position < len(self.order):
            self.go(position)
            if event.chain > 1:
                self.post_message(self.Opened())


class Headings(Widget):
    """The line above the rows: a click on a title sorts by it."""

    DEFAULT_CSS = "Headings { height: 1; }"

    class Clicked(Message):
        """The title of a column was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, grid: Grid) -> None:
        super().__init__(id="headings")
        self._grid = grid
        grid.follower = self

    def render_line(self, y: int) -> Strip:
        """The titles."""
        return strip(self._grid.headings(), self.size.width)

    def on_click(self, event: Click) -> None:
        """Sorts by the column under the pointer."""
        column = self._grid.column_at(event.x)
        if column is not None:
            self.post_message(self.Clicked(column.name))


def _arrow(column: Column, sort: str) -> str:
    """Which way rows are sorted, where it is by this column; a - before its name: the other way round."""
    if column.name != sort.removeprefix("-"):
        return ""
    return "▼" if column.right != sort.startswith("-") else "▲"
