"""netstat's rows against a row-by-row reference written from printf(3) formats, and what joins add to them."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest
from batches import batch_of as columns_of
from hypothesis import given
from hypothesis import strategies as st

from netinspect.engine.columns import Batch, Constant
from netinspect.engine.netlink.messages import Run, attribute
from netinspect.engine.schema import rows_of
from netinspect.netstat.command_sctp import as_net_tools
from netinspect.netstat.render import InternetRows, SctpRows, UnixRows, View
from netinspect.nouns.sockets.decode_inet import Decoder
from netinspect.nouns.sockets.listing import ALL_STATES, CONNECTED_STATES, LISTENING_STATES
from netinspect.nouns.sockets.owners_references import with_references
from netinspect.nouns.sockets.owners_requests import RequestUsers
from netinspect.records import Socket, Timer

ADDRESSES = {
    "inet": st.sampled_from(["0.0.0.0", "127.0.0.1", "10.20.30.40", "255.255.255.255"]),
    "inet6": st.sampled_from(
        ["::", "::1", "fe80::1", "::ffff:10.20.30.40", "::1.2.3.4", "2001:db8::1:2", "fd12:3456:789a:bcde:f012::1"]
    ),
}
HOSTS = {"10.20.30.40": "a-host.with-a-long.name.example", "::1": "loop", "::ffff:10.20.30.40": "%d"}
SERVICES = {22: "ssh", 443: "a-name-of-more-than-18-letters", 8080: "100%s"}
PORT = st.sampled_from([0, 7, 22, 443, 8080]) | st.integers(1, 65535)
TIMER = st.none() | st.builds(
    Timer, st.sampled_from(["retransmit", "keepalive", "timewait", "probe", "delayed_ack"]), st.integers(0, 10**7),
    st.integers(0, 255),
)  # fmt: skip
STATES = {
    "tcp": ["ESTABLISHED", "LISTEN", "TIME_WAIT", "SYN_RECV", "CLOSE_WAIT"],
    "udp": ["ESTABLISHED", "UNCONNECTED"],
    "udplite": ["ESTABLISHED", "UNCONNECTED"],
    "raw": ["ESTABLISHED", "UNCONNECTED"],
}


@st.composite
def rows_of_one_kind(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rows as a batch may have them: one protocol and family, few distinct values or many."""
    protocol = draw(st.sampled_from(sorted(STATES)))
    family = draw(st.sampled_from(["inet", "inet6"]))
    row = st.fixed_dictionaries(
        {
            "protocol": st.just(protocol),
            "family": st.just(family),
            "state": st.sampled_from(STATES[protocol]),
            "recv_queue": st.integers(0, 2**32 - 1),
            "send_queue": st.integers(0, 2**32 - 1),
            "local_address": ADDRESSES[family],
            "local_port": draw(st.sampled_from([PORT, st.integers(1, 65535), st.just(0)])),
            "remote_address": ADDRESSES[family],
            "remote_port": draw(st.sampled_from([PORT, st.integers(1, 65535), st.just(0)])),
            "uid": st.integers(0, 2),
            "inode": st.integers(0, 2**32 - 1),
            "timer": TIMER,
            "retransmits": st.none() | st.integers(0, 255),
            "probes": st.none() | st.integers(0, 255),
            "program": st.sampled_from(["-", "1/init", "123/100%d", "1234567/fifteen-let"]),
            "context": st.sampled_from(["-", "system_u:system_r:init_t:s0", "x" * 49, "a" * 20 + "b" * 40]),
        }
    )
    return draw(st.lists(row, min_size=1, max_size=12))


VIEWS = st.builds(
    lambda names, **shown: View(
        **shown,
        host=(lambda address: HOSTS.get(address, address)) if names & 1 else None,
        service=(lambda protocol, port: SERVICES.get(port, str(port)) if port else "*") if names & 2 else None,
        user=(lambda uid: {0: "root", 1: "user%s"}.get(uid, str(uid))) if names & 4 else None,
    ),
    st.integers(0, 7),
    **dict.fromkeys(("wide", "extended", "programs", "contexts", "timers"), st.booleans()),
)


