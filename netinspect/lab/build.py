"""Makes a topology in namespaces that exist: as few sends as possible, nothing that waits."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence
from functools import partial
from ipaddress import ip_address, ip_interface
from typing import TYPE_CHECKING, Any

from pyroute2.netlink.rtnl import RTM_GETLINK, RTM_GETROUTE
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from .errors import LabError
from .network import FIRST_INDEX, add_host, add_link, set_up
from .nft_program import run_nft
from .requests import Refused, Requests, dump
from .topology import HostSpec, Impairment, Join, Topology

if TYPE_CHECKING:
    from .lab import Host, Lab

# linux/in.h: protocol-independent multicast options (RFC 3678); Python's socket module has none of them.
_MCAST_JOIN_GROUP, _MCAST_BLOCK_SOURCE, _MCAST_JOIN_SOURCE_GROUP = 42, 43, 46
_RTN_LOCAL = 2
"""linux/rtnetlink.h"""
_PATIENCE = 2.0
"""Seconds: events are handled once a second at the latest."""


def build(lab: Lab[Any], topology: Topology) -> None:
    """Makes the links of a topology, then what its hosts have."""
    requests = {
        name: Requests(host.namespace.route)
        for name, host in lab.hosts.items()
        if name in topology.hosts or any(name in dict(link.ends) for link in topology.links)
    }
    for link in topology.links:
        (left, left_name), (right, right_name) = link.ends
        indexes = _new_index(lab, left, left_name), _new_index(lab, right, right_name)
        add_link(requests[left], link, indexes, lab.hosts[right].namespace.descriptor)
    _send(requests)
    for _, (right, name) in (link.ends for link in topology.links):
        set_up(requests[right], name, lab.hosts[right].interfaces[name])
    _send(requests)
    wait_for_carrier([(lab.hosts[host], name) for link in topology.links for host, name in link.ends])
    for host_name, spec in topology.hosts.items():
        host = lab.hosts[host_name]
        for name, interface in spec.interfaces.items():
            if interface.bridge is not None:
                _new_index(lab, host_name, name)
            host.addresses += [str(ip_interface(text).ip) for text in interface.addresses]
        add_host(requests[host_name], spec, host.interfaces.__getitem__)
    _send(requests)
    wait_for_carrier(
        [
            (lab.hosts[host_name], name)
            for host_name, spec in topology.hosts.items()
            for name, interface in spec.interfaces.items()
            if interface.bridge
        ]
    )
    _wait_for_addresses(lab, topology)
    for link in topology.links:
        if link.impairment != Impairment():
            from .netem import impair

            for host_name, name in link.ends:
                impair(lab.hosts[host_name], name, link.impairment)
    for host_name, spec in topology.hosts.items():
        _rest(lab, lab.hosts[host_name], spec)


def _rest(lab: Lab[Any], host: Host, spec: HostSpec) -> None:
    if spec.nat or spec.drops:
        from .nftables import add_rules

        translations = Requests(host.namespace.netfilter)
        add_rules(translations, spec.nat, spec.drops, host.chains)
        translations.send()
    if spec.joins:
        lab.kept += host.call(partial(_join_all, spec.joins, dict(host.interfaces)))
    if spec.nft:
        run_nft(host, spec.nft)
    for fill in spec.fill:
        from .fill import fill_host

        fill_host(host, fill)


def wait_for_carrier(interfaces: Sequence[tuple[Host, str]]) -> None:
    """Returns when these interfaces send what they are given.

    The kernel notices a carrier in a thread of its own (net/core/link_watch.c); before that packets are dropped, and
    IPv6 is not ready, which costs a second until they are sent again. Since Linux 6.8 (commit facd15dfd691) asking
    for one link makes it notice at once; on older kernels it takes a moment. One that never gets a carrier, its
    other end being down, is not waited for.
    """
    for host, name in interfaces:
        deadline = time.monotonic() + _PATIENCE
        message = ifinfmsg()
        message["index"] = host.interfaces[name]
        while True:
            (link,) = dump(host.namespace.route, message, RTM_GETLINK, f"looking at {name} of {host.name}", flags=0)
            if link.get_attr("IFLA_OPERSTATE") == "UP" or time.monotonic() > deadline:
                break
            time.sleep(0.001)


def _wait_for_addresses(lab: Lab[Any], topology: Topology) -> None:
    """Returns when the hosts take packets for their IPv6 addresses.

    Also without duplicate address detection, an address gets its local route in a kernel thread (net/ipv6/addrconf.c:
    addrconf_dad_work), and packets that come before are lost.
    """
    for name, spec in topology.hosts.items():
        for interface in spec.interfaces.values():
            for address in (str(ip_interface(text).ip) for text in interface.addresses if ":" in text):
                deadline = time.monotonic() + _PATIENCE
                while not _is_local(lab.hosts[name], address) and time.monotonic() < deadline:
                    time.sleep(0.0005)


def _is_local(host: Host, address: str) -> bool:
    message = rtmsg()
    message["family"] = socket.AF_INET6
    message["dst_len"] = 128
    message["attrs"] = [["RTA_DST", address]]
    try:
        answers = list(dump(host.namespace.route, message, RTM_GETROUTE, f"a route to {address}", flags=0))
    except Refused:
        return False
    return bool(answers[0]["type"] == _RTN_LOCAL)


def _new_index(lab: Lab[Any], host: str, name: str) -> int:
    """An index that no other interface of the lab has: unique across hosts."""
    taken = (index for known in lab.hosts.values() for index in known.interfaces.values())
    index: int = max(FIRST_INDEX - 1, *taken) + 1
    lab.hosts[host].interfaces[name] = index
    return index


def _send(requests: dict[str, Requests]) -> None:
    for host, batch in requests.items():
        try:
            batch.send()
        except LabError as error:
            raise LabError(f"host {host}: {error}") from None


def _join_all(joins: Sequence[Join], indexes: dict[str, int]) -> list[socket.socket]:
    return [join_group(join, indexes[join.interface]) for join in joins]


def join_group(join: Join, index: int) -> socket.socket:
    """A socket in the current namespace that is a member of that group (RFC 3678)."""
    family = socket.AF_INET if ip_address(join.group).version == 4 else socket.AF_INET6
    level = socket.IPPROTO_IP if family == socket.AF_INET else socket.IPPROTO_IPV6
    opened = socket.socket(family, socket.SOCK_DGRAM)
    group = struct.pack("@I4x", index) + _address(join.group)
    try:
        if join.mode == "include":
            for source in join.sources:
                opened.setsockopt(level, _MCAST_JOIN_SOURCE_GROUP, group + _address(source))
        else:
            opened.setsockopt(level, _MCAST_JOIN_GROUP, group)
            for source in join.sources:
                opened.setsockopt(level, _MCAST_BLOCK_SOURCE, group + _address(source))
    except OSError as error:
        opened.close()
        raise LabError(f"joining {join.group} on {join.interface}: {error.strerror}") from None
    return opened


def _address(text: str) -> bytes:
    """struct sockaddr_storage with that address and no port."""
    parsed = ip_address(text)
    if parsed.version == 4:
        return struct.pack("=HH4s", socket.AF_INET, 0, parsed.packed).ljust(128, b"\0")
    return struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, parsed.packed, 0).ljust(128, b"\0")
