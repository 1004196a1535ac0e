"""The text of nested records, made from columns, against a plain function of one record."""

from __future__ import annotations

from typing import Any

from batches import batch_of
from hypothesis import given
from hypothesis import strategies as st

from netinspect.engine.columns import Batch, Nested, column_of
from netinspect.engine.schema import rows_of
from netinspect.engine.structured import writer_of
from netinspect.engine.table import Field, Table
from netinspect.nouns.sockets.render_details import Details, memory_text, rate, tcp_info_text
from netinspect.records import CongestionInfo, Memory, Socket, TcpInfo

COUNT = st.integers(0, 3) | st.integers(0, 2**32 - 1)
LARGE = COUNT | st.integers(0, 2**63)
TIME = st.integers(0, 2**32 - 1).map(lambda microseconds: microseconds / 1000)
SPECIAL = {
    "congestion_control": st.sampled_from(["cubic", "bbr", "a%d\x1b"]),
    "congestion_state": st.sampled_from(["open", "loss"]),
    "rtt": TIME,
    "rttvar": TIME,
    "min_rtt": st.none() | TIME,
    "retransmission_timeout": TIME,
    "acknowledgment_timeout": st.just(0.0) | TIME,
    "receive_rtt": TIME,
    "slow_start_threshold": st.none() | COUNT,
    "pacing_rate": st.none() | LARGE,
    "max_pacing_rate": st.none() | LARGE,
    "delivery_rate_app_limited": st.booleans(),
    "fastopen_failure": st.none(),
    "options": st.lists(st.sampled_from(["timestamps", "sack", "wscale", "ecn_seen"]), unique=True).map(tuple),
}
GAIN = st.integers(0, 1000).map(lambda fixed: fixed / 256)


def figures(**known: st.SearchStrategy[Any]) -> st.SearchStrategy[CongestionInfo]:
    """One congestion control's figures: the others are unknown."""
    return st.builds(CongestionInfo, **{name: known.get(name, st.none()) for name in CongestionInfo._fields})


BBR = figures(bandwidth=LARGE, min_rtt=COUNT, pacing_gain=GAIN, cwnd_gain=GAIN)
VEGAS = figures(enabled=st.booleans(), rtt_count=COUNT, rtt=COUNT, min_rtt=COUNT)
MEMORY = st.builds(Memory, **dict.fromkeys(Memory._fields, COUNT))


@st.composite
def tables(draw: st.DrawFn) -> list[TcpInfo]:
    """What one kernel reports of several sockets: a field is known of all of them or of none."""
    lacking = draw(st.sets(st.sampled_from(["bytes_sent", "delivery_rate", "busy_time", "not_sent"])))
    scales = draw(st.booleans())
    congestion = draw(st.sampled_from([st.none(), BBR, VEGAS]))
    fields = {name: SPECIAL.get(name, LARGE) for name in TcpInfo._fields} | dict.fromkeys(lacking, st.none())
    fields |= dict.fromkeys(("send_window_scale", "receive_window_scale"), st.integers(0, 14) if scales else st.none())
    fields["congestion_info"] = congestion
    records = draw(st.lists(st.builds(TcpInfo, **fields), min_size=1, max_size=5))
    if draw(st.booleans()):
        records = [records[0]._replace(rtt=record.rtt, bytes_sent=record.bytes_sent) for record in records]
    return records


def columns_of(records: list[Any]) -> Batch:
    """The records as a decoder gives them: Constant where all are the same, nested records as columns too."""
    from netinspect.engine.columns import NONE, Constant

    def make(field: str) -> Any:
        values = [getattr(record, field) for record in records]
        if values[0] is None and all(value is None for value in values):
            return NONE
        if isinstance(values[0], CongestionInfo):
            return Nested(columns_of(values))
        return Constant(values[0]) if all(value == values[0] for value in values) else values

    kind = type(records[0])
    return batch_of(len(records), {field: make(field) for field in kind._fields}, kind.__name__)


