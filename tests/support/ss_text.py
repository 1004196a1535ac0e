"""What ss(8) shows of a socket, made from a record: what its output is compared with, word by word."""

from __future__ import annotations

import re

from netinspect.records import Memory, MptcpInfo, Socket, TcpInfo, Timer

COMMAND = ("ss", "-H", "-O", "-n", "-a", "-e", "-i", "-m", "-o")

_STATES = {
    "ESTABLISHED": "ESTAB",
    "UNCONNECTED": "UNCONN",
    "CLOSE": "UNCONN",
    "FIN_WAIT1": "FIN-WAIT-1",
    "FIN_WAIT2": "FIN-WAIT-2",
}
_TIMERS = {"retransmit": "on", "probe": "persist", "delayed_ack": "delack"}
_SHUTDOWNS = {"none": "<->", "receive": "-->", "send": "<--", "both": "---"}
_OPTIONS = {"timestamps": "ts", "usec_timestamps": "usec_ts", "sack": "sack", "ecn": "ecn", "ecn_seen": "ecnseen"}
_OPTIONS["syn_data"] = "fastopen"

_NEWER = ("usec_ts", "rcv_wnd:", "rehash:", "subflows_total:", "retransmits:", "bytes_retrans:", "bytes_")
"""Words that older versions of ss do not show, in the information of TCP or of MPTCP."""
_NOT_COMPARED = ("cgroup:", "last_data_", "last_ack_", "endp_")
"""What records have in another form, what changes with time, and what they do not have."""
_SUBFLOW = ("flags:", "token:", "seq:", "sfseq:", "ssnoff:", "maplen:")


def compared(line: str, record: Socket) -> tuple[list[str], list[str]]:
    """The words of a line of ss, and those expected from the record, as far as this version shows them."""
    ignored = _NOT_COMPARED if record.protocol == "mptcp" else _NOT_COMPARED + _SUBFLOW
    # Until 6.3 or so ss wrote "1.888ms" for a timer of 1.888 seconds, and MPTCP's sequence numbers as hexadecimal.
    shown = [re.sub(r"(\.\d{3})ms", r"\1sec", word) for word in line.split() if not word.startswith(ignored)]
    newer = _NEWER if record.protocol == "mptcp" else _NEWER[:3]
    expected = [word for word in words(record) if word in shown or not word.startswith(newer)]
    return shown, [_hexadecimal(word) if _hexadecimal(word) in shown else word for word in expected]


def _hexadecimal(word: str) -> str:
    name, _, value = word.partition(":")
    return f"{name}:{int(value):x}" if name in ("write_seq", "snd_una", "rcv_nxt") else word


def words(record: Socket) -> list[str]:
    """One line, for sockets of the internet families."""
    line = [_STATES.get(record.state, record.state.replace("_", "-"))]
    line += [str(record.recv_queue), str(record.send_queue)]
    line += [_endpoint(record, record.local_address, record.local_port, record.interface)]
    line += [_endpoint(record, record.remote_address, record.remote_port, None)]
    line += _timer(record.timer)
    line += [f"uid:{record.uid}"] if record.uid else []
    line += [f"ino:{record.inode}", f"sk:{record.cookie:x}"]
    line += [f"fwmark:0x{record.mark:x}"] if record.mark else []
    line += [f"v6only:{record.v6only:d}"] if record.v6only is not None else []
    line += [_SHUTDOWNS[record.shutdown]] if record.shutdown else []
    line += _memory(record.memory)
    line += _tcp_info(record.tcp_info, record.state == "LISTEN", record.recv_queue) if record.tcp_info else []
    line += _mptcp_info(record.mptcp_info) if record.mptcp_info else []
    line += [f"tcp-ulp-{record.upper_layer_protocol}"] if record.upper_layer_protocol else []
    return line


