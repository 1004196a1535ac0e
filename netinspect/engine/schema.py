"""What columns a noun has: each declared once, with what makes it.

A decoder declares ``Schema("Route", {"metric": _metrics, …}, extra={"table_id": _table_ids})``: the record's fields,
and columns beside them that only this program's own joins and tables ask for. `Schema.batch` binds them to a received
run. A name that is not declared raises, so that a misspelt one is an error, and not a column of None.
"""

from __future__ import annotations

from _functools import partial

from .columns import NONE, Array, Batch, Column, column_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TypeAlias

    from .columns import Values

    Maker: TypeAlias = "Column | Callable[..., Values]"
    """A column that is the same in every batch, or what makes it of the batch's source."""


class Schema:
    """The columns of one noun, or as one of its sources makes them.

    ``record`` names the type of the rows, in netinspect.records: ``columns`` has all its fields. ``extra`` are columns
    beside them.
    """

    __slots__ = ("columns", "extra", "record")

    def __init__(
        self,
        record: str,
        columns: Mapping[str, Maker],
        extra: Mapping[str, Maker] | None = None,
    ) -> None:
        self.record = record
        self.extra = frozenset(extra or ())
        self.columns: Mapping[str, Maker] = {**columns, **extra} if extra else columns

    @classmethod
    def of_fields(cls, record: str, extra: Iterable[str] = ()) -> Schema:
        """The fields of a record, and columns beside them, for batches that are made of records."""
        from .. import records

        return cls(record, dict.fromkeys(getattr(records, record)._fields, NONE), dict.fromkeys(extra, NONE))

    def made_by(self, makers: Mapping[str, Maker]) -> Schema:
        """The same columns, some of which another source makes in its own way. Raises LookupError for another name."""
        for name in makers:
            self.check(name)
        return self._with({**self.columns, **makers}, self.extra)

    def wider(self, extra: Iterable[str]) -> Schema:
        """The same with further columns beside the record's fields."""
        more = dict.fromkeys(extra, NONE)
        return self._with({**more, **self.columns}, self.extra.union(more))

    def _with(self, columns: Mapping[str, Maker], extra: frozenset[str]) -> Schema:
        made = Schema(self.record, columns)
        made.extra = extra
        return made

    def check(self, name: str) -> None:
        """Raises LookupError where there is no column of that name."""
        if name not in self.columns:
            raise LookupError(f"no column {name!r} is declared for {self.record}: {', '.join(self.columns)}")

    def type(self) -> Any:
        """The type of the rows."""
        from .. import records

        return getattr(records, self.record)

    def batch(self, count: int, *source: Any) -> Batch:
        """Rows whose columns are made of this source: it is what the makers are called with."""
        return Batch(self, count, partial(self._make, source))

    def given(self, count: int, columns: Mapping[str, Values]) -> Batch:
        """Rows of which these columns are known; the others are constant, or None."""
        for name in columns:
            self.check(name)
        return Batch(self, count, partial(self._given, columns))

    def rows(self, records: Sequence[Any], extra: Mapping[str, Values] | None = None) -> Batch:
        """Records as a batch, with columns beside their fields."""
        columns = dict(zip(records[0]._fields, zip(*records, strict=True), strict=True)) if records else {}
        return self.given(len(records), {**columns, **extra} if extra else columns)

    def _make(self, source: tuple[Any, ...], name: str) -> Column:
        maker = self.columns.get(name)
        if maker is None:
            self.check(name)
        if isinstance(maker, Column):
            return maker
        made = maker(*source)  # type: ignore[misc]
        return made if isinstance(made, Column) else Array(made)

    def _given(self, columns: Mapping[str, Values], name: str) -> Column:
        if name in columns:
            return column_of(columns[name])
        self.check(name)
        known = self.columns[name]
        return known if isinstance(known, Column) else NONE


def rows_of(records: Sequence[Any], record: str | None = None) -> Batch:
    """Records of one type, at least one unless ``record`` names it, as a batch without further columns."""
    return Schema.of_fields(record or type(records[0]).__name__).rows(records)
