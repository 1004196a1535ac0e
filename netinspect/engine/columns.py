"""Batches of rows as columns, from the decoders to the renderers.

A dump returns tens of thousands of messages of one shape. As columns, one C-level operation reads a field of a whole
run from the buffer, and only requested fields are read. Iterating over a batch yields typed records.

There are six kinds of column (`Constant`, `Array`, `Plain`, `Numbers`, `Coded`, `Nested`). They share one interface, so
callers need not know the kind; the schema declares the names of a batch (schema.py).
"""

from __future__ import annotations

from _functools import partial
from itertools import chain, compress, repeat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, TypeAlias

    from .schema import Schema

    Values: TypeAlias = "Column | Sequence[Any]"
    """What a maker of columns may return: a sequence becomes an Array."""


class Column:
    """One field of all rows of a batch."""

    __slots__ = ()

    constant = False
    """Whether all rows are known to have the same value."""
    value: Any
    """The value of every row: constant columns alone have it."""
    coded = False
    """Whether few distinct values are known, so that `map` and `text` compute each once."""
    plain = False
    """Whether these are texts that need no escaping: only letters, digits, dots, colons and slashes."""
    nested: Batch | None = None
    """The batch of records within records that this column is made of."""

    def is_all(self, value: object) -> bool:
        """Whether all rows are known to have this value, which is not looked up row by row."""
        return False

    def values(self, count: int) -> Iterable[Any]:
        """The values of ``count`` rows, which is what the batch has."""
        raise NotImplementedError

    def select(self, mask: Sequence[object]) -> Column:
        """The rows for which ``mask`` is true."""
        raise NotImplementedError

    def take(self, rows: Sequence[int], pick: Callable[[Sequence[Any]], Sequence[Any]] | None = None) -> Column:
        """The rows with these numbers, in this order. ``pick`` is `picker(rows)`, made once for many columns."""
        raise NotImplementedError

    def map(self, function: Callable[[Any], Any]) -> Column:
        """What ``function`` makes of each value; it is called once where a value is known to repeat."""
        raise NotImplementedError

    def convert(self, convert: Callable[[Sequence[Any]], Sequence[Any]]) -> Column:
        """The values converted by ``convert``, each distinct one once if the first ones suggest that values repeat."""
        raise NotImplementedError

    def text(self, show: Callable[[Any], str]) -> str | Iterable[str]:
        """The text of each row, or one text where it is the same in all of them: what a Cell takes."""
        raise NotImplementedError

    def distinct(self) -> Iterable[Any]:
        """The values of the rows, each once. Coded columns may give others beside them."""
        raise NotImplementedError

    def diverse(self, share: int = 2) -> bool:
        """Whether more than one in ``share`` values is new, judging by the first ones."""
        return False

    def __contains__(self, value: object) -> bool:
        raise NotImplementedError


class Constant(Column):
    """A column that has the same value in every row: renderers turn it into literal text once per batch."""

    __slots__ = ("value",)

    constant = True

    def __init__(self, value: Any) -> None:
        self.value = value

    def is_all(self, value: object) -> bool:
        return bool(self.value == value)

    def values(self, count: int) -> Iterable[Any]:
        return repeat(self.value, count)

    def select(self, mask: Sequence[object]) -> Column:
        return self

    def take(self, rows: Sequence[int], pick: Callable[[Sequence[Any]], Sequence[Any]] | None = None) -> Column:
        return self

    def map(self, function: Callable[[Any], Any]) -> Column:
        return Constant(function(self.value))

    def convert(self, convert: Callable[[Sequence[Any]], Sequence[Any]]) -> Column:
        return Constant(convert((self.value,))[0])

    def text(self, show: Callable[[Any], str]) -> str | Iterable[str]:
        return show(self.value)

    def distinct(self) -> Iterable[Any]:
        return (self.value,)

    def __contains__(self, value: object) -> bool:
        return bool(self.value == value)


NONE = Constant(None)