def expected(info: TcpInfo) -> str:
    """Word after word, as ss has them."""

    def counted(name: str, value: int | None) -> list[str]:
        return [f"{name}:{value}"] if value else []

    words = [option.replace("timestamps", "ts").replace("ecn_seen", "ecnseen") for option in info.options]
    words = [word for word in words if word != "wscale"]
    words.append((info.congestion_control or "").replace("\x1b", "\\x1b"))
    if info.send_window_scale is not None:
        words.append(f"wscale:{info.send_window_scale},{info.receive_window_scale}")
    words += [f"rto:{info.retransmission_timeout:g}", f"rtt:{info.rtt:g}/{info.rttvar:g}"]
    if info.acknowledgment_timeout:
        words.append(f"ato:{info.acknowledgment_timeout:g}")
    words += [f"mss:{info.send_mss}", f"pmtu:{info.path_mtu}", f"rcvmss:{info.receive_mss}"]
    words += [f"advmss:{info.advertised_mss}", f"cwnd:{info.congestion_window}"]
    if info.slow_start_threshold is not None:
        words.append(f"ssthresh:{info.slow_start_threshold}")
    if info.congestion_info is not None:
        pairs = zip(CongestionInfo._fields, info.congestion_info, strict=True)
        known = [(name, value) for name, value in pairs if value is not None]
        shown = [f"{name}:{value:g}" if isinstance(value, float) else f"{name}:{value}" for name, value in known]
        words.append(f"({','.join(shown)})")
    words += counted("bytes_sent", info.bytes_sent)
    words += counted("bytes_retrans", info.bytes_retransmitted)
    words += counted("bytes_acked", info.bytes_acked)
    words += counted("bytes_received", info.bytes_received)
    words += counted("segs_out", info.segments_out)
    words += counted("segs_in", info.segments_in)
    if info.rtt and info.send_mss and info.congestion_window:
        words.append(f"send {rate(info.congestion_window * info.send_mss * 1000 / info.rtt)}")
    words += counted("lastsnd", info.last_data_sent)
    words += counted("lastrcv", info.last_data_received)
    words += counted("lastack", info.last_ack_received)
    if info.pacing_rate is not None:
        limit = "" if info.max_pacing_rate is None else f"/{rate(info.max_pacing_rate)}"
        words.append(f"pacing_rate {rate(info.pacing_rate)}{limit}")
    if info.delivery_rate:
        words.append(f"delivery_rate {rate(info.delivery_rate)}")
    if info.delivery_rate_app_limited:
        words.append("app_limited")
    if info.busy_time:
        words.append(f"busy:{info.busy_time // 1000}ms")
        limits = {"rwnd_limited": info.receive_window_limited, "sndbuf_limited": info.send_buffer_limited}
        for name, limited in limits.items():
            if limited:
                words.append(f"{name}:{limited // 1000}ms({100 * limited / info.busy_time:.1f}%)")
    words += counted("unacked", info.unacknowledged)
    if info.retransmitted or info.total_retransmits:
        words.append(f"retrans:{info.retransmitted}/{info.total_retransmits}")
    words += counted("backoff", info.retransmits)
    words += counted("probes", info.probes)
    words += counted("lost", info.lost)
    words += counted("reord_seen", info.reordering_seen)
    words += counted("rcv_space", info.receive_space)
    words += counted("notsent", info.not_sent)
    if info.min_rtt is not None:
        words.append(f"minrtt:{info.min_rtt:g}")
    if info.congestion_state != "open":
        words.append(f"ca_state:{info.congestion_state}")
    return " ".join(words)


def shown(field: str, nested: Any, *, last: bool) -> list[str]:
    """The field as a table shows it, at the end of the row or in front of another column."""
    count = len(list(column_of(nested).values(-1)))
    batch = batch_of(count, {field: nested, "inode": [f"<{row}>" for row in range(count)]})
    columns = [Field("Row", "inode"), Details("Details", field)]
    output = bytearray()
    table = Table(columns if last else columns[::-1], output.extend, heading=False)
    table.add(batch)
    table.end()
    rows = output.decode().splitlines()
    return [row.partition("> ")[2] if last else row.rpartition(" <")[0].rstrip() for row in rows]


@given(tables())
def test_tcp_info_text_matches_ss(infos: list[TcpInfo]) -> None:
    lines = [expected(info) for info in infos]
    assert [tcp_info_text(info) for info in infos] == lines
    for last in (True, False):
        assert shown("tcp_info", Nested(columns_of(infos)), last=last) == lines
        assert shown("tcp_info", infos, last=last) == lines


@given(st.lists(MEMORY, min_size=1, max_size=5))
def test_memory_text_matches_ss(memories: list[Memory]) -> None:
    lines = ["skmem:(r{},rb{},t{},tb{},f{},w{},o{},bl{},d{})".format(*memory) for memory in memories]
    assert [memory_text(memory) for memory in memories] == lines
    for last in (True, False):
        assert shown("memory", Nested(columns_of(memories)), last=last) == lines
        assert shown("memory", memories, last=last) == lines


def test_a_socket_without_the_record_has_a_dash() -> None:
    batch = rows_of([Socket("udp", "inet", "dgram", "UNCONNECTED", 0, 0, "::", 1, None, None, None, 0, 1, 1)])
    assert list(Details("TCP Info", "tcp_info")._lines(batch)) == ["-"]


@given(tables(), st.sampled_from(["ndjson", "json", "csv"]))
def test_columns_of_nested_records_are_written_like_the_records(infos: list[TcpInfo], form: str) -> None:
    def written(nested: Any) -> bytes:
        output = bytearray()
        writer = writer_of(form, ["inode", "tcp_info", "uid"], output.extend)
        count = len(infos)
        writer.add(batch_of(count, {"tcp_info": nested, "inode": [7] * count, "uid": [7] * count}))
        writer.end()
        return bytes(output)

    assert written(Nested(columns_of(infos))) == written(infos)
