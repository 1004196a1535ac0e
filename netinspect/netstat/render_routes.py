"""The routing tables of net-tools' netstat, line for line (netstat(8) of net-tools 2.10: -r, -rF, -rC, -6r).

net-tools reads what the kernel reports in /proc/net/route and ipv6_route; from the same routes over netlink these rows
are made as the kernel makes those files (net/ipv4/fib_trie.c, net/ipv6/ip6_fib.c).
"""

from __future__ import annotations

from _functools import partial
from itertools import repeat

from ..engine.columns import NONE
from ..engine.rows import Cell, Texts, literal, rows
from ..engine.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from ..engine.columns import Batch
    from ..records import NextHop, Route, RouteMetrics

    Name = Callable[[str], str]
    Advertised = tuple[str, str, str | None, int]

_WIDTH = 15
"""Columns of an IPv4 address: what is longer is cut."""
_DESTINATION_WIDTH = 30
"""Of an IPv6 destination (net-tools' lib/inet6_gr.c); a blank follows in any case."""
_REFUSED = frozenset(("unreachable", "prohibit"))
"""Types that IPv4 marks as rejecting."""
_UNLISTED = frozenset(("broadcast", "multicast"))
_HEADERS_SIZE = 40
"""Bytes of IPv4 and TCP headers: the kernel reports the largest segment as an MTU."""

IPV4_TITLE = "Kernel IP routing table\n"
IPV4_CACHE_TITLE = "Kernel IP routing cache\n"
IPV6_TITLE = "Kernel IPv6 routing table\n"
IPV6_CACHE_TITLE = "Kernel IPv6 routing cache\n"
IPV6_HEADING = "Destination                    Next Hop                   Flag Met Ref  Use If\n"

_MASKS = tuple(
    "%d.%d.%d.%d" % tuple((0xFFFFFFFF << (32 - length) & 0xFFFFFFFF).to_bytes(4, "big")) for length in range(33)
)


def ipv4_heading(level: int, *, cache: bool = False) -> str:
    """The titles of the columns; ``level`` is 1 for -e, 2 for none, 3 for -ee."""
    first = (
        "Source          Destination     Gateway         "
        if cache
        else "Destination     Gateway         Genmask         "
    )
    rest = {
        1: "Flags Metric Ref    Use Iface",
        2: "Flags   MSS Window  irtt Iface",
        3: "Flags Metric Ref    Use Iface    MSS   Window irtt",
    }[level]
    return first + rest + ("  TOS HHRef HHUptod     SpecDst\n" if cache and level == 3 else "\n")


