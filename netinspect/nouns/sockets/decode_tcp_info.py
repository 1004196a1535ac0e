"""TCP's own state and its congestion control's (linux/tcp.h: struct tcp_info; linux/inet_diag.h)."""

from __future__ import annotations

from sys import byteorder

from ...engine.columns import NONE, Array, Coded, Column, Constant, Nested
from ...engine.fields import GrowingStruct, figures, numbers, place
from ...engine.schema import Schema
from ...engine.text import text
from ...uapi.sock_diag import (
    INET_DIAG_BBRINFO,
    INET_DIAG_CONG,
    INET_DIAG_DCTCPINFO,
    INET_DIAG_INFO,
    INET_DIAG_VEGASINFO,
)
from .decode_common import cookies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    from ...engine.netlink.messages import Layout, Run

    Member: TypeAlias = "tuple[int, str, Callable[[int], Any] | None]"
    """Offset in a struct, struct format, and what is made of the number."""

_CONGESTION_STATES = ("open", "disorder", "cwr", "recovery", "loss")
_OPTIONS = ("timestamps", "sack", "wscale", "ecn", "ecn_seen", "syn_data", "usec_timestamps", "tfo_child")
"""TCPI_OPT_*, from the lowest bit on."""
_WINDOW_SCALE = 0x04
_FASTOPEN_FAILURES = (None, "cookie_unavailable", "data_not_acked", "syn_retransmitted")
"""enum tcp_fastopen_client_fail; the first means no failure."""

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
    ("", "4x"),  # tcpi_last_ack_sent: never set
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


class _Source:
    """The INET_DIAG_INFO of a run's messages."""

    __slots__ = ("at", "layout", "listening", "places", "run")

    def __init__(self, run: Run, layout: Layout, at: int, listening: Sequence[bool]) -> None:
        self.run = run
        self.layout = layout
        self.at = at
        self.places = _STRUCT.places(layout[INET_DIAG_INFO][1])
        self.listening = listening

    def raw(self, member: str) -> Column:
        """A member of the struct; None if this kernel's struct ends before it."""
        if member not in self.places:
            return NONE
        offset, code = self.places[member]
        return figures(self.run, self.at + offset, code)

    def scales(self, shift: int) -> Column:
        """A window scale: both share a byte, and are valid only if an option is set."""
        both, options = self.raw("window_scales"), self.raw("options")
        if both.constant and options.constant:
            return Constant(both.value >> shift & 15 if options.value & _WINDOW_SCALE else None)
        members = (self.run.u8(self.at + self.places[name][0]) for name in ("window_scales", "options"))
        return Array(
            [scale >> shift & 15 if bits & _WINDOW_SCALE else None for scale, bits in zip(*members, strict=True)]
        )

    def connected(self, member: str) -> Column:
        """A member that holds the accept backlog of a listener (net/ipv4/tcp.c), which is in the queues already."""
        column = self.raw(member)
        if not any(self.listening):
            return column
        pairs = zip(column.values(self.run.count), self.listening, strict=True)
        return Array([0 if listens else value for value, listens in pairs])


def tcp_info(run: Run, layout: Layout, listening: Sequence[bool]) -> Column:
    """The column of a run that may have INET_DIAG_INFO; ``listening`` says which of its sockets listen.

    Raises NetlinkError where the struct is too short.
    """
    at = place(run, layout, INET_DIAG_INFO, 0)
    if at is None:
        return NONE
    return Nested(_TCP_INFO.batch(run.count, _Source(run, layout, at, listening)))


def lacking(size: int) -> list[str]:
    """What a kernel whose struct tcp_info has this size does not report."""
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


def _reported(member: str) -> Callable[[_Source], Column]:
    """A member of the struct, unchanged."""
    return lambda source: source.raw(member)


def _converted(member: str, convert: Callable[[Sequence[int]], Sequence[Any]]) -> Callable[[_Source], Column]:
    """What is made of a member of the struct."""

    def make(source: _Source) -> Column:
        column = source.raw(member)
        return column if column is NONE else column.convert(convert)

    return make


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
    return Nested(_CONGESTION_INFO.batch(run.count, run, start, members))


def _member(name: str) -> Callable[[Run, int, dict[str, Member]], Column]:
    def make(run: Run, start: int, members: dict[str, Member]) -> Column:
        if name not in members:
            return NONE
        offset, code, convert = members[name]
        at = start + offset
        if code == _HALVES:
            return numbers(run, at) if run.same(at + 4) and not run.words(at + 4)[0] else cookies(run, at)
        column = figures(run, at, code)
        return column if convert is None else column.convert(lambda numbers: list(map(convert, numbers)))

    return make


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

_CONGESTION_INFO = Schema("CongestionInfo", {name: _member(name) for name in {**_BBR, **_DCTCP, **_VEGAS}})

_TCP_INFO = Schema(
    "TcpInfo",
    {
        **{name: _reported(name) for name, _ in _STRUCT.members if name not in ("window_scales", "limits")},
        "congestion_control": lambda source: _names(source.run, source.layout),
        "congestion_info": lambda source: _congestion_infos(source.run, source.layout),
        "congestion_state": _converted(
            "congestion_state", lambda numbers: [_congestion_state(number) for number in numbers]
        ),
        "rtt": _converted("rtt", _milliseconds),
        "rttvar": _converted("rttvar", _milliseconds),
        "receive_rtt": _converted("receive_rtt", _milliseconds),
        "min_rtt": _converted(
            "min_rtt", lambda values: [None if value in _NOT_MEASURED else value / 1000 for value in values]
        ),
        "retransmission_timeout": _converted("retransmission_timeout", _milliseconds),
        "acknowledgment_timeout": _converted("acknowledgment_timeout", _milliseconds),
        "slow_start_threshold": _converted(
            "slow_start_threshold",
            lambda values: [None if value >= _INFINITE_THRESHOLD else value for value in values],
        ),
        "send_window_scale": lambda source: source.scales(_SEND_SCALE),
        "receive_window_scale": lambda source: source.scales(_RECEIVE_SCALE),
        "unacknowledged": lambda source: source.connected("unacknowledged"),
        "selectively_acknowledged": lambda source: source.connected("selectively_acknowledged"),
        "pacing_rate": _converted("pacing_rate", _unlimited),
        "max_pacing_rate": _converted("max_pacing_rate", _unlimited),
        "options": _converted("options", lambda numbers: [_OPTION_NAMES[bits] for bits in numbers]),
        "delivery_rate_app_limited": _converted(
            "limits", lambda numbers: [bool(bits & _APP_LIMITED) for bits in numbers]
        ),
        "fastopen_failure": _converted(
            "limits", lambda numbers: [_FASTOPEN_FAILURES[bits >> _FASTOPEN_FAILURE & 3] for bits in numbers]
        ),
    },
)
