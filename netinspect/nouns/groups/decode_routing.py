"""Multicast routing tables and the router's interfaces (linux/mroute.h, net/ipv4/ipmr.c, net/ipv6/ip6mr.c).

Routes are dumped as RTM_GETROUTE of a family of their own, the IPv4 router's interfaces (VIFs) as RTM_GETLINK of that
family. IPv6's interfaces (MIFs) have no netlink source.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop
from struct import pack, unpack_from

from ...engine.netlink.messages import NLM_F_DUMP, attribute_list, attributes, message
from ...records import MulticastHop, MulticastInterface, MulticastRoute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...engine.netlink.messages import Run

RTM_GETLINK, RTM_GETROUTE = 18, 26
RTNL_FAMILY_IPMR, RTNL_FAMILY_IP6MR = 128, 129
FAMILIES = {"inet": RTNL_FAMILY_IPMR, "inet6": RTNL_FAMILY_IP6MR}
_ADDRESSES = {RTNL_FAMILY_IPMR: ("inet", AF_INET, 4), RTNL_FAMILY_IP6MR: ("inet6", AF_INET6, 16)}

RTA_DST, RTA_SRC, RTA_IIF, RTA_MULTIPATH, RTA_TABLE, RTA_MFC_STATS, RTA_EXPIRES = 1, 2, 3, 9, 15, 17, 23
IFLA_AF_SPEC = 26
IPMRA_TABLE, IPMRA_VIF = 1, 1
IPMRA_TABLE_ID, IPMRA_TABLE_VIFS = 1, 6
(
    IPMRA_VIFA_IFINDEX,
    IPMRA_VIFA_VIF_ID,
    IPMRA_VIFA_FLAGS,
    IPMRA_VIFA_BYTES_IN,
    IPMRA_VIFA_BYTES_OUT,
    IPMRA_VIFA_PACKETS_IN,
    IPMRA_VIFA_PACKETS_OUT,
    IPMRA_VIFA_LOCAL_ADDR,
    IPMRA_VIFA_REMOTE_ADDR,
) = range(1, 10)

_ROUTE_BODY, _LINK_BODY = 12, 16
_RTNH_F_UNRESOLVED = 32
_USER_HZ = 100
_VIF_FLAGS = {0x1: "tunnel", 0x2: "source_route", 0x4: "register", 0x8: "by_index"}
_MIF_FLAGS = {0x1: "register"}


def routes_request(family: str) -> bytes:
    """A dump of the multicast routes of one family, in all tables (struct rtmsg)."""
    return message(RTM_GETROUTE, NLM_F_DUMP, pack("=B11x", FAMILIES[family]))


def routes(run: Run, interface_name: Callable[[int], str]) -> Iterator[MulticastRoute]:
    """The routes in a run. Raises NetlinkError where messages are malformed.

    A kernel without multicast routing answers with routes of all other families, which are passed over.
    """
    for part, layout in run.by_layout(_ROUTE_BODY):
        for first in range(0, len(part.data), part.length):
            family, table, flags = unpack_from("=B3xB3xI", part.data, first + 16)
            if family not in _ADDRESSES:
                continue
            name, number, size = _ADDRESSES[family]
            fields = {kind: part.data[first + at : first + at + length] for kind, (at, length) in layout.items()}
            statistics = fields.get(RTA_MFC_STATS, b"")
            told = len(statistics) >= 24
            packets, octets, wrong = unpack_from("=QQQ", statistics) if told else (None, None, None)
            incoming, idle = _number(fields.get(RTA_IIF)), _number(fields.get(RTA_EXPIRES))
            origin = fields.get(RTA_SRC, bytes(size)).ljust(size, b"\0")[:size]
            yield MulticastRoute(
                name,
                _number(fields.get(RTA_TABLE)) or table,
                inet_ntop(number, origin) if any(origin) else "any",
                inet_ntop(number, fields.get(RTA_DST, bytes(size)).ljust(size, b"\0")[:size]),
                None if incoming is None else interface_name(incoming),
                tuple(_hops(fields.get(RTA_MULTIPATH, b""), interface_name)),
                not flags & _RTNH_F_UNRESOLVED,
                packets,
                octets,
                wrong,
                None if idle is None else idle / _USER_HZ,
            )


def _number(raw: bytes | None) -> int | None:
    """A number of 32 or 64 bits in host order."""
    if raw is None or len(raw) < 4:
        return None
    found: int = unpack_from("=Q" if len(raw) >= 8 else "=I", raw)[0]
    return found


def _hops(raw: bytes, interface_name: Callable[[int], str]) -> Iterator[MulticastHop]:
    """struct rtnexthop for each interface; its hops are the TTL threshold."""
    at = 0
    while at + 8 <= len(raw):
        length, ttl, index = unpack_from("=HxBi", raw, at)
        if length < 8:
            return
        yield MulticastHop(interface_name(index), ttl)
        at += length + 3 & ~3


def interfaces_request() -> bytes:
    """A dump of the IPv4 router's interfaces (struct ifinfomsg)."""
    return message(RTM_GETLINK, NLM_F_DUMP, pack("=B15x", RTNL_FAMILY_IPMR))


