"""Tables on a terminal: they fit its width, and have colours.

Columns that matter least are left out first and named in the last line, long cells are shortened in the middle, and no
row is ever wrapped. The rest is as in table.py: streamed, with widths from the first rows.
"""

from __future__ import annotations

from .rows import Texts
from .table import WIDEST, Column, Table
from .terminal import DIM, REVERSE, kind_of, painted, shortened, tone, width
from .text import printable_column

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .columns import Batch
    from .output import ListingCommand
    from .watched import Watched

_WANTED = 40
"""What a long cell is granted before a column that matters less is left out for it."""
_LEAST = 12
"""What a cell that may be shortened keeps as long as possible."""


class Room:
    """What is known of the place that a table has, and of what its columns are worth.

    ``columns`` is the terminal's width, None where nothing has to fit. ``essential`` are the titles of the columns
    that say what a row is, and stay; ``spare`` those that are left out first, in this order.
    """

    __slots__ = ("coloured", "columns", "essential", "spare", "watched")

    def __init__(
        self,
        columns: int | None,
        *,
        coloured: bool,
        essential: Sequence[str] = (),
        spare: Sequence[str] = (),
        watched: Watched | None = None,
    ) -> None:
        self.columns = columns
        self.coloured = coloured
        self.essential = essential
        self.spare = spare
        self.watched = watched


def fitted(command: ListingCommand, columns: Sequence[Column]) -> Table:
    """The table of a command whose output is a terminal, or has colours all the same."""
    environment = command.environment
    room = Room(
        environment.columns if environment.terminal and not command.wide else None,
        coloured=command.coloured,
        essential=command.essential,
        spare=() if command.chosen is not None else command.spare,
        watched=command.watched,
    )
    return FittedTable(columns, environment.write, room, heading=not command.no_header)