class Array(Column):
    """A column of values, one for each row: a list, bytes, or any other sequence."""

    __slots__ = ("items",)

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = items

    def values(self, count: int) -> Sequence[Any]:
        return self.items

    def select(self, mask: Sequence[object]) -> Column:
        return type(self)(list(compress(self.items, mask)))

    def take(self, rows: Sequence[int], pick: Callable[[Sequence[Any]], Sequence[Any]] | None = None) -> Column:
        return type(self)((pick or picker(rows))(self.items))

    def map(self, function: Callable[[Any], Any]) -> Column:
        return Array(list(map(function, self.items)))

    def convert(self, convert: Callable[[Sequence[Any]], Sequence[Any]]) -> Column:
        if diverse(self.items):
            return Array(convert(self.items))
        distinct = list(set(self.items))
        return Coded(self.items, dict(zip(distinct, convert(distinct), strict=True)))

    def text(self, show: Callable[[Any], str]) -> str | Iterable[str]:
        return map(show, self.items)

    def distinct(self) -> Iterable[Any]:
        return dict.fromkeys(self.items)

    def diverse(self, share: int = 2) -> bool:
        return diverse(self.items, share)

    def __contains__(self, value: object) -> bool:
        try:
            return value in self.items
        except (TypeError, ValueError):
            return False  # bytes may only be asked for a byte


class Plain(Array):
    """A column of plain texts. Addresses are plain, and as many as rows, so it pays to know."""

    __slots__ = ()

    plain = True


class Numbers(Array):
    """A column of whole numbers, each of which is known: None need not be looked for."""

    __slots__ = ()

    def __contains__(self, value: object) -> bool:
        return value is not None and value in self.items


class Coded(Column):
    """A column of repeated values, stored as codes: each value is converted once for all its rows.

    ``table`` has the values by their codes.
    """

    __slots__ = ("codes", "table")

    coded = True

    def __init__(self, codes: Sequence[Any], table: Mapping[Any, Any]) -> None:
        self.codes = codes
        self.table = table

    def values(self, count: int) -> Iterable[Any]:
        return map(self.table.__getitem__, self.codes)

    def select(self, mask: Sequence[object]) -> Column:
        return Coded(list(compress(self.codes, mask)), self.table)

    def take(self, rows: Sequence[int], pick: Callable[[Sequence[Any]], Sequence[Any]] | None = None) -> Column:
        return Coded((pick or picker(rows))(self.codes), self.table)

    def map(self, function: Callable[[Any], Any]) -> Column:
        return Coded(self.codes, {code: function(value) for code, value in self.table.items()})

    def convert(self, convert: Callable[[Sequence[Any]], Sequence[Any]]) -> Column:
        return Coded(self.codes, dict(zip(self.table, convert(list(self.table.values())), strict=True)))

    def text(self, show: Callable[[Any], str]) -> str | Iterable[str]:
        texts = {code: show(value) for code, value in self.table.items()}
        return map(texts.__getitem__, self.codes)

    def distinct(self) -> Iterable[Any]:
        return self.table.values()

    def __contains__(self, value: object) -> bool:
        return value in self.values(len(self.codes))


class Nested(Column):
    """A column of nested records: a batch of which only requested fields are read.

    Its rows all have a record: None is not among them.
    """

    __slots__ = ("_records", "nested")

    def __init__(self, batch: Batch) -> None:
        self.nested: Batch = batch
        self._records: list[Any] | None = None

    def values(self, count: int) -> list[Any]:
        if self._records is None:
            self._records = list(self.nested)
        return self._records

    def select(self, mask: Sequence[object]) -> Column:
        return Nested(self.nested.select(mask))

    def take(self, rows: Sequence[int], pick: Callable[[Sequence[Any]], Sequence[Any]] | None = None) -> Column:
        return Nested(self.nested.take(rows))

    def map(self, function: Callable[[Any], Any]) -> Column:
        return Array(list(map(function, self.nested)))

    def convert(self, convert: Callable[[Sequence[Any]], Sequence[Any]]) -> Column:
        return Array(convert(self.values(self.nested.count)))

    def text(self, show: Callable[[Any], str]) -> str | Iterable[str]:
        return map(show, self.nested)

    def distinct(self) -> Iterable[Any]:
        return self.values(self.nested.count)

    def __contains__(self, value: object) -> bool:
        return value is not None and value in self.values(self.nested.count)


