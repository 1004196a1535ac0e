"""Multicast routing tables and the router's interfaces (linux/mroute.h, net/ipv4/ipmr.c, net/ipv6/ip6mr.c).

Routes are dumped as RTM_GETROUTE of a family of their own, the IPv4 router's interfaces (VIFs) as RTM_GETLINK of that
family. IPv6's interfaces (MIFs) have no netlink source.
"""

from __future__ import annotations

from _struct import Struct, pack, unpack_from

from ...engine.netlink.attributes import ADDRESS, ANY, NUMBER, Attributes, Shape
from ...engine.netlink.messages import HEADER_SIZE, malformed, message
from ...engine.rtnetlink import address_text
from ...records import MulticastHop, MulticastInterface, MulticastRoute
from ...uapi.if_link import IFLA_AF_SPEC
from ...uapi.mroute import (
    IPMRA_TABLE,
    IPMRA_TABLE_ID,
    IPMRA_TABLE_VIFS,
    IPMRA_VIF,
    IPMRA_VIFA_BYTES_IN,
    IPMRA_VIFA_BYTES_OUT,
    IPMRA_VIFA_FLAGS,
    IPMRA_VIFA_IFINDEX,
    IPMRA_VIFA_LOCAL_ADDR,
    IPMRA_VIFA_PACKETS_IN,
    IPMRA_VIFA_PACKETS_OUT,
    IPMRA_VIFA_REMOTE_ADDR,
    IPMRA_VIFA_VIF_ID,
)
from ...uapi.netlink import NLM_F_DUMP
from ...uapi.rtnetlink import (
    RTA_DST,
    RTA_EXPIRES,
    RTA_IIF,
    RTA_MFC_STATS,
    RTA_MULTIPATH,
    RTA_SRC,
    RTA_TABLE,
    RTM_GETLINK,
    RTM_GETROUTE,
    RTNH_F_UNRESOLVED,
    RTNL_FAMILY_IP6MR,
    RTNL_FAMILY_IPMR,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...engine.netlink.messages import Run

FAMILIES = {"inet": RTNL_FAMILY_IPMR, "inet6": RTNL_FAMILY_IP6MR}
_ADDRESSES = {RTNL_FAMILY_IPMR: ("inet", 4), RTNL_FAMILY_IP6MR: ("inet6", 16)}


_ROUTE_BODY, _LINK_BODY = 12, 16
_STATISTICS = Struct("=QQQ")
_ROUTE_SHAPE = Shape(
    {
        **dict.fromkeys((RTA_DST, RTA_SRC), ADDRESS),
        **dict.fromkeys((RTA_IIF, RTA_TABLE, RTA_EXPIRES), NUMBER),
        RTA_MULTIPATH: ANY,
        RTA_MFC_STATS: _STATISTICS.size,
    },
    (24,),  # PAD
)
_LINK_SHAPE = Shape({IFLA_AF_SPEC: ANY})
_TABLE_SHAPE = Shape({IPMRA_TABLE: ANY, IPMRA_TABLE_VIFS: ANY}, range(2, 6))
_VIFS_SHAPE = Shape({IPMRA_VIF: ANY})
_VIF_SHAPE = Shape(
    {
        **dict.fromkeys(range(IPMRA_VIFA_IFINDEX, IPMRA_VIFA_LOCAL_ADDR), NUMBER),
        **dict.fromkeys((IPMRA_VIFA_LOCAL_ADDR, IPMRA_VIFA_REMOTE_ADDR), ANY),
    },
    (10,),  # PAD
)
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
    for part, _ in run.by_layout(_ROUTE_BODY, _ROUTE_SHAPE):
        for first in range(0, len(part.data), part.length):
            family, table, flags = unpack_from("=B3xB3xI", part.data, first + 16)
            if family not in _ADDRESSES:
                continue
            name, size = _ADDRESSES[family]
            inside = Attributes(
                part.data, part.operation, _ROUTE_SHAPE, first + HEADER_SIZE + _ROUTE_BODY, first + part.length
            )
            reported = inside.struct(RTA_MFC_STATS, _STATISTICS)
            packets, octets, wrong = reported or (None, None, None)
            incoming, idle = inside.number(RTA_IIF), inside.number(RTA_EXPIRES)
            origin = _address(inside, RTA_SRC, size)
            yield MulticastRoute(
                name,
                inside.number(RTA_TABLE) or table,
                "any" if origin in ("0.0.0.0", "::") else origin,
                _address(inside, RTA_DST, size),
                None if incoming is None else interface_name(incoming),
                tuple(_hops(inside.raw(RTA_MULTIPATH) or b"", interface_name, part.operation)),
                not flags & RTNH_F_UNRESOLVED,
                packets,
                octets,
                wrong,
                None if idle is None else idle / _USER_HZ,
                unknown_attributes=inside.unknown(),
            )


def _address(inside: Attributes, kind: int, size: int) -> str:
    """All zeros where there is none."""
    raw = inside.raw(kind)
    if raw is not None and len(raw) != size:
        raise malformed(f"attribute {kind} of {len(raw)} bytes where {size} were expected", inside.operation)
    return address_text(raw or bytes(size))


def _hops(raw: bytes, interface_name: Callable[[int], str], operation: str) -> Iterator[MulticastHop]:
    """struct rtnexthop for each interface; its hops are the TTL threshold."""
    at = 0
    while at + 8 <= len(raw):
        length, ttl, index = unpack_from("=HxBI", raw, at)
        if length < 8 or at + length > len(raw):
            raise malformed(f"a next hop of {length} bytes with {len(raw) - at} left", operation)
        yield MulticastHop(interface_name(index), ttl)
        at += length + 3 & ~3


def interfaces_request() -> bytes:
    """A dump of the IPv4 router's interfaces (struct ifinfomsg)."""
    return message(RTM_GETLINK, NLM_F_DUMP, pack("=B15x", RTNL_FAMILY_IPMR))


def interfaces(run: Run, interface_name: Callable[[int], str]) -> Iterator[MulticastInterface]:
    """The router's interfaces in a run, of all its tables. Raises MalformedError where messages are malformed."""
    for part, layout in run.by_layout(_LINK_BODY, _LINK_SHAPE):
        data = part.data
        for first in range(0, len(data), part.length):
            if data[first + 16] != RTNL_FAMILY_IPMR or IFLA_AF_SPEC not in layout:
                continue
            at, size = layout[IFLA_AF_SPEC]
            # A message for each table: the kernel gives its parts as they are, or inside IPMRA_TABLE.
            table = Attributes(data, part.operation, _TABLE_SHAPE, first + at, first + at + size)
            if IPMRA_TABLE_VIFS not in table and IPMRA_TABLE in table:
                table = table.nested(IPMRA_TABLE, _TABLE_SHAPE)
            number = table.number(IPMRA_TABLE_ID) if len(table.raw(IPMRA_TABLE_ID) or b"") == 4 else 0
            for raw in table.nested(IPMRA_TABLE_VIFS, _VIFS_SHAPE).each(IPMRA_VIF):
                yield _interface(Attributes(raw, part.operation, _VIF_SHAPE), number or 0, interface_name)


def _interface(inside: Attributes, table: int, interface_name: Callable[[int], str]) -> MulticastInterface:
    def number(kind: int) -> int:
        return inside.number(kind) or 0

    def address(kind: int) -> str | None:
        raw = inside.raw(kind) or b""
        return address_text(raw) if len(raw) == 4 and any(raw) else None

    flags, index = number(IPMRA_VIFA_FLAGS), number(IPMRA_VIFA_IFINDEX)
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
        unknown_attributes=inside.unknown(),
    )


def flag_names(flags: int, family: str) -> tuple[str, ...]:
    """VIFF_* or MIFF_* by name, others in hexadecimal."""
    known = _VIF_FLAGS if family == "inet" else _MIF_FLAGS
    names = [name for bit, name in known.items() if flags & bit]
    rest = flags & ~sum(known)
    return (*names, f"{rest:#x}") if rest else tuple(names)
