"""Rows of text from columns, thousands at a time: the engine under every table, JSON and CSV.

A row is made of cells. The text of all cells, joined, is one format string, in which numbers are still directives;
one ``%`` then fills in all numbers of the whole batch. So a row costs a few pointer copies and no Python statement.
"""

from __future__ import annotations

from itertools import repeat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

_CACHED = 20_000
"""Texts that a cache keeps: a few MiB, so that memory stays flat whatever a table holds."""


_SAMPLE = 64


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


class _Digits(dict[int, str]):
    """The text of numbers, each with ``end`` behind it."""

    def __init__(self, end: str) -> None:
        super().__init__()
        self._end = end

    def __missing__(self, number: int) -> str:
        text = self[number] = f"{number}{self._end}"
        return text


_FEW = 1 << 16
"""Ports are below, and most of what is counted: their texts are kept."""
_digits: dict[str, _Digits] = {}


def digits(numbers: Iterable[int], end: str = "") -> Iterable[str]:
    """The texts of whole numbers from 0 to 65535, such as ports, each with ``end`` behind it."""
    table = _digits.get(end) or _digits.setdefault(end, _Digits(end))
    return map(table.__getitem__, numbers)


def whole_numbers(numbers: Sequence[int]) -> Iterable[str]:
    """The texts of whole numbers of any size: made quickly where all of them are small."""
    return digits(numbers) if min(numbers) >= 0 and max(numbers) < _FEW else map(str, numbers)


def diverse(values: Sequence[Any]) -> bool:
    """Whether most values are met but once, as far as the first ones tell: then it does not pay to keep their texts."""
    sample = values[:_SAMPLE]
    return 2 * len(set(sample)) > len(sample)


def endpoints(addresses: Iterable[str], ports: Iterable[int], width: int) -> Iterable[str]:
    """Addresses with their ports behind a colon, then a blank at least, up to ``width``; with 0 a line end instead."""
    end = repeat(" " if width else "\n")
    texts = map("".join, zip(addresses, repeat(":"), map(str, ports), end, strict=False))
    return map(str.ljust, texts, repeat(width)) if width else texts


def literal(text: str) -> str:
    """Text to stand in a format string as it is."""
    return text.replace("%", "%%")
