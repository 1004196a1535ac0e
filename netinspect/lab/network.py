"""Links, addresses, routes and rules of a lab, as batches of rtnetlink requests (rtnetlink(7))."""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from pyroute2.netlink.rtnl import (
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    RTM_NEWRULE,
    RTM_SETLINK,
    rt_scope,
    rt_type,
)
from pyroute2.netlink.rtnl.fibmsg import (
    FR_ACT_BLACKHOLE,
    FR_ACT_PROHIBIT,
    FR_ACT_TO_TBL,
    FR_ACT_UNREACHABLE,
    fibmsg,
)
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from ..uapi.if_addr import IFA_F_NODAD
from ..uapi.if_link import IFF_UP
from ..uapi.netlink import NLM_F_APPEND, NLM_F_CREATE
from .requests import NLM_F_NEW, Requests
from .topology import HostSpec, Interface, Link, Route, Rule, destination

FIRST_INDEX = 101
"""Interface indexes are given out from here: the kernel's own devices (tunl0, sit0 …) take the first few."""
_RTPROT_STATIC = 4
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}

Index = Callable[[str], int]
"""The index of one of the host's interfaces, by name."""


def add_link(requests: Requests, link: Link, indexes: tuple[int, int], peer_namespace: int) -> None:
    """A veth pair, its first end in the namespace of ``requests``, the other in that of the descriptor: both at once.

    The first end comes up with it; the kernel refuses that for the other (drivers/net/veth.c: veth_open).
    """
    (host, name), (peer_host, peer_name) = link.ends
    mtu = [["IFLA_MTU", link.mtu]] if link.mtu is not None else []
    peer = {
        "index": indexes[1],
        "attrs": [["IFLA_IFNAME", peer_name], ["IFLA_NET_NS_FD", peer_namespace], *mtu],
    }
    message = ifinfmsg()
    message["index"] = indexes[0]
    message["flags"] = message["change"] = IFF_UP
    message["attrs"] = [
        ["IFLA_IFNAME", name],
        *mtu,
        _link_information("veth", [["VETH_INFO_PEER", peer]]),
    ]
    requests.add(message, RTM_NEWLINK, NLM_F_NEW, f"the link {host}:{name} - {peer_host}:{peer_name}")


def add_bridge(requests: Requests, name: str, index: int, ports: list[int]) -> None:
    """A bridge with these ports. It takes up forwarding at once: no spanning tree, no forward delay.

    It asks for memberships itself (multicast querier), so that snooping works without a router; as IGMPv3 and MLDv2
    ask, since hosts that hear an older query report no sources any more (RFC 3376, section 7.2.1).
    """
    message = ifinfmsg()
    message["index"] = index
    message["flags"] = message["change"] = IFF_UP
    data = [
        ["IFLA_BR_FORWARD_DELAY", 0],
        ["IFLA_BR_MCAST_IGMP_VERSION", 3],
        ["IFLA_BR_MCAST_MLD_VERSION", 2],
        ["IFLA_BR_MCAST_QUERIER", 1],
    ]
    message["attrs"] = [["IFLA_IFNAME", name], _link_information("bridge", data)]
    requests.add(message, RTM_NEWLINK, NLM_F_NEW, f"the bridge {name}")
    for port in ports:
        message = ifinfmsg()
        message["index"] = port
        message["attrs"] = [["IFLA_MASTER", index]]
        requests.add(message, RTM_SETLINK, 0, f"interface {port} as a port of {name}")


def _link_information(kind: str, data: list[list[Any]]) -> list[Any]:
    return ["IFLA_LINKINFO", {"attrs": [["IFLA_INFO_KIND", kind], ["IFLA_INFO_DATA", {"attrs": data}]]}]


def set_up(requests: Requests, name: str, index: int, mtu: int | None = None) -> None:
    """Brings an interface up."""
    message = ifinfmsg()
    message["index"] = index
    message["flags"] = message["change"] = IFF_UP
    if mtu is not None:
        message["attrs"] = [["IFLA_MTU", mtu]]
    requests.add(message, RTM_SETLINK, 0, f"interface {name} up")


def add_addresses(requests: Requests, name: str, index: int, interface: Interface) -> None:
    """The interface's addresses, usable at once: without duplicate address detection."""
    for text in interface.addresses:
        parsed = ip_interface(text)
        message = ifaddrmsg()
        message["family"] = _FAMILIES[parsed.version]
        message["prefixlen"] = parsed.network.prefixlen
        message["index"] = index
        message["attrs"] = [["IFA_ADDRESS", str(parsed.ip)]]
        if parsed.version == 4:
            message["attrs"].append(["IFA_LOCAL", str(parsed.ip)])
        else:
            message["flags"] = IFA_F_NODAD
        requests.add(message, RTM_NEWADDR, NLM_F_NEW, f"address {text} on {name}")