def _endpoint(record: Socket, address: str | None, port: int | None, interface: str | None) -> str:
    assert address is not None
    if address == "::" and not record.v6only:
        address = "*"
    elif ":" in address:
        address = f"[{address}]"
    return f"{address}{f'%{interface}' if interface else ''}:{port or '*'}"


def _timer(timer: Timer | None) -> list[str]:
    if timer is None:
        return []
    return [f"timer:({_TIMERS.get(timer.name, timer.name)},{_duration(timer.remaining)},{timer.retransmits})"]


def _duration(milliseconds: int) -> str:
    """Less and less exact the longer it is; nothing at all for 0."""
    minutes, seconds = divmod(milliseconds // 1000, 60)
    rest = milliseconds % 1000
    if minutes > 9:
        return f"{minutes}min"
    if minutes:
        return f"{minutes}min" + (f"{seconds}sec" if seconds else "")
    if seconds > 9 or (seconds and not rest):
        return f"{seconds}sec"
    if seconds:
        return f"{seconds}.{rest:03d}sec"
    return f"{rest:03d}ms" if rest else ""


def _memory(memory: Memory | None) -> list[str]:
    if memory is None:
        return []
    names = ("r", "rb", "t", "tb", "f", "w", "o", "bl", "d")
    return [f"skmem:({','.join(f'{name}{value}' for name, value in zip(names, memory, strict=True))})"]


def _tcp_info(info: TcpInfo, listening: bool, backlog: int) -> list[str]:
    line = [_OPTIONS[name] for name in _OPTIONS if name in info.options]
    line.sort(key=("ts", "usec_ts", "sack", "ecn", "ecnseen", "fastopen").index)
    line += [info.congestion_control] if info.congestion_control else []
    if info.send_window_scale is not None:
        line.append(f"wscale:{info.send_window_scale},{info.receive_window_scale}")
    threshold = info.slow_start_threshold
    speed = None
    if info.rtt and info.send_mss and info.congestion_window:
        speed = info.congestion_window * info.send_mss * 8e6 / round(info.rtt * 1000)
    bbr = dctcp = ""
    if info.congestion_info and info.congestion_info.bandwidth is not None:
        known = info.congestion_info
        assert known.min_rtt is not None
        assert known.bandwidth is not None
        bbr = f"bbr:(bw:{known.bandwidth * 8}bps,mrtt:{known.min_rtt / 1000:g}"
        bbr += f",pacing_gain:{known.pacing_gain:g}" if known.pacing_gain else ""
        bbr += f",cwnd_gain:{known.cwnd_gain:g}" if known.cwnd_gain else ""
        bbr += ")"
    elif info.congestion_info and info.congestion_info.alpha is not None:
        known = info.congestion_info
        figures = f"ce_state:{known.ce_state},alpha:{known.alpha},ab_ecn:{known.ecn_bytes},ab_tot:{known.total_bytes}"
        dctcp = f"dctcp:({figures})" if known.enabled else "dctcp:fallback_mode"
    pacing = None
    if info.pacing_rate:
        pacing = f"{info.pacing_rate * 8}bps" + (f"/{info.max_pacing_rate * 8}bps" if info.max_pacing_rate else "")
    limited, buffered = info.receive_window_limited, info.send_buffer_limited
    busy = info.busy_time
    unacknowledged = backlog if listening else info.unacknowledged
    retransmitted = f"{info.retransmitted}/{info.total_retransmits}"
    pairs: list[tuple[str, object]] = [
        ("rto:", f"{info.retransmission_timeout:g}" if info.retransmission_timeout not in (0, 3000) else None),
        ("backoff:", info.backoff),
        ("rtt:", f"{info.rtt:g}/{info.rttvar:g}" if info.rtt else None),
        ("ato:", f"{info.acknowledgment_timeout:g}" if info.acknowledgment_timeout else None),
        ("mss:", info.send_mss),
        ("pmtu:", info.path_mtu),
        ("rcvmss:", info.receive_mss),
        ("advmss:", info.advertised_mss),
        ("cwnd:", info.congestion_window),
        ("ssthresh:", threshold if threshold is not None and threshold < 0xFFFF else None),
        ("bytes_sent:", info.bytes_sent),
        ("bytes_retrans:", info.bytes_retransmitted),
        ("bytes_acked:", info.bytes_acked),
        ("bytes_received:", info.bytes_received),
        ("segs_out:", info.segments_out),
        ("segs_in:", info.segments_in),
        ("data_segs_out:", info.data_segments_out),
        ("data_segs_in:", info.data_segments_in),
        ("", dctcp),
        ("", bbr),
        ("send ", f"{speed:.0f}bps" if speed else None),
        ("lastsnd:", info.last_data_sent),
        ("lastrcv:", info.last_data_received),
        ("lastack:", info.last_ack_received),
        ("pacing_rate ", pacing),
        ("delivery_rate ", f"{info.delivery_rate * 8}bps" if info.delivery_rate else None),
        ("delivered:", info.delivered),
        ("delivered_ce:", info.delivered_ce),
        ("", "app_limited" if info.delivery_rate_app_limited else None),
        ("busy:", f"{busy // 1000}ms" if busy else None),
        ("rwnd_limited:", f"{limited // 1000}ms({100 * limited / busy:.1f}%)" if busy and limited else None),
        ("sndbuf_limited:", f"{buffered // 1000}ms({100 * buffered / busy:.1f}%)" if busy and buffered else None),
        ("unacked:", unacknowledged),
        ("retrans:", retransmitted if retransmitted != "0/0" else None),
        ("lost:", info.lost),
        ("sacked:", info.selectively_acknowledged),
        ("dsack_dups:", info.duplicate_sacks),
        ("reordering:", info.reordering if info.reordering != 3 else None),
        ("reord_seen:", info.reordering_seen),
        ("rcv_rtt:", f"{info.receive_rtt:g}" if info.receive_rtt else None),
        ("rcv_space:", info.receive_space),
        ("rcv_ssthresh:", info.receive_threshold),
        ("notsent:", info.not_sent),
        ("minrtt:", f"{info.min_rtt:g}" if info.min_rtt else None),
        ("rcv_ooopack:", info.out_of_order_packets),
        ("snd_wnd:", info.send_window),
        ("rcv_wnd:", info.receive_window),
        ("rehash:", info.rehashes),
    ]
    return line + _shown(pairs)


def _mptcp_info(info: MptcpInfo) -> list[str]:
    return _shown(
        [
            ("subflows:", info.subflows),
            ("add_addr_signal:", info.addresses_signaled),
            ("add_addr_accepted:", info.addresses_accepted),
            ("subflows_max:", info.subflows_max),
            ("add_addr_signal_max:", info.addresses_signaled_max),
            ("add_addr_accepted_max:", info.addresses_accepted_max),
            ("", "fallback" if info.fallback else None),
            ("", "remote_key" if info.remote_key_received else None),
            ("token:", f"{info.token:x}" if info.token else None),
            ("write_seq:", info.write_sequence),
            ("snd_una:", info.send_unacknowledged),
            ("rcv_nxt:", info.receive_next),
            ("local_addr_used:", info.local_addresses_used),
            ("local_addr_max:", info.local_addresses_max),
            ("csum_enabled:", int(info.checksum) if info.checksum is not None else None),
            ("retransmits:", info.retransmits),
            ("bytes_retrans:", info.bytes_retransmitted),
            ("bytes_sent:", info.bytes_sent),
            ("bytes_received:", info.bytes_received),
            ("bytes_acked:", info.bytes_acked),
            ("subflows_total:", info.subflows_total),
        ]
    )


def _shown(pairs: list[tuple[str, object]]) -> list[str]:
    """Nothing is shown of a zero. A figure may be a word of its own."""
    line: list[str] = []
    for name, value in pairs:
        if value not in (None, 0, ""):
            line += f"{name}{value}".split()
    return line
