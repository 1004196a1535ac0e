"""Translated flows added up: by inside host, and by outside address with the ports that it has left."""

from __future__ import annotations

from _collections import _count_elements
from itertools import chain, compress, repeat

from ...engine.columns import NONE
from ...records import InsideHost, OutsideAddress
from .listing import SOURCE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ...engine.columns import Batch

    _End = tuple[str, str, int | None]
    """An outside address, and the address and port that it is used towards."""

PORTS = (1024, 65535)
"""What the kernel chooses from for source ports from 1024 on, where a rule names no range.

net/netfilter/nf_nat_core.c: nf_nat_l4proto_unique_tuple; lower ones are translated to lower ones.
"""
WITH_PORTS = frozenset(("tcp", "udp", "udplite", "sctp", "dccp"))


class _Hosts:
    """Inside hosts of one namespace: each dictionary takes a whole batch by one operation in C."""

    __slots__ = ("counted", "destinations", "flows", "outside", "received", "sent", "unreplied")

    def __init__(self) -> None:
        self.flows: dict[str | None, int] = {}
        self.unreplied: dict[str | None, int] = {}
        self.sent: dict[str | None, int] = {}
        self.received: dict[str | None, int] = {}
        self.counted: set[str | None] = set()
        self.outside: set[tuple[str | None, str]] = set()
        self.destinations: set[tuple[str | None, str]] = set()

    def add(self, batch: Batch) -> None:
        hosts = [*batch.values("inside_address")]
        _count_elements(self.flows, hosts)
        self.outside.update(zip(hosts, batch.values("outside_address"), strict=True))
        self.destinations.update(zip(hosts, batch.values("destination_address"), strict=True))
        _count_elements(self.unreplied, compress(hosts, batch.column("status").map(_is_unreplied).values(len(batch))))
        if batch.column("sent_bytes") is NONE:
            return
        self.counted.update(hosts)
        for sums, name in ((self.sent, "sent_bytes"), (self.received, "received_bytes")):
            values = [*batch.values(name)]
            for host, value in zip(compress(hosts, values), filter(None, values), strict=True):
                sums[host] = sums.get(host, 0) + value

    def records(self, netns: str | None) -> Iterator[InsideHost]:
        outside: dict[str | None, list[str]] = {}
        for host, address in self.outside:
            outside.setdefault(host, []).append(address)
        destinations: dict[str | None, int] = {}
        _count_elements(destinations, [host for host, _ in self.destinations])
        for host, flows in self.flows.items():
            counted = host in self.counted
            yield InsideHost(
                host,
                flows,
                tuple(sorted(outside[host])),
                destinations[host],
                self.unreplied.get(host, 0),
                self.sent.get(host, 0) if counted else None,
                self.received.get(host, 0) if counted else None,
                netns,
            )


def _is_unreplied(status: tuple[str, ...]) -> bool:
    return "SEEN_REPLY" not in status


def _netns(batch: Batch) -> str | None:
    """A batch is of one namespace."""
    return next(iter(batch.values("netns")), None)


def inside_hosts(batches: Iterable[Batch]) -> list[InsideHost]:
    """The flows of each inside host."""
    found: dict[str | None, _Hosts] = {}
    for batch in batches:
        found.setdefault(_netns(batch), _Hosts()).add(batch)
    return [record for netns, hosts in found.items() for record in hosts.records(netns)]


class _Outside:
    """Outside addresses of one namespace and protocol."""

    __slots__ = ("flows", "inside", "uses", "zoned")

    def __init__(self) -> None:
        self.flows: dict[str, int] = {}
        self.inside: set[tuple[str, str]] = set()
        self.uses: list[tuple[list[_End], list[int | None]]] = []
        """Of each batch, outside address and the end that it is used towards, and beside it the outside port."""
        self.zoned = False

    def add(self, batch: Batch, protocol: str) -> None:
        addresses = [*batch.values("outside_address")]
        _count_elements(self.flows, addresses)
        self.inside.update(zip(addresses, batch.values("inside_address"), strict=True))
        # Replies come from who really answers: to the kernel, ports are unique towards that, in each zone.
        ports = batch.values("answering_port") if protocol in WITH_PORTS else repeat(None, len(batch))
        ends = [*zip(addresses, batch.values("answering_address"), ports, strict=True)]
        self.uses.append((ends, [*batch.values("outside_port")]))
        self.zoned |= batch.column("zone") is not NONE

    def records(
        self, netns: str | None, protocol: str, ranges: Mapping[str, tuple[int, int]]
    ) -> Iterator[OutsideAddress]:
        usual = PORTS if protocol in WITH_PORTS else (0, 65535)
        limits = {address: ranges.get(address, usual) for address in self.flows}
        uses = self.uses
        if self.zoned:
            each = dict.fromkeys(chain.from_iterable(zip(*use, strict=True) for use in uses))
            uses = [([end for end, _ in each], [port for _, port in each])]
        counts: dict[_End, int] = {}
        for ends, _ in uses:
            _count_elements(counts, ends)
        # All are counted at once; those that no rule's range has are taken off, which are few.
        most, least = max(first for first, _ in limits.values()), min(last for _, last in limits.values())
        for ends, found in uses:
            numbers = [port or 0 for port in found]
            if most <= min(numbers) and max(numbers) <= least:
                continue
            for end, port in zip(ends, numbers, strict=True):
                if not most <= port <= least:
                    first, last = limits[end[0]]
                    counts[end] -= not first <= port <= last
        used: dict[str, dict[tuple[str, int | None], int]] = {address: {} for address in self.flows}
        for (address, there, there_port), count in counts.items():
            used[address][there, there_port] = count
        hosts: dict[str, int] = {}
        _count_elements(hosts, [address for address, _ in self.inside])
        for address, flows in self.flows.items():
            busiest = max(used[address], key=used[address].__getitem__)
            taken, ports = used[address][busiest], limits[address][1] - limits[address][0] + 1
            percent = round(100 * taken / ports, 2)
            yield OutsideAddress(address, protocol, flows, hosts[address], *busiest, taken, ports, percent, netns)


def outside_addresses(
    batches: Iterable[Batch], ranges: Mapping[str | None, Mapping[str, tuple[int, int]]]
) -> list[OutsideAddress]:
    """The ports in use of each outside address towards the destination where most are.

    ``ranges`` has, by namespace and outside address, the first and last port of a rule that names some.
    """
    found: dict[tuple[str | None, str], _Outside] = {}
    for batch in batches:
        if not next(iter(batch.values("translated")), 0) & SOURCE:
            continue
        protocols = [*batch.values("protocol")]
        for protocol in dict.fromkeys(protocols):
            whole = protocols.count(protocol) == len(protocols)
            part = batch if whole else batch.select([name == protocol for name in protocols])
            found.setdefault((_netns(batch), protocol), _Outside()).add(part, protocol)
    return [
        record
        for (netns, protocol), outside in found.items()
        for record in outside.records(netns, protocol, ranges.get(netns, {}))
    ]
