"""What rtnetlink reports here: routes, rules, neighbours, addresses, interfaces, multicast groups and their
counters."""

from __future__ import annotations

from errno import EINVAL
from typing import TYPE_CHECKING

from ... import procfs
from ...uapi.netlink import AF_BRIDGE, AF_INET, AF_INET6, AF_MPLS, AF_UNSPEC, NETLINK_ROUTE
from ...uapi.rtnetlink import (
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETMDB,
    RTM_GETMULTICAST,
    RTM_GETNEIGH,
    RTM_GETNEIGHTBL,
    RTM_GETNEXTHOP,
    RTM_GETROUTE,
    RTM_GETRULE,
    RTNL_FAMILY_IP6MR,
    RTNL_FAMILY_IPMR,
)
from . import request as probes
from .listing_prober import NO, PARTIAL, UNCLEAR, Answer, Feature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Capability
    from .listing_prober import Prober

_IPV6 = ("ipv6", "IPV6")
_UNSPEC = AF_UNSPEC
_EXCEPTIONS = "routes cache: redirects and learned path MTUs"
_SAMPLED = "groups watch: joins and leaves at once; memberships are sampled instead"

_TABLES = {
    "RTM_GETROUTE": RTM_GETROUTE,
    "RTM_GETNEXTHOP": RTM_GETNEXTHOP,
    "RTM_GETRULE": RTM_GETRULE,
    "RTM_GETNEIGH": RTM_GETNEIGH,
    "RTM_GETNEIGHTBL": RTM_GETNEIGHTBL,
    "RTM_GETADDR": RTM_GETADDR,
    "RTM_GETLINK": RTM_GETLINK,
    "RTM_GETMULTICAST": RTM_GETMULTICAST,
    "RTM_GETMDB": RTM_GETMDB,
}

_ROUTES = (
    (Feature("routes", "IPv4 routes", "IPv4 routes"), "RTM_GETROUTE", AF_INET),
    (Feature("routes", "IPv6 routes", "IPv6 routes", *_IPV6), "RTM_GETROUTE", AF_INET6),
    (
        Feature("routes", "MPLS routes", "MPLS routes, of which this kernel has none", "mpls_router", "MPLS_ROUTING"),
        "RTM_GETROUTE",
        AF_MPLS,
    ),
    (
        Feature("routes", "next-hop objects", "next-hop objects, of which this kernel has none", since="5.3"),
        "RTM_GETNEXTHOP",
        _UNSPEC,
    ),
)
_EXCEPTION_FAMILIES = (
    (Feature("routes", "IPv4 route exceptions", _EXCEPTIONS, since="5.3"), AF_INET),
    (Feature("routes", "IPv6 route exceptions", _EXCEPTIONS, since="5.3"), AF_INET6),
)
_OTHER_TABLES = (
    (Feature("rules", "IPv4 rules", "IPv4 rules", option="IP_MULTIPLE_TABLES"), "RTM_GETRULE", AF_INET),
    (Feature("rules", "IPv6 rules", "IPv6 rules", option="IPV6_MULTIPLE_TABLES"), "RTM_GETRULE", AF_INET6),
    (Feature("neighbours", "IPv4 neighbours", "the ARP table"), "RTM_GETNEIGH", AF_INET),
    (Feature("neighbours", "IPv6 neighbours", "the IPv6 neighbour table", *_IPV6), "RTM_GETNEIGH", AF_INET6),
    (Feature("neighbours", "neighbour tables", "limits and statistics of the tables"), "RTM_GETNEIGHTBL", _UNSPEC),
    (Feature("addresses", "IPv4 addresses", "IPv4 addresses"), "RTM_GETADDR", AF_INET),
    (Feature("addresses", "IPv6 addresses", "IPv6 addresses", *_IPV6), "RTM_GETADDR", AF_INET6),
    (Feature("links", "interfaces", "interfaces"), "RTM_GETLINK", _UNSPEC),
)
_GROUPS = (
    (Feature("groups", "IPv4 groups", "IPv4 memberships", since="6.15"), AF_INET, "igmp"),
    (Feature("groups", "IPv6 groups", "IPv6 memberships", *_IPV6), AF_INET6, "igmp6"),
)
_NOTIFICATIONS = (
    (Feature("groups", "IPv4 joins and leaves", _SAMPLED, since="6.14"), probes.RTNLGRP_IPV4_MCADDR),
    (Feature("groups", "IPv6 joins and leaves", _SAMPLED, since="6.14"), probes.RTNLGRP_IPV6_MCADDR),
)
_MULTICAST = (
    (
        Feature("groups", "IPv4 multicast routes", "IPv4 multicast routes", option="IP_MROUTE"),
        "RTM_GETROUTE",
        RTNL_FAMILY_IPMR,
    ),
    (
        Feature("groups", "IPv6 multicast routes", "IPv6 multicast routes", option="IPV6_MROUTE"),
        "RTM_GETROUTE",
        RTNL_FAMILY_IP6MR,
    ),
    (
        Feature("groups", "bridge multicast groups", "groups behind bridge ports", "bridge", "BRIDGE"),
        "RTM_GETMDB",
        AF_BRIDGE,
    ),
)
_OPTIONAL_FAMILIES = frozenset((AF_MPLS, RTNL_FAMILY_IPMR, RTNL_FAMILY_IP6MR))

