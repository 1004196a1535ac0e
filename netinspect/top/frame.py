"""One sample as a table: columns of values, which rows are new or have ended, and the order of the rows.

Nothing here is text yet: a cell is formatted when it is shown, so that a table costs what is on the screen.
"""

from __future__ import annotations

from _collections import _count_elements
from _operator import is_not
from bisect import bisect_right
from itertools import accumulate, chain, compress, count, islice, repeat

from ..engine.cut import CutBatch
from ..engine.text import printable
from .compared import Compared
from .meter import Sparse
from .pace import rest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from ..engine.columns import Batch

NEW, ENDED = "new", "ended"

_TOP, _OTHERS = 300, 40
"""Rows of one sample that have ended and are still shown: those that were at the top, and others where these are few.
Each is decoded whole, in a sample of which otherwise only what is on the screen is.
"""
_FEW = 10_000
"""Rows that are put in order while a key waits."""
MARKED_SECONDS = 3.0
"""For so long a row is marked as new, and shown when it has ended."""


class Column:
    """One column of a table on the screen: which fields it shows, and how."""

    __slots__ = ("fields", "kind", "least", "most", "name", "rank", "right", "text", "title", "usual")

    def __init__(
        self,
        name: str,
        title: str,
        text: Callable[..., str] = str,
        *,
        fields: Sequence[str] = (),
        rank: int = 5,
        right: bool = False,
        least: int = 4,
        usual: int = 16,
        most: int = 48,
        kind: str = "",
    ) -> None:
        """``text`` makes a cell of the values of ``fields``, by default that of the name; rows are sorted by these.

        Columns of a high ``rank`` are left out first where there is no room. A text is ``least`` wide where
        there is little room, ``usual`` where others want some, and ``most`` where nobody else does; ``right``: a
        number, of which the largest are sorted first. ``kind`` says what colour means (terminal.tone).
        """
        self.name = name
        self.title = title
        self.text = text
        self.fields = tuple(fields) or (name,)
        self.rank = rank
        self.right = right
        self.least = least
        self.usual = usual
        self.most = most
        self.kind = kind


class Frame:
    """One sample. Columns are made when they are first asked for."""

    __slots__ = ("_columns", "_make", "_peek", "changes", "compared", "count", "facts", "keys", "order", "seconds")

    def __init__(
        self,
        keys: Sequence[Hashable],
        columns: Mapping[str, Sequence[Any]],
        make: Callable[[str], Sequence[Any]] | None = None,
        peek: Callable[[str, int], Any] | None = None,
        *,
        seconds: float | None = None,
        facts: Sequence[str] = (),
    ) -> None:
        """``keys`` tell rows apart, and say which row of another sample is the same one.

        ``make`` makes columns that are not given, ``peek`` one value of such a column; ``seconds`` is the interval that
        rates are of, None where there are none yet; ``facts`` are for the line at the top: totals.
        """
        self.keys = keys
        self.count = len(keys)
        self.changes: dict[Hashable, str] = {}
        """Keys of rows that are NEW or have ENDED."""
        self.compared: Compared | None = None
        """Its keys beside those of the sample before, where somebody has compared them."""
        self.order: Sequence[int] = ()
        """The rows in the order in which they are shown."""
        self.seconds = seconds
        self.facts = tuple(facts)
        self._columns = dict(columns)
        self._make = make
        self._peek = peek

    def __contains__(self, name: str) -> bool:
        """Whether it was made with a column of that name."""
        return name in self._columns

    def column(self, name: str) -> Sequence[Any]:
        """The values of one field. Raises LookupError where there is none."""
        found = self._columns.get(name)
        if found is None:
            if self._make is None:
                raise LookupError(name)
            found = self._columns[name] = self._make(name)
        return found

    def value(self, row: int, name: str) -> Any:
        """One value. A column that nobody sorts by need not be made for it."""
        if self._peek is None or name in self._columns:
            return self.column(name)[row]
        return self._peek(name, row)

    def cell(self, row: int, column: Column) -> str:
        """The text of a cell: one line without control characters."""
        values = [self.value(row, field) for field in column.fields]
        return printable("-" if values[0] is None else column.text(*values))

    def row_of(self, key: Hashable) -> int | None:
        """Where the row of this key is."""
        try:
            return self.keys.index(key)
        except ValueError:
            return None

    def ordered(self, column: Column, reverse: bool) -> list[int]:
        """The rows sorted by a column, None last: ascending, numbers descending, or the other way round."""
        descending = column.right != reverse
        if len(column.fields) == 1 and isinstance(found := self.column(column.fields[0]), Sparse):
            return found.ordered(descending)
        order = list(range(self.count))
        for field in reversed(column.fields[:2]):
            values = self.column(field)
            rest()
            if None in values:
                known = [row for row in order if values[row] is not None]
                unknown = [row for row in order if values[row] is None]
            else:
                known, unknown = order, []
            known.sort(key=values.__getitem__, reverse=descending)
            order = known + unknown
        return order

    def orders_at_once(self, column: Column) -> bool:
        """Whether `ordered` is a matter of milliseconds by this column."""
        known = [self._columns.get(field) for field in column.fields[:2]]
        return self.count <= _FEW or (len(known) == 1 and isinstance(known[0], Sparse))

    def taken(self, rows: Sequence[int], names: Iterable[str]) -> dict[str, list[Any]]:
        """The values of some rows, by field."""
        return {name: [self.value(row, name) for row in rows] for name in names}


