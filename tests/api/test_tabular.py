"""Listings at the prompt: short records, the first rows in a notebook, tables of pyarrow and pandas."""

from __future__ import annotations

import socket
import sys

import pytest
from throwaway import Namespace

import netinspect
from netinspect import errors, records


@pytest.fixture
def listeners(namespace: Namespace) -> list[int]:
    """The ports of 30 listeners."""
    found = [namespace.call(lambda: socket.create_server(("127.0.0.1", 0))) for _ in range(30)]
    _OPEN.extend(found)
    return sorted(one.getsockname()[1] for one in found)


_OPEN: list[socket.socket] = []


@pytest.fixture(autouse=True)
def closed() -> object:
    yield
    while _OPEN:
        _OPEN.pop().close()


def test_a_record_shows_what_it_has() -> None:
    flow = records.Membership("eth0", 2, "inet", "239.1.1.1", users=1)
    text = repr(flow)
    assert text.startswith("Membership(interface='eth0', ")
    assert "None" not in text
    assert "()" not in text
    assert "users=1" in text


def test_a_notebook_shows_the_first_rows_and_takes_none_away(namespace: Namespace, listeners: list[int]) -> None:
    with netinspect.sockets("tcp", netns=namespace.path) as found:
        assert repr(found) == "<listing of Socket records>"
        shown = found._repr_html_()
        assert shown.count("<tr>") == 21
        assert "the first 20 rows" in shown
        assert "<th>local_port</th>" in shown
        assert "<th>tcp_info</th>" not in shown
        assert found._repr_html_() == shown
        assert sorted(one.local_port or 0 for one in found) == listeners
    assert "0 rows" in netinspect.routes(netns=namespace.path)._repr_html_()


def test_names_chosen_by_others_are_no_markup(namespace: Namespace) -> None:
    namespace.run("ip", "link", "add", "<b>&", "type", "veth")
    shown = netinspect.links(netns=namespace.path)._repr_html_()
    assert "<b>" not in shown
    assert "&lt;b&gt;&amp;" in shown


def test_an_arrow_table_has_the_types_of_the_record(namespace: Namespace, listeners: list[int]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    table = netinspect.sockets("tcp", processes=True, netns=namespace.path).to_arrow()
    assert sorted(table.column("local_port").to_pylist()) == listeners
    assert table.column_names == list(records.Socket._fields)
    assert table.schema.field("state").type == pyarrow.string()
    assert table.schema.field("local_port").type == pyarrow.int64()
    processes = table.schema.field("processes").type
    assert processes.value_type.field("pid").type == pyarrow.int64()
    empty = netinspect.sockets("udp", processes=True, netns=namespace.path).to_arrow()
    assert empty.num_rows == 0
    assert empty.schema.field("processes") == table.schema.field("processes")
    for listing in (
        netinspect.links(netns=namespace.path),
        netinspect.routes(table=None, netns=namespace.path),
        netinspect.memberships(sockets=True, netns=namespace.path),
        netinspect.statistics(netns=namespace.path),
        netinspect.rules(netns=namespace.path),
        netinspect.addresses(netns=namespace.path),
        netinspect.sockets(tcp_info=True, memory=True, netns=namespace.path),
    ):
        rows = listing.to_arrow().to_pylist()
        assert rows


def test_a_number_of_64_bits_within_a_record_is_in_the_table(namespace: Namespace, listeners: list[int]) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    rate = (1 << 63) + 12345
    with namespace.call(lambda: socket.create_connection(("127.0.0.1", listeners[0]))) as connection:
        connection.setsockopt(socket.SOL_SOCKET, 47, rate.to_bytes(8, sys.byteorder))  # asm/socket.h: MAX_PACING_RATE
        table = netinspect.sockets("tcp", tcp_info=True, netns=namespace.path).to_arrow()
    assert rate in {row["tcp_info"]["max_pacing_rate"] for row in table.to_pylist() if row["tcp_info"]}
    fields = table.schema.field("tcp_info").type
    assert [fields.field(name).type for name in ("max_pacing_rate", "pacing_rate")] == [
        pyarrow.uint64(),
        pyarrow.int64(),
    ]


def test_rows_that_were_taken_are_not_in_the_table(namespace: Namespace, listeners: list[int]) -> None:
    pytest.importorskip("pyarrow")
    listed = [one.local_port for one in netinspect.sockets("tcp", netns=namespace.path)]
    found = netinspect.sockets("tcp", netns=namespace.path)
    found._repr_html_()
    first = next(found)
    assert found.to_arrow().column("local_port").to_pylist() == [port for port in listed if port != first.local_port]
    assert found.to_arrow().num_rows == 0
    assert list(found) == []


def test_a_data_frame_knows_missing_values(namespace: Namespace, listeners: list[int]) -> None:
    pytest.importorskip("pandas")
    frame = netinspect.sockets("tcp", netns=namespace.path).to_pandas()
    assert sorted(frame["local_port"]) == listeners
    assert str(frame["local_port"].dtype) == "Int64"
    assert frame["netns"].isna().all()
    assert list(frame.columns) == list(records.Socket._fields)


@pytest.mark.parametrize(("method", "library"), [("to_arrow", "pyarrow"), ("to_pandas", "pandas")])
def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, method: str, library: str) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(errors.MissingLibraryError, match=library):
        getattr(netinspect.rules(), method)()
