"""Entries of the connection tracking table for people: endpoints, states and status in a few words."""

from __future__ import annotations

from ...engine.columns import NONE
from ...engine.rows import Cell, Texts
from ...engine.table import Column, Endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ...engine.columns import Batch

_ICMP_TYPES = {
    ("icmp", 8): "echo-request",
    ("icmp", 0): "echo-reply",
    ("icmp", 13): "timestamp",
    ("icmp", 15): "information",
    ("icmp", 17): "address-mask",
    ("icmpv6", 128): "echo-request",
    ("icmpv6", 129): "echo-reply",
    ("icmpv6", 139): "node-information",
}
"""Queries that are tracked (net/netfilter/nf_conntrack_proto_icmp.c, ..._icmpv6.c)."""

_QUIET = frozenset(("SEEN_REPLY", "CONFIRMED", "SRC_NAT_DONE", "DST_NAT_DONE"))
"""Bits that say nothing by themselves: nearly every entry has them."""
_WORDS = {"SRC_NAT": "SNAT", "DST_NAT": "DNAT"}


def status_text(status: Sequence[str]) -> str:
    """What is worth saying of the status: ``UNREPLIED``, ``ASSURED,SNAT``."""
    words = [] if "SEEN_REPLY" in status else ["UNREPLIED"]
    words += [_WORDS.get(name, name) for name in status if name not in _QUIET]
    return ",".join(words) or "-"


def labels_text(labels: Sequence[int]) -> str:
    """Numbers of the labels that are set."""
    return ",".join(map(str, labels)) or "-"


def time_text(nanoseconds: int) -> str:
    """A point in time as local date and time."""
    from time import localtime, strftime

    return strftime("%Y-%m-%dT%H:%M:%S", localtime(nanoseconds // 1_000_000_000))


class FlowEndpoint(Endpoint):
    """An address with its port or, for ICMP queries, its identifier. ``side`` is source, reply_source …"""

    def __init__(
        self,
        title: str,
        side: str,
        show_host: Callable[[str], str] | None = None,
        show_port: Callable[[str, int], str] | None = None,
    ) -> None:
        super().__init__(title, side, show_host, show_port)
        self._identifier = "reply_icmp_id" if side.startswith("reply_") else "icmp_id"

    def _endpoints(self, batch: Batch) -> Iterable[str]:
        columns = map(batch.values, ("protocol", self._address, self._port, self._identifier))
        return [self._flow_endpoint(*row) for row in zip(*columns, strict=True)]

    def _flow_endpoint(self, protocol: str, address: str | None, port: int | None, identifier: int | None) -> str:
        if port is not None:
            return self._endpoint(protocol, address, port, None, None)
        host = (self._show_host or str)(address or "*")
        return host if identifier is None else f"{host} id {identifier}"


class FlowState(Column):
    """The state of a connection; for ICMP, what was asked."""

    def __init__(self, title: str = "State") -> None:
        super().__init__(title, self._states)

    def cell(self, batch: Batch) -> Cell:
        state = batch.column("state")
        if state.constant and batch.column("icmp_type") is NONE:
            return Cell(self._pad(state.value or "-"))
        return super().cell(batch)

    def _states(self, batch: Batch) -> Iterable[str]:
        columns = map(batch.values, ("protocol", "state", "icmp_type", "icmp_code"))
        return [_state(*row) for row in zip(*columns, strict=True)]


def _state(protocol: str, state: str | None, icmp_type: int | None, icmp_code: int | None) -> str:
    if icmp_type is None:
        return state or "-"
    return _ICMP_TYPES.get((protocol, icmp_type)) or f"type {icmp_type} code {icmp_code}"


class FlowStatus(Column):
    """The status in a few words."""

    def __init__(self, title: str = "Status") -> None:
        super().__init__(title, lambda batch: map(status_text, batch.values("status")))
        self._texts_of_bits = Texts(lambda status: self._pad(status_text(status)))

    def cell(self, batch: Batch) -> Cell:
        return Cell(batch.column("status").text(self._texts_of_bits.__getitem__))