class IPv4Rows:
    """The rows of the table. ``host`` and ``network`` give names; where they are None, all is numeric."""

    def __init__(self, level: int, host: Name | None, network: Name | None) -> None:
        self._level = level
        self._host = host
        self._network = network
        self._gateways = Texts(self._gateway)
        self._middles = Texts(lambda key: self._middle(*key))
        self._ends = Texts(lambda key: self._end(*key))

    def text(self, batch: Batch) -> str:
        """The rows of a batch."""
        if not _UNLISTED.isdisjoint(batch.column("type").distinct()):
            batch = batch.select([kind not in _UNLISTED for kind in batch.values("type")])
            if not batch.count:
                return ""
        if batch.column("next_hops") is not NONE:
            batch = batch.joined({field: partial(_first_hops, field) for field in ("gateway", "interface")})
        return rows(
            batch.count,
            [
                Cell(self._destinations(batch)),
                Cell(map(self._gateways.__getitem__, self._refused_or(batch, "gateway"))),
                Cell(self._middle_texts(batch)),
                self._end_cell(batch),
            ],
        )

    def _destinations(self, batch: Batch) -> Iterable[str]:
        addresses = batch.values("destination_address")
        if self._host is None:
            return map(str.ljust, addresses, repeat(_WIDTH + 1))
        return map(self._destination, addresses, batch.values("destination_length"))

    def _destination(self, address: str, length: int) -> str:
        host, network = self._host, self._network
        if host is None or network is None:
            text = address
        elif length == 32:
            text = host(address)
        else:
            text = "default" if (address, length) == ("0.0.0.0", 0) else network(address)
        return literal(f"{printable(text)[:_WIDTH]:<15} ")

    def _gateway(self, gateway: str | bool | None) -> str:
        if gateway is True:
            return f"{'-':<15} "
        address = "0.0.0.0" if gateway is None or ":" in str(gateway) else str(gateway)
        text = address if self._host is None or address == "0.0.0.0" else self._host(address)
        return literal(f"{printable(text)[:_WIDTH]:<15} ")

    def _refused_or(self, batch: Batch, field: str) -> Iterable[str | bool | None]:
        """The values of a field, True for a route that refuses."""
        types = batch.column("type")
        if types.constant and types.value not in _REFUSED:
            return batch.values(field)
        pairs = zip(batch.values("type"), batch.values(field), strict=True)
        return [True if kind in _REFUSED else value for kind, value in pairs]

    def _middle_texts(self, batch: Batch) -> Iterable[str]:
        """Mask and flags."""
        types, gateways = batch.column("type"), batch.column("gateway")
        lengths = batch.values("destination_length")
        if types.constant and (gateways.constant or None not in gateways):
            gateway = gateways is not NONE
            return map(self._middles.__getitem__, zip(repeat(types.value), repeat(gateway), lengths))
        has_gateway = [gateway is not None for gateway in batch.values("gateway")]
        return map(self._middles.__getitem__, zip(batch.values("type"), has_gateway, lengths, strict=True))

    @staticmethod
    def _middle(kind: str, gateway: bool, length: int) -> str:
        host = "H" if length == 32 else ""
        flags = f"!{host}" if kind in _REFUSED else "U" + ("G" if gateway else "") + host
        return f"{_MASKS[length]:<15} {flags:<5} "

    def _end_cell(self, batch: Batch) -> Cell:
        """All behind the flags."""
        fields = ("type", "interface", "metric", "metrics")
        kind, interface, metric, metrics = (batch.column(field) for field in fields)
        if kind.constant and kind.value not in _REFUSED and interface.constant and metric.constant and metrics.constant:
            return Cell(self._end(interface.value, metric.value, metrics.value))
        keys = zip(self._refused_or(batch, "interface"), batch.values("metric"), batch.values("metrics"), strict=True)
        return Cell(map(self._ends.__getitem__, keys))

    def _end(self, interface: str | bool | None, metric: int, metrics: RouteMetrics | None) -> str:
        refused, name = interface is True, printable(str(interface or "*"))
        size, window, rtt = _figures(metrics)
        metric = _signed(metric)
        if self._level == 1:
            text = f"{metric:<6} -  {0:>7} -" if refused else f"{metric:<6} {0:<2} {0:>7} {name}"
        elif self._level == 2:
            text = "    - -          - -" if refused else f"{size:>5} {window:<5} {rtt:>6} {name}"
        elif refused:
            text = f"{metric:<6} -  {0:>7} -        -     -      -"
        else:
            text = f"{metric:<6} {0:<3} {0:>6} {name[:6]:<6}   {size:<5} {window:<6} {rtt}"
        return literal(text + "\n")


def _first_hops(field: str, batch: Batch) -> list[str | None]:
    """A field of the first next hop, with which alone a route of several is shown."""
    pairs = zip(batch.values("next_hops"), batch.values(field), strict=True)
    return [getattr(hops[0], field) if hops else value for hops, value in pairs]


def _signed(metric: int) -> int:
    """Metrics are unsigned, but shown as if they were not."""
    return metric - (1 << 32) if metric >> 31 else metric


def _figures(metrics: RouteMetrics | None) -> tuple[int, int, int]:
    """MSS with the headers, window and round-trip time in milliseconds."""
    if metrics is None:
        return 0, 0, 0
    return metrics.advmss + _HEADERS_SIZE if metrics.advmss else 0, metrics.window or 0, (metrics.rtt or 0) >> 3


def ipv4_cache_row(route: Route, level: int, host: Name | None) -> str:
    """An exception in the layout of the routing cache, which Linux had until 3.6.

    MSS is the learned path MTU. Flags: G a gateway, D one from a redirect, M a path MTU.
    """
    name = host or str
    destination = route.destination.partition("/")[0]
    flags = (
        ("G" if route.gateway else "") + ("D" if route.gateway and not route.pmtu else "") + ("M" if route.pmtu else "")
    )
    source = route.preferred_source or "0.0.0.0"
    first = [
        f"{printable(text)[:_WIDTH]:<15}" for text in (_any(source, name), name(destination), _any(route.gateway, name))
    ]
    interface = printable(route.interface or "*")
    size = route.pmtu or 0
    if level == 1:
        rest = f"{route.metric:<6} {0:<2} {0:>7} {interface}"
    elif level == 2:
        rest = f"{size:>5} {0:<5} {0:>6} {interface}"
    else:
        rest = (
            f"{route.metric:<6} {0:<3} {0:>6} {interface[:6]:<6}   {size:<5} {0:<6} {0:<5} "
            f"{route.tos:<3} {0:<3}   {0:<3} {source:>15}"
        )
    return f"{' '.join(first)} {flags:<5} {rest}\n"


