"""What rows had in the samples before: of those that somebody may look at, for a few minutes.

A value takes 8 bytes, so that memory is the same after four minutes as after one.
"""

from __future__ import annotations

from array import array
from collections import OrderedDict
from math import isnan, nan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from .frame import Frame

SAMPLES = 240
_MOST_ROWS = 1000
"""Rows whose history is kept: whose rows were shown last."""


class History:
    """The values of some fields, sample after sample: numbers, or None where one was not known."""

    def __init__(self) -> None:
        self._rows: OrderedDict[Hashable, array[float]] = OrderedDict()
        self._fields = 1

    def add(self, frame: Frame, rows: Iterable[int], fields: Sequence[str]) -> None:
        """Takes the values of these rows: always of the same fields until all is forgotten."""
        columns = [frame.column(field) for field in fields]
        self._fields = len(fields)
        for row in rows:
            key = frame.keys[row]
            kept = self._rows.get(key)
            if kept is None:
                kept = self._rows[key] = array("d")
            else:
                self._rows.move_to_end(key)
            kept.extend([nan if column[row] is None else column[row] for column in columns])
            del kept[: -SAMPLES * len(fields)]
        while len(self._rows) > _MOST_ROWS:
            self._rows.popitem(last=False)

    def of(self, key: Hashable) -> list[tuple[float | None, ...]]:
        """The values of a row in each field, the oldest first."""
        known = [None if isnan(value) else value for value in self._rows.get(key, ())]
        return [*zip(*(known[field :: self._fields] for field in range(self._fields)), strict=True)]

    def clear(self) -> None:
        """Forgets all."""
        self._rows.clear()
