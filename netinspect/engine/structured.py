"""JSON, NDJSON and CSV, streamed. The fields are the records' (`netinspect schema`), the same in every format.

JSON is written in ASCII, with escapes for everything else: it is valid UTF-8 whatever a name holds, and no control
character reaches a terminal. CSV is RFC 4180's, with control characters as escapes like those of the tables; what
is a list or an object in JSON stands as JSON in its cell, and an apostrophe stands before text that a spreadsheet would
take for a formula.
"""

from __future__ import annotations

from _json import encode_basestring_ascii

from .rows import Cell, Texts, literal, rows
from .text import marked, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from .columns import Batch

NESTED = frozenset(("timer", "tcp_info", "memory", "processes", "peers"))
"""Fields whose text is different in each row, and so not worth keeping."""


_KEPT = 2000
"""Texts that are kept of each field of a record within records: there may be fifty of them."""


def dumps(value: Any) -> str:
    """A value of a record as JSON."""
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if isinstance(value, str):
        encoded = encode_basestring_ascii(value)
        return encode_basestring_ascii(_valid(value)) if "\\ud" in encoded else encoded
    if isinstance(value, tuple):
        fields = getattr(value, "_fields", None)
        if fields is None:
            return "[" + ",".join(map(dumps, value)) + "]"
        return "{" + ",".join([f'"{name}":{dumps(item)}' for name, item in zip(fields, value, strict=True)]) + "}"
    return repr(value)


def _valid(value: str) -> str:
    """A text that UTF-8 can hold: what is a byte of a file's name to Python is marked as one."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return marked(value)
    return value


def _cells(
    batch: Batch, field: str, texts: Texts, encode: Callable[[Any], str], objects: _Objects, path: str = ""
) -> Sequence[Cell]:
    column = batch.column(field)
    if column.plain:
        return (Cell(column.values(batch.count)),)
    if column.nested is not None:
        return objects.cells(column.nested, f"{path}{field}.")
    first = next(iter(column.values(batch.count)))
    if type(first) is int and None not in column:
        # A field has one type, except None: all of them are whole numbers.
        return (Cell(column.text(str)),)
    if field in NESTED or hasattr(first, "_fields"):
        return (Cell(column.text(lambda value: literal(encode(value)))),)
    return (Cell(column.text(texts.__getitem__)),)


class _Objects:
    """Records within records, as JSON objects, made from columns: ``quote`` is what stands for a quote."""

    def __init__(self, quote: str = '"') -> None:
        self._quote = quote
        self._texts: dict[str, Texts] = {}

    def _encode(self, value: Any) -> str:
        return dumps(value).replace('"', self._quote)

    def cells(self, batch: Batch, path: str) -> Sequence[Cell]:
        """The cells of a batch of such records, which are the values of the field that ``path`` ends with."""
        cells: list[Cell] = []
        opening = "{"
        for field in batch.schema.type()._fields:
            texts = self._texts.get(path + field)
            if texts is None:
                texts = self._texts[path + field] = Texts(lambda value: literal(self._encode(value)), _KEPT)
            quote = self._quote if batch.column(field).plain else ""
            cells += [Cell(f"{opening}{self._quote}{field}{self._quote}:{quote}")]
            cells += _cells(batch, field, texts, self._encode, self, path)
            cells += [Cell(quote)]
            opening = ","
        return [*cells, Cell("}")]


class _QuotedObjects(_Objects):
    """The same as cells of CSV."""

    def __init__(self) -> None:
        super().__init__('""')

    def cells(self, batch: Batch, path: str) -> Sequence[Cell]:
        cells = super().cells(batch, path)
        return cells if path.count(".") > 1 else [Cell('"'), *cells, Cell('"')]


class JsonLines:
    """One object a line (NDJSON): ``add`` each batch, then ``end``."""

    def __init__(self, fields: Sequence[str], write: Callable[[bytes], object]) -> None:
        self._fields = [(field, Texts(lambda value: literal(dumps(value)))) for field in fields]
        self._objects = _Objects()
        self._write = write

    def add(self, batch: Batch) -> None:
        """Writes the records of a batch."""
        if batch.count:
            self._write(self._text(batch, "\n").encode())

    def flush(self, to_come: Sequence[Batch] = ()) -> None:
        """Nothing is held back."""

    def end(self) -> None:
        """There is nothing to close."""

    def _text(self, batch: Batch, end: str) -> str:
        cells = []
        opening = '{"'
        for field, texts in self._fields:
            column = batch.column(field)
            if column.plain:
                cells += [Cell(f'{opening}{field}":"'), Cell(column.values(batch.count)), Cell('"')]
            else:
                cells += [Cell(f'{opening}{field}":'), *_cells(batch, field, texts, dumps, self._objects)]
            opening = ',"'
        return rows(batch.count, [*cells, Cell("}" + end)])


class Json(JsonLines):
    """One array of objects, an object a line."""

    def __init__(self, fields: Sequence[str], write: Callable[[bytes], object]) -> None:
        super().__init__(fields, write)
        self._before = "[\n"

    def add(self, batch: Batch) -> None:
        if batch.count:
            self._write((self._before + self._text(batch, ",\n")[:-2]).encode())
            self._before = ",\n"

    def end(self) -> None:
        self._write(b"[]\n" if self._before == "[\n" else b"\n]\n")


class Csv:
    """Comma-separated values with a heading (RFC 4180, but with plain line feeds)."""

    def __init__(self, fields: Sequence[str], write: Callable[[bytes], object], *, heading: bool = True) -> None:
        self._fields = [(field, Texts(lambda value: literal(_csv(value)))) for field in fields]
        self._objects = _QuotedObjects()
        self._write = write
        if heading:
            write((",".join(fields) + "\n").encode())

    def add(self, batch: Batch) -> None:
        """Writes the records of a batch."""
        if not batch.count:
            return
        cells = []
        for field, texts in self._fields:
            cells += [*_cells(batch, field, texts, _csv, self._objects), Cell(",")]
        cells[-1] = Cell("\n")
        self._write(rows(batch.count, cells).encode("utf-8", "backslashreplace"))

    def flush(self, to_come: Sequence[Batch] = ()) -> None:
        """Nothing is held back."""

    def end(self) -> None:
        """There is nothing to close."""


_FORMULA = frozenset("=+-@\uff1d\uff0b\uff0d\uff20'")
"""What a spreadsheet takes for the beginning of a formula, also in full width, and the apostrophe that is put before.

Tabs and line ends, after which some go on, are escapes by then.
"""


def _csv(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        text = printable(value)
        if text[:1] in _FORMULA and text:
            text = f"'{text}"
    else:
        text = dumps(value)
    if any(character in text for character in ',"'):
        return '"' + text.replace('"', '""') + '"'
    return text


def writer_of(
    form: str, fields: Sequence[str], write: Callable[[bytes], object], *, heading: bool = True
) -> JsonLines | Csv:
    """The writer for one of the formats json, ndjson and csv."""
    if form == "csv":
        return Csv(fields, write, heading=heading)
    return (Json if form == "json" else JsonLines)(fields, write)


def json_document(records: Iterable[Any]) -> bytes:
    """A small list of records as one JSON document."""
    lines = ",\n".join(map(dumps, records))
    return f"[\n{lines}\n]\n".encode() if lines else b"[]\n"
