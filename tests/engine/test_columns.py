"""Columns of every kind against plain lists, and batches of them against lists of their records."""

from __future__ import annotations

from typing import Any

import pytest
from batches import batch_of
from hypothesis import given
from hypothesis import strategies as st

from netinspect.engine.columns import (
    NONE,
    Array,
    Batch,
    Coded,
    Column,
    Constant,
    Nested,
    Plain,
    column_of,
    concatenated,
    interleaved,
)
from netinspect.engine.schema import Schema, rows_of
from netinspect.environment import Environment
from netinspect.nouns.sockets.command import Sockets
from netinspect.records import Memory, Socket, SocketCount

COUNTS = st.builds(
    SocketCount, st.sampled_from(["tcp", "udp"]), st.sampled_from(["inet", "inet6"]), st.text(max_size=2), st.integers()
)
TABLES = st.lists(st.lists(COUNTS, min_size=1, max_size=5), min_size=1, max_size=4)
MEMORIES = st.builds(Memory, *[st.integers(0, 3)] * 9)


def columns_of(records: list[Any]) -> Batch:
    """As a decoder makes them: Constant where all values are the same, texts that are plain, and numbers by codes."""

    def make(field: str) -> Any:
        values = [getattr(record, field) for record in records]
        if all(value == values[0] for value in values):
            return Constant(values[0])
        if isinstance(values[0], str):
            return Plain(values)
        return Coded([str(value) for value in values], {str(value): value for value in values})

    record = type(records[0])
    return batch_of(len(records), {field: make(field) for field in record._fields}, record.__name__)


@st.composite
def columns(draw: st.DrawFn) -> tuple[Column, list[Any]]:
    """A column of any kind, and its values."""
    numbers = st.none() | st.integers(0, 3)
    values = draw(st.lists(numbers, min_size=1, max_size=8))
    kind = draw(st.sampled_from(["constant", "list", "bytes", "tuple", "plain", "coded", "nested"]))
    if kind == "constant":
        return Constant(values[0]), [values[0]] * len(values)
    if kind == "bytes":
        octets = bytes(value or 0 for value in values)
        return column_of(octets), list(octets)
    if kind == "plain":
        texts = [f"10.0.0.{value}" for value in values]
        return Plain(texts), texts
    if kind == "coded":
        return Coded([str(value) for value in values], {str(value): value for value in [*values, 9]}), values
    if kind == "nested":
        memories = draw(st.lists(MEMORIES, min_size=1, max_size=8))
        return Nested(columns_of(memories)), memories
    return column_of(tuple(values) if kind == "tuple" else values), values


def rows(column: Column, count: int) -> list[Any]:
    found = list(column.values(count))
    assert len(found) == count
    return found


@given(columns(), st.data())
def test_every_kind_of_column_answers_as_a_list_of_its_values(
    made: tuple[Column, list[Any]], data: st.DataObject
) -> None:
    column, values = made
    count = len(values)
    assert rows(column, count) == values
    assert rows(column, count) == values  # again
    mask = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
    chosen = [value for value, wanted in zip(values, mask, strict=True) if wanted]
    assert rows(column.select(mask), len(chosen)) == chosen
    numbers = data.draw(st.lists(st.sampled_from(range(count))))
    assert rows(column.take(numbers), len(numbers)) == [values[number] for number in numbers]
    assert rows(column.map(str), count) == list(map(str, values))
    assert rows(column.convert(lambda some: [repr(value) for value in some]), count) == list(map(repr, values))
    text = column.text(repr)
    assert ([text] * count if isinstance(text, str) else list(text)) == list(map(repr, values))
    assert all(value in list(column.distinct()) for value in values)
    for value in (None, 0, 7, *values):
        assert (value in column) == (value in values)
        if column.is_all(value):
            assert values == [value] * count
    if column.constant:
        assert values == [column.value] * count
        assert not column.diverse()
    else:
        with pytest.raises(AttributeError):
            _ = column.value
    assert column.plain == isinstance(column, Plain)
    # What selecting and taking makes is of the same kind.
    for other in (column.select(mask), column.take(numbers)):
        assert type(other) is type(column)


