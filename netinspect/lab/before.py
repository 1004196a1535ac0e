"""What hosts of a lab were before faults broke them, as the kernel told it: message by message, for ``mending.py``."""

from __future__ import annotations

import os
import socket
from base64 import b64encode
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from struct import pack, unpack_from
from typing import TYPE_CHECKING, Any

from pyroute2.netlink.rtnl import RTM_GETADDR, RTM_GETLINK, RTM_GETROUTE, RTM_GETRULE

from ..engine.netlink.messages import HEADER_SIZE, attribute, attribute_list, message
from ..engine.netlink.transport import Dump
from ..errors import NetlinkError
from ..uapi.if_addr import IFA_CACHEINFO, IFA_F_NODAD, IFA_FLAGS
from ..uapi.if_link import IFF_UP, IFLA_MTU
from ..uapi.netlink import NLM_F_DUMP
from ..uapi.rtnetlink import RTA_CACHEINFO, RTA_MULTIPATH, RTM_F_CLONED
from .errors import LabError
from .fault import Change, Fault
from .nft_program import listed_by_nft
from .sysctls import read_sysctls
from .topology_file import typed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Host

_ADDRESS, ROUTE, _LINK = 8, 12, 16
"""Bytes of struct ifaddrmsg, rtmsg, ifinfomsg, behind which attributes are."""
_ADDRESS_FLAGS = 0x200 | 0x400
"""IFA_F_NOPREFIXROUTE and IFA_F_MCAUTOJOIN (linux/if_addr.h): the others are states."""
_ROUTE_FLAGS = 2 | 4
"""RTNH_F_PERVASIVE and RTNH_F_ONLINK (linux/rtnetlink.h): the others are states."""
_RT_TABLE_LOCAL = 255
_FAMILIES = (socket.AF_INET, socket.AF_INET6)


class Broken:
    """What became of a lab: its faults, and for each host that they changed what it was before."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        """In the order in which they broke it."""
        self.hosts: dict[str, dict[str, Any]] = {}

    def keep(self, host: Host, change: Change) -> None:
        """Keeps what the host is, as far as the change concerns it and no earlier one did already."""
        kept = self.hosts.setdefault(host.name, {})
        if "routes" not in kept:
            kept.update(_state(host))
        settings = list(change.sysctls)
        if any("forward" in name for name in settings):
            settings += _set_along(host)  # the kernel sets these with forwarding (net/ipv4/devinet.c)
        kept["sysctls"] = {**host.call(partial(read_sysctls, settings)), **kept.get("sysctls", {})}
        if change.nft and "nft" not in kept:
            kept["nft"] = listed_by_nft(host)
        if change.impairments:
            from .netem import impairments

            kept["impairments"] = {**impairments(host, list(change.impairments)), **kept.get("impairments", {})}

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return {"faults": [_without_nothing(asdict(fault)) for fault in self.faults], "hosts": self.hosts}

    @classmethod
    def parse(cls, data: Any) -> Broken:
        """What ``as_json`` gave."""
        self = cls()
        self.faults = [typed(fault, Fault, (), {}) for fault in data["faults"]]
        self.hosts = data["hosts"]
        return self


def _without_nothing(value: Any) -> Any:
    """Without keys that have no value, which are left out in a fault's file too."""
    if isinstance(value, dict):
        return {key: _without_nothing(item) for key, item in value.items() if item is not None}
    return list(map(_without_nothing, value)) if isinstance(value, (list, tuple)) else value


def _set_along(host: Host) -> list[str]:
    def there() -> list[str]:
        found = []
        for version in ("ipv4", "ipv6"):
            with suppress(FileNotFoundError):
                for name in os.listdir(f"/proc/sys/net/{version}/conf"):
                    found += [f"net/{version}/conf/{name}/{key}" for key in ("forwarding", "accept_redirects")]
        return found

    return sorted(host.call(there), key=lambda name: "/conf/all/" not in name and "/conf/default/" not in name)


