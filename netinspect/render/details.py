"""The nested records of a socket as one line of text, with ss(8)'s keywords where it has one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..records import CongestionInfo, Memory, TcpInfo, Timer

_TIMER_NAMES = {"retransmit": "on", "probe": "persist"}
"""ss's words for two of the timers."""


def timer_text(timer: Timer) -> str:
    """Name, time left and what was sent in vain: ``keepalive,110sec,0``."""
    return f"{_TIMER_NAMES.get(timer.name, timer.name)},{duration(timer.remaining)},{timer.retransmits}"


def duration(milliseconds: float) -> str:
    """A time in the unit that suits it: ``200ms``, ``1.5sec``, ``59min``."""
    if milliseconds < 1000:
        return f"{milliseconds:g}ms"
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.3g}sec"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}min{rest:02d}sec" if rest and minutes < 10 else f"{minutes}min"


def memory_text(memory: Memory) -> str:
    """``skmem:(r0,rb131072,t0,tb2626560,f0,w0,o0,bl0,d0)``, the letters as in ss."""
    return "skmem:(r{},rb{},t{},tb{},f{},w{},o{},bl{},d{})".format(*memory)


def rate(bytes_per_second: float) -> str:
    """A rate in bits a second: ``87.4Gbps``."""
    bits = bytes_per_second * 8.0
    for unit in ("", "K", "M", "G"):
        if bits < 1000:
            return f"{bits:.3g}{unit}bps"
        bits /= 1000
    return f"{bits:.3g}Tbps"


def tcp_info_text(info: TcpInfo) -> str:
    """Everything that is not at rest, in ss's order and words."""
    words = [option.replace("timestamps", "ts").replace("ecn_seen", "ecnseen") for option in info.options]
    words = [word for word in words if word != "wscale"]
    if info.congestion_control:
        words.append(info.congestion_control)
    if info.send_window_scale is not None:
        words.append(f"wscale:{info.send_window_scale},{info.receive_window_scale}")
    words += [f"rto:{info.retransmission_timeout:g}", f"rtt:{info.rtt:g}/{info.rttvar:g}"]
    if info.acknowledgment_timeout:
        words.append(f"ato:{info.acknowledgment_timeout:g}")
    words += [
        f"mss:{info.send_mss}",
        f"pmtu:{info.path_mtu}",
        f"rcvmss:{info.receive_mss}",
        f"advmss:{info.advertised_mss}",
        f"cwnd:{info.congestion_window}",
    ]
    if info.slow_start_threshold is not None:
        words.append(f"ssthresh:{info.slow_start_threshold}")
    if info.congestion_info is not None:
        words.append(congestion_text(info.congestion_info))
    words += _counted(
        ("bytes_sent", info.bytes_sent),
        ("bytes_retrans", info.bytes_retransmitted),
        ("bytes_acked", info.bytes_acked),
        ("bytes_received", info.bytes_received),
        ("segs_out", info.segments_out),
        ("segs_in", info.segments_in),
    )
    if info.rtt and info.send_mss and info.congestion_window:
        words.append(f"send {rate(info.congestion_window * info.send_mss * 1000 / info.rtt)}")
    words += _counted(
        ("lastsnd", info.last_data_sent), ("lastrcv", info.last_data_received), ("lastack", info.last_ack_received)
    )
    if info.pacing_rate is not None:
        limit = "" if info.max_pacing_rate is None else f"/{rate(info.max_pacing_rate)}"
        words.append(f"pacing_rate {rate(info.pacing_rate)}{limit}")
    if info.delivery_rate:
        words.append(f"delivery_rate {rate(info.delivery_rate)}")
    if info.delivery_rate_app_limited:
        words.append("app_limited")
    if info.busy_time:
        words.append(f"busy:{info.busy_time // 1000}ms")
        for name, limited in (
            ("rwnd_limited", info.receive_window_limited),
            ("sndbuf_limited", info.send_buffer_limited),
        ):
            if limited:
                words.append(f"{name}:{limited // 1000}ms({100 * limited / info.busy_time:.1f}%)")
    words += _counted(("unacked", info.unacknowledged))
    if info.retransmitted or info.total_retransmits:
        words.append(f"retrans:{info.retransmitted}/{info.total_retransmits}")
    words += _counted(
        ("backoff", info.retransmits),
        ("probes", info.probes),
        ("lost", info.lost),
        ("reord_seen", info.reordering_seen),
        ("rcv_space", info.receive_space),
        ("notsent", info.not_sent),
    )
    if info.min_rtt is not None:
        words.append(f"minrtt:{info.min_rtt:g}")
    if info.congestion_state != "open":
        words.append(f"ca_state:{info.congestion_state}")
    return " ".join(words)


def congestion_text(info: CongestionInfo) -> str:
    """The congestion control's own figures: ``(bandwidth:1000000,min_rtt:12)``."""
    known = [
        f"{name}:{value:g}" if isinstance(value, float) else f"{name}:{value}"
        for name, value in zip(info._fields, info, strict=True)
        if value is not None
    ]
    return f"({','.join(known)})"


def _counted(*figures: tuple[str, int | None]) -> list[str]:
    """The figures that are neither zero nor unknown."""
    return [f"{name}:{value}" for name, value in figures if value]


TEXTS: dict[str, Callable[[Any], str]] = {
    "timer": timer_text,
    "memory": memory_text,
    "tcp_info": tcp_info_text,
}
"""The text of a field that is a nested record."""