_LINK_COUNTERS = Feature("stats", "interface counters", "64-bit counters of interfaces", since="4.7")
_IPV6_COUNTERS = Feature("stats", "IPv6 counters of interfaces", "IPv6 counters of each interface", *_IPV6)


def probe(prober: Prober) -> Iterator[Capability]:
    """The tables of routing, interfaces and multicast."""
    for feature, message, family in _ROUTES:
        yield _table(prober, feature, message, family)
    for feature, family in _EXCEPTION_FAMILIES:
        yield _route_exceptions(prober, feature, family)
    for feature, message, family in _OTHER_TABLES:
        yield _table(prober, feature, message, family)
    for feature, family, file in _GROUPS:
        found = _table(prober, feature, "RTM_GETMULTICAST", family)
        if found.state == NO and procfs.has_network_file(file):
            lost = f"nothing: memberships are listed from /proc/net/{file}, and marked as such"
            found = found._replace(state=PARTIAL, lost=lost)
        yield found
    for feature, group in _NOTIFICATIONS:
        yield prober.result(feature, prober.join(NETLINK_ROUTE, group), f"rtnetlink group {group}")
    for feature, message, family in _MULTICAST:
        yield _table(prober, feature, message, family)


def probe_statistics(prober: Prober) -> Iterator[Capability]:
    """Counters that rtnetlink reports."""
    answer = prober.ask(NETLINK_ROUTE, probes.link_counters())
    yield prober.result(_LINK_COUNTERS, answer, "RTM_GETSTATS dump")
    asked = "RTM_GETLINK of the loopback interface"
    answer = prober.ask(NETLINK_ROUTE, probes.loopback(), probes.has_ipv6_counters)
    if answer.errno == 0 and answer.value is None:
        answer = Answer(UNCLEAR, "answered without an interface")
    if answer.value is False:
        yield prober.lacks(_IPV6_COUNTERS, asked, "answered without them")
    else:
        yield prober.result(_IPV6_COUNTERS, answer, asked)


def _table(prober: Prober, feature: Feature, message: str, family: int) -> Capability:
    """Whether a table is dumped. For a family that the kernel lacks it answers with the rows of all others."""
    asked = f"{message} dump"
    answer = prober.ask(NETLINK_ROUTE, probes.table(_TABLES[message], family), probes.family_of)
    # Rows of bridges' groups have no family (net/bridge/br_mdb.c).
    if answer.value not in (None, _UNSPEC) and family not in (_UNSPEC, answer.value):
        return prober.lacks(feature, asked, "answered for other families")
    if answer.errno == 0 and answer.value is None and family in _OPTIONAL_FAMILIES:
        others = prober.ask(NETLINK_ROUTE, probes.table(_TABLES[message]))
        if others.value is None:
            answer = Answer(UNCLEAR, "no route of any family to test with")
    return prober.result(feature, answer, asked)


def _route_exceptions(prober: Prober, feature: Feature, family: int) -> Capability:
    """Exceptions are dumped under strict checking only, and since the release that brought next-hop objects."""
    strict = prober.ask(NETLINK_ROUTE, probes.strictly_wrong())
    if strict.errno == 0:
        return prober.lacks(feature, "NETLINK_GET_STRICT_CHK", "an invalid request was not refused")
    if strict.errno != EINVAL:
        return prober.result(feature, strict, "strict RTM_GETROUTE dump")
    answer = prober.ask(NETLINK_ROUTE, probes.route_exceptions(family))
    if answer.errno == 0 and answer.value is None:
        objects = prober.ask(NETLINK_ROUTE, probes.table(RTM_GETNEXTHOP))
        if objects.errno:
            answer = Answer(UNCLEAR, "no exception to test with; some older kernels never return one")
    return prober.result(feature, answer, "strict RTM_GETROUTE dump with RTM_F_CLONED")
