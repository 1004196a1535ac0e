"""Rows, tables, JSON and CSV against simple row-by-row references, on generated records."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from batches import batch_of
from hypothesis import given
from hypothesis import strategies as st

from netinspect.engine.columns import Constant
from netinspect.engine.rows import Cell, literal, rows
from netinspect.engine.schema import rows_of
from netinspect.engine.structured import Csv, Json, JsonLines
from netinspect.engine.table import Column, Endpoint, Field, Table
from netinspect.engine.text import printable
from netinspect.records import Process, Socket, Timer

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PORT = st.none() | st.integers(0, 65535)
PROCESS = st.builds(Process, st.integers(1, 99), TEXT, st.integers(0, 9), st.none() | TEXT, st.none() | TEXT)
ADDRESS = st.sampled_from(["0.0.0.0", "127.0.0.1", "255.255.255.255", "::", "fe80::1", "2001:db8:1:2:3:4:5:6"])
SOCKET = st.builds(
    Socket,
    protocol=st.sampled_from(["tcp", "udp", "unix"]),
    family=st.sampled_from(["inet", "inet6", "unix"]),
    type=st.just("stream"),
    state=st.sampled_from(["LISTEN", "ESTABLISHED"]),
    recv_queue=st.integers(0, 2**32 - 1),
    send_queue=st.integers(0, 3),
    local_address=ADDRESS | TEXT,
    local_port=PORT,
    remote_address=st.none() | ADDRESS,
    remote_port=PORT,
    interface=st.none() | TEXT,
    uid=st.none() | st.integers(0, 5),
    inode=st.integers(0, 2**32 - 1),
    cookie=st.none() | st.integers(0, 2**64 - 1),
    timer=st.none() | st.builds(Timer, TEXT, st.integers(0, 10**6), st.integers(0, 5)),
    v6only=st.none() | st.booleans(),
    processes=st.none() | st.lists(PROCESS, max_size=3).map(tuple),
    **dict.fromkeys(set(Socket._fields[14:]) - {"timer", "v6only", "processes"}, st.none()),
)
BATCHES = st.lists(st.lists(SOCKET, max_size=20), max_size=4)


def written(writer: Any, batches: list[list[Socket]]) -> None:
    for records in batches:
        writer.add(rows_of(records, "Socket"))
    writer.end()


def plain(value: Any) -> Any:
    """A record as what JSON makes of it."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: plain(item) for name, item in zip(value._fields, value, strict=True)}
    return [plain(item) for item in value] if isinstance(value, tuple) else value


@given(BATCHES)
def test_json_and_ndjson_give_the_records_back(batches: list[list[Socket]]) -> None:
    expected = [plain(record) for records in batches for record in records]
    output = bytearray()
    written(Json(Socket._fields, output.extend), batches)
    assert json.loads(output) == expected
    lines = bytearray()
    written(JsonLines(Socket._fields, lines.extend), batches)
    assert [json.loads(line) for line in lines.splitlines()] == expected
    assert lines.isascii()


@given(BATCHES)
def test_csv_gives_the_fields_back_with_control_characters_as_escapes(batches: list[list[Socket]]) -> None:
    fields = ("protocol", "local_address", "local_port", "interface", "cookie", "v6only", "timer", "processes")
    output = bytearray()
    written(Csv(fields, output.extend), batches)
    found = list(csv.DictReader(io.StringIO(output.decode())))
    expected = [record for records in batches for record in records]
    assert len(found) == len(expected)
    for row, record in zip(found, expected, strict=True):
        for field in fields:
            value = getattr(record, field)
            if value is None:
                assert row[field] == ""
            elif isinstance(value, str):
                # An apostrophe keeps a spreadsheet from taking text for a formula.
                guard = "'" if value.startswith(("=", "+", "-", "@", "'")) else ""
                assert row[field] == guard + printable(value)
            else:
                assert json.loads(row[field]) == plain(value)


@given(BATCHES)
def test_a_table_is_aligned_and_matches_the_records(batches: list[list[Socket]]) -> None:
    output = bytearray()
    columns = [
        Field("Protocol", "protocol"),
        Field("Recv-Q", "recv_queue", number=True),
        Field("Address", "local_address"),
    ]
    written(Table(columns, output.extend), batches)
    records = [record for records in batches for record in records]
    cells = [(record.protocol, str(record.recv_queue), printable(record.local_address or "")) for record in records]
    widths = [max(map(len, column)) for column in zip(("Protocol", "Recv-Q", "Address"), *cells, strict=True)]
    expected = ["Protocol".ljust(widths[0]) + " " + "Recv-Q".rjust(widths[1]) + " Address"]
    expected += [f"{a.ljust(widths[0])} {b.rjust(widths[1])} {c}" for a, b, c in cells]
    assert output.decode() == "\n".join(expected) + "\n"


@given(st.lists(SOCKET.filter(lambda record: record.family == "inet"), min_size=1, max_size=20))
def test_endpoints_are_the_same_on_the_fast_and_on_the_slow_path(records: list[Socket]) -> None:
    def table(named: bool) -> str:
        output = bytearray()
        port = (lambda protocol, port: str(port)) if named else None
        written(
            Table([Endpoint("L", "local", None, port), Endpoint("R", "remote", str if named else None)], output.extend),
            [records],
        )
        return output.decode()

    assert table(True) == table(False)


IPV4 = st.ip_addresses(v=4).map(str)
IPV6 = st.ip_addresses(v=6).map(str)


