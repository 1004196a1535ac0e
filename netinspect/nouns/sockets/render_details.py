"""The nested records of a socket as one line of text, with ss(8)'s keywords where it has one.

Memory and TCP's state are made from columns, since a listing has them for every socket: a batch of records gives the
cells of a row (rows.py). What is the same in all rows costs nothing then, and a number needs no Python statement.
"""

from __future__ import annotations

from ...engine.columns import NONE
from ...engine.rows import Cell, Texts, literal, rows
from ...engine.schema import rows_of
from ...engine.table import Column
from ...engine.text import Shown, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from ...engine.columns import Batch
    from ...records import CongestionInfo, Memory, MptcpInfo, TcpInfo, Timer

_KEPT = 2000
"""Texts of each word that are kept: there are forty words, and memory is to stay flat."""

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


def rate(bytes_per_second: float) -> str:
    """A rate in bits a second: ``87.4Gbps``."""
    bits = bytes_per_second * 8.0
    if bits < 1e6:
        return f"{bits:.3g}bps" if bits < 1e3 else f"{bits / 1e3:.3g}Kbps"
    if bits < 1e9:
        return f"{bits / 1e6:.3g}Mbps"
    return f"{bits / 1e9:.3g}Gbps" if bits < 1e12 else f"{bits / 1e12:.3g}Tbps"


_CONGESTION_FIELDS = (
    *("bandwidth", "min_rtt", "pacing_gain", "cwnd_gain", "rtt", "rtt_count"),
    *("enabled", "ce_state", "alpha", "ecn_bytes", "total_bytes"),
)
"""CongestionInfo's, in its order."""


class Line:
    """The text of a kind of record: ``cells`` gives those of a batch, ``text`` that of one record."""

    def cells(self, batch: Batch) -> Iterable[Cell]:
        """Cells that make, one after the other, the text of each row."""
        raise NotImplementedError

    def texts(self, batch: Batch) -> list[str]:
        """The text of each row."""
        return rows(batch.count, [*self.cells(batch), Cell("\n")]).split("\n")[:-1]

    def text(self, record: Any) -> str:
        """The text of one record."""
        return self.texts(rows_of([record]))[0]


class MemoryLine(Line):
    """``skmem:(r0,rb131072,t0,tb2626560,f0,w0,o0,bl0,d0)``, the letters as in ss."""

    _LETTERS = {
        "receive_allocated": "skmem:(r",
        "receive_buffer": ",rb",
        "send_allocated": ",t",
        "send_buffer": ",tb",
        "forward_allocated": ",f",
        "send_queued": ",w",
        "option": ",o",
        "backlog": ",bl",
        "drops": ",d",
    }

    def cells(self, batch: Batch) -> Iterable[Cell]:
        for field, letters in self._LETTERS.items():
            yield _number(batch, field, letters)
        yield Cell(")")


