"""A batch of sockets as columns: what the decoders make and the renderers take.

A dump answers with tens of thousands of equal messages. Held as columns, each field of a whole run is taken from
the buffer by one C-level operation, and only the fields somebody asks for are taken at all. Iterating over a batch
gives the typed records.
"""

from __future__ import annotations

from _functools import partial
from itertools import chain, compress, repeat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, TypeAlias

    Column: TypeAlias = "Sequence[Any] | Constant"
    Rows: TypeAlias = Sequence[Any]
else:
    Rows = object


class Constant:
    """A column that has the same value in every row: renderers turn it into literal text once per batch."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


NONE = Constant(None)


class Plain(list["str"]):
    """A column of texts that nothing needs to escape: of letters, digits, dots, colons and slashes alone.

    Addresses are, and there are as many as rows, so that it pays to know.
    """

    __slots__ = ()


class Nested(Rows):
    """A column of records within records: a batch of its own, of whose fields only those are taken that are asked for.

    Who does not care sees a sequence of records.
    """

    __slots__ = ("_records", "batch")

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._records: list[Any] | None = None

    def __len__(self) -> int:
        return self.batch.count

    def __iter__(self) -> Iterator[Any]:
        if self._records is None:
            self._records = list(self.batch)
        return iter(self._records)

    def __getitem__(self, row: int | slice) -> Any:
        return list(self)[row]


class Coded(Rows):
    """A column of values that repeat, each by its code: what is made of a value is made once for all rows that have it.

    ``table`` has the values by their codes. Who does not care sees a sequence of values.
    """

    __slots__ = ("codes", "table")

    def __init__(self, codes: Sequence[Any], table: Mapping[Any, Any]) -> None:
        self.codes = codes
        self.table = table

    def mapped(self, function: Callable[[Any], Any]) -> Iterable[Any]:
        """What ``function`` makes of the values."""
        made = {code: function(value) for code, value in self.table.items()}
        return map(made.__getitem__, self.codes)

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[Any]:
        return map(self.table.__getitem__, self.codes)

    def __getitem__(self, row: int | slice) -> Any:
        codes = self.codes[row]
        return [self.table[code] for code in codes] if isinstance(row, slice) else self.table[codes]


def diverse(values: Sequence[Any], share: int = 2) -> bool:
    """Whether more than one in ``share`` values is met for the first time, as far as the first ones tell.

    Then it does not pay to keep what is made of them.
    """
    sample = values[:_SAMPLE]
    return share * len(set(sample)) > len(sample)


def converted(values: Sequence[Any], convert: Callable[[Sequence[Any]], Sequence[Any]]) -> Sequence[Any]:
    """What ``convert`` makes of a column, value by value: codes where values repeat, as far as the first ones tell."""
    if diverse(values):
        return convert(values)
    distinct = list(set(values))
    return Coded(values, dict(zip(distinct, convert(distinct), strict=True)))


_SAMPLE = 64


class Batch:
    """``count`` rows. ``make(field)`` makes a column; it is called once, when that column is first asked for.

    Another noun's batches are a subclass with another ``record``.
    """

    __slots__ = ("_columns", "_make", "count")

    record = "Socket"
    """The type of the rows, in netinspect.records."""

    def __init__(self, count: int, make: Callable[[str], Column]) -> None:
        self.count = count
        self._make = make
        self._columns: dict[str, Column] = {}

    @classmethod
    def from_records(cls, records: Sequence[Any]) -> Batch:
        """Records, all of one type, as columns."""
        columns = dict(zip(records[0]._fields, zip(*records, strict=True), strict=True)) if records else {}
        return cls(len(records), lambda field: columns.get(field, NONE))

    def column(self, field: str) -> Column:
        """The values of one field, or a Constant."""
        column = self._columns.get(field)
        if column is None:
            column = self._columns[field] = self._make(field)
        return column

    def values(self, field: str) -> Iterable[Any]:
        """The values of one field, constants repeated: exactly ``count`` of them."""
        column = self.column(field)
        return repeat(column.value, self.count) if isinstance(column, Constant) else column

    def joined(self, makers: Mapping[str, Callable[[Batch], Column]]) -> Batch:
        """The same rows with further, or other, columns: how a join adds what it knows.

        A maker is given this batch, so it may build on the very column that it replaces.
        """

        def make(field: str) -> Column:
            maker = makers.get(field)
            return self.column(field) if maker is None else maker(self)

        return type(self)(self.count, make)

    def select(self, mask: Sequence[object]) -> Batch:
        """The rows for which ``mask`` is true."""

        def make(field: str) -> Column:
            column = self.column(field)
            if isinstance(column, Constant):
                return column
            if isinstance(column, Nested):
                return Nested(column.batch.select(mask))
            if isinstance(column, Coded):
                return Coded(list(compress(column.codes, mask)), column.table)
            return (Plain if isinstance(column, Plain) else list)(compress(column, mask))

        return type(self)(sum(map(bool, mask)), make)

    def take(self, rows: Sequence[int]) -> Batch:
        """The rows with these numbers, in this order."""
        from _operator import itemgetter

        pick = itemgetter(*rows) if len(rows) > 1 else lambda column: [column[row] for row in rows]

        def make(field: str) -> Column:
            column = self.column(field)
            if isinstance(column, Constant):
                return column
            if isinstance(column, Nested):
                return Nested(column.batch.take(rows))
            if isinstance(column, Coded):
                return Coded(pick(column.codes), column.table)
            return Plain(pick(column)) if isinstance(column, Plain) else pick(column)

        return type(self)(len(rows), make)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        from .. import records

        record = getattr(records, self.record)
        # What `_make` checks is so: a value for each field.
        return map(partial(tuple.__new__, record), zip(*map(self.values, record._fields), strict=True))


def concatenated(batches: Sequence[Batch]) -> Batch:
    """Batches of one kind, at least one, as one."""
    if len(batches) == 1:
        return batches[0]

    def make(field: str) -> Column:
        columns = [batch.column(field) for batch in batches]
        first = columns[0]
        if isinstance(first, Constant) and all(
            isinstance(column, Constant) and column.value == first.value for column in columns
        ):
            return first
        nested = [column.batch for column in columns if isinstance(column, Nested)]
        if len(nested) == len(columns):
            return Nested(concatenated(nested))
        values = chain.from_iterable(batch.values(field) for batch in batches)
        return Plain(values) if all(isinstance(column, Plain) for column in columns) else list(values)

    return type(batches[0])(sum(map(len, batches)), make)


def interleaved(parts: Sequence[tuple[Batch, Sequence[int]]]) -> Batch:
    """Batches of one kind as one, in the order of their rows' positions, which each comes with."""
    if len(parts) == 1:
        return parts[0][0]
    positions = list(chain.from_iterable(where for _, where in parts))
    return concatenated([batch for batch, _ in parts]).take(sorted(range(len(positions)), key=positions.__getitem__))
