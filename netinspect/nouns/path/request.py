"""Questions about single things: one neighbour, one MAC address of a bridge, one tracked flow, the socket of a packet.

A dump of a table takes the longer the larger it is; the kernel's own look-up takes microseconds in any.
"""

from __future__ import annotations

from _socket import inet_ntop
from struct import pack, unpack_from

from ...engine.netlink.messages import attribute, attributes, message
from ...uapi.neighbour import NDA_DST, NDA_LLADDR, NDA_MASTER, NDA_VLAN, NTF_MASTER, NTF_SELF
from ...uapi.netlink import AF_BRIDGE, AF_INET, AF_INET6, NLA_F_NESTED
from ...uapi.nfnetlink import (
    CTA_IP_V4_DST,
    CTA_IP_V4_SRC,
    CTA_IP_V6_DST,
    CTA_IP_V6_SRC,
    CTA_PROTO_DST_PORT,
    CTA_PROTO_ICMP_CODE,
    CTA_PROTO_ICMP_ID,
    CTA_PROTO_ICMP_TYPE,
    CTA_PROTO_ICMPV6_CODE,
    CTA_PROTO_ICMPV6_ID,
    CTA_PROTO_ICMPV6_TYPE,
    CTA_PROTO_NUM,
    CTA_PROTO_SRC_PORT,
    CTA_TUPLE_IP,
    CTA_TUPLE_ORIG,
    CTA_TUPLE_PROTO,
    CTA_ZONE,
    IPCTNL_MSG_CT_GET,
)
from ...uapi.rtnetlink import RTM_GETNEIGH
from ...uapi.sock_diag import SOCK_DIAG_BY_FAMILY
from ..conntrack.decode import flow_body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...engine.netlink.messages import Run

_TCP, _UDP, _UDPLITE, _ICMP, _ICMPV6 = 6, 17, 136, 1, 58
_NO_COOKIE = 0xFFFFFFFF
_ECHO, _ECHO_V6 = 8, 128
_NDM_SIZE = 12


def neighbour(family: int, interface: int, address: bytes) -> bytes:
    """One neighbour (net/core/neighbour.c: neigh_get, since Linux 5.0); ENOENT where it is not known."""
    payload = pack("=BxxxiHBB", family, interface, 0, 0, 0) + attribute(NDA_DST, address)
    return message(RTM_GETNEIGH, 0, payload)


def forwarding_entry(bridge: int, link_address: bytes, vlan: int | None = None) -> bytes:
    """Where a bridge sends frames for one MAC address (net/core/rtnetlink.c: rtnl_fdb_get, since Linux 5.0)."""
    payload = pack("=BxxxiHBB", AF_BRIDGE, 0, 0, NTF_MASTER, 0)
    payload += attribute(NDA_LLADDR, link_address) + attribute(NDA_MASTER, pack("=I", bridge))
    payload += attribute(NDA_VLAN, pack("=H", vlan)) if vlan else b""
    return message(RTM_GETNEIGH, 0, payload)


def tunnel_entry(interface: int, link_address: bytes) -> bytes:
    """Where a VXLAN sends frames for one MAC address (vxlan_core.c: vxlan_fdb_get, since Linux 5.0)."""
    payload = pack("=BxxxiHBB", AF_BRIDGE, interface, 0, NTF_SELF, 0) + attribute(NDA_LLADDR, link_address)
    return message(RTM_GETNEIGH, 0, payload)


def remote_of(runs: Iterable[Run]) -> str:
    """The remote address in that answer; empty where it has none: a group of next-hop objects."""
    for run in runs:
        found = attributes(run.data, 16 + _NDM_SIZE, len(run.data)).get(NDA_DST)
        if found and found[1] in (4, 16):
            at, size = found
            return inet_ntop(AF_INET if size == 4 else AF_INET6, run.data[at : at + size])
    return ""


def forwarding_port(runs: Iterable[Run]) -> int | None:
    """The interface index in that answer: a port, or the bridge itself where the address is its own."""
    for run in runs:
        if len(run.data) >= 16 + _NDM_SIZE:
            found: int = unpack_from("=i", run.data, 20)[0]
            return found
    return None


def tracked(
    family: int, protocol: int, source: bytes, destination: bytes, ports: tuple[int, int], zone: int | None = None
) -> bytes:
    """The entry that a packet of this tuple belongs to, in either direction; ENOENT where there is none.

    For ICMP ``ports`` are type and identifier.
    """
    kinds = (CTA_IP_V4_SRC, CTA_IP_V4_DST) if family == AF_INET else (CTA_IP_V6_SRC, CTA_IP_V6_DST)
    addresses = attribute(kinds[0], source) + attribute(kinds[1], destination)
    numbers = attribute(CTA_PROTO_NUM, bytes((protocol,)))
    if protocol in (_ICMP, _ICMPV6):
        of_icmp = (
            (CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE, CTA_PROTO_ICMP_ID)
            if protocol == _ICMP
            else (CTA_PROTO_ICMPV6_TYPE, CTA_PROTO_ICMPV6_CODE, CTA_PROTO_ICMPV6_ID)
        )
        numbers += attribute(of_icmp[0], bytes((ports[0],))) + attribute(of_icmp[1], b"\0")
        numbers += attribute(of_icmp[2], pack(">H", ports[1]))
    else:
        numbers += attribute(CTA_PROTO_SRC_PORT, pack(">H", ports[0]))
        numbers += attribute(CTA_PROTO_DST_PORT, pack(">H", ports[1]))
    inside = attribute(CTA_TUPLE_IP | NLA_F_NESTED, addresses) + attribute(CTA_TUPLE_PROTO | NLA_F_NESTED, numbers)
    payload = flow_body(family) + attribute(CTA_TUPLE_ORIG | NLA_F_NESTED, inside)
    if zone is not None:
        payload += attribute(CTA_ZONE, pack(">H", zone))
    return message(IPCTNL_MSG_CT_GET, 0, payload)


def receiving_socket(
    family: int,
    protocol: int,
    source: bytes,
    source_port: int,
    destination: bytes,
    destination_port: int,
    interface: int,
) -> bytes:
    """The socket that would receive a packet: the kernel looks it up as it does for one (net/ipv4/inet_diag.c).

    ``source`` is the other end. TCP's look-up takes it as the remote address of the socket asked for; UDP's names are
    the other way round (net/ipv4/udp_diag.c: udp_dump_one). ENOENT where none would.
    """
    remote = (source_port, source.ljust(16, b"\0"))
    local = (destination_port, destination.ljust(16, b"\0"))
    first, second = (remote, local) if protocol in (_UDP, _UDPLITE) else (local, remote)
    payload = pack("=BBBxI", family, protocol, 0, 0xFFFFFFFF)
    payload += pack(">HH", first[0], second[0]) + first[1] + second[1]
    payload += pack("=III", interface, _NO_COOKIE, _NO_COOKIE)
    return message(SOCK_DIAG_BY_FAMILY, 0, payload)


def link_address_of(runs: Iterable[Run]) -> str | None:
    """The link-layer address in the answer about a neighbour."""
    for run in runs:
        found = attributes(run.data, 16 + _NDM_SIZE, len(run.data)).get(NDA_LLADDR)
        if found:
            at, size = found
            return run.data[at : at + size].hex(":")
    return None
