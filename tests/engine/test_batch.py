"""Batches put together and in order, against lists of their records."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from netinspect.engine.columns import Batch, Coded, Constant, Nested, Plain, concatenated, converted
from netinspect.engine.output import OutputOptions
from netinspect.records import Memory, Socket, SocketCount

COUNTS = st.builds(
    SocketCount, st.sampled_from(["tcp", "udp"]), st.sampled_from(["inet", "inet6"]), st.text(max_size=2), st.integers()
)
TABLES = st.lists(st.lists(COUNTS, min_size=1, max_size=5), min_size=1, max_size=4)


class _Counts(Batch):
    record = "SocketCount"


class _Memories(Batch):
    record = "Memory"


def columns_of(kind: type[Batch], records: list[Any]) -> Batch:
    """As a decoder makes them: Constant where all values are the same, texts that are plain, and numbers by codes."""

    def make(field: str) -> Any:
        values = [getattr(record, field) for record in records]
        if all(value == values[0] for value in values):
            return Constant(values[0])
        if isinstance(values[0], str):
            return Plain(values)
        return Coded([str(value) for value in values], {str(value): value for value in values})

    return kind(len(records), make)


@given(TABLES, st.data())
def test_batches_are_put_together_and_rows_taken(tables: list[list[SocketCount]], data: st.DataObject) -> None:
    whole = concatenated([columns_of(_Counts, records) for records in tables])
    records = [record for records in tables for record in records]
    assert list(whole) == records
    rows = data.draw(st.lists(st.sampled_from(range(len(records)))))
    assert list(whole.take(rows)) == [records[row] for row in rows]


@given(st.lists(st.integers(0, 3) | st.integers(), min_size=1), st.data())
def test_a_converted_column_has_the_same_values_whether_they_repeat_or_not(
    values: list[int], data: st.DataObject
) -> None:
    column = converted(values, lambda numbers: [number / 2 for number in numbers])
    expected = [number / 2 for number in values]
    assert list(column) == expected
    assert len(column) == len(expected)
    rows = data.draw(st.slices(len(values)))
    assert column[rows] == expected[rows]
    assert column[-1] == expected[-1]
    batch = Batch(len(values), lambda _: column)
    mask = [number % 2 for number in values]
    assert list(batch.select(mask).values("x")) == [half for half, odd in zip(expected, mask, strict=True) if odd]
    if isinstance(column, Coded):
        assert list(column.mapped(str)) == list(map(str, expected))


@given(st.lists(st.lists(st.builds(Memory, *[st.integers(0, 3)] * 9), min_size=1, max_size=3), min_size=1, max_size=3))
def test_nested_records_stay_columns(tables: list[list[Memory]]) -> None:
    def outer(records: list[Memory]) -> Batch:
        return Batch(len(records), lambda _: Nested(columns_of(_Memories, records)))

    whole = concatenated([outer(records) for records in tables]).take(range(sum(map(len, tables)))[::-1])
    column = whole.column("memory")
    assert isinstance(column, Nested)
    assert list(column) == [memory for records in tables for memory in records][::-1]


@given(st.lists(st.lists(st.tuples(st.none() | st.integers(0, 3), st.integers(0, 3)), min_size=1), max_size=3))
def test_rows_are_sorted_by_several_fields_and_stay_in_order_where_equal(tables: list[list[Any]]) -> None:
    plain = Socket("tcp", "inet", "stream", "LISTEN", 0, 0, "x", 1, None, None, None, 0, 7, 0)
    batches = [[plain._replace(uid=uid, inode=inode) for uid, inode in rows] for rows in tables]
    options = OutputOptions("Socket")
    options.take("sort", "uid,-inode")
    found = [row for batch in options.sorted(map(Batch.from_records, batches), Batch) for row in batch]
    expected = sorted(
        (record for records in batches for record in records),
        key=lambda record: (record.uid is not None, record.uid or 0, -record.inode),
    )
    assert found == expected