class TcpInfoLine(Line):
    """Everything of TCP's state that is not at rest, in ss's order and words.

    What is in front of the retransmission timeout, which is always there, ends with a blank; the rest begins with one.
    """

    def __init__(self) -> None:
        self._texts: dict[tuple[str, ...], Texts] = {}

    def cells(self, batch: Batch) -> Iterable[Cell]:
        def word(name: str, show: Callable[..., str], *fields: str) -> Cell:
            return self._word(batch, name, show, fields)

        def counter(name: str, field: str) -> Cell:
            column = batch.column(field)
            if column.constant or 0 in column or None in column:
                return word(name, _counted(name), field)
            return Cell(f" {name}:%d", column.values(batch.count))

        yield word("", _option_words, "options")
        yield word("", lambda name: literal(f"{printable(name)} ") if name else "", "congestion_control")
        yield word(
            "wscale",
            lambda send, receive: "" if send is None else f"wscale:{send},{receive} ",
            *("send_window_scale", "receive_window_scale"),
        )
        yield word("rto", lambda value: f"rto:{value:g}", "retransmission_timeout")
        yield word("rtt", lambda value: f" rtt:{value:g}", "rtt")
        yield word("rttvar", lambda value: f"/{value:g}", "rttvar")
        yield word("ato", lambda value: f" ato:{value:g}" if value else "", "acknowledgment_timeout")
        for name, field in (
            ("mss", "send_mss"),
            ("pmtu", "path_mtu"),
            ("rcvmss", "receive_mss"),
            ("advmss", "advertised_mss"),
            ("cwnd", "congestion_window"),
        ):
            yield _number(batch, field, f" {name}:")
        yield word("ssthresh", _known("ssthresh"), "slow_start_threshold")
        yield from self._congestion(batch)
        yield counter("bytes_sent", "bytes_sent")
        yield counter("bytes_retrans", "bytes_retransmitted")
        yield counter("bytes_acked", "bytes_acked")
        yield counter("bytes_received", "bytes_received")
        yield counter("segs_out", "segments_out")
        yield counter("segs_in", "segments_in")
        yield word("send", _send_rate, "congestion_window", "send_mss", "rtt")
        yield counter("lastsnd", "last_data_sent")
        yield counter("lastrcv", "last_data_received")
        yield counter("lastack", "last_ack_received")
        yield word("pacing", _pacing_rate, "pacing_rate", "max_pacing_rate")
        yield word("delivery", lambda value: f" delivery_rate {rate(value)}" if value else "", "delivery_rate")
        yield word("limited", lambda limited: " app_limited" if limited else "", "delivery_rate_app_limited")
        yield word("busy", _busy, "busy_time", "receive_window_limited", "send_buffer_limited")
        yield counter("unacked", "unacknowledged")
        yield word(
            "retrans",
            lambda now, total: f" retrans:{now}/{total}" if now or total else "",
            *("retransmitted", "total_retransmits"),
        )
        yield counter("backoff", "retransmits")
        yield counter("probes", "probes")
        yield counter("lost", "lost")
        yield counter("reord_seen", "reordering_seen")
        yield counter("rcv_space", "receive_space")
        yield counter("notsent", "not_sent")
        yield word("minrtt", lambda value: "" if value is None else f" minrtt:{value:g}", "min_rtt")
        yield word("", lambda state: "" if state == "open" else f" ca_state:{state}", "congestion_state")

    def _congestion(self, batch: Batch) -> Iterable[Cell]:
        """The congestion control's own figures: `` (bandwidth:1000000,min_rtt:12)``."""
        figures = batch.column("congestion_info").nested
        if figures is None:
            yield self._word(batch, "", _congestion_text, ("congestion_info",))
            return
        before = " ("
        for field in _CONGESTION_FIELDS:
            if figures.column(field) is not NONE:
                yield self._word(figures, before, _figure(f"{before}{field}:"), (field,))
                before = ","
        yield Cell(")")

    def _word(self, batch: Batch, name: str, show: Callable[..., str], fields: Sequence[str]) -> Cell:
        """A word made of the values of some fields; ``show`` makes the format of one that is no directive.

        Its text is kept where values repeat, as those of settings do, and those of idle connections.
        """
        columns = [batch.column(field) for field in fields]
        varying = [column for column in columns if not column.constant]
        if not varying:
            return Cell(show(*[column.value for column in columns]))
        if len(varying) == 1 and varying[0].coded:
            at = columns.index(varying[0])
            before, after = ([column.value for column in part] for part in (columns[:at], columns[at + 1 :]))
            return Cell(varying[0].text(lambda value: show(*before, value, *after)))
        values = [column.values(batch.count) for column in columns]
        if any(column.diverse() for column in varying):
            return Cell(map(show, *values))
        texts = self._texts.get((name, *fields))
        if texts is None:
            texts = Texts(show if len(fields) == 1 else lambda values: show(*values), _KEPT)
            self._texts[(name, *fields)] = texts
        # Some of them have no end.
        return Cell(map(texts.__getitem__, values[0] if len(values) == 1 else zip(*values)))  # noqa: B905


class MptcpInfoLine(Line):
    """``subflows_max:2 remote_key token:1df4c950 …``, what is zero or unknown left out, in ss's order and words."""

    def text(self, record: MptcpInfo) -> str:
        words = []
        for word, field in _MPTCP_WORDS.items():
            value = getattr(record, field)
            if value:
                words.append(
                    word if value is True else f"{word}:{value:x}" if word in _HEXADECIMAL else f"{word}:{value}"
                )
        return " ".join(words)


