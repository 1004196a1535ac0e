"""TCP's own state: against getsockopt(TCP_INFO), pyroute2, and structs of every age."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from fake_kernel import attribute, message, recorded, runs_of
from held_sockets import Sockets
from hypothesis import given
from hypothesis import strategies as st
from patience import standing_still
from tcp_states import Young, young

from netinspect.errors import NetlinkError
from netinspect.nouns.sockets.decode_inet import Decoder
from netinspect.nouns.sockets.request import request
from netinspect.records import CongestionInfo, TcpInfo
from netinspect.uapi.netlink import AF_INET, AF_INET6

OLDEST, NEWEST = 104, 280
INFO, VEGAS, CONG, DCTCP, BBR = 2, 3, 4, 9, 16
ESTABLISHED, LISTEN = 1, 10

FIELDS = {
    "retransmits": (2, "B"),
    "probes": (3, "B"),
    "backoff": (4, "B"),
    "send_mss": (16, "I"),
    "receive_mss": (20, "I"),
    "unacknowledged": (24, "I"),
    "selectively_acknowledged": (28, "I"),
    "lost": (32, "I"),
    "retransmitted": (36, "I"),
    "last_data_sent": (44, "I"),
    "last_data_received": (52, "I"),
    "last_ack_received": (56, "I"),
    "path_mtu": (60, "I"),
    "receive_threshold": (64, "I"),
    "congestion_window": (80, "I"),
    "advertised_mss": (84, "I"),
    "reordering": (88, "I"),
    "receive_space": (96, "I"),
    "total_retransmits": (100, "I"),
    "bytes_acked": (120, "Q"),
    "bytes_received": (128, "Q"),
    "segments_out": (136, "I"),
    "segments_in": (140, "I"),
    "not_sent": (144, "I"),
    "data_segments_in": (152, "I"),
    "data_segments_out": (156, "I"),
    "delivery_rate": (160, "Q"),
    "busy_time": (168, "Q"),
    "receive_window_limited": (176, "Q"),
    "send_buffer_limited": (184, "Q"),
    "delivered": (192, "I"),
    "delivered_ce": (196, "I"),
    "bytes_sent": (200, "Q"),
    "bytes_retransmitted": (208, "Q"),
    "duplicate_sacks": (216, "I"),
    "reordering_seen": (220, "I"),
    "out_of_order_packets": (224, "I"),
    "send_window": (228, "I"),
    "receive_window": (232, "I"),
    "rehashes": (236, "I"),
    "timeouts": (240, "H"),
}
"""Fields that are reported as they are: offset in struct tcp_info (linux/tcp.h), and struct format."""

PYROUTE2 = {
    "retransmits": "tcpi_retransmits",
    "probes": "tcpi_probes",
    "backoff": "tcpi_backoff",
    "send_mss": "tcpi_snd_mss",
    "receive_mss": "tcpi_rcv_mss",
    "selectively_acknowledged": "tcpi_sacked",
    "lost": "tcpi_lost",
    "retransmitted": "tcpi_retrans",
    "last_data_sent": "tcpi_last_data_sent",
    "last_data_received": "tcpi_last_data_recv",
    "last_ack_received": "tcpi_last_ack_recv",
    "path_mtu": "tcpi_pmtu",
    "receive_threshold": "tcpi_rcv_ssthresh",
    "congestion_window": "tcpi_snd_cwnd",
    "advertised_mss": "tcpi_advmss",
    "reordering": "tcpi_reordering",
    "receive_space": "tcpi_rcv_space",
    "total_retransmits": "tcpi_total_retrans",
    "bytes_acked": "tcpi_bytes_acked",
    "bytes_received": "tcpi_bytes_received",
    "segments_out": "tcpi_segs_out",
    "segments_in": "tcpi_segs_in",
    "not_sent": "tcpi_notsent_bytes",
    "data_segments_in": "tcpi_data_segs_in",
    "data_segments_out": "tcpi_data_segs_out",
    "delivery_rate": "tcpi_delivery_rate",
    "busy_time": "tcpi_busy_time",
    "receive_window_limited": "tcpi_rwnd_limited",
    "send_buffer_limited": "tcpi_sndbuf_limited",
    "delivered": "tcpi_delivered",
    "delivered_ce": "tcpi_delivered_ce",
    "bytes_sent": "tcpi_bytes_sent",
    "bytes_retransmitted": "tcpi_bytes_retrans",
    "duplicate_sacks": "tcpi_dsack_dups",
    "reordering_seen": "tcpi_reord_seen",
    "out_of_order_packets": "tcpi_rcv_ooopack",
    "send_window": "tcpi_snd_wnd",
}


def decoded(*infos: bytes, state: int = ESTABLISHED, more: bytes = b"") -> list[TcpInfo]:
    body = bytes([AF_INET, state]) + bytes(70)
    runs = runs_of(message(20, body + attribute(INFO, info) + more) for info in infos)
    batches = [batch for run in runs for batch in Decoder("tcp", str).batches(run)]
    return [info for batch in batches for info in batch.values("tcp_info")]


def with_field(offset: int, layout: str, value: int, size: int = NEWEST) -> bytes:
    info = bytearray(size)
    struct.pack_into(f"={layout}", info, offset, value)
    return bytes(info)


@pytest.fixture(scope="module")
def worlds() -> Iterator[Young]:
    with young("sockets") as made:
        yield made


@pytest.fixture
def held(worlds: Young) -> Sockets:
    return worlds.get()


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_is_read_where_the_header_has_it(name: str) -> None:
    offset, layout = FIELDS[name]
    for value in (1, (1 << 8 * struct.calcsize(layout)) - 2):
        (info,) = decoded(with_field(offset, layout, value))
        assert getattr(info, name) == value


@given(st.binary(min_size=OLDEST, max_size=300))
def test_a_struct_of_any_age_has_all_its_whole_fields_and_none_else(raw: bytes) -> None:
    first, second = decoded(raw, raw)
    assert first == second
    for name, (offset, layout) in FIELDS.items():
        whole = offset + struct.calcsize(layout) <= len(raw)
        assert getattr(first, name) == (struct.unpack_from(f"={layout}", raw, offset)[0] if whole else None)


@pytest.mark.parametrize("size", [1, 8, OLDEST - 1])
def test_a_struct_shorter_than_the_oldest_is_malformed(size: int) -> None:
    with pytest.raises(NetlinkError, match=r"malformed netlink message: attribute 2 of \d+ bytes where at least 104"):
        decoded(bytes(size))


# Bit fields begin at the lowest bit of a byte where its order is little-endian, at the highest where it is big.
APP_LIMITED, FASTOPEN_AT = (0x01, 1) if sys.byteorder == "little" else (0x80, 5)


@pytest.mark.parametrize(
    ("offset", "layout", "value", "field", "expected"),
    [
        (1, "B", 0, "congestion_state", "open"),
        (1, "B", 4, "congestion_state", "loss"),
        (1, "B", 9, "congestion_state", "unknown-9"),
        (5, "B", 0x07, "options", ("timestamps", "sack", "wscale")),
        (5, "B", 0xF8, "options", ("ecn", "ecn_seen", "syn_data", "usec_timestamps", "tfo_child")),
        (7, "B", APP_LIMITED, "delivery_rate_app_limited", True),
        (7, "B", APP_LIMITED ^ 0xFF, "delivery_rate_app_limited", False),
        (7, "B", APP_LIMITED, "fastopen_failure", None),
        (7, "B", 1 << FASTOPEN_AT, "fastopen_failure", "cookie_unavailable"),
        (7, "B", 2 << FASTOPEN_AT, "fastopen_failure", "data_not_acked"),
        (7, "B", 3 << FASTOPEN_AT, "fastopen_failure", "syn_retransmitted"),
        (8, "I", 204_000, "retransmission_timeout", 204.0),
        (12, "I", 40_000, "acknowledgment_timeout", 40.0),
        (68, "I", 1_234, "rtt", 1.234),
        (72, "I", 567, "rttvar", 0.567),
        (76, "I", 0x7FFFFFFF, "slow_start_threshold", None),
        (76, "I", 17, "slow_start_threshold", 17),
        (92, "I", 89, "receive_rtt", 0.089),
        (104, "Q", (1 << 64) - 1, "pacing_rate", None),
        (104, "Q", 1 << 40, "pacing_rate", 1 << 40),
        (112, "Q", (1 << 64) - 1, "max_pacing_rate", None),
        (148, "I", 0xFFFFFFFF, "min_rtt", None),
        (148, "I", 0, "min_rtt", None),
        (148, "I", 5, "min_rtt", 0.005),
    ],
)
def test_a_value_is_shown_with_its_meaning(offset: int, layout: str, value: int, field: str, expected: object) -> None:
    (info,) = decoded(with_field(offset, layout, value))
    assert getattr(info, field) == expected


def test_window_scales_are_shown_if_negotiated() -> None:
    negotiated, not_negotiated = bytearray(NEWEST), bytearray(NEWEST)
    scales = 0x7A if sys.byteorder == "little" else 0xA7
    negotiated[5], negotiated[6] = 0x04, scales
    not_negotiated[6] = scales
    one, two = decoded(bytes(negotiated), bytes(not_negotiated))
    assert (one.send_window_scale, one.receive_window_scale) == (10, 7)
    assert (two.send_window_scale, two.receive_window_scale) == (None, None)


def test_the_accept_backlog_of_a_listener_is_not_shown_as_segments() -> None:
    raw = with_field(24, "I", 3)
    assert decoded(raw, state=LISTEN)[0].unacknowledged == 0
    assert decoded(raw, state=ESTABLISHED)[0].unacknowledged == 3


def test_a_closed_connection_shows_only_its_struct() -> None:
    (info,) = decoded(bytes(NEWEST))
    assert info.congestion_control is None
    assert info.congestion_info is None


@pytest.mark.parametrize("name", [b"cubic\0", b"x\0", b"sixteen_bytes__\0", b"\xff\x1b\0"])
def test_the_congestion_control_has_its_name(name: bytes) -> None:
    (info,) = decoded(bytes(NEWEST), more=attribute(CONG, name))
    assert info.congestion_control == name[:-1].decode("utf-8", "backslashreplace")


@pytest.mark.parametrize(
    ("kind", "raw", "expected"),
    [
        (
            BBR,
            struct.pack("=5I", 7, 1, 250, 739, 512),
            CongestionInfo(bandwidth=(1 << 32) + 7, min_rtt=250, pacing_gain=739 / 256, cwnd_gain=2.0),
        ),
        (
            DCTCP,
            struct.pack("=HHIII", 1, 1, 1024, 10, 20),
            CongestionInfo(enabled=True, ce_state=1, alpha=1024, ecn_bytes=10, total_bytes=20),
        ),
        (VEGAS, struct.pack("=4I", 1, 3, 99, 88), CongestionInfo(enabled=True, rtt_count=3, rtt=99, min_rtt=88)),
        (VEGAS, struct.pack("=4I", 0, 0, 0, 0), CongestionInfo(enabled=False, rtt_count=0, rtt=0, min_rtt=0)),
    ],
)
def test_congestion_control_figures(kind: int, raw: bytes, expected: CongestionInfo) -> None:
    assert [info.congestion_info for info in decoded(bytes(NEWEST), bytes(NEWEST), more=attribute(kind, raw))] == [
        expected,
        expected,
    ]
    with pytest.raises(NetlinkError, match="malformed"):
        decoded(bytes(NEWEST), more=attribute(kind, raw[:-4]))


@pytest.mark.parametrize("label", ["inet ESTABLISHED client", "inet6 ESTABLISHED server", "congestion reno"])
def test_getsockopt_agrees(held: Sockets, label: str) -> None:
    one = held[label]
    family = AF_INET if one.family == "inet" else AF_INET6
    raw = b""

    def told() -> tuple[bytes, bytes]:
        """But for how long ago it was that something happened: the offsets 44 to 59."""
        nonlocal raw
        raw = held.opened[label].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 512)
        return raw[:44], raw[60:]

    # The last answer may be delayed.
    _, records = standing_still(told, lambda: [one_ for one_ in _records(held, family) if one_.inode == one.inode])
    assert len(records) == 1
    info = records[0].tcp_info
    for name, (offset, layout) in FIELDS.items():
        if not name.startswith("last_") and offset + struct.calcsize(layout) <= len(raw):
            assert getattr(info, name) == struct.unpack_from(f"={layout}", raw, offset)[0], name
    assert info.rtt == struct.unpack_from("=I", raw, 68)[0] / 1000
    assert (
        info.congestion_control
        == held.opened[label].getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()
    )


@pytest.mark.parametrize("family", [AF_INET, AF_INET6])
def test_pyroute2_finds_the_same_in_the_same_bytes(held: Sockets, family: int) -> None:
    from pyroute2.netlink.diag import inet_diag_msg

    data = _messages(held, family)
    infos = {record.cookie: record.tcp_info for record in _decode(data)}
    compared = 0
    for single in data:
        oracle = inet_diag_msg(single)
        oracle.decode()
        # The kernel's is two halves, the lower first; pyroute2 takes it for one number.
        low, high = struct.unpack("=II", struct.pack("=Q", oracle["idiag_cookie"]))
        theirs, ours = oracle.get_attr("INET_DIAG_INFO"), infos[high << 32 | low]
        assert (theirs is None) == (ours is None)
        if theirs is None or oracle["idiag_state"] == LISTEN:
            continue
        assert {name: theirs[their_name] for name, their_name in PYROUTE2.items()} == {
            name: getattr(ours, name) for name in PYROUTE2
        }
        bbr = oracle.get_attr("INET_DIAG_BBRINFO")
        if bbr:
            assert ours.congestion_info.min_rtt == bbr["bbr_min_rtt"]
            assert ours.congestion_info.bandwidth == bbr["bbr_bw_lo"] | bbr["bbr_bw_hi"] << 32
        compared += 1
    assert compared > 20


def test_states_without_a_connection_have_no_tcp_info(held: Sockets) -> None:
    records = _records(held, AF_INET)
    without = {record.state for record in records if record.tcp_info is None and record.inode}
    assert without <= {"CLOSE"}  # sockets that are only bound are listed since Linux 6.8
    # Without a file: a request, and what is left of a connection; an orphan in FIN_WAIT2 is one of these.
    remains = {record.state for record in records if record.tcp_info is None and not record.inode}
    assert remains == {"TIME_WAIT", "SYN_RECV", "FIN_WAIT2"}


def _messages(held: Sockets, family: int) -> list[bytes]:
    asked = request(family, 6, 0xFFFFFFFF, tcp_info=True)
    return held.namespace.call(lambda: recorded(asked))


def _decode(data: list[bytes]) -> list[Any]:
    decoder = Decoder("tcp", str)
    return [record for run in runs_of(data) for batch in decoder.batches(run) for record in batch]


def _records(held: Sockets, family: int) -> list[Any]:
    return _decode(_messages(held, family))
