"""Breaks a lab: makes the changes of a fault on its hosts."""

from __future__ import annotations

import socket
from contextlib import suppress
from functools import partial
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Any

from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_CTNETLINK
from pyroute2.netlink.nfnetlink.nfctsocket import IPCTNL_MSG_CT_DELETE, nfct_msg
from pyroute2.netlink.rtnl import (
    RTM_DELADDR,
    RTM_DELNEIGH,
    RTM_DELROUTE,
    RTM_DELRULE,
    RTM_GETNEIGH,
    RTM_NEWADDR,
    RTM_SETLINK,
)
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from ..uapi.if_addr import IFA_F_NODAD
from ..uapi.if_link import IFF_UP
from .before import Broken
from .errors import LabError
from .fault import Change, Fault, LostRoute
from .network import add_route, add_rule
from .nft_program import run_nft
from .requests import NLM_F_NEW, Refused, Requests, dump
from .sysctls import read_sysctls, write_sysctls

if TYPE_CHECKING:
    from .lab import Host, Lab

_ESRCH_OR_ENOENT = (2, 3)
_RT_SCOPE_NOWHERE = 255
_NUD_KEPT = 0x40 | 0x80
"""linux/neighbour.h: NUD_NOARP and NUD_PERMANENT, which were not learnt."""
_LIMIT, _COUNT = "net.netfilter.nf_conntrack_max", "net.netfilter.nf_conntrack_count"
_MOST_FLOWS = 1 << 20
"""Of some 300 bytes each in the kernel."""
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


def break_lab(lab: Lab[Any], fault: Fault, topology: str | None = None) -> None:
    """Makes the changes. Raises LabError where the fault does not fit, or the kernel refuses one of them.

    ``topology`` is the name of the lab's, where the lab is another process's.
    """
    name = topology or lab.topology.name
    if name not in fault.fits:
        raise LabError(f"fault {fault.name} does not fit topology {name}: it fits {', '.join(fault.fits) or 'none'}")
    for host, change in fault.hosts.items():
        _check(lab[host], change)
    broken = lab.broken = lab.broken or Broken()
    for host, change in fault.hosts.items():
        try:
            broken.keep(lab[host], change)
            _change(lab[host], change)
        except Refused as error:
            raise LabError(f"host {host}: {error}") from None
    for known in lab.hosts.values():
        forget_neighbours(known)
        if fault.flush:
            forget_flows(known)
    broken.faults.append(fault)
    for host, change in fault.hosts.items():
        if change.full:
            _fill_up(lab[host])


def _check(host: Host, change: Change) -> None:
    """Raises LabError, before anything is changed, where an interface is missing."""
    named = [*change.addresses, *change.no_addresses, *change.mtu, *change.down, *change.impairments]
    named += [route.interface for route in change.routes if route.interface]
    for name in named:
        if name not in host.interfaces:
            raise LabError(f"host {host.name} has no interface {name!r}")


def _change(host: Host, change: Change) -> None:
    if change.sysctls:
        host.call(partial(write_sysctls, change.sysctls))
    requests = Requests(host.namespace.route)
    for lost in change.no_routes:
        _remove_route(requests, lost)
    for priority in change.no_rules:
        _remove_rule(host, priority)
    for kind, addresses in ((RTM_DELADDR, change.no_addresses), (RTM_NEWADDR, change.addresses)):
        for name, texts in addresses.items():
            for text in texts:
                _change_address(requests, kind, name, host.interfaces[name], text)
    for name, mtu in change.mtu.items():
        _set_link(requests, name, host.interfaces[name], mtu=mtu)
    for name in change.down:
        _set_link(requests, name, host.interfaces[name])
    for route in change.routes:
        add_route(requests, route, host.interfaces.__getitem__)
    for rule in change.rules:
        add_rule(requests, rule)
    requests.send()
    if change.nft:
        run_nft(host, change.nft)
    for name, impairment in change.impairments.items():
        from .netem import impair

        impair(host, name, impairment)


