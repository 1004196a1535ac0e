"""TCP's own state and its congestion control's (linux/tcp.h: struct tcp_info; linux/inet_diag.h)."""

from __future__ import annotations

from itertools import repeat

from ..records import CongestionInfo, TcpInfo
from .inet_diag import INET_DIAG_BBRINFO, INET_DIAG_DCTCPINFO, INET_DIAG_VEGASINFO

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from ..netlink.messages import Layout, Run

_CONGESTION_STATES = ("open", "disorder", "cwr", "recovery", "loss")
_OPTIONS = {
    0x01: "timestamps",
    0x02: "sack",
    0x04: "wscale",
    0x08: "ecn",
    0x10: "ecn_seen",
    0x20: "syn_data",
    0x40: "usec_timestamps",
    0x80: "tfo_child",
}
_WINDOW_SCALE = 0x04
_UNLIMITED = (1 << 64) - 1
_INFINITE_THRESHOLD = 0x7FFFFFFF
"""TCP_INFINITE_SSTHRESH (net/tcp.h)."""

# Field of struct tcp_info: (offset, struct format). The struct has grown at its end in many releases.
_FIELDS = {
    "congestion_state": (1, "B"),
    "retransmits": (2, "B"),
    "probes": (3, "B"),
    "options": (5, "B"),
    "window_scales": (6, "B"),
    "app_limited": (7, "B"),
    "retransmission_timeout": (8, "I"),
    "acknowledgment_timeout": (12, "I"),
    "send_mss": (16, "I"),
    "receive_mss": (20, "I"),
    "unacknowledged": (24, "I"),
    "lost": (32, "I"),
    "retransmitted": (36, "I"),
    "last_data_sent": (44, "I"),
    "last_data_received": (52, "I"),
    "last_ack_received": (56, "I"),
    "path_mtu": (60, "I"),
    "rtt": (68, "I"),
    "rttvar": (72, "I"),
    "slow_start_threshold": (76, "I"),
    "congestion_window": (80, "I"),
    "advertised_mss": (84, "I"),
    "receive_space": (96, "I"),
    "total_retransmits": (100, "I"),
    "pacing_rate": (104, "Q"),
    "max_pacing_rate": (112, "Q"),
    "bytes_acked": (120, "Q"),
    "bytes_received": (128, "Q"),
    "segments_out": (136, "I"),
    "segments_in": (140, "I"),
    "not_sent": (144, "I"),
    "min_rtt": (148, "I"),
    "delivery_rate": (160, "Q"),
    "busy_time": (168, "Q"),
    "receive_window_limited": (176, "Q"),
    "send_buffer_limited": (184, "Q"),
    "bytes_sent": (200, "Q"),
    "bytes_retransmitted": (208, "Q"),
    "reordering_seen": (220, "I"),
}
_SIZES = {"B": 1, "I": 4, "Q": 8}


class _OptionNames(dict[int, tuple[str, ...]]):
    def __missing__(self, bits: int) -> tuple[str, ...]:
        names = self[bits] = tuple(name for bit, name in _OPTIONS.items() if bits & bit)
        return names


_OPTION_NAMES = _OptionNames()


def _milliseconds(microseconds: int) -> float:
    return microseconds / 1000


def _limit(unlimited: int) -> Callable[[int], int | None]:
    return lambda value: None if value == unlimited else value


def tcp_info_records(
    run: Run,
    at: int,
    size: int,
    congestion_control: Sequence[str | None],
    congestion_info: Iterable[CongestionInfo | None],
) -> list[TcpInfo]:
    """The records of a run whose struct tcp_info, of ``size`` bytes, lies at ``at``."""

    def column(name: str) -> Iterable[Any]:
        offset, layout = _FIELDS[name]
        if offset + _SIZES[layout] > size:
            return repeat(None, run.count)
        if layout == "B":
            return run.u8(at + offset)
        return run.u32(at + offset) if layout == "I" else run.unpack(at + offset, "Q")

    def converted(name: str, convert: Callable[[int], Any]) -> Iterable[Any]:
        return (None if value is None else convert(value) for value in column(name))

    def window_scale(shift: int) -> Iterable[int | None]:
        return (
            scales >> shift & 15 if options & _WINDOW_SCALE else None
            for scales, options in zip(column("window_scales"), column("options"), strict=True)
        )

    unlimited = _limit(_UNLIMITED)
    special: dict[str, Iterable[Any]] = {
        "congestion_control": congestion_control,
        "congestion_info": congestion_info,
        "congestion_state": converted(
            "congestion_state",
            lambda number: _CONGESTION_STATES[number] if number < len(_CONGESTION_STATES) else f"unknown-{number}",
        ),
        "rtt": converted("rtt", _milliseconds),
        "rttvar": converted("rttvar", _milliseconds),
        # All bits set until the first measurement (net/ipv4/tcp.c: minmax_get of an empty filter).
        "min_rtt": converted("min_rtt", lambda value: None if value == 0xFFFFFFFF else value / 1000),
        "retransmission_timeout": converted("retransmission_timeout", _milliseconds),
        "acknowledgment_timeout": converted("acknowledgment_timeout", _milliseconds),
        # tcpi_snd_wscale is the first bit-field: the low four bits on little-endian machines, the high on others.
        "send_window_scale": window_scale(_SEND_SCALE_SHIFT),
        "receive_window_scale": window_scale(4 - _SEND_SCALE_SHIFT),
        "slow_start_threshold": converted(
            "slow_start_threshold", lambda value: None if value >= _INFINITE_THRESHOLD else value
        ),
        "pacing_rate": converted("pacing_rate", unlimited),
        "max_pacing_rate": converted("max_pacing_rate", unlimited),
        "delivery_rate_app_limited": converted("app_limited", lambda bits: bool(bits & _APP_LIMITED_BIT)),
        "options": converted("options", _OPTION_NAMES.__getitem__),
    }
    return list(map(TcpInfo, *(special.get(name) or column(name) for name in TcpInfo._fields)))


def _bit_field_places() -> tuple[int, int]:
    from sys import byteorder

    return (0, 0x01) if byteorder == "little" else (4, 0x80)


_SEND_SCALE_SHIFT, _APP_LIMITED_BIT = _bit_field_places()


def congestion_records(run: Run, layout: Layout) -> Iterable[CongestionInfo | None]:
    """What the congestion control adds, for the three that add anything: BBR, DCTCP and Vegas (also Illinois, Yeah)."""
    if INET_DIAG_BBRINFO in layout:
        at, _ = layout[INET_DIAG_BBRINFO]
        return [
            CongestionInfo(
                bandwidth=low | high << 32,
                min_rtt=min_rtt,
                pacing_gain=pacing / 256,
                cwnd_gain=cwnd / 256,
            )
            for low, high, min_rtt, pacing, cwnd in run.rows(at, "IIIII")
        ]
    if INET_DIAG_DCTCPINFO in layout:
        at, _ = layout[INET_DIAG_DCTCPINFO]
        return [
            CongestionInfo(enabled=bool(enabled), ce_state=ce, alpha=alpha, ecn_bytes=ecn, total_bytes=total)
            for enabled, ce, alpha, ecn, total in run.rows(at, "HHIII")
        ]
    if INET_DIAG_VEGASINFO in layout:
        at, _ = layout[INET_DIAG_VEGASINFO]
        return [
            CongestionInfo(enabled=bool(enabled), rtt_count=count, rtt=rtt, min_rtt=min_rtt)
            for enabled, count, rtt, min_rtt in run.rows(at, "IIII")
        ]
    return repeat(None, run.count)