def add_route(requests: Requests, route: Route, index: Index) -> None:
    """One route."""
    message = route_message(route, index)
    # Multipath IPv6 routes are appended hop by hop inside the kernel: EXCL would refuse the second.
    flags = NLM_F_CREATE | NLM_F_APPEND if route.nexthops else NLM_F_NEW
    requests.add(message, RTM_NEWROUTE, flags, f"the route to {route.to} in table {route.table}")


def route_message(route: Route, index: Index) -> Any:
    """The route as a pyroute2 message."""
    to = destination(route.to)
    message = rtmsg()
    message["family"] = _FAMILIES[to.version]
    message["dst_len"] = to.prefixlen
    message["table"] = min(route.table, 255) if route.table < 256 else 252
    message["proto"] = _RTPROT_STATIC
    message["type"] = rt_type[route.type]
    on_link = route.type == "unicast" and not (route.via or route.nexthops)
    scope = "host" if route.type == "local" else "link" if on_link and to.version == 4 else "universe"
    message["scope"] = rt_scope[scope]
    attributes: list[list[Any]] = [["RTA_TABLE", route.table]]
    if to.prefixlen:
        attributes.append(["RTA_DST", str(to.network_address)])
    if route.via:
        attributes.append(["RTA_GATEWAY", route.via])
    if route.interface:
        attributes.append(["RTA_OIF", index(route.interface)])
    if route.metric is not None:
        attributes.append(["RTA_PRIORITY", route.metric])
    if route.source:
        attributes.append(["RTA_PREFSRC", route.source])
    if route.mtu is not None:
        attributes.append(["RTA_METRICS", {"attrs": [["RTAX_MTU", route.mtu]]}])
    if route.nexthops:
        hops = [
            {"hops": hop.weight - 1, "oif": 0, "flags": 0, "attrs": [["RTA_GATEWAY", hop.via]]}
            for hop in route.nexthops
        ]
        attributes.append(["RTA_MULTIPATH", hops])
    message["attrs"] = attributes
    return message


def add_rule(requests: Requests, rule: Rule) -> None:
    """One policy rule (ip-rule(8))."""
    prefixes = {"SRC": rule.source, "DST": rule.to}
    family = next((ip_network(text).version for text in prefixes.values() if text), rule.family)
    message = fibmsg()
    message["family"] = _FAMILIES[family]
    message["table"] = rule.table if rule.table < 256 else 252
    message["action"] = _ACTIONS[rule.action]
    attributes: list[list[Any]] = [["FRA_PRIORITY", rule.priority]]
    if rule.action == "lookup":
        attributes.append(["FRA_TABLE", rule.table])
    for key, text in prefixes.items():
        if text:
            network = ip_network(text)
            message["src_len" if key == "SRC" else "dst_len"] = network.prefixlen
            attributes.append([f"FRA_{key}", str(network.network_address)])
    if rule.mark is not None:
        attributes.append(["FRA_FWMARK", rule.mark])
    if rule.iif is not None:
        attributes.append(["FRA_IIFNAME", rule.iif])
    message["attrs"] = attributes
    requests.add(message, RTM_NEWRULE, NLM_F_NEW, f"the rule of priority {rule.priority}")


_ACTIONS = {
    "lookup": FR_ACT_TO_TBL,
    "blackhole": FR_ACT_BLACKHOLE,
    "unreachable": FR_ACT_UNREACHABLE,
    "prohibit": FR_ACT_PROHIBIT,
}


def add_host(requests: Requests, spec: HostSpec, index: Index) -> None:
    """Everything of one host whose links exist: interfaces up, bridges, addresses, routes and rules."""
    for name, interface in spec.interfaces.items():
        if interface.bridge is not None:
            add_bridge(requests, name, index(name), [index(port) for port in interface.bridge])
        add_addresses(requests, name, index(name), interface)
        if interface.mtu is not None:
            set_up(requests, name, index(name), interface.mtu)
    for route in spec.routes:
        add_route(requests, route, index)
    for rule in spec.rules:
        add_rule(requests, rule)


def family_of(address: str) -> int:
    """AF_INET or AF_INET6."""
    return _FAMILIES[ip_address(address).version]


__all__ = [
    "FIRST_INDEX",
    "RTM_GETROUTE",
    "add_host",
    "add_link",
    "add_route",
    "family_of",
    "set_up",
]