def _fill_up(host: Host) -> None:
    from .fill import fill_host
    from .topology import Fill

    limit, count = host.call(partial(read_sysctls, (_LIMIT, _COUNT))).values()
    if int(limit) > _MOST_FLOWS:
        raise LabError(f"host {host.name}: {_LIMIT} is {limit}: a lab fills a table of {_MOST_FLOWS} flows at most")
    with suppress(Refused):  # flows that began meanwhile leave no room for the last ones
        fill_host(host, Fill("flows", max(0, int(limit) - int(count))))


def _remove_route(requests: Requests, lost: LostRoute) -> None:
    from .topology import destination

    to = destination(lost.to)
    message = rtmsg()
    message["family"] = _FAMILIES[to.version]
    message["dst_len"] = to.prefixlen
    message["table"] = lost.table if lost.table < 256 else 252
    message["scope"] = _RT_SCOPE_NOWHERE
    message["attrs"] = [["RTA_TABLE", lost.table]]
    if to.prefixlen:
        message["attrs"].append(["RTA_DST", str(to.network_address)])
    requests.add(message, RTM_DELROUTE, 0, f"removing the route to {lost.to} in table {lost.table}")


def _remove_rule(host: Host, priority: int) -> None:
    """In both families; in one of them at least there must be a rule of that priority."""
    refusals = [refusal for family in _FAMILIES.values() if (refusal := _without_rule(host, family, priority))]
    if len(refusals) == len(_FAMILIES):
        raise refusals[0]


def _without_rule(host: Host, family: int, priority: int) -> Refused | None:
    message = fibmsg()
    message["family"] = family
    message["attrs"] = [["FRA_PRIORITY", priority]]
    requests = Requests(host.namespace.route)
    requests.add(message, RTM_DELRULE, 0, f"removing the rule of priority {priority}")
    try:
        requests.send()
    except Refused as error:
        if error.number not in _ESRCH_OR_ENOENT:
            raise
        return error
    return None


def _change_address(requests: Requests, kind: int, name: str, index: int, text: str) -> None:
    parsed = ip_interface(text)
    message = ifaddrmsg()
    message["family"] = _FAMILIES[parsed.version]
    message["prefixlen"] = parsed.network.prefixlen
    message["index"] = index
    message["attrs"] = [["IFA_ADDRESS", str(parsed.ip)]]
    if parsed.version == 4:
        message["attrs"].append(["IFA_LOCAL", str(parsed.ip)])
    elif kind == RTM_NEWADDR:
        message["flags"] = IFA_F_NODAD
    doing = "address" if kind == RTM_NEWADDR else "removing address"
    requests.add(message, kind, NLM_F_NEW if kind == RTM_NEWADDR else 0, f"{doing} {text} on {name}")


def _set_link(requests: Requests, name: str, index: int, mtu: int | None = None) -> None:
    """Sets an MTU or, without one, the interface down."""
    message = ifinfmsg()
    message["index"] = index
    if mtu is None:
        message["flags"], message["change"] = 0, IFF_UP
    else:
        message["attrs"] = [["IFLA_MTU", mtu]]
    requests.add(message, RTM_SETLINK, 0, f"interface {name} {'down' if mtu is None else f'with MTU {mtu}'}")


def forget_neighbours(host: Host) -> None:
    """Has the host forget the link-layer addresses that it has learnt, so that it must ask for them again."""
    requests = Requests(host.namespace.route)
    for family in _FAMILIES.values():
        message = ndmsg()
        message["family"] = family
        for found in dump(host.namespace.route, message, RTM_GETNEIGH, f"listing the neighbours of {host.name}"):
            address = found.get_attr("NDA_DST")
            if address is None or found["state"] & _NUD_KEPT:
                continue
            gone = ndmsg()
            gone["family"], gone["ifindex"] = family, found["ifindex"]
            gone["attrs"] = [["NDA_DST", address]]
            requests.add(gone, RTM_DELNEIGH, 0, f"flushing neighbour {address}")
    with suppress(Refused):  # it may have been forgotten meanwhile
        requests.send()


def forget_flows(host: Host) -> None:
    """Has the host forget all flows that it tracks. One that tracks none is no mistake."""
    message = nfct_msg()
    message["nfgen_family"] = socket.AF_UNSPEC
    requests = Requests(host.namespace.netfilter)
    requests.add(message, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE, 0, "flushing all flows")
    requests.send()
