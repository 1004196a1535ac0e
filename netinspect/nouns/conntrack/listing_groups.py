"""Flows added up by what they have in common."""

from __future__ import annotations

from itertools import repeat

from ...engine.columns import NONE
from ...records import FlowGroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ...engine.columns import Batch


def groups(batches: Iterable[Batch], by: str) -> list[FlowGroup]:
    """The flows of these batches in groups; ``by`` is one of the keys of GROUPINGS."""
    keys = GROUPINGS[by]
    found: dict[tuple[str | None, str], _Sum] = {}
    for batch in batches:
        counted = batch.column("packets") is not NONE
        columns = (_sums(batch, "packets"), _sums(batch, "bytes"), batch.values("status"))
        for netns, key, packets, octets, status in zip(batch.values("netns"), keys(batch), *columns, strict=True):
            group = found.get((netns, key))
            if group is None:
                group = found[netns, key] = _Sum()
            group.flows += 1
            group.counted |= counted
            group.packets += packets
            group.octets += octets
            group.unreplied += "SEEN_REPLY" not in status
    return [
        FlowGroup(
            key,
            group.flows,
            group.packets if group.counted else None,
            group.octets if group.counted else None,
            group.unreplied,
            netns,
        )
        for (netns, key), group in found.items()
    ]


class _Sum:
    __slots__ = ("counted", "flows", "octets", "packets", "unreplied")

    def __init__(self) -> None:
        self.flows = self.packets = self.octets = self.unreplied = 0
        self.counted = False


def _sums(batch: Batch, field: str) -> Iterable[int]:
    """Both directions of a counter added."""
    if batch.column(field) is NONE:
        return repeat(0, batch.count)
    both = zip(batch.values(field), batch.values(f"reply_{field}"), strict=True)
    return [(sent or 0) + (received or 0) for sent, received in both]


def _ports(batch: Batch) -> Iterable[str]:
    """Destination ports of the original direction with their protocol; ICMP by its type."""
    if batch.column("destination_port") is not NONE:
        return map("{}/{}".format, batch.values("protocol"), batch.values("destination_port"))
    if batch.column("icmp_type") is not NONE:
        return map("{} type {}".format, batch.values("protocol"), batch.values("icmp_type"))
    return map(str, batch.values("protocol"))


def _texts(field: str) -> Callable[[Batch], Iterable[str]]:
    return lambda batch: ["-" if value is None else str(value) for value in batch.values(field)]


GROUPINGS: dict[str, Callable[[Batch], Iterable[str]]] = {
    "source": _texts("source_address"),
    "destination": _texts("destination_address"),
    "outside": _texts("reply_destination_address"),
    "port": _ports,
    "protocol": _texts("protocol"),
    "state": _texts("state"),
    "zone": lambda batch: [str(zone or 0) for zone in batch.values("zone")],
}
"""What can be added up by, and how its key is made."""
