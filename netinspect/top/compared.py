"""Two samples of one table: which rows are new, which are gone, and which counters moved.

A kernel lists most of a table in the order of the sample before, and most of its counters stand still. So what is the
same is found by whole columns, and only the rest row by row.
"""

from __future__ import annotations

from _operator import ne
from itertools import compress, count

from ..engine.columns import picker
from .pace import rest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence
    from typing import Any


class Compared:
    """The rows of two samples by their keys."""

    __slots__ = ("_now", "_pick", "_then", "before", "fresh", "gone", "keys", "there")

    def __init__(self, before: Sequence[Hashable], keys: Sequence[Hashable], was: set[Hashable] | None = None) -> None:
        """``was``: the keys before as a set, where that has been made."""
        self.before = before
        self.keys = keys
        self.fresh: Sequence[int] = ()
        """The rows of ``keys`` that were not there before."""
        self.gone: Sequence[int] = ()
        """The rows of ``before`` that are not there any more."""
        self._now: bytearray | None = None
        """For each row of ``keys``, whether it was there before; None: all were, in this order."""
        self._then: bytearray | None = None
        """For each row of ``before``, whether it is still there."""
        self._pick: Any = None
        """Takes the rows that are still there out of a column of ``before``, where they have another order now."""
        self.there = was
        """The keys as a set, where that was needed."""
        if before != keys:
            rest()
            self._match(set(before) if was is None else was)

    def _match(self, was: set[Hashable]) -> None:
        rest()
        self.there = there = set(self.keys)
        rest()
        came, left = there - was, was - there
        rest()
        self.fresh = [*compress(count(), map(came.__contains__, self.keys))] if came else ()
        self.gone = [*compress(count(), map(left.__contains__, self.before))] if left else ()
        self._now, self._then = mask(len(self.keys), self.fresh), mask(len(self.before), self.gone)
        kept = [*compress(self.keys, self._now)]
        if [*compress(self.before, self._then)] != kept:
            places = dict(zip(self.before, count()))
            rest()
            self._pick = picker([*map(places.__getitem__, kept)])

    def then(self, column: Sequence[Any]) -> Sequence[Any]:
        """A column of the sample before: the rows that are still there, in the order in which they are now."""
        if self._pick is not None:
            return self._pick(column)  # type: ignore[no-any-return]
        return column if self._then is None else [*compress(column, self._then)]

    def now(self, column: Sequence[Any]) -> Sequence[Any]:
        """A column of this sample: the same rows."""
        return column if self._now is None else [*compress(column, self._now)]

    def moved(self, then: Sequence[Any], now: Sequence[Any]) -> tuple[Sequence[int], Sequence[int]]:
        """Where a column has another value than before: the rows in ``then`` and in ``now``, whole columns."""
        old, new = self.then(then), self.now(now)
        rest()
        places = [*compress(count(), map(ne, old, new))]
        return self._rows_then(places), self._rows_now(places)

    def _rows_now(self, places: Sequence[int]) -> Sequence[int]:
        rows = self.now(range(len(self.keys)))
        return [rows[place] for place in places]

    def _rows_then(self, places: Sequence[int]) -> Sequence[int]:
        rows = self.then(range(len(self.before)))
        return [rows[place] for place in places]


def mask(number: int, without: Iterable[int]) -> bytearray:
    """For each of so many rows 1, but 0 for some of them: what `compress` takes."""
    rows = bytearray(b"\1") * number
    for row in without:
        rows[row] = 0
    return rows