def _any(address: str | None, name: Name) -> str:
    return name(address) if address and address != "0.0.0.0" else "0.0.0.0"


ADVERTISED = ("table", "destination", "interface", "metric")
"""The fields that distinguish an advertised prefix from other routes."""


def _link_local(address: str) -> bool:
    """Whether an address is in fe80::/10. The kernel's own routes of protocol ra lead to such addresses."""
    return address.startswith(("fe8", "fe9", "fea", "feb"))


_IPV6_REFUSED = frozenset(("blackhole", "unreachable", "prohibit", "throw"))


class IPv6Rows:
    """The rows of all IPv6 tables. At the end of a table without a default route the kernel reports one that
    refuses."""

    def __init__(self, host: Name | None, advertised: Collection[Advertised] = ()) -> None:
        """``advertised``: what is a prefix on a link that a router advertised."""
        self._host = host
        self._advertised = advertised
        self._hosts = Texts(lambda address: literal(self._text(address)))
        self._ends = Texts(lambda key: literal(self._end(*key)))
        self._next = Texts(self._next_hop)

    def text(self, batch: Batch) -> str:
        """The rows of a batch, all of one table."""
        if any(batch.column(field) is not NONE for field in ("next_hops", "expires")) or self._has_advertised(batch):
            return "".join(map(self._single, batch))
        keys = zip(
            *map(batch.values, ("type", "protocol", "destination_length", "gateway", "metric", "interface")),
            strict=True,
        )
        return rows(
            batch.count,
            [
                Cell(self._destinations(batch)),
                Cell(map(self._next.__getitem__, batch.values("gateway"))),
                Cell(map(self._ends.__getitem__, keys)),
            ],
        )

    def _has_advertised(self, batch: Batch) -> bool:
        if not self._advertised:
            return False
        return any(map(self._advertised.__contains__, zip(*map(batch.values, ADVERTISED), strict=True)))

    def null_row(self) -> str:
        """The route that refuses, with the metric that comes after all others."""
        return f"{self._text('::') + '/0':<30} {self._text('::'):<26} !n   -1  1      0 lo\n"

    def _text(self, address: str) -> str:
        if self._host is None:
            return address
        return "[::]" if address == "::" else printable(self._host(address))

    def _destinations(self, batch: Batch) -> Iterable[str]:
        if self._host is None:
            destinations = batch.values("destination")
            if max(map(len, destinations), default=0) <= _DESTINATION_WIDTH:
                return map(str.ljust, destinations, repeat(_DESTINATION_WIDTH + 1))
            return [f"{destination:<{_DESTINATION_WIDTH}} " for destination in destinations]
        pairs = zip(batch.values("destination_address"), batch.values("destination_length"), strict=True)
        return [f"{f'{self._hosts[address]}/{length}':<{_DESTINATION_WIDTH}} " for address, length in pairs]

    def _next_hop(self, gateway: str | None) -> str:
        return literal(f"{self._text(gateway or '::'):<26} ")

    @staticmethod
    def _end(
        kind: str, protocol: str, length: int, gateway: str | None, metric: int, interface: str | None, more: str = ""
    ) -> str:
        # What is sent to others through the loopback interface is refused (net/ipv6/route.c: fib6_is_reject).
        if kind in _IPV6_REFUSED or (interface == "lo" and kind not in ("local", "anycast")):
            flags = "!n"
        else:
            flags = "U" + ("G" if gateway else "")
            if protocol == "ra" and gateway and _link_local(gateway) and (length or "e" in more):
                flags += "A" if length else "DA"
            flags += more
            if kind in ("local", "anycast") and protocol == "kernel":
                flags += "n"
        return f"{flags:<4} {_signed(metric):<3} {1:<1} {0:>6} {printable(interface or 'lo')}\n"

    def _single(self, route: Route) -> str:
        """A row for each next hop."""
        address, _, length = route.destination.partition("/")
        hops: Sequence[Route | NextHop] = route.next_hops or (route,)
        more = "A" if tuple(getattr(route, field) for field in ADVERTISED) in self._advertised else ""
        more += ("C" if "cloned" in route.flags else "") + ("e" if route.expires else "") + ("m" if route.pmtu else "")
        return "".join(
            f"{f'{self._text(address)}/{length}':<30} "
            + f"{self._text(hop.gateway or '::'):<26} "
            + self._end(route.type, route.protocol, int(length), hop.gateway, route.metric, hop.interface, more)
            for hop in hops
        )