def column_of(values: Values) -> Column:
    """A column as it is; a sequence as an Array."""
    return values if isinstance(values, Column) else Array(values)


def picker(rows: Sequence[int]) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """What takes the rows with these numbers out of a sequence."""
    from _operator import itemgetter

    return itemgetter(*rows) if len(rows) > 1 else lambda items: [items[row] for row in rows]


def diverse(values: Sequence[Any], share: int = 2) -> bool:
    """Whether more than one in ``share`` values is new, judging by the first ones.

    Then it does not pay to keep what is made of them.
    """
    sample = values[:_SAMPLE]
    return share * len(set(sample)) > len(sample)


_SAMPLE = 64


class Batch:
    """``count`` rows of a noun: a column for each name that its ``schema`` declares.

    ``make(name)`` makes a column, and raises LookupError for a name that is not declared; it is called once, when that
    column is first asked for.
    """

    __slots__ = ("_columns", "_make", "count", "schema")

    def __init__(self, schema: Schema, count: int, make: Callable[[str], Column]) -> None:
        self.schema = schema
        self.count = count
        self._make = make
        self._columns: dict[str, Column] = {}

    def column(self, name: str) -> Column:
        """One column. Raises LookupError where the schema does not declare it."""
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = self._make(name)
        return column

    def values(self, name: str) -> Iterable[Any]:
        """The values of one column: exactly ``count`` of them."""
        return self.column(name).values(self.count)

    def joined(self, makers: Mapping[str, Callable[[Batch], Values]], schema: Schema | None = None) -> Batch:
        """The same rows with other columns of the schema, or of one that has more: how a join adds what it knows.

        A maker is given this batch, so it may build on the very column that it replaces. Raises LookupError where the
        schema does not declare one of them.
        """
        if schema is None:
            schema = self.schema
        for name in makers:
            schema.check(name)

        def make(name: str) -> Column:
            maker = makers.get(name)
            return self.column(name) if maker is None else column_of(maker(self))

        return Batch(schema, self.count, make)

    def select(self, mask: Sequence[object]) -> Batch:
        """The rows for which ``mask`` is true."""
        return Batch(self.schema, sum(map(bool, mask)), lambda name: self.column(name).select(mask))

    def take(self, rows: Sequence[int]) -> Batch:
        """The rows with these numbers, in this order."""
        pick = picker(rows)
        return Batch(self.schema, len(rows), lambda name: self.column(name).take(rows, pick))

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Any]:
        record = self.schema.type()
        # What `_make` checks is so: a value for each field.
        return map(partial(tuple.__new__, record), zip(*map(self.values, record._fields), strict=True))


def concatenated(batches: Sequence[Batch]) -> Batch:
    """Batches of one noun, at least one, as one."""
    if len(batches) == 1:
        return batches[0]

    def make(name: str) -> Column:
        columns = [batch.column(name) for batch in batches]
        first = columns[0]
        if first.constant and all(column.constant and column.value == first.value for column in columns):
            return first
        nested = [column.nested for column in columns if column.nested is not None]
        if len(nested) == len(columns):
            return Nested(concatenated(nested))
        values = list(chain.from_iterable(batch.values(name) for batch in batches))
        return Plain(values) if all(column.plain for column in columns) else Array(values)

    return Batch(batches[0].schema, sum(map(len, batches)), make)


def interleaved(parts: Sequence[tuple[Batch, Sequence[int]]]) -> Batch:
    """Batches of one noun as one, in the order of their rows' positions, which accompany each."""
    if len(parts) == 1:
        return parts[0][0]
    batches, places = zip(*parts, strict=True)
    whole = concatenated(batches)
    positions = [*chain(*places)]
    if positions == sorted(positions):
        return whole  # as where the first row alone has another shape
    return whole.take(sorted(range(len(positions)), key=positions.__getitem__))
