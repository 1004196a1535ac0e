"""Translated flows added up: by inside host, and by outside address with the ports that it has left."""

from __future__ import annotations

from ...engine.columns import NONE
from ...records import InsideHost, OutsideAddress
from .listing import SOURCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ...engine.columns import Batch

PORTS = (1024, 65535)
"""What the kernel chooses from for source ports from 1024 on, where a rule names no range.

net/netfilter/nf_nat_core.c: nf_nat_l4proto_unique_tuple; lower ones are translated to lower ones.
"""
WITH_PORTS = frozenset(("tcp", "udp", "udplite", "sctp", "dccp"))


class _Host:
    __slots__ = ("counted", "destinations", "flows", "outside", "received", "sent", "unreplied")

    def __init__(self) -> None:
        self.flows = self.unreplied = self.sent = self.received = 0
        self.counted = False
        self.outside: set[str] = set()
        self.destinations: set[str] = set()


def inside_hosts(batches: Iterable[Batch]) -> list[InsideHost]:
    """The flows of each inside host."""
    found: dict[tuple[str | None, str | None], _Host] = {}
    fields = (
        "netns",
        "inside_address",
        "outside_address",
        "destination_address",
        "status",
        "sent_bytes",
        "received_bytes",
    )
    for batch in batches:
        counted = batch.column("sent_bytes") is not NONE
        for netns, inside, outside, destination, status, sent, received in zip(*map(batch.values, fields), strict=True):
            host = found.get((netns, inside)) or found.setdefault((netns, inside), _Host())
            host.flows += 1
            host.outside.add(outside)
            host.destinations.add(destination)
            host.unreplied += "SEEN_REPLY" not in status
            host.counted |= counted
            host.sent += sent or 0
            host.received += received or 0
    return [
        InsideHost(
            inside,
            host.flows,
            tuple(sorted(host.outside)),
            len(host.destinations),
            host.unreplied,
            host.sent if host.counted else None,
            host.received if host.counted else None,
            netns,
        )
        for (netns, inside), host in found.items()
    ]


class _Outside:
    __slots__ = ("flows", "inside", "used")

    def __init__(self) -> None:
        self.flows = 0
        self.inside: set[str] = set()
        self.used: dict[tuple[str, int | None], set[int]] = {}


def outside_addresses(
    batches: Iterable[Batch], ranges: Mapping[str | None, Mapping[str, tuple[int, int]]]
) -> list[OutsideAddress]:
    """The ports in use of each outside address towards the destination where most are.

    ``ranges`` has, by namespace and outside address, the first and last port of a rule that names some.
    """
    found: dict[tuple[str | None, str, str], _Outside] = {}
    fields = ("netns", "protocol", "outside_address", "outside_port", "inside_address")
    for batch in batches:
        if not next(iter(batch.values("translated")), 0) & SOURCE:
            continue
        # Replies come from who really answers: to the kernel, ports are unique towards that.
        ends = (batch.values("answering_address"), batch.values("answering_port"))
        for netns, protocol, outside, port, inside, there, there_port in zip(
            *map(batch.values, fields), *ends, strict=True
        ):
            key = netns, outside, protocol
            group = found.get(key) or found.setdefault(key, _Outside())
            group.flows += 1
            group.inside.add(inside)
            group.used.setdefault((there, there_port if protocol in WITH_PORTS else None), set()).add(port)
    return [
        _usage(netns, outside, protocol, group, ranges.get(netns, {}).get(outside))
        for (netns, outside, protocol), group in found.items()
    ]


def _usage(
    netns: str | None, outside: str, protocol: str, group: _Outside, limits: tuple[int, int] | None
) -> OutsideAddress:
    first, last = limits or (PORTS if protocol in WITH_PORTS else (0, 65535))
    used = {there: sum(first <= (port or 0) <= last for port in ports) for there, ports in group.used.items()}
    busiest = max(used, key=lambda there: used[there])
    ports = last - first + 1
    percent = round(100 * used[busiest] / ports, 2)
    return OutsideAddress(
        outside, protocol, group.flows, len(group.inside), *busiest, used[busiest], ports, percent, netns
    )
