"""TCP's own state and its congestion control's (linux/tcp.h: struct tcp_info; linux/inet_diag.h)."""

from __future__ import annotations

from itertools import repeat
from sys import byteorder

from ...engine.columns import NONE, Batch, Coded, Constant, Nested, converted
from ...engine.fields import GrowingStruct, figures, numbers, place
from ...engine.text import text
from .decode_common import cookies
from .request import INET_DIAG_BBRINFO, INET_DIAG_CONG, INET_DIAG_DCTCPINFO, INET_DIAG_INFO, INET_DIAG_VEGASINFO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    from ...engine.columns import Column
    from ...engine.netlink.messages import Layout, Run

    Member: TypeAlias = "tuple[int, str, Callable[[int], Any] | None]"
    """Offset in a struct, struct format, and what is made of the number."""

_CONGESTION_STATES = ("open", "disorder", "cwr", "recovery", "loss")
_OPTIONS = ("timestamps", "sack", "wscale", "ecn", "ecn_seen", "syn_data", "usec_timestamps", "tfo_child")
"""TCPI_OPT_*, from the lowest bit on."""
_WINDOW_SCALE = 0x04
_FASTOPEN_FAILURES = (None, "cookie_unavailable", "data_not_acked", "syn_retransmitted")
"""enum tcp_fastopen_client_fail; the first means that there is nothing to tell."""

# Bit-fields begin with the lowest bit on little-endian machines, and with the highest on others.
if byteorder == "little":
    _SEND_SCALE, _RECEIVE_SCALE, _APP_LIMITED, _FASTOPEN_FAILURE = 0, 4, 0x01, 1
else:
    _SEND_SCALE, _RECEIVE_SCALE, _APP_LIMITED, _FASTOPEN_FAILURE = 4, 0, 0x80, 5

_UNLIMITED = (1 << 64) - 1
_NOT_MEASURED = (0, (1 << 32) - 1)
"""Round-trip time of a listener, and of a connection before the first measurement (net/ipv4/tcp.c: tcp_min_rtt)."""
_INFINITE_THRESHOLD = 0x7FFFFFFF
"""TCP_INFINITE_SSTHRESH (net/tcp.h)."""

_STRUCT = GrowingStruct(
    ("", "x"),  # tcpi_state, which the message has as well
    ("congestion_state", "B"),
    ("retransmits", "B"),
    ("probes", "B"),
    ("backoff", "B"),
    ("options", "B"),
    ("window_scales", "B"),
    ("limits", "B"),
    ("retransmission_timeout", "I"),
    ("acknowledgment_timeout", "I"),
    ("send_mss", "I"),
    ("receive_mss", "I"),
    ("unacknowledged", "I"),
    ("selectively_acknowledged", "I"),
    ("lost", "I"),
    ("retransmitted", "I"),
    ("", "4x"),  # tcpi_fackets: 0 since 4.15
    ("last_data_sent", "I"),
    ("", "4x"),  # tcpi_last_ack_sent: never told
    ("last_data_received", "I"),
    ("last_ack_received", "I"),
    ("path_mtu", "I"),
    ("receive_threshold", "I"),
    ("rtt", "I"),
    ("rttvar", "I"),
    ("slow_start_threshold", "I"),
    ("congestion_window", "I"),
    ("advertised_mss", "I"),
    ("reordering", "I"),
    ("receive_rtt", "I"),
    ("receive_space", "I"),
    ("total_retransmits", "I"),
    ("pacing_rate", "Q"),
    ("max_pacing_rate", "Q"),
    ("bytes_acked", "Q"),
    ("bytes_received", "Q"),
    ("segments_out", "I"),
    ("segments_in", "I"),
    ("not_sent", "I"),
    ("min_rtt", "I"),
    ("data_segments_in", "I"),
    ("data_segments_out", "I"),
    ("delivery_rate", "Q"),
    ("busy_time", "Q"),
    ("receive_window_limited", "Q"),
    ("send_buffer_limited", "Q"),
    ("delivered", "I"),
    ("delivered_ce", "I"),
    ("bytes_sent", "Q"),
    ("bytes_retransmitted", "Q"),
    ("duplicate_sacks", "I"),
    ("reordering_seen", "I"),
    ("out_of_order_packets", "I"),
    ("send_window", "I"),
    ("receive_window", "I"),
    ("rehashes", "I"),
    ("timeouts", "H"),
)


class TcpInfoBatch(Batch):
    """The columns of TcpInfo."""

    record = "TcpInfo"


def tcp_info(run: Run, layout: Layout, listening: Sequence[bool]) -> Column:
    """The column of a run that may have INET_DIAG_INFO; ``listening`` says which of its sockets listen.

    Raises NetlinkError where the struct is too short.
    """
    at = place(run, layout, INET_DIAG_INFO, 0)
    if at is None:
        return NONE
    places = _STRUCT.places(layout[INET_DIAG_INFO][1])

    def raw(name: str) -> Column:
        if name not in places:
            return NONE
        offset, code = places[name]
        return figures(run, at + offset, code)

    def scales(shift: int) -> Column:
        both, options = raw("window_scales"), raw("options")
        if isinstance(both, Constant) and isinstance(options, Constant):
            return Constant(both.value >> shift & 15 if options.value & _WINDOW_SCALE else None)
        pairs = zip(*(run.u8(at + places[name][0]) for name in ("window_scales", "options")), strict=True)
        return [scale >> shift & 15 if bits & _WINDOW_SCALE else None for scale, bits in pairs]

    def make(field: str) -> Column:
        if field == "congestion_control":
            return _names(run, layout)
        if field == "congestion_info":
            return _congestion_infos(run, layout)
        if field in _SCALES:
            return scales(_SCALES[field])
        source, convert = _CONVERSIONS.get(field, (field, None))
        column = raw(source)
        if field in _BACKLOGS and any(listening):
            values = repeat(column.value) if isinstance(column, Constant) else column
            return [0 if listens else value for value, listens in zip(values, listening, strict=False)]
        if convert is None or column is NONE:
            return column
        return Constant(convert((column.value,))[0]) if isinstance(column, Constant) else converted(column, convert)

    return Nested(TcpInfoBatch(run.count, make))


