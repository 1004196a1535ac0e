"""Listings as tables of other libraries: pyarrow, pandas, and HTML for notebooks. Column by column, not row by row."""

from __future__ import annotations

from html import escape
from itertools import chain, islice
from typing import get_args, get_origin, get_type_hints

from ..engine.text import printable
from ..errors import MissingLibraryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence
    from typing import Any

    import pandas
    import pyarrow

    from ..engine.columns import Batch

_LARGEST = (1 << 63) - 1
SHOWN = 20
"""Rows that a notebook shows."""


def arrow_table(record: Any, batches: Iterable[Batch]) -> pyarrow.Table:
    """The rows as a pyarrow.Table, a chunk for each batch, with the types of the record. Raises MissingLibraryError."""
    try:
        import pyarrow
    except ImportError:
        raise MissingLibraryError("to_arrow needs pyarrow: pip install 'netinspect[arrow]'") from None
    found = list(batches)
    columns = []
    for name, hint in get_type_hints(record).items():
        wide = any(_is_wide(batch, name) for batch in found) if _plain(hint) is int else False
        wanted = _arrow_type(pyarrow, hint, wide=wide)
        try:
            chunks = [_arrow(pyarrow, batch, name, wanted) for batch in found]
        except OverflowError:  # a record within the record has a number that needs all 64 bits
            large = {path for batch in found for value in batch.values(name) for path in _large(value)}
            wanted = _arrow_type(pyarrow, hint, large=large)
            chunks = [_arrow(pyarrow, batch, name, wanted) for batch in found]
        columns.append(pyarrow.chunked_array(chunks, wanted))
    return pyarrow.table(columns, names=list(record._fields))


def data_frame(record: Any, batches: Iterable[Batch]) -> pandas.DataFrame:
    """The rows as a pandas.DataFrame with types that know missing values. Raises MissingLibraryError."""
    try:
        import pandas
    except ImportError:
        raise MissingLibraryError("to_pandas needs pandas: pip install 'netinspect[pandas]'") from None
    found = list(batches)
    columns = {}
    for name, hint in get_type_hints(record).items():
        values = list(chain.from_iterable(batch.values(name) for batch in found))
        dtype = {int: "Int64", float: "Float64", str: "string", bool: "boolean"}.get(_plain(hint), "object")
        if dtype == "Int64" and any(_is_wide(batch, name) for batch in found):
            dtype = "UInt64"
        columns[name] = pandas.Series(values, dtype=dtype)
    return pandas.DataFrame(columns)


def html(record: Any, batches: Sequence[Batch]) -> str:
    """The first rows as a table, without columns that have nothing in them. ``batches`` have one row more, if any."""
    rows = list(islice(chain.from_iterable(batches), SHOWN + 1))
    more = len(rows) > SHOWN
    rows = rows[:SHOWN]
    fields = [name for at, name in enumerate(record._fields) if any(row[at] not in (None, "", ()) for row in rows)]
    head = "".join(f"<th>{escape(name)}</th>" for name in fields)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(getattr(row, name))}</td>' for name in fields)}</tr>" for row in rows)
    number = f"the first {SHOWN} rows" if more else f"{len(rows)} row{'' if len(rows) == 1 else 's'}"
    caption = f"<caption>{escape(record.__name__)}: {number}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: object) -> str:
    return escape(printable("" if value is None else str(value)))


def _plain(hint: Any) -> Any:
    """The type of a field's values that are not None; None where they are of several."""
    kinds = [kind for kind in get_args(hint) if kind is not type(None)] if _is_union(hint) else [hint]
    return kinds[0] if len(kinds) == 1 else None


def _is_union(hint: Any) -> bool:
    return type(None) in get_args(hint)


def _is_wide(batch: Batch, name: str) -> bool:
    """Whether a column has numbers that need all 64 bits."""
    return any(value is not None and value > _LARGEST for value in batch.column(name).distinct())


def _large(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where in a value there are numbers that need all 64 bits, by the names of the fields."""
    if isinstance(value, int) and value > _LARGEST:
        yield path
    elif isinstance(value, tuple):
        names = getattr(value, "_fields", None)
        for at, part in enumerate(value):
            yield from _large(part, path if names is None else (*path, names[at]))


def _arrow_type(
    pyarrow: Any, hint: Any, *, wide: bool = False, large: Container[tuple[str, ...]] = (), path: tuple[str, ...] = ()
) -> Any:
    kind = _plain(hint)
    wide = wide or path in large
    scalars = {int: "uint64" if wide else "int64", float: "float64", str: "string", bool: "bool_"}
    if kind in scalars:
        return getattr(pyarrow, scalars[kind])()
    if get_origin(kind) is tuple:
        return pyarrow.list_(_arrow_type(pyarrow, get_args(kind)[0], large=large, path=path))
    if hasattr(kind, "_fields"):
        parts = [
            (name, _arrow_type(pyarrow, part, large=large, path=(*path, name)))
            for name, part in get_type_hints(kind).items()
        ]
        return pyarrow.struct(parts)
    return pyarrow.string()  # records of several kinds: their text


def _arrow(pyarrow: Any, batch: Batch, name: str, wanted: Any) -> Any:
    column = batch.column(name)
    if column.is_all(None):
        return pyarrow.nulls(batch.count, wanted)
    nested = pyarrow.types.is_nested(wanted)
    if column.constant and not nested:
        return pyarrow.repeat(pyarrow.scalar(column.value, wanted), batch.count)
    values = list(column.values(batch.count))
    if nested:
        values = [_as_arrow(value, wanted) for value in values]
    return pyarrow.array(values, wanted)


def _as_arrow(value: Any, wanted: Any) -> Any:
    """A value with records as dicts, which is how pyarrow takes structures."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        if not hasattr(wanted, "fields"):
            return str(value)
        return {name: _as_arrow(part, wanted.field(name).type) for name, part in zip(value._fields, value, strict=True)}
    if isinstance(value, tuple):
        return [_as_arrow(part, wanted.value_type) for part in value]
    return value
