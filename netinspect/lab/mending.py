"""Mends a lab that faults broke: each host that they changed is put back to what it was before the first of them.

The kernel is given the messages again in which it told what there was, as by ``ip route save`` and ``restore``. So a
fault need not say how it is undone, and one of a user's own is mended like those of the package.
"""

from __future__ import annotations

import socket
from base64 import b64decode
from functools import partial
from struct import pack, unpack_from
from typing import TYPE_CHECKING, Any

from pyroute2.netlink.rtnl import (
    RTM_DELADDR,
    RTM_DELROUTE,
    RTM_DELRULE,
    RTM_NEWADDR,
    RTM_NEWROUTE,
    RTM_NEWRULE,
    RTM_SETLINK,
)

from ..engine.netlink.messages import attribute
from ..uapi.if_link import IFF_UP, IFLA_MTU
from ..uapi.netlink import NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE
from ..uapi.rtnetlink import RTA_GATEWAY, RTA_MULTIPATH
from .before import ROUTE, Broken, addresses_of, attributes_of, links_of, routes_of, rules_of
from .breaking import break_lab, forget_flows, forget_neighbours
from .errors import LabError
from .fault import Fault
from .nft_program import run_nft
from .requests import NLM_F_NEW, Refused, Requests
from .sysctls import write_sysctls

if TYPE_CHECKING:
    from .lab import Host, Lab


def mend_lab(lab: Lab[Any], name: str | None = None, topology: str | None = None) -> list[str]:
    """Undoes all faults or, with a name, that one: what it was before the first, and then the other faults again.

    Returns the names of those that are undone. Raises LabError where the lab does not have that fault.
    """
    broken = lab.broken or Broken()
    names = [fault.name for fault in broken.faults]
    if name is not None and name not in names:
        has = f"it has {', '.join(names)}" if names else "it has none"
        raise LabError(f"lab {lab.name} does not have the fault {name!r}: {has}")
    again = [fault for fault in broken.faults if name is not None and fault.name != name]
    for host, kept in broken.hosts.items():
        try:
            _restore(lab[host], kept)
        except Refused as error:
            raise LabError(f"host {host}: {error}") from None
    undone = [fault.name for fault in broken.faults if fault not in again]
    flush = [fault for fault in broken.faults if fault not in again and (fault.flush or _fills(fault))]
    lab.broken = None
    for known in lab.hosts.values():
        forget_neighbours(known)
        if flush:
            forget_flows(known)
    for fault in again:
        break_lab(lab, fault, topology)
    return undone


def _fills(fault: Fault) -> bool:
    return any(change.full for change in fault.hosts.values())


def _restore(host: Host, kept: dict[str, Any]) -> None:
    host.call(partial(write_sysctls, kept["sysctls"]))
    requests = Requests(host.namespace.route)
    now = links_of(host)
    for name, (up, mtu) in kept["links"].items():
        if name in now and now[name] != [up, mtu]:
            body = pack("=BxHiII", 0, 0, host.interfaces[name], IFF_UP if up else 0, IFF_UP)
            requests.add_raw(RTM_SETLINK, body + attribute(IFLA_MTU, pack("=I", mtu)), 0, f"interface {name}")
    requests.send()
    _restore_addresses(host, list(map(b64decode, kept["addresses"])))
    _restore_set(
        host,
        list(map(b64decode, kept["routes"])),
        (routes_of, RTM_NEWROUTE, RTM_DELROUTE, "a route"),
    )
    _restore_set(host, list(map(b64decode, kept["rules"])), (rules_of, RTM_NEWRULE, RTM_DELRULE, "a rule"))
    if "nft" in kept:
        run_nft(host, f"flush ruleset\n{kept['nft']}")
    if kept.get("impairments"):
        from .netem import impair_again

        impair_again(host, kept["impairments"])


def _restore_addresses(host: Host, before: list[bytes]) -> None:
    """By interface and family, since their order matters: which address is the source of packets."""
    now = addresses_of(host)
    requests = Requests(host.namespace.route)
    for place in dict.fromkeys(map(_interface_and_family, [*before, *now])):
        had = [payload for payload in before if _interface_and_family(payload) == place]
        has = [payload for payload in now if _interface_and_family(payload) == place]
        if had == has:
            continue
        for payload in reversed(has):
            requests.add_raw(RTM_DELADDR, payload, 0, "removing an address")
        # Of IPv6 addresses the kernel lists the last one first (net/ipv6/addrconf.c: ipv6_link_dev_addr).
        for payload in had if place[1] == socket.AF_INET else reversed(had):
            requests.add_raw(RTM_NEWADDR, payload, NLM_F_CREATE | NLM_F_REPLACE, "an address")
    requests.send()


def _interface_and_family(payload: bytes) -> tuple[int, int]:
    return unpack_from("=I", payload, 4)[0], payload[0]


def _restore_set(host: Host, before: list[bytes], kind: tuple[Any, int, int, str]) -> None:
    """Removes what was not there before, and adds what is missing."""
    listed, new, delete, what = kind
    now = listed(host)
    requests = Requests(host.namespace.route)
    for payload in now:
        if payload not in before:
            requests.add_raw(delete, payload, 0, f"removing {what}")
    missing = [payload for payload in before if payload not in now]
    # Those with a gateway need others that lead there.
    for payload in sorted(missing, key=lambda payload: kind[1] == RTM_NEWROUTE and _has_gateway(payload)):
        multipath = new == RTM_NEWROUTE and any(number == RTA_MULTIPATH for number, _ in attributes_of(payload, ROUTE))
        requests.add_raw(new, payload, NLM_F_CREATE | NLM_F_APPEND if multipath else NLM_F_NEW, what)
    requests.send()


def _has_gateway(payload: bytes) -> bool:
    return any(number in (RTA_GATEWAY, RTA_MULTIPATH) for number, _ in attributes_of(payload, ROUTE))