def _state(host: Host) -> dict[str, Any]:
    """Links, addresses, routes and rules of a host."""
    return {
        "links": links_of(host),
        "addresses": list(map(_text, addresses_of(host))),
        "routes": list(map(_text, routes_of(host))),
        "rules": list(map(_text, rules_of(host))),
    }


def _text(payload: bytes) -> str:
    return b64encode(payload).decode()


def links_of(host: Host) -> dict[str, list[Any]]:
    """Whether each interface of the lab is up, and its MTU."""
    names = {index: name for name, index in host.interfaces.items()}
    found = {}
    for payload in _dump(host, RTM_GETLINK, bytes(_LINK), "listing interfaces"):
        index, flags = unpack_from("=iI", payload, 4)
        if index in names:
            mtu = next(value for number, value in attributes_of(payload, _LINK) if number == IFLA_MTU)
            found[names[index]] = [bool(flags & IFF_UP), *unpack_from("=I", mtu)]
    return found


def addresses_of(host: Host) -> list[bytes]:
    """In the kernel's order, without what is a state of theirs: as they are asked for."""
    found = []
    for family in _FAMILIES:
        for payload in _dump(host, RTM_GETADDR, pack("=B7x", family), "listing addresses"):
            parts = [payload[:2], b"\0", payload[3:_ADDRESS]]
            for number, value in attributes_of(payload, _ADDRESS):
                if number == IFA_FLAGS:
                    flags = unpack_from("=I", value)[0] & _ADDRESS_FLAGS
                    value = pack("=I", flags | (IFA_F_NODAD if family == socket.AF_INET6 else 0))
                if number != IFA_CACHEINFO:
                    parts.append(attribute(number, value))
            found.append(b"".join(parts))
    return found


def routes_of(host: Host) -> list[bytes]:
    """All but the table that the kernel keeps itself (local), without what is a state of theirs."""
    found = []
    for family in _FAMILIES:
        for payload in _dump(host, RTM_GETROUTE, pack("=B11x", family), "listing routes"):
            flags = unpack_from("=I", payload, 8)[0]
            if payload[4] == _RT_TABLE_LOCAL or flags & RTM_F_CLONED:
                continue
            parts = [payload[:8], pack("=I", flags & _ROUTE_FLAGS)]
            for number, value in attributes_of(payload, ROUTE):
                if number != RTA_CACHEINFO:
                    parts.append(attribute(number, _stateless(value) if number == RTA_MULTIPATH else value))
            found.append(b"".join(parts))
    return found


def _stateless(hops: bytes) -> bytes:
    """The next hops of a multipath route (struct rtnexthop) without their states."""
    changed, at = bytearray(hops), 0
    while at + 8 <= len(hops):
        length = unpack_from("=H", hops, at)[0]
        changed[at + 2] &= _ROUTE_FLAGS
        at += max(length + 3 & ~3, 8)
    return bytes(changed)


def rules_of(host: Host) -> list[bytes]:
    return [
        payload for family in _FAMILIES for payload in _dump(host, RTM_GETRULE, pack("=B11x", family), "listing rules")
    ]


def _dump(host: Host, kind: int, body: bytes, what: str) -> list[bytes]:
    """The messages of a dump, without their headers. A family that the kernel lacks has none."""
    found = []
    request = message(kind, NLM_F_DUMP, body, 1)
    try:
        # A dump ends with its socket: with a copy of this one, which is used again.
        for run in Dump(host.namespace.route.dup(), request, f"{what} of {host.name}"):
            for at in range(0, len(run.data), run.length):
                found.append(bytes(run.data[at + HEADER_SIZE : at + run.length]))
    except NetlinkError as error:
        if not error.errno:
            raise LabError(str(error)) from None
    return found


def attributes_of(payload: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    for number, at, length in attribute_list(payload, start, len(payload)):
        yield number, payload[at : at + length]