class Marks:
    """Compares each sample with the one before: what is new is marked, what has ended stays for a while."""

    def __init__(self, seconds: float = MARKED_SECONDS) -> None:
        self._seconds = seconds
        self._before: Frame | None = None
        self._new: dict[Hashable, float] = {}
        self._ended: dict[Hashable, tuple[float, tuple[Any, ...]]] = {}

    def marked(self, frame: Frame, fields: Collection[str], now: float) -> Frame:
        """The same sample with its marks, and with the rows that have ended. ``fields`` are all that a row shows."""
        before, self._before = self._before, frame
        rest()
        if before is not None:
            compared = frame.compared
            if compared is None or compared.before is not before.keys or compared.keys is not frame.keys:
                compared = Compared(before.keys, frame.keys)
            fresh = [frame.keys[row] for row in compared.fresh]
            self._new |= dict.fromkeys(fresh, now)
            gone = dict.fromkeys(compared.gone)
            top = [row for row in before.order[:_TOP] if row in gone]
            kept = [*islice(dict.fromkeys(chain(top, gone)), max(len(top), _OTHERS))]
            values = zip(*(before.taken(kept, fields)).values(), strict=True)
            self._ended |= {before.keys[row]: (now, row_values) for row, row_values in zip(kept, values, strict=True)}
            for key in fresh:
                self._ended.pop(key, None)
        since = now - self._seconds
        self._new = {key: at for key, at in self._new.items() if at > since}
        self._ended = {key: ended for key, ended in self._ended.items() if ended[0] > since}
        if not self._ended:
            frame.changes = dict.fromkeys(self._new, NEW)
            return frame
        ended = dict(zip(fields, zip(*(values for _, values in self._ended.values()), strict=True), strict=True))
        # Of what was not shown nothing is known any more.
        unknown = (None,) * len(self._ended)
        whole = Frame(
            [*frame.keys, *self._ended],
            {},
            lambda name: _longer(frame.column(name), ended.get(name, unknown)),
            lambda name, row: (
                frame.value(row, name) if row < frame.count else ended.get(name, unknown)[row - frame.count]
            ),
            seconds=frame.seconds,
            facts=frame.facts,
        )
        whole.changes = {**dict.fromkeys(self._new, NEW), **dict.fromkeys(self._ended, ENDED)}
        return whole


def _longer(column: Sequence[Any], more: Sequence[Any]) -> list[Any]:
    """A column with further rows behind it."""
    if isinstance(column, Sparse):
        return Sparse([*column, *more], [*column.rows, *range(len(column), len(column) + len(more))])
    return [*column, *more]


def paced(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The same, with a rest before each where a key is to be answered."""
    for batch in batches:
        rest()
        yield batch


class Joined:
    """Batches one after the other as one table: whole columns, or a value of one row."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = batches
        self._ends = [*accumulate(map(len, batches))]
        self._singles: dict[int, Batch] = {}

    def column(self, name: str) -> list[Any]:
        """The values of a column of all batches."""
        return [*chain.from_iterable(batch.values(name) for batch in paced(self.batches))]

    def at(self, row: int) -> tuple[Batch, int]:
        """The batch that has a row, and where."""
        number = bisect_right(self._ends, row)
        batch = self.batches[number]
        return batch, row - self._ends[number] + len(batch)

    def value(self, name: str, row: int) -> Any:
        """One value: where its batch's column has not been decoded, only this."""
        batch, at = self.at(row)
        if not isinstance(batch, CutBatch) or batch.has(name):
            return nth(batch.values(name), at)
        single = self._singles.get(row)
        if single is None:
            single = self._singles[row] = batch.single(at)
        return nth(single.values(name), 0)


def nth(values: Iterable[Any], at: int) -> Any:
    """The value at a place of what may be no sequence."""
    return values[at] if isinstance(values, (list, tuple)) else next(islice(values, at, None))


def added_up(
    names: Sequence[Any], values: dict[str, Sequence[Any]], facts: Sequence[str], counted: str, seconds: float | None
) -> Frame:
    """Rows of the same name, and namespace where there is one, with their values added up."""
    if netns := values.pop("netns", None):
        names = [*zip(netns, names, strict=True)]
    places: dict[Any, int] = dict(zip(dict.fromkeys(names), count(), strict=False))
    at = [*map(places.__getitem__, names)]
    counts = dict.fromkeys(range(len(places)), 0)
    _count_elements(counts, at)
    columns: dict[str, Sequence[Any]] = {counted: [*counts.values()]}
    for field, of_rows in values.items():
        rest()
        known = compress(at, map(is_not, of_rows, repeat(None))) if None in of_rows else places.values()
        sums: list[Any] = [None] * len(places)
        for place in set(known):
            sums[place] = 0
        # Most values are 0.
        for place, value in zip(compress(at, of_rows), filter(None, of_rows), strict=True):
            sums[place] += value
        columns[field] = sums
    keys = list(places)
    columns["group"] = [key[1] for key in keys] if netns else keys
    if netns:
        columns["netns"] = [key[0] for key in keys]
    return Frame(keys, columns, seconds=seconds, facts=(f"{len(keys):,} of {facts[0]}", *facts[1:]))
