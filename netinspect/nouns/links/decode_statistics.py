"""Counters of interfaces (linux/if_link.h: struct rtnl_link_stats64, IFLA_INET6_STATS; linux/if_bridge.h).

RTM_GETLINK gives those of the link and of IPv6 on it, RTM_GETSTATS what bridges count of IGMP and MLD. IPv6's counters
have no names but their place in linux/snmp.h, which has not stayed the same.
"""

from __future__ import annotations

from _struct import iter_unpack, pack, unpack_from

from ...engine.netlink.attributes import ANY, Shape
from ...engine.netlink.messages import attributes, message
from ...engine.text import text
from ...uapi.if_bridge import BRIDGE_XSTATS_MCAST
from ...uapi.if_link import (
    IFLA_AF_SPEC,
    IFLA_IFNAME,
    IFLA_INET6_ICMP6STATS,
    IFLA_INET6_STATS,
    IFLA_STATS64,
    IFLA_STATS_LINK_XSTATS,
)
from ...uapi.netlink import AF_INET6, NLM_F_DUMP
from ...uapi.rtnetlink import RTM_GETLINK, RTM_GETSTATS, RTM_NEWSTATS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...engine.netlink.messages import Layout, Run

LINK_XSTATS_TYPE_BRIDGE = 1

_LINK_BODY, _STATS_BODY = 16, 12
_LINK_SHAPE = Shape({IFLA_IFNAME: ANY, IFLA_STATS64: ANY, IFLA_AF_SPEC: ANY})
_STATS_SHAPE = Shape({IFLA_STATS_LINK_XSTATS: ANY})

LINK = (
    *("rx_packets", "tx_packets", "rx_bytes", "tx_bytes", "rx_errors", "tx_errors", "rx_dropped", "tx_dropped"),
    *("multicast", "collisions", "rx_length_errors", "rx_over_errors", "rx_crc_errors", "rx_frame_errors"),
    *("rx_fifo_errors", "rx_missed_errors", "tx_aborted_errors", "tx_carrier_errors", "tx_fifo_errors"),
    *("tx_heartbeat_errors", "tx_window_errors", "rx_compressed", "tx_compressed", "rx_nohandler"),
    "rx_otherhost_dropped",
)
"""struct rtnl_link_stats64."""

_IP6_FIRST = ("InReceives", "InOctets", "InDelivers")
_IP6_ECN = ("InNoECTPkts", "InECT1Pkts", "InECT0Pkts", "InCEPkts")
_IP6_MIDDLE = (
    *("InHdrErrors", "InTooBigErrors", "InNoRoutes", "InAddrErrors", "InUnknownProtos", "InTruncatedPkts"),
    *("InDiscards", "OutDiscards", "OutNoRoutes", "ReasmTimeout", "ReasmReqds", "ReasmOKs", "ReasmFails", "FragOKs"),
    *("FragFails", "FragCreates", "InMcastPkts", "OutMcastPkts", "InBcastPkts", "OutBcastPkts", "InMcastOctets"),
    *("OutMcastOctets", "InBcastOctets", "OutBcastOctets", "InCsumErrors"),
)
_IP6_CLASSIC = (
    *_IP6_FIRST,
    *("OutForwDatagrams", "OutRequests", "OutOctets"),
    *_IP6_MIDDLE,
    *_IP6_ECN,
    *("ReasmOverlaps", "OutTransmits"),
)
"""The order until Linux 6.14; 6.8 put OutTransmits at the end (commit b4a11b2033b7)."""
_IP6_REORGANIZED = (
    *_IP6_FIRST,
    *_IP6_ECN,
    *("OutRequests", "OutTransmits", "OutOctets", "OutForwDatagrams"),
    *_IP6_MIDDLE,
    "ReasmOverlaps",
)
"""The order since Linux 6.15 (commit 652e2c777862)."""

ICMP6 = ("InMsgs", "InErrors", "OutMsgs", "OutErrors", "InCsumErrors", "OutRateLimitHost")
"""linux/snmp.h: ICMP6_MIB_*, without the first."""

_BOTH = ("rx", "tx")
BRIDGE = (
    *(f"igmp_{kind}_{way}" for kind in ("v1queries", "v2queries", "v3queries", "leaves") for way in _BOTH),
    *(f"igmp_{kind}_{way}" for kind in ("v1reports", "v2reports", "v3reports") for way in _BOTH),
    "igmp_parse_errors",
    *(f"mld_{kind}_{way}" for kind in ("v1queries", "v2queries", "leaves", "v1reports", "v2reports") for way in _BOTH),
    "mld_parse_errors",
    *(f"mcast_{kind}_{way}" for kind in ("bytes", "packets") for way in _BOTH),
)
"""struct br_mcast_stats."""

Counters = list[tuple[str, str, int]]
"""Table (link, Ip6, Icmp6 or bridge), counter, value."""