@given(TABLES, st.data())
def test_batches_are_put_together_and_rows_taken(tables: list[list[SocketCount]], data: st.DataObject) -> None:
    whole = concatenated(list(map(columns_of, tables)))
    records = [record for records in tables for record in records]
    assert list(whole) == records
    chosen = data.draw(st.lists(st.sampled_from(range(len(records)))))
    assert list(whole.take(chosen)) == [records[row] for row in chosen]
    mask = [row in chosen for row in range(len(records))]
    assert list(whole.select(mask)) == [record for record, wanted in zip(records, mask, strict=True) if wanted]
    order = data.draw(st.permutations(range(len(records))))
    starts = [sum(map(len, tables[:at])) for at in range(len(tables))]
    parts = [
        (columns_of(table), [order.index(start + at) for at in range(len(table))])
        for start, table in zip(starts, tables, strict=True)
    ]
    if len(parts) > 1:
        assert list(interleaved(parts)) == [records[row] for row in order]


@given(st.lists(st.integers(0, 3) | st.integers(), min_size=1))
def test_a_converted_column_has_the_same_values_whether_they_repeat_or_not(values: list[int]) -> None:
    asked: list[int] = []

    def convert(numbers: Any) -> list[float]:
        asked.extend(numbers)
        return [number / 2 for number in numbers]

    column = Array(values).convert(convert)
    assert rows(column, len(values)) == [number / 2 for number in values]
    if column.coded:
        assert len(asked) == len(set(values))


@given(st.lists(st.lists(MEMORIES, min_size=1, max_size=3), min_size=1, max_size=3))
def test_nested_records_stay_columns(tables: list[list[Memory]]) -> None:
    def outer(records: list[Memory]) -> Batch:
        return batch_of(len(records), {"memory": Nested(columns_of(records))})

    count = sum(map(len, tables))
    column = concatenated(list(map(outer, tables))).take(range(count)[::-1]).column("memory")
    assert column.nested is not None
    assert rows(column, count) == [memory for records in tables for memory in records][::-1]


@given(st.lists(st.lists(st.tuples(st.none() | st.integers(0, 3), st.integers(0, 3)), min_size=1), max_size=3))
def test_rows_are_sorted_by_several_fields_and_stay_in_order_where_equal(tables: list[list[Any]]) -> None:
    plain = Socket("tcp", "inet", "stream", "LISTEN", 0, 0, "x", 1, None, None, None, 0, 7, 0)
    batches = [[plain._replace(uid=uid, inode=inode) for uid, inode in rows] for rows in tables]
    command = Sockets.read(["--sort", "uid,-inode"], Environment(len, len, False, 80))
    assert command is not None
    found = [row for batch in command.sorted(map(rows_of, batches)) for row in batch]
    expected = sorted(
        (record for records in batches for record in records),
        key=lambda record: (record.uid is not None, record.uid or 0, -record.inode),
    )
    assert found == expected


def test_a_column_is_made_when_it_is_first_asked_for_and_once() -> None:
    made: list[str] = []

    def maker(name: str) -> Any:
        return lambda source: made.append(name) or [source]

    batch = Schema("SocketCount", {"protocol": maker("protocol"), "family": maker("family")}).batch(1, "source")
    assert made == []
    assert [list(batch.values("family")) for _ in range(2)] == [["source"]] * 2
    assert made == ["family"]
    assert list(batch.select([1]).joined({"protocol": lambda rows: rows.column("family")}).values("protocol")) == [
        "source"
    ]
    assert made == ["family"]


def test_a_column_that_is_not_declared_raises() -> None:
    schema = Schema("SocketCount", {"protocol": NONE, "count": lambda source: [source]}, extra={"identity": NONE})
    batches = [
        schema.batch(1, 5),
        schema.given(1, {"count": [5]}),
        schema.rows([SocketCount("tcp", "inet", "LISTEN", 5)][:0]),
        schema.batch(1, 5).select([True]),
        schema.batch(1, 5).take([0]),
        schema.batch(1, 5).joined({"identity": lambda batch: [1]}),
        concatenated([schema.batch(1, 5), schema.batch(1, 6)]),
    ]
    for batch in batches:
        with pytest.raises(LookupError, match="no column 'protocl' is declared for SocketCount: protocol, count"):
            batch.column("protocl")
    for attempt in (
        lambda: schema.batch(1, 5).joined({"cuont": lambda batch: [1]}),
        lambda: schema.given(1, {"cuont": [1]}),
        lambda: schema.made_by({"cuont": NONE}),
    ):
        with pytest.raises(LookupError, match="'cuont'"):
            attempt()
    wider = schema.batch(1, 5).joined({"noun": lambda batch: ["x"]}, schema.wider(["noun"]))
    assert list(wider.values("noun")) == ["x"]
    assert list(wider.values("count")) == [5]