def expected_row(row: dict[str, Any], view: View) -> str:
    """One row as net-tools formats it, from its printf formats."""
    protocol = {"udplite": "udpl"}.get(row["protocol"], row["protocol"]) + ("6" if row["family"] == "inet6" else "")

    def endpoint(side: str) -> str:
        address, port = row[f"{side}_address"], row[f"{side}_port"]
        if view.host is not None:
            address = "[::]" if address == "::" else view.host(address)
        if address.startswith("::ffff:") and "." in address:
            address = address.rpartition(":")[2]
        name = "*" if port == 0 else view.service(row["protocol"], port) if view.service else "%d" % port
        if not view.wide and len(address) + len(name) > 22:
            address = address[: max(22 - len(name), 4)]
        return "%-23s" % (address + ":" + name)

    tcp = row["protocol"] == "tcp"
    state = row["state"]
    send_queue = 0 if tcp and state == "LISTEN" else row["send_queue"]
    if row["protocol"] == "raw":
        state = "%d" % {"ESTABLISHED": 1, "UNCONNECTED": 7}[state]
    text = "%-5s %6d %6d %s %s %-11s" % (
        *(protocol, row["recv_queue"], send_queue, endpoint("local"), endpoint("remote")),
        "" if state == "UNCONNECTED" else state,
    )
    if view.extended:
        text += " %-10s %-10d" % (view.user(row["uid"]) if view.user else row["uid"], row["inode"])
    if view.programs:
        text += " %-20s" % row["program"]
    if view.contexts:
        context = row["context"]
        text += " %-50s" % (context if len(context) < 50 else context[-48:])
    if view.timers:
        timer, retransmits = row["timer"], row["retransmits"]
        if not tcp:
            text += " off (0.00/0/0)"
        elif timer is None:
            text += " off (0.00/%d/%d)" % (retransmits or 0, row["probes"] or 0)
        else:
            name = {"retransmit": "on", "delayed_ack": "unkn-5"}.get(timer.name, timer.name)
            hundredths = timer.remaining // 10
            counts = (timer.retransmits if retransmits is None else retransmits, row["probes"] or 0)
            text += " %s (%d.%02d/%d/%d)" % (name, hundredths // 100, hundredths % 100, *counts)
    return text + "\n"


def batch_of(rows: list[dict[str, Any]]) -> Batch:
    columns: dict[str, Any] = {field: [row[field] for row in rows] for field in rows[0]}
    if len(set(columns.get("family", ()))) == 1:  # as in dumps
        columns["family"] = Constant(rows[0]["family"])
    return columns_of(len(rows), columns)


@given(rows_of_one_kind(), VIEWS)
def test_rows_are_those_of_the_formats_of_net_tools(rows: list[dict[str, Any]], view: View) -> None:
    made = InternetRows(rows[0]["protocol"], view)
    expected = "".join(expected_row(row, view) for row in rows)
    assert made.text(batch_of(rows)) == expected
    assert made.text(batch_of(rows)) == expected  # from the caches


@given(rows_of_one_kind(), VIEWS)
def test_a_constant_column_looks_like_one_with_equal_values(rows: list[dict[str, Any]], view: View) -> None:
    row = rows[0]
    batch = columns_of(3, {field: Constant(value) for field, value in row.items()})
    assert InternetRows(row["protocol"], view).text(batch) == expected_row(row, view) * 3


@given(VIEWS)
def test_headings_are_as_wide_as_the_rows(view: View) -> None:
    row: dict[str, Any] = dict.fromkeys(("recv_queue", "send_queue", "local_port", "remote_port", "uid", "inode"), 0)
    row |= dict.fromkeys(("local_address", "remote_address"), "0.0.0.0")
    row |= {"protocol": "udp", "family": "inet", "state": "UNCONNECTED", "program": "-", "context": "-"}
    heading = view.internet_heading("w/o servers").splitlines()[1]
    text = InternetRows("udp", view).text(batch_of([row])).rstrip("\n").removesuffix(" off (0.00/0/0)")
    # net-tools makes the heading of contexts one column shorter than they are.
    assert len(heading.removesuffix(" Timer")) + view.contexts == len(text)


# --- SCTP, which this kernel need not have ----------------------------------------------------------------------------


def sctp_row(**known: Any) -> dict[str, Any]:
    row = {"protocol": "sctp", "family": "inet", "state": "ESTABLISHED", "recv_queue": 5, "send_queue": 6}
    row |= {"local_address": "10.0.0.1", "local_port": 3868, "remote_address": "10.0.0.2", "remote_port": 4000}
    row |= {"local_addresses": None, "remote_addresses": None, "uid": 7, "inode": 8, "program": "9/peer"}
    return row | known


def test_an_association_has_a_line_for_each_further_address() -> None:
    rows = SctpRows(View(extended=True, programs=True))
    row = sctp_row(local_addresses=("10.0.0.1", "fd00::1", "fd00::2"), remote_addresses=("10.0.0.2", "fd00::3"))
    who = f"7          8          {'9/peer':<20}"
    assert rows.text(batch_of([row, sctp_row()])).splitlines() == [
        "sctp       5      6 10.0.0.1:3868           10.0.0.2:4000           ESTABLISHED",
        "                    fd00::1                 fd00::3                            ",
        f"                    fd00::2                                                     {who}",
        f"sctp       5      6 10.0.0.1:3868           10.0.0.2:4000           ESTABLISHED {who}",
    ]


def test_an_endpoint_has_no_queues_and_a_line_for_each_address() -> None:
    row = sctp_row(state="LISTEN", remote_address="0.0.0.0", remote_port=0, local_addresses=("10.0.0.1", "10.9.9.9"))
    assert SctpRows(View(timers=True)).text(batch_of([row])).splitlines() == [
        "sctp                10.0.0.1:3868                                   LISTEN     ",
        "                    10.9.9.9:3868                                               ",
    ]


def test_an_association_is_listed_once_in_the_state_of_its_socket() -> None:
    peer = ("10.0.0.2",)
    rows = [
        sctp_row(cookie=1, inode=1, state="LISTEN", remote_address="0.0.0.0", remote_port=0),  # of one-to-many style
        sctp_row(cookie=1, inode=1, remote_addresses=peer),
        sctp_row(cookie=2, inode=2),  # the endpoint of one-to-one style
        sctp_row(cookie=2, inode=2, remote_addresses=peer),
        sctp_row(cookie=3, inode=3, state="CLOSE", remote_address="0.0.0.0", remote_port=0),
    ]

    def listed(states: int) -> list[tuple[Any, ...]]:
        fields = ("inode", "state", "remote_addresses")
        return [
            row
            for batch in as_net_tools([batch_of(rows)], states)
            for row in zip(*map(batch.values, fields), strict=True)
        ]

    listeners, associations = [(1, "LISTEN", None)], [(1, "LISTEN", peer), (2, "ESTABLISHED", peer)]
    assert listed(LISTENING_STATES) == listeners
    assert listed(CONNECTED_STATES) == associations
    assert listed(ALL_STATES) == listeners + associations


def test_all_addresses_of_an_association_are_decoded() -> None:
    ipv4 = struct.pack("=H2x4s", socket.AF_INET, socket.inet_aton("10.0.0.1")).ljust(128, b"\0")
    ipv6 = struct.pack("=H2x4x16s", socket.AF_INET6, socket.inet_pton(socket.AF_INET6, "fd00::1")).ljust(128, b"\0")
    body = bytes([socket.AF_INET]) + bytes(71)
    payload = body + attribute(12, ipv4 + ipv6) + attribute(13, ipv6)
    message = struct.pack("=IHHII", 16 + len(payload), 20, 2, 1, 0) + payload
    run = Run(message * 2, 20, len(message), 2, "testing")
    (batch,) = Decoder("sctp", str).batches(run)
    assert list(batch.values("local_addresses")) == [("10.0.0.1", "fd00::1")] * 2
    assert list(batch.values("remote_addresses")) == [("fd00::1",)] * 2


# --- what joins add ---------------------------------------------------------------------------------------------------


def record(**known: Any) -> Socket:
    fields = {"protocol": "tcp", "family": "inet", "inode": 0, "uid": 0} | known
    return Socket._make(fields.get(name) for name in Socket._fields)


@pytest.mark.parametrize(
    ("family", "address", "port", "uid"),
    [
        ("inet", "10.0.0.1", 80, 33),  # to exactly this address
        ("inet", "10.0.0.2", 80, 44),  # to any
        ("inet6", "fd00::1", 80, 55),
        ("inet6", "fd00::1", 81, 0),  # the listener is gone
    ],
)
def test_a_request_is_the_listeners_users(family: str, address: str, port: int, uid: int) -> None:
    listeners = [
        record(local_address="10.0.0.1", local_port=80, uid=33),
        record(local_address="0.0.0.0", local_port=80, uid=44),
        record(family="inet6", local_address="::", local_port=80, uid=55),
    ]
    users = RequestUsers(lambda: [rows_of(listeners)])
    request = record(family=family, state="SYN_RECV", local_address=address, local_port=port)
    other = record(family=family, state="TIME_WAIT", local_address=address, local_port=port)
    assert users.column(rows_of([request, other])) == [uid, 0]


def test_listeners_are_not_looked_for_without_a_request() -> None:
    def fail() -> list[Batch]:
        raise AssertionError

    batch = rows_of([record(state="ESTABLISHED", uid=5)])
    assert RequestUsers(fail).column(batch) is batch.column("uid")


def test_a_connection_that_waits_in_another_namespace_is_not_ours() -> None:
    row = {"inode": 7, "state": "LISTEN", "type": "stream", "local_address": "/x%", "peer_inode": None}
    batch = batch_of([row | {"waiting": (99, 0)}])
    known, waiting = with_references([batch])
    assert list(known.values("references")) == [2]
    text = UnixRows(View()).text(known) + UnixRows(View()).text(waiting)
    assert text.splitlines() == [
        "unix  2      [ ACC ]     STREAM     LISTENING     7        /x%",
        "unix  2      [ ]         STREAM     CONNECTING    0        /x%",
    ]
