"""Rows of text from columns, thousands at a time: the engine under every table, JSON and CSV.

A row is made of cells. The text of all cells, joined, is one format string, in which numbers are still directives;
one ``%`` then fills in all numbers of the whole batch. So a row costs a few pointer copies and no Python statement.
"""

from __future__ import annotations

from .columns import diverse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from .columns import Column

_CACHED = 20_000
"""Texts that a cache keeps: a few MiB, so that memory stays flat whatever a table holds."""


class Cell:
    """One cell of each row of a batch.

    ``text`` is a format: one string for all rows, or one for each row. Every ``%`` that is not a directive must be
    doubled. ``values`` fills the directive, where there is one; there is one at most.
    """

    __slots__ = ("text", "values")

    def __init__(self, text: str | Iterable[str], values: Iterable[Any] | None = None) -> None:
        self.text = text
        self.values = values


def rows(count: int, cells: Sequence[Cell]) -> str:
    """``count`` rows of these cells."""
    pieces: list[str | Iterable[str]] = []
    for cell in cells:
        if isinstance(cell.text, str) and pieces and isinstance(pieces[-1], str):
            pieces[-1] += cell.text
        else:
            pieces.append(cell.text)
    template = "".join(_interleaved(count, pieces))
    values = [cell.values for cell in cells if cell.values is not None]
    if not values:
        # Looking for directives through all of it would take longer than all the rest.
        return template.replace("%%", "%") if "%" in template else template
    return template % tuple(values[0] if len(values) == 1 else _interleaved(count, values))


def _interleaved(count: int, columns: Sequence[Any]) -> list[Any]:
    """Row after row, one value of each column, or the same string again and again."""
    width = len(columns)
    row = [column if isinstance(column, str) else None for column in columns]
    cells: list[Any] = row * count
    for at, column in enumerate(columns):
        if not isinstance(column, str):
            # Assigning to every nth place takes half the time of zip and chain.
            cells[at::width] = column
    return cells


class Texts(dict["Any", str]):
    """What to show for a value, made once for each value: a column of text is then one ``map`` over the values."""

    def __init__(self, make: Callable[[Any], str], most: int = _CACHED) -> None:
        """``most`` texts are kept at once."""
        super().__init__()
        self._make = make
        self._most = most

    def __missing__(self, value: Any) -> str:
        if len(self) >= self._most:
            self.clear()
        text = self[value] = self._make(value)
        return text


def digits_of(numbers: Sequence[float], code: str = "d") -> int:
    """How many digits all of these numbers have before the point; 0 where that differs, or some are negative."""
    least, most = min(numbers, default=-1), max(numbers, default=-1)
    digits = len(format(int(least), code))
    return digits if least >= 0 and digits == len(format(int(most), code)) else 0


def padded(code: str, width: int, digits: int, *, right: bool = False) -> str:
    """The directive of a number that fills a cell of so many characters, and a blank.

    Where all numbers have so many ``digits``, 0 if not, blanks stand beside it: with a width of its own a number costs
    three times as much.
    """
    if not digits:
        return f"%{'' if right else '-'}{width}{code} "
    blanks = " " * max(width - digits, 0)
    return f"{blanks}%{code} " if right else f"%{code}{blanks} "


class Endpoints:
    """Cells of numeric addresses with their ports behind a colon, then a blank at least, up to ``width``.

    With the width 0 a line ends there. ``before`` and ``after`` are put around each address.
    """

    def __init__(self, width: int, before: str = "", after: str = "") -> None:
        self._last = not width
        self._width = width - len(before) - len(after)
        self._before = before
        self._after = after
        self._by_digits: dict[int, tuple[Texts, Texts]] = {}
        """Formats of addresses, and what follows an address of a length, by the digits of all ports, 0 where these
        differ.
        """

    def _texts(self, ports: Sequence[int]) -> tuple[Texts, Texts]:
        digits = 0 if self._last else digits_of(ports)
        texts = self._by_digits.get(digits)
        if texts is None:

            def end(length: int) -> str:
                directive = "%d\n" if self._last else padded("d", max(self._width - length - 1, 1), digits)
                return f"{self._after}:{directive}"

            def form(address: str | None) -> str:
                shown = address or "*"
                return f"{self._before}{shown}{ends[len(shown)]}"

            ends = Texts(end)
            texts = self._by_digits[digits] = Texts(form), ends
        return texts

    def cells(self, column: Column, count: int, ports: Sequence[int]) -> list[Cell]:
        """The cells of ``count`` rows: of a column of addresses, and the ports."""
        # What differs most, the port, stays a number until the last step.
        formats, end = self._texts(ports)
        if column.constant:
            return [Cell(formats[column.value], ports)]
        addresses = list(column.values(count))
        if not diverse(addresses, 4):
            return [Cell(map(formats.__getitem__, addresses), ports)]
        ends = end[0] if self._last else map(end.__getitem__, map(len, addresses))
        return [Cell(self._before), Cell(addresses), Cell(ends, ports)]


def literal(text: str) -> str:
    """Text to stand in a format string as it is."""
    return text.replace("%", "%%")