@pytest.mark.parametrize("family", ["inet", "inet6"])
@given(data=st.data())
def test_columns_of_endpoints_are_the_same_whether_addresses_are_many_or_few(family: str, data: st.DataObject) -> None:
    address = {"inet": IPV4, "inet6": IPV6}[family]
    address = data.draw(st.sampled_from([address, st.sampled_from(data.draw(st.lists(address, min_size=1)))]))
    port = data.draw(st.sampled_from([st.integers(1, 65535), st.integers(10_000, 65535)]))
    row = st.tuples(address, port, address, port)
    rows_ = data.draw(st.lists(row, min_size=1, max_size=20))
    fields = ("local_address", "local_port", "remote_address", "remote_port")
    columns = dict(zip(fields, map(list, zip(*rows_, strict=True)), strict=True))
    if data.draw(st.booleans()):
        columns["local_address"] = Constant(rows_[0][0])
        rows_ = [(rows_[0][0], *rest) for _, *rest in rows_]
    columns["family"] = Constant(family)
    output = bytearray()
    table = Table([Endpoint("L", "local"), Endpoint("R", "remote")], output.extend, heading=False)
    for column in table._columns:
        column.width = data.draw(st.integers(1, 50))
    table._held = None
    table.add(batch_of(len(rows_), columns))
    width, host = table._columns[0].width, "{}" if family == "inet" else "[{}]"
    cells = [(f"{host.format(a)}:{b}", f"{host.format(c)}:{d}") for a, b, c, d in rows_]
    # What is wider than its column pushes the rest to the right.
    assert output.decode().splitlines() == [f"{left:<{width}} {right}" for left, right in cells]


@pytest.mark.parametrize("width", [1, 3, 9])
@pytest.mark.parametrize("numbers", [[7, 123], [100, 999, 255], [-10, 5, 100], [-10, -99], [15, 16], [0], [2**64 - 1]])
def test_numbers_are_aligned_however_many_digits_they_have(numbers: list[int], width: int) -> None:
    """Those that all have as many are filled in without a width of their own."""
    output = bytearray()
    columns = [Field("N", "inode", number=True), Field("H", "cookie", hexadecimal=True), Field("M", "uid", number=True)]
    table = Table(columns, output.extend, heading=False)
    for column in table._columns:
        column.width = width
    table._held = None
    table.add(batch_of(len(numbers), dict.fromkeys(("inode", "cookie", "uid"), numbers)))
    assert output.decode().splitlines() == [f"{n:{width}d} {n:<{width}x} {n:{width}d}" for n in numbers]


@given(st.lists(st.tuples(TEXT, st.integers(0, 10**9), TEXT, st.integers(0, 9)), min_size=1))
def test_rows_are_the_cells_of_each_row_in_order(values: list[tuple[str, int, str, int]]) -> None:
    texts, numbers, others, digits = zip(*values, strict=True)
    cells = [
        Cell("<%%"),
        Cell(map(literal, texts)),
        Cell("%5d", numbers),
        Cell([literal(other) + "%d" for other in others], digits),
        Cell(">"),
    ]
    expected = [f"<%{text}{number:5d}{other}{digit}>" for text, number, other, digit in values]
    assert rows(len(values), cells) == "".join(expected)


@given(st.text())
def test_printable_text_has_no_control_character_and_is_one_line(text: str) -> None:
    assert printable(text).isprintable()
    if text.isprintable():
        assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\x1b[31m", r"\x1b[31m"), ("a\nb", r"a\x0ab"), ("\u202e", r"\u202e"), ("\U000e0001", r"\U000e0001"), ("é", "é")],
)
def test_what_is_not_printable_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_column_that_is_wider_later_pushes_its_row_and_no_other() -> None:
    output = bytearray()
    table = Table(
        [Column("A", lambda batch: batch.values("local_address")), Field("B", "inode", number=True)], output.extend
    )
    empty = Socket("tcp", "inet", "stream", "LISTEN", 0, 0, "x", 1, None, None, None, 0, 7, 0)
    table.add(rows_of([empty] * 600))
    table.add(rows_of([empty._replace(local_address="x" * 9), empty]))
    table.end()
    assert output.decode().splitlines()[-2:] == ["x" * 9 + " 7", "x 7"]


def test_a_table_that_is_flushed_is_wide_enough_for_the_rows_to_come() -> None:
    output: list[bytes] = []
    short, long = (batch_of(1, {"state": [text], "uid": [1]}) for text in ("short", "much longer"))
    table = Table([Field("State", "state"), Field("User", "uid", number=True)], output.append)
    table.flush([long])
    assert output == []  # a heading alone is of no use yet
    table.add(short)
    table.flush([long])
    assert b"".join(output).splitlines()[1:] == [b"short          1"]
    table.add(long)
    table.end()
    assert b"".join(output).splitlines() == [b"State       User", b"short          1", b"much longer    1"]


@pytest.mark.parametrize("numbers", [[0.0, 7.9], [12.5, 130.25], [-0.5, 3.0]])
def test_of_rates_the_whole_part_is_shown(numbers: list[float]) -> None:
    output = bytearray()
    table = Table([Field("R", "rate", number=True), Field("N", "uid", number=True)], output.extend, heading=False)
    for column in table._columns:
        column.width = 4
    table._held = None
    table.add(batch_of(len(numbers), {"rate": numbers, "uid": [1] * len(numbers)}))
    assert output.decode().splitlines() == [f"{int(n):4d}    1" for n in numbers]