class FittedTable(Table):
    """Writes a table of these columns within a room."""

    def __init__(
        self, columns: Sequence[Column], write: Callable[[bytes], object], room: Room, *, heading: bool = True
    ) -> None:
        super().__init__(columns, write, heading=heading)
        self._room = room
        self._shown = list(columns)
        self._places = list(range(len(columns)))
        self._natural = [max(column.width, width(column.title)) for column in columns]
        self._kinds = [kind_of(column.field or column.title) for column in columns]
        self._widths: list[int] = []
        self._cells: list[Texts] = []
        self._left_out: list[str] = []

    def start(self) -> None:
        """Writes the heading, for rows that come one by one; what is not shown comes first, since none may end it."""
        if self._held is not None:
            self._measure(self._held)
            self._choose()
            self._notice()
        super().start()

    def end(self) -> None:
        """Writes what is held back, at least the heading, and what is not shown."""
        super().end()
        self._notice()

    def _notice(self) -> None:
        if self._left_out:
            names = ", ".join(title.lower() for title in self._left_out)
            self._left_out = []
            line = f"not shown: {names} (--wide shows all)"
            if self._room.columns:
                line = shortened(line, self._room.columns)
            self._write_line(painted(DIM, line) if self._room.coloured else line)

    def _write_line(self, line: str) -> None:
        if self._room.watched is not None:
            self._room.watched.say(line)
        else:
            self._write(f"{line}\n".encode("utf-8", "backslashreplace"))

    def _start(self, to_come: Sequence[Batch] = ()) -> None:
        held, self._held = self._held or [], None
        self._measure((*held, *to_come))
        if not self._widths:
            self._choose()
        if self._heading:
            last = len(self._shown) - 1
            cells = [
                self._aligned(column, column.title, self._widths[at], last=at == last)
                for at, column in enumerate(self._shown)
            ]
            self._write(f"{' '.join(cells)}\n".encode("utf-8", "backslashreplace"))
        for batch in held:
            self._put(batch)

    def _measure(self, batches: Sequence[Batch]) -> None:
        """Takes note of how wide the cells of all columns are."""
        for at, column in enumerate(self._columns):
            for batch in batches:
                self._widen(at, printable_column(list(column.texts(batch))))

    def _widen(self, at: int, texts: Sequence[str]) -> bool:
        """Takes note of how wide these cells of a column are: whether one is wider than all before."""
        if self._room.columns is None:
            widest = min(max(map(len, texts), default=0), WIDEST)
        else:
            widest = max(map(len if "".join(texts).isascii() else width, texts), default=0)
        if widest <= self._natural[at]:
            return False
        self._natural[at] = widest
        return True

    def _choose(self) -> None:
        """Finds the columns that are shown."""
        room = self._room.columns
        if room is not None:
            names = [column.title for column in self._columns]
            kept = chosen(
                [self._least(at) for at in range(len(names))],
                [min(natural, max(_WANTED, self._least(at))) for at, natural in enumerate(self._natural)],
                [self._rank(name) for name in names],
                room,
            )
            self._places, self._shown = kept, [self._columns[at] for at in kept]
            self._left_out = [name for at, name in enumerate(names) if at not in kept and name]
        self._allot()

    def _allot(self) -> None:
        """Finds the width of each column that is shown."""
        places = self._places
        natural = [self._natural[at] for at in places]
        if self._room.columns is None:
            self._widths = natural
        else:
            least = [self._least(at) for at in places]
            self._widths = allotted(least, natural, self._room.columns - len(places) + 1)
        last = len(places) - 1
        self._cells = [
            Texts(self._cell(self._columns[at], self._kinds[at], self._widths[number], last=number == last))
            for number, at in enumerate(places)
        ]

    def _rank(self, title: str) -> int:
        if title in self._room.essential:
            return 0
        return 2 + len(self._room.spare) - self._room.spare.index(title) if title in self._room.spare else 1

    def _least(self, at: int) -> int:
        """What a column needs at least: numbers, addresses and states are not shortened without need."""
        if self._columns[at].right or self._kinds[at]:
            return self._natural[at]
        return min(self._natural[at], _LEAST)

    def _cell(self, column: Column, kind: str, room: int, *, last: bool) -> Callable[[str], str]:
        """What makes a text the cell of a column."""
        fits, coloured = self._room.columns is not None, self._room.coloured and bool(kind)

        def make(text: str) -> str:
            shown = shortened(text, room) if fits else text
            code = tone(kind, text) if coloured else ""
            padding = " " * (room - (width(shown) if fits else len(shown)))
            if column.right:
                return padding + painted(code, shown)
            return painted(code, shown) if last else painted(code, shown) + padding

        return make

    def _aligned(self, column: Column, text: str, room: int, *, last: bool) -> str:
        text = shortened(text, room)
        padding = " " * (room - width(text))
        if column.right:
            return padding + text
        return text if last else text + padding

    def _put(self, batch: Batch) -> None:
        watched = self._room.watched
        if watched is not None:
            left = watched.take(batch.count)
            if left < batch.count:
                batch = batch.take(range(left))
        if not batch.count:
            return
        texts = [printable_column(list(column.texts(batch))) for column in self._shown]
        if self._room.columns is not None:
            # A wider cell further down has the room that is left, and moves what is to its right.
            wider = [self._widen(at, column) for at, column in zip(self._places, texts, strict=True)]
            if any(wider):
                self._allot()
        cells = [list(map(made.__getitem__, column)) for made, column in zip(self._cells, texts, strict=True)]
        if watched is not None:
            self._mark(watched, texts, cells)
        rows = "\n".join(map(" ".join, zip(*cells, strict=True)))
        self._write(f"{rows}\n".encode("utf-8", "backslashreplace"))

    def _mark(self, watched: Watched, texts: Sequence[Sequence[str]], cells: Sequence[list[str]]) -> None:
        """Marks the cells that differ from those of the same row, and rows that are new."""
        names = [column.title for column in self._shown]
        keys = [at for at, name in enumerate(names) if name in self._room.essential and self._kinds[at] != "state"]
        keys = keys or [at for at, column in enumerate(self._shown) if not column.right] or [0]
        for row, values in enumerate(zip(*texts, strict=True)):
            before = watched.row(tuple(values[at] for at in keys), dict(zip(names, values, strict=True)))
            if before is None:
                continue
            for at, name in enumerate(names):
                if before.get(name, "") != values[at]:
                    cells[at][row] = painted(REVERSE, cells[at][row].replace("\x1b[0m", f"\x1b[0m{REVERSE}"))


def chosen(least: Sequence[int], wanted: Sequence[int], ranks: Sequence[int], room: int) -> list[int]:
    """The columns that fit, in their order, each followed by a blank except the last.

    Those of rank 0 are kept in any case, those of rank 1 where they fit shortened, and all others, the lowest rank
    first, where there is room for what all of them want.
    """
    kept: list[int] = []
    for at in sorted(range(len(ranks)), key=ranks.__getitem__):
        sizes = wanted if ranks[at] > 1 else least
        if not ranks[at] or sum(sizes[other] + 1 for other in (*kept, at)) - 1 <= room:
            kept.append(at)
    return sorted(kept) or [0]


def allotted(least: Sequence[int], natural: Sequence[int], room: int) -> list[int]:
    """The widths of columns that have ``room`` in all: what they need naturally, or the widest of them less.

    None gets less than ``least`` unless all of them together do not fit.
    """
    if sum(natural) <= room:
        return list(natural)
    if sum(least) > room:
        least = [1] * len(natural)
    low, high = 0, max(natural)
    while low < high:  # the largest width that all may have
        middle = (low + high + 1) // 2
        if sum(max(small, min(large, middle)) for small, large in zip(least, natural, strict=True)) <= room:
            low = middle
        else:
            high = middle - 1
    widths = [max(small, min(large, low)) for small, large in zip(least, natural, strict=True)]
    left = room - sum(widths)
    for at, large in enumerate(natural):
        if left > 0 and widths[at] < large and widths[at] == low:
            widths[at], left = widths[at] + 1, left - 1
    return widths