_MPTCP_WORDS = {
    "subflows": "subflows",
    "add_addr_signal": "addresses_signaled",
    "add_addr_accepted": "addresses_accepted",
    "subflows_max": "subflows_max",
    "add_addr_signal_max": "addresses_signaled_max",
    "add_addr_accepted_max": "addresses_accepted_max",
    "fallback": "fallback",
    "remote_key": "remote_key_received",
    "token": "token",
    "write_seq": "write_sequence",
    "snd_una": "send_unacknowledged",
    "rcv_nxt": "receive_next",
    "local_addr_used": "local_addresses_used",
    "local_addr_max": "local_addresses_max",
    "csum_enabled": "checksum",
    "retransmits": "retransmits",
    "bytes_retrans": "bytes_retransmitted",
    "bytes_sent": "bytes_sent",
    "bytes_received": "bytes_received",
    "bytes_acked": "bytes_acked",
    "subflows_total": "subflows_total",
    "last_data_sent": "last_data_sent",
    "last_data_recv": "last_data_received",
    "last_ack_recv": "last_ack_received",
}


_HEXADECIMAL = frozenset(("token", "write_seq", "snd_una", "rcv_nxt"))


def _number(batch: Batch, field: str, before: str) -> Cell:
    column = batch.column(field)
    return Cell(f"{before}{column.value}") if column.constant else Cell(f"{before}%d", column.values(batch.count))


def _counted(name: str) -> Callable[[int | None], str]:
    """The text of a figure that is reported unless it is zero or unknown."""
    return lambda value: f" {name}:{value}" if value else ""


def _known(name: str) -> Callable[[int | None], str]:
    return lambda value: "" if value is None else f" {name}:{value}"


def _figure(before: str) -> Callable[[float], str]:
    return lambda value: f"{before}{value:g}" if isinstance(value, float) else f"{before}{value}"


def _congestion_text(info: CongestionInfo | None) -> str:
    if info is None:
        return ""
    figures = zip(info._fields, info, strict=True)
    return f" ({','.join([_figure(f'{name}:')(value) for name, value in figures if value is not None])})"


def _option_words(options: Sequence[str]) -> str:
    words = [word.replace("timestamps", "ts").replace("ecn_seen", "ecnseen") for word in options if word != "wscale"]
    return "".join([f"{word} " for word in words])


def _send_rate(window: int, mss: int, rtt: float) -> str:
    return f" send {rate(window * mss * 1000 / rtt)}" if rtt and mss and window else ""


def _pacing_rate(pacing: int | None, most: int | None) -> str:
    if pacing is None:
        return ""
    return f" pacing_rate {rate(pacing)}" + ("" if most is None else f"/{rate(most)}")


def _busy(busy: int | None, window: int | None, buffer: int | None) -> str:
    if not busy:
        return ""
    words = f" busy:{busy // 1000}ms"
    for name, limited in (("rwnd_limited", window), ("sndbuf_limited", buffer)):
        if limited:
            words += f" {name}:{limited // 1000}ms({100 * limited / busy:.1f}%%)"
    return words


def memory_text(memory: Memory) -> str:
    """What a table shows of a socket's memory."""
    return MemoryLine().text(memory)


def tcp_info_text(info: TcpInfo) -> str:
    """What a table shows of TCP's state."""
    return TcpInfoLine().text(info)


LINES: dict[str, Callable[[], Line]] = {"memory": MemoryLine, "tcp_info": TcpInfoLine, "mptcp_info": MptcpInfoLine}
"""Fields whose text is made from columns."""


class Details(Column):
    """A column that shows such a field."""

    def __init__(self, title: str, field: str, other: str | None = None) -> None:
        """``other`` is a field that is shown instead in batches that have it."""
        super().__init__(title, self._lines)
        self._field = field
        self._other = other
        self._line = LINES[field]()

    def cells(self, batch: Batch) -> list[Cell]:
        records = batch.column(self._field).nested
        if self.last and records is not None:
            return [*self._line.cells(records), Cell("\n")]
        return [Cell([self._pad(text) for text in self._lines(batch)])]

    def _lines(self, batch: Batch) -> Sequence[str]:
        records = batch.column(self._field).nested
        if records is not None:
            return list(map(Shown, self._line.texts(records)))
        if self._other is not None and batch.column(self._other) is not NONE:
            return self._texts_of(LINES[self._other](), batch.values(self._other))
        return self._texts_of(self._line, batch.values(self._field))

    @staticmethod
    def _texts_of(line: Line, records: Iterable[Any]) -> list[str]:
        return ["-" if record is None else Shown(line.text(record)) for record in records]