class Link:
    """An interface, its counters except those of IPv6 itself, and these, which have no names yet."""

    __slots__ = ("counters", "index", "ip6", "name")

    def __init__(self, index: int, name: str, counters: Counters, ip6: list[int]) -> None:
        self.index = index
        self.name = name
        self.counters = counters
        self.ip6 = ip6


def links_request() -> bytes:
    """A dump of all interfaces, with their counters (struct ifinfomsg)."""
    return message(RTM_GETLINK, NLM_F_DUMP, bytes(_LINK_BODY))


def links(run: Run) -> Iterator[Link]:
    """The interfaces with their counters. Raises NetlinkError where messages are malformed."""
    for part, layout in run.by_layout(_LINK_BODY, _LINK_SHAPE):
        if IFLA_IFNAME not in layout:
            continue
        for first in range(0, len(part.data), part.length):
            at, size = layout[IFLA_IFNAME]
            name = text(part.data[first + at : first + at + size].split(b"\0", 1)[0])
            (index,) = unpack_from("=i", part.data, first + 20)
            counters: Counters = []
            if IFLA_STATS64 in layout:
                counters += _named("link", LINK, _numbers(part, first, layout[IFLA_STATS64]))
            inside = _of_ipv6(part, first, layout.get(IFLA_AF_SPEC, (0, 0)))
            if IFLA_INET6_ICMP6STATS in inside:
                counters += _named("Icmp6", ICMP6, _numbers(part, 0, inside[IFLA_INET6_ICMP6STATS])[1:], prefix="Icmp6")
            ip6 = _numbers(part, 0, inside[IFLA_INET6_STATS])[1:] if IFLA_INET6_STATS in inside else []
            yield Link(index, name, counters, ip6)


def _of_ipv6(run: Run, first: int, place: tuple[int, int]) -> Layout:
    """Where IFLA_AF_SPEC has what for IPv6. Both tables begin with the number of their entries."""
    start, end = first + place[0], first + sum(place)
    at, size = attributes(run.data, start, end, run.operation).get(AF_INET6, (0, 0))
    return attributes(run.data, at, at + size, run.operation) if size else {}


def ip6_counters(numbers: list[int], present: Callable[[], dict[str, int] | None]) -> Counters | None:
    """IPv6's counters of an interface by name; None where it is not known which is which.

    The kernel has changed their order, and only their names in procfs tell which it is: ``present`` gives these
    where they are needed. The order that agrees with more of them is right.
    """
    orders = [order for order in (_IP6_REORGANIZED, _IP6_CLASSIC) if len(numbers) <= len(order)]
    if len(numbers) < len(_IP6_REORGANIZED):
        orders = [_IP6_CLASSIC]
    elif len(numbers) > len(_IP6_REORGANIZED):
        return None
    elif any(numbers):
        by_name = present()
        if by_name is None:
            return None
        orders.sort(
            key=lambda order: sum(
                by_name.get("Ip6" + name) == number for name, number in zip(order, numbers, strict=True)
            ),
            reverse=True,
        )
    return _named("Ip6", orders[0], numbers, prefix="Ip6")


def bridges_request() -> bytes:
    """A dump of what each kind of interface counts beside the usual (struct if_stats_msg)."""
    return message(RTM_GETSTATS, NLM_F_DUMP, pack("=BxHII", 0, 0, 0, 1 << IFLA_STATS_LINK_XSTATS - 1))


def bridges(run: Run) -> Iterator[tuple[int, Counters]]:
    """Index of each bridge, and what it counts of IGMP and MLD. Raises NetlinkError where messages are malformed."""
    if run.kind != RTM_NEWSTATS:
        return
    for part, layout in run.by_layout(_STATS_BODY, _STATS_SHAPE):
        if IFLA_STATS_LINK_XSTATS not in layout:
            continue
        at, size = layout[IFLA_STATS_LINK_XSTATS]
        for first in range(0, len(part.data), part.length):
            start, end = first + at, first + at + size
            for kind in (LINK_XSTATS_TYPE_BRIDGE, BRIDGE_XSTATS_MCAST):
                inner, length = attributes(part.data, start, end, part.operation).get(kind, (0, 0))
                start, end = inner, inner + length
            if end > start:
                (index,) = unpack_from("=I", part.data, first + 20)
                yield index, _named("bridge", BRIDGE, _numbers(part, 0, (start, end - start)))


def _numbers(run: Run, first: int, place: tuple[int, int]) -> list[int]:
    start, size = first + place[0], place[1] // 8 * 8
    return [value for (value,) in iter_unpack("=Q", run.data[start : start + size])]


def _named(table: str, names: tuple[str, ...], numbers: list[int], prefix: str = "") -> Counters:
    """Counters by name; those that a newer kernel has at the end are called by their place, and not left out."""
    known = list(names) + [f"unknown-{place}" for place in range(len(names) + 1, len(numbers) + 1)]
    return [(table, prefix + name, number) for name, number in zip(known, numbers, strict=False)]
