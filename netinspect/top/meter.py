"""Counters, sample after sample: what they rose a second.

Most counters stand still: those are compared, but not computed.
"""

from __future__ import annotations

from _operator import add
from itertools import chain, compress

from .compared import Compared, mask
from .pace import rest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence
    from struct import Struct
    from typing import Any

    Numbers = list[float | None]


class Sparse(list):  # type: ignore[type-arg]
    """A column of rates of which most are 0. ``rows`` are those that may be something else, in order."""

    __slots__ = ("rows",)

    def __init__(self, values: Iterable[float | None], rows: Sequence[int]) -> None:
        super().__init__(values)
        self.rows = rows

    def ordered(self, descending: bool) -> list[int]:
        """The rows sorted by their values, None last; rows of the same value in their order."""
        known = [row for row in self.rows if self[row]]
        unknown = [row for row in self.rows if self[row] is None]
        zeros = [*compress(range(len(self)), mask(len(self), chain(known, unknown)))]
        known.sort(key=self.__getitem__, reverse=descending)
        return known + zeros + unknown if descending else zeros + known + unknown


class Meter:
    """Takes the counters of one sample after the other."""

    def __init__(self) -> None:
        self.compared: Compared | None = None
        """The rows of the last sample beside those of the one before."""
        self._keys: Sequence[Hashable] | None = None
        self._times: Sequence[float] = ()
        self._counters: Sequence[Sequence[Any]] = ()
        self._began = 0.0

    @property
    def fresh(self) -> Sequence[int]:
        """The rows of the last sample that the one before had not."""
        return () if self.compared is None else self.compared.fresh

    def rates(
        self,
        keys: Sequence[Hashable],
        times: Sequence[float],
        counters: Sequence[Sequence[int | None]],
        began: float,
    ) -> list[Numbers] | None:
        """The rate of each counter for each row; None in the first sample.

        ``times`` are when each row was read, ``began`` when the sample began. A row that the sample before had not
        counts from nothing, all of it since then.
        """
        old_times, old, old_began = self._times, self._counters, self._began
        compared = self._take(keys, times, counters, began)
        if compared is None:
            return None
        found = []
        for now, then in zip(counters, old, strict=True):
            rest()
            known = None not in now
            column: Numbers = [0.0] * len(now) if known else [None if value is None else 0.0 for value in now]
            moved = compared.moved(then, now)
            for before, row in zip(*moved, strict=True):
                value, was = now[row], then[before]
                if value is not None:
                    column[row] = None if was is None else _rate(value - was, times[row] - old_times[before])
                    known &= was is not None
            for row in compared.fresh:
                if value := now[row]:
                    column[row] = _rate(value, times[row] - old_began)
            found.append(Sparse(column, _merged(moved[1], compared.fresh)) if known else column)
        return found

    def packed_rates(
        self,
        keys: Sequence[Hashable],
        times: Sequence[float],
        packed: Sequence[bytes | None],
        layout: Struct,
        began: float,
    ) -> list[Numbers] | None:
        """The same for counters that are together in one column, in bytes of this layout: None where there are none."""
        old_times, old, old_began = self._times, self._counters, self._began
        compared = self._take(keys, times, (packed,), began)
        if compared is None:
            return None
        unpack, number = layout.unpack, len(layout.unpack(bytes(layout.size)))
        then_rows, now_rows = compared.moved(old[0], packed)
        rest()
        lacking = None in packed
        start: Numbers = [None if value is None else 0.0 for value in packed] if lacking else [0.0] * len(packed)
        rows = _merged(now_rows, compared.fresh)
        found = [list(start) if lacking else Sparse(start, rows) for _ in range(number)]
        changes = [(row, old[0][before], old_times[before]) for before, row in zip(then_rows, now_rows, strict=True)]
        nothing = bytes(layout.size)
        changes += [(row, nothing, old_began) for row in compared.fresh]
        for row, was, at in changes:
            values = packed[row]
            if values is None:
                continue
            seconds = times[row] - at
            if was is None:
                for column in found:
                    column[row] = None
                continue
            for column, value, before in zip(found, unpack(values), unpack(was), strict=True):
                if value != before:
                    column[row] = _rate(value - before, seconds)
        return found

    def _take(
        self, keys: Sequence[Hashable], times: Sequence[float], counters: Sequence[Sequence[Any]], began: float
    ) -> Compared | None:
        before = self._keys
        self._keys, self._times, self._counters, self._began = keys, times, counters, began
        there = None if self.compared is None else self.compared.there
        self.compared = None if before is None else Compared(before, keys, there)
        return self.compared


def _rate(rise: float, seconds: float) -> float:
    return max(rise, 0) / max(seconds, 1e-9)


def _merged(rows: Sequence[int], others: Sequence[int]) -> Sequence[int]:
    return sorted([*rows, *others]) if others else rows


def added(one: Sequence[float | None], other: Sequence[float | None]) -> list[float | None]:
    """The sum of two columns, row by row; None where one is."""
    if isinstance(one, Sparse) and isinstance(other, Sparse):
        found = Sparse(one, one.rows if one.rows is other.rows else sorted({*one.rows, *other.rows}))
        for row in other.rows:
            first, second = one[row], other[row]
            found[row] = None if first is None or second is None else first + second
        return found
    if None in one or None in other:
        pairs = zip(one, other, strict=True)
        return [None if first is None or second is None else first + second for first, second in pairs]
    return [*map(add, one, other)]


def total(values: Sequence[float | None]) -> float | None:
    """The sum of what is known; None where nothing is."""
    some = map(values.__getitem__, values.rows) if isinstance(values, Sparse) else values
    known = [value for value in some if value is not None]
    return sum(known) if known or (isinstance(values, Sparse) and len(values) > len(values.rows)) else None
