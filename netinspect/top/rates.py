"""Rates of sockets: two samples of their counters, and the difference by the time between.

The counters are those of tcp_info (linux/tcp.h: tcpi_bytes_acked, tcpi_bytes_received, tcpi_total_retrans) and of the
socket's memory (linux/sock_diag.h: SK_MEMINFO_DROPS). The kernel counts no bytes of other protocols.
"""

from __future__ import annotations

from itertools import repeat
from time import monotonic

from ..nouns.sockets.listing_timed import TimedSockets
from ..records import GroupRates, SocketRates

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from ..engine.columns import Batch
    from ..engine.places import Place
    from ..nouns.sockets.listing import Query

    Key = tuple[str | None, int | None]
    """Network namespace and cookie."""
    Counters = tuple[float, int | None, int | None, int | None, int | None]
    """Time, bytes acknowledged, bytes received, retransmissions and drops."""

_COUNTERS = ("bytes_acked", "bytes_received", "total_retransmits")
_ENDS = ("protocol", "family", "state", "local_address", "local_port", "remote_address", "remote_port", "interface")
_SHOWN = ("rtt", "congestion_window")
_IDENTITIES = ("recv_queue", "send_queue", "cookie", "inode", "peer_inode")
_OWNERS = ("processes", "owner_reason", "container")


class Sampler:
    """Keeps the counters of one sample, and gives the rates since then when it has the next.

    What is counted is listed with the time at which each socket was read (TimedSockets).
    """

    def __init__(self) -> None:
        self._before: dict[Key, Counters] = {}
        self._now: dict[Key, Counters] = {}
        self._began: float | None = None
        self._taken: float | None = None

    def counted(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches, all of a new sample, when their counters have been taken down."""
        self._before, self._now = self._now, {}
        self._began, self._taken = self._taken, monotonic()
        for batch in batches:
            acked, received, retransmits = _members(batch, _COUNTERS)
            counters = zip(read_times(batch), acked, received, retransmits, batch.values("drops"), strict=True)
            self._now.update(zip(_keys(batch), counters, strict=True))
            yield batch

    def rates(self, batches: Iterable[Batch], *, owners: bool = False) -> list[SocketRates]:
        """The sockets of these batches, which were ``counted``, with their rates since the sample before.

        In the first sample there are none. A socket that the sample before did not have is new: all that it counted is
        of this interval. ``owners``: the batches have the columns of the owners.
        """
        found: list[SocketRates] = []
        for batch in batches:
            if self._began is not None:
                found += self._rates(batch, self._began, owners=owners)
        return found

    def _rates(self, batch: Batch, began: float, *, owners: bool) -> Iterator[SocketRates]:
        blank = [None] * len(batch)
        held = [batch.values(name) if owners else blank for name in _OWNERS]
        rows = zip(
            _keys(batch),
            zip(*map(batch.values, _ENDS), strict=True),
            zip(*_members(batch, _SHOWN), strict=True),
            zip(*map(batch.values, _IDENTITIES), strict=True),
            zip(*held, strict=True),
            strict=True,
        )
        for key, ends, shown, identities, holders in rows:
            now = self._now[key]
            before = self._before.get(key, (began, 0, 0, 0, 0))
            seconds = max(now[0] - before[0], 1e-9)
            rates = [
                None if value is None or old is None else round(max(value - old, 0) / seconds, 3)
                for value, old in zip(now[1:], before[1:], strict=True)
            ]
            sent, received = rates[:2]
            whole = None if sent is None or received is None else round(sent + received, 3)
            begun = key not in self._before
            yield SocketRates._make(
                (*ends, round(seconds, 6), begun, whole, *rates, *shown, *identities, *holders, key[0])
            )


def read_times(batch: Batch) -> Iterable[float]:
    """When each row was read: now, where that is not known, as of what procfs has."""
    if "read_at" not in batch.schema.columns:
        return repeat(monotonic(), len(batch))
    return batch.values("read_at")


class SampledListing(TimedSockets):
    """A listing of sockets whose counters a sampler takes down."""

    def __init__(self, sampler: Sampler, query: Query, places: Sequence[Place]) -> None:
        super().__init__(query, places)
        self._sampler = sampler

    def batches(self) -> Iterator[Batch]:
        """Raises what the listing raises."""
        return self._sampler.counted(super().batches())


def _keys(batch: Batch) -> Iterator[Key]:
    return zip(batch.values("netns"), batch.values("cookie"), strict=True)


def _members(batch: Batch, names: Iterable[str]) -> list[Iterable[Any]]:
    """Members of tcp_info; None where a socket has none."""
    nested = batch.column("tcp_info").nested
    return [[None] * len(batch) if nested is None else nested.values(name) for name in names]


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
