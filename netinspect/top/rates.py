"""Rates of sockets: two samples of their counters, and the difference by the time between.

The counters are those of tcp_info (linux/tcp.h: tcpi_bytes_acked, tcpi_bytes_received, tcpi_total_retrans) and of the
socket's memory (linux/sock_diag.h: SK_MEMINFO_DROPS). The kernel counts no bytes of other protocols.
"""

from __future__ import annotations

from time import monotonic

from ..records import GroupRates, SocketRates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from ..engine.columns import Batch

    Counters = tuple[float, int | None, int | None, int | None, int | None]
    """Time, bytes acknowledged, bytes received, retransmissions and drops."""

_INFO = ("bytes_acked", "bytes_received", "total_retransmits", "rtt", "congestion_window")
_FIELDS = (
    *("protocol", "family", "state", "local_address", "local_port", "remote_address", "remote_port", "interface"),
    *("recv_queue", "send_queue", "drops", "cookie", "inode", "peer_inode", "netns"),
)
_NONE: Counters = (0.0, 0, 0, 0, 0)


class Sampler:
    """Keeps the counters of one sample, and gives the rates since then when it takes the next."""

    def __init__(self) -> None:
        self._before: dict[tuple[str | None, int | None], Counters] = {}
        self._taken: float | None = None

    def sample(self, batches: Iterable[Batch], *, owners: bool = False) -> list[SocketRates]:
        """The sockets of a listing with their rates since the sample before; none in the first.

        A socket that the sample before did not have is new: all that it counted is of this interval. ``owners``: the
        batches have the columns of the owners.
        """
        first, began = self._taken is None, self._taken or 0.0
        now: dict[tuple[str | None, int | None], Counters] = {}
        rows: list[SocketRates] = []
        self._taken = monotonic()
        for batch in batches:
            time = monotonic()
            nested = batch.column("tcp_info").nested
            blank = [None] * len(batch)
            infos = [blank if nested is None else list(nested.values(name)) for name in _INFO]
            held = [
                list(batch.values(name)) if owners else blank for name in ("processes", "owner_reason", "container")
            ]
            ends_of, infos_of, held_of = (
                zip(*columns, strict=True) for columns in (map(batch.values, _FIELDS), infos, held)
            )
            for fields, info, holders in zip(ends_of, infos_of, held_of, strict=True):
                *ends, recv_queue, send_queue, drops, cookie, inode, peer_inode, netns = fields
                acked, received, retransmits, rtt, window = info
                counters = now[netns, cookie] = (time, acked, received, retransmits, drops)
                if first:
                    continue
                known = self._before.get((netns, cookie))
                before = (began, *_NONE[1:]) if known is None else known
                seconds = max(time - before[0], 1e-9)
                rates = [
                    None if value is None or old is None else max(value - old, 0) / seconds
                    for value, old in zip(counters[1:], before[1:], strict=True)
                ]
                whole = None if rates[0] is None or rates[1] is None else rates[0] + rates[1]
                rows.append(
                    SocketRates._make(
                        (
                            *ends,
                            round(seconds, 6),
                            known is None,
                            *(None if rate is None else round(rate, 3) for rate in (whole, *rates)),
                            rtt,
                            window,
                            recv_queue,
                            send_queue,
                            cookie,
                            inode,
                            peer_inode,
                            *holders,
                            netns,
                        )
                    )
                )
        self._before = now
        return rows


def _process(row: SocketRates) -> str:
    if row.processes:
        return f"{row.processes[0].pid}/{row.processes[0].name}"
    return f"({row.owner_reason})" if row.owner_reason else "-"


GROUPS: dict[str, Callable[[SocketRates], str]] = {
    "process": _process,
    "remote": lambda row: row.remote_address or "-",
    "container": lambda row: row.container or "-",
    "state": lambda row: row.state,
}
"""What rates can be added up by, and what is shared then."""


def grouped(rows: Iterable[SocketRates], by: str) -> list[GroupRates]:
    """The rates added up by one of GROUPS, for each network namespace."""
    key = GROUPS[by]
    found: dict[tuple[str | None, str], list[SocketRates]] = {}
    for row in rows:
        found.setdefault((row.netns, key(row)), []).append(row)
    fields = ("rate", "sent_rate", "received_rate", "retransmit_rate", "drop_rate")
    return [
        GroupRates._make(
            (
                group,
                len(members),
                sum(row.new for row in members),
                *(_sum([getattr(row, field) for row in members]) for field in fields),
                netns,
            )
        )
        for (netns, group), members in found.items()
    ]


def _sum(rates: Sequence[Any]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return round(sum(known), 3) if known else None