def lacking(size: int) -> list[str]:
    """What a kernel whose struct tcp_info has this size does not tell."""
    return _STRUCT.lacking(size)


def _milliseconds(microseconds: Sequence[int]) -> list[float]:
    return [value / 1000 for value in microseconds]


def _unlimited(rates: Sequence[int]) -> list[int | None]:
    return [None if rate == _UNLIMITED else rate for rate in rates]


def _congestion_state(number: int) -> str:
    return _CONGESTION_STATES[number] if number < len(_CONGESTION_STATES) else f"unknown-{number}"


def _option_names(bits: int) -> tuple[str, ...]:
    return tuple(name for position, name in enumerate(_OPTIONS) if bits >> position & 1)


_OPTION_NAMES = tuple(map(_option_names, range(256)))

_SCALES = {"send_window_scale": _SEND_SCALE, "receive_window_scale": _RECEIVE_SCALE}

_BACKLOGS = ("unacknowledged", "selectively_acknowledged")
"""Two fields of a listener hold its accept backlog (net/ipv4/tcp.c), which is in the queues already."""

_CONVERSIONS: dict[str, tuple[str, Callable[[Sequence[int]], Sequence[Any]]]] = {
    "congestion_state": ("congestion_state", lambda numbers: [_congestion_state(number) for number in numbers]),
    "rtt": ("rtt", _milliseconds),
    "rttvar": ("rttvar", _milliseconds),
    "receive_rtt": ("receive_rtt", _milliseconds),
    "min_rtt": ("min_rtt", lambda values: [None if value in _NOT_MEASURED else value / 1000 for value in values]),
    "retransmission_timeout": ("retransmission_timeout", _milliseconds),
    "acknowledgment_timeout": ("acknowledgment_timeout", _milliseconds),
    "slow_start_threshold": (
        "slow_start_threshold",
        lambda values: [None if value >= _INFINITE_THRESHOLD else value for value in values],
    ),
    "pacing_rate": ("pacing_rate", _unlimited),
    "max_pacing_rate": ("max_pacing_rate", _unlimited),
    "options": ("options", lambda numbers: [_OPTION_NAMES[bits] for bits in numbers]),
    "delivery_rate_app_limited": ("limits", lambda numbers: [bool(bits & _APP_LIMITED) for bits in numbers]),
    "fastopen_failure": (
        "limits",
        lambda numbers: [_FASTOPEN_FAILURES[bits >> _FASTOPEN_FAILURE & 3] for bits in numbers],
    ),
}
"""The fields that are not told as they are: what they are made of, and how."""


def _names(run: Run, layout: Layout) -> Column:
    """Names of congestion control algorithms."""
    at, size = layout.get(INET_DIAG_CONG, (0, 0))
    if not size:
        return NONE
    if all(map(run.same, range(at, at + size, 4))):
        return Constant(_name(run.data[at : at + size]))
    names = run.unpack(at, f"{size}s")
    return Coded(names, {name: _name(name) for name in set(names)})


def _name(raw: bytes) -> str:
    return text(raw.split(b"\0", 1)[0])


class CongestionInfoBatch(Batch):
    """The columns of CongestionInfo."""

    record = "CongestionInfo"


def _congestion_infos(run: Run, layout: Layout) -> Column:
    """What the congestion control adds, for the three that add anything: BBR, DCTCP and Vegas (also Illinois, Yeah)."""
    for kind, size, members in (
        (INET_DIAG_BBRINFO, 20, _BBR),
        (INET_DIAG_DCTCPINFO, 16, _DCTCP),
        (INET_DIAG_VEGASINFO, 16, _VEGAS),
    ):
        at = place(run, layout, kind, size)
        if at is not None:
            return _congestion_columns(run, at, members)
    return NONE


def _congestion_columns(run: Run, start: int, members: dict[str, Member]) -> Column:
    def make(field: str) -> Column:
        if field not in members:
            return NONE
        offset, code, convert = members[field]
        at = start + offset
        if code == _HALVES:
            return numbers(run, at) if run.same(at + 4) and not run.words(at + 4)[0] else cookies(run, at)
        column = figures(run, at, code)
        if convert is None:
            return column
        if isinstance(column, Constant):
            return Constant(convert(column.value))
        return converted(column, lambda numbers: list(map(convert, numbers)))

    return Nested(CongestionInfoBatch(run.count, make))


def _gain(fixed: int) -> float:
    return fixed / 256


_HALVES = "II"
"""A 64-bit number in two halves, the low one first, as a socket cookie is."""

_BBR: dict[str, Member] = {
    "bandwidth": (0, _HALVES, None),
    "min_rtt": (8, "I", None),
    "pacing_gain": (12, "I", _gain),
    "cwnd_gain": (16, "I", _gain),
}
_DCTCP: dict[str, Member] = {
    "enabled": (0, "H", bool),
    "ce_state": (2, "H", None),
    "alpha": (4, "I", None),
    "ecn_bytes": (8, "I", None),
    "total_bytes": (12, "I", None),
}
_VEGAS: dict[str, Member] = {
    "enabled": (0, "I", bool),
    "rtt_count": (4, "I", None),
    "rtt": (8, "I", None),
    "min_rtt": (12, "I", None),
}
"""linux/inet_diag.h: struct tcp_bbr_info, tcp_dctcp_info, tcpvegas_info."""