def interfaces(run: Run, interface_name: Callable[[int], str]) -> Iterator[MulticastInterface]:
    """The router's interfaces in a run, of all its tables. Raises NetlinkError where messages are malformed."""
    for part, layout in run.by_layout(_LINK_BODY):
        data = part.data
        for first in range(0, len(data), part.length):
            if data[first + 16] != RTNL_FAMILY_IPMR or IFLA_AF_SPEC not in layout:
                continue
            at, size = layout[IFLA_AF_SPEC]
            # A message for each table: the kernel gives its parts as they are, or inside IPMRA_TABLE.
            inside = attributes(data, first + at, first + at + size, part.operation)
            if IPMRA_TABLE_VIFS not in inside and IPMRA_TABLE in inside:
                at, size = inside[IPMRA_TABLE]
                inside = attributes(data, at, at + size, part.operation)
            at, size = inside.get(IPMRA_TABLE_ID, (0, 0))
            table = _number(data[at : at + size]) or 0
            at, size = inside.get(IPMRA_TABLE_VIFS, (0, 0))
            for kind, start, length in attribute_list(data, at, at + size, part.operation) if size else ():
                if kind == IPMRA_VIF:
                    places = attributes(data, start, start + length, part.operation)
                    fields = {field: data[where : where + many] for field, (where, many) in places.items()}
                    yield _interface(fields, table, interface_name)


def _interface(fields: dict[int, bytes], table: int, interface_name: Callable[[int], str]) -> MulticastInterface:
    def number(kind: int) -> int:
        return _number(fields.get(kind)) or 0

    def address(kind: int) -> str | None:
        raw = fields.get(kind, b"")
        return inet_ntop(AF_INET, raw) if len(raw) == 4 and any(raw) else None

    (flags,) = unpack_from("=H", fields.get(IPMRA_VIFA_FLAGS, b"").ljust(2, b"\0"))
    index = number(IPMRA_VIFA_IFINDEX)
    return MulticastInterface(
        "inet",
        table,
        number(IPMRA_VIFA_VIF_ID),
        interface_name(index) if index else "-",
        flag_names(flags, "inet"),
        number(IPMRA_VIFA_PACKETS_IN),
        number(IPMRA_VIFA_BYTES_IN),
        number(IPMRA_VIFA_PACKETS_OUT),
        number(IPMRA_VIFA_BYTES_OUT),
        # With by_index the local end is an interface's index.
        None if flags & 0x8 else address(IPMRA_VIFA_LOCAL_ADDR),
        address(IPMRA_VIFA_REMOTE_ADDR),
        "rtnetlink",
    )


def flag_names(flags: int, family: str) -> tuple[str, ...]:
    """VIFF_* or MIFF_* by name, others in hexadecimal."""
    known = _VIF_FLAGS if family == "inet" else _MIF_FLAGS
    names = [name for bit, name in known.items() if flags & bit]
    rest = flags & ~sum(known)
    return (*names, f"{rest:#x}") if rest else tuple(names)
