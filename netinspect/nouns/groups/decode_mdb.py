"""What bridges know of multicast: members behind their ports, routers and queriers.

Sources: linux/if_bridge.h, linux/if_link.h, net/bridge/br_mdb.c.
"""

from __future__ import annotations

from _struct import pack, unpack_from

from ...engine.fields import bit_names
from ...engine.netlink.attributes import ANY, NUMBER, Attributes, Shape
from ...engine.netlink.interfaces import WITHOUT_STATISTICS
from ...engine.netlink.messages import HEADER_SIZE, attribute, malformed, message
from ...engine.rtnetlink import address_text
from ...records import BridgeGroup, UnknownAttribute
from ...uapi.if_bridge import (
    BRIDGE_QUERIER_IP_ADDRESS,
    BRIDGE_QUERIER_IPV6_ADDRESS,
    MDBA_MDB,
    MDBA_MDB_EATTR_GROUP_MODE,
    MDBA_MDB_EATTR_RTPROT,
    MDBA_MDB_EATTR_SOURCE,
    MDBA_MDB_EATTR_SRC_LIST,
    MDBA_MDB_EATTR_TIMER,
    MDBA_MDB_ENTRY,
    MDBA_MDB_ENTRY_INFO,
    MDBA_MDB_SRCATTR_ADDRESS,
    MDBA_MDB_SRCLIST_ENTRY,
    MDBA_ROUTER,
    MDBA_ROUTER_PATTR_TIMER,
    MDBA_ROUTER_PATTR_TYPE,
    MDBA_ROUTER_PORT,
)
from ...uapi.if_link import IFLA_BR_MCAST_QUERIER_STATE, IFLA_INFO_DATA, IFLA_INFO_KIND, IFLA_LINKINFO
from ...uapi.netlink import AF_BRIDGE, NLM_F_DUMP
from ...uapi.rtnetlink import RTM_GETLINK, RTM_GETMDB

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...engine.netlink.messages import Run


_BODY, _LINK_BODY = 8, 16
_SHAPE = Shape({MDBA_MDB: ANY, MDBA_ROUTER: ANY})
_LINK_SHAPE = Shape({IFLA_LINKINFO: ANY})
_ENTRY = 28
"""struct br_mdb_entry; what more there is to say follows it in the same attribute."""
_MDB_SHAPE, _INFO_SHAPE = Shape({MDBA_MDB_ENTRY: ANY}), Shape({MDBA_MDB_ENTRY_INFO: ANY})
_ROUTER_SHAPE = Shape({MDBA_ROUTER_PORT: ANY})
_ENTRY_SHAPE = Shape(
    {
        **dict.fromkeys((MDBA_MDB_EATTR_TIMER, MDBA_MDB_EATTR_GROUP_MODE, MDBA_MDB_EATTR_RTPROT), NUMBER),
        **dict.fromkeys((MDBA_MDB_EATTR_SRC_LIST, MDBA_MDB_EATTR_SOURCE), ANY),
    }
)
_SOURCES_SHAPE = Shape({MDBA_MDB_SRCLIST_ENTRY: ANY})
_SOURCE_SHAPE = Shape({MDBA_MDB_SRCATTR_ADDRESS: ANY}, (2,))  # and its timer
_PORT_SHAPE = Shape(
    {MDBA_ROUTER_PATTR_TIMER: NUMBER, MDBA_ROUTER_PATTR_TYPE: NUMBER},
    (3, 4, 5),  # its timers for IPv4 and IPv6, and the VLAN
)
_LINKINFO_SHAPE = Shape({IFLA_INFO_KIND: ANY, IFLA_INFO_DATA: ANY})
_BRIDGE_SHAPE = Shape({IFLA_BR_MCAST_QUERIER_STATE: ANY})
_QUERIER_SHAPE = Shape({BRIDGE_QUERIER_IP_ADDRESS: (4,), BRIDGE_QUERIER_IPV6_ADDRESS: (16,)})
_USER_HZ = 100
_ETH_P_IP, _ETH_P_IPV6 = 0x0800, 0x86DD
_FLAGS = {0x01: "offload", 0x02: "fast_leave", 0x04: "added_by_star_ex", 0x08: "blocked", 0x10: "offload_failed"}
_STATES = {0: "temporary", 1: "permanent"}
_ROUTER_TYPES = {0: "disabled", 1: "query", 2: "permanent", 3: "temporary"}
_MODES = {0: "exclude", 1: "include"}
_PROTOCOLS = {0: "unspec", 2: "kernel", 3: "boot", 4: "static", 11: "zebra", 17: "mrouted", 186: "bgp"}
"""linux/rtnetlink.h: RTPROT_*."""


def request() -> bytes:
    """A dump of the forwarding entries of all bridges (struct br_port_msg)."""
    return message(RTM_GETMDB, NLM_F_DUMP, pack("=BxxxI", AF_BRIDGE, 0))


def groups(run: Run, interface_name: Callable[[int], str]) -> Iterator[BridgeGroup]:
    """The entries and router ports in a run. Raises MalformedError where messages are malformed."""
    for part, _ in run.by_layout(_BODY, _SHAPE):
        for first in range(0, len(part.data), part.length):
            inside = Attributes(part.data, part.operation, _SHAPE, first + HEADER_SIZE + _BODY, first + part.length)
            (index,) = unpack_from("=I", part.data, first + 20)
            bridge, unknown = interface_name(index), inside.unknown()
            for entry in inside.nested(MDBA_MDB, _MDB_SHAPE).each(MDBA_MDB_ENTRY):
                for raw in Attributes(entry, part.operation, _INFO_SHAPE).each(MDBA_MDB_ENTRY_INFO):
                    group = _group(raw, bridge, interface_name, part.operation)
                    yield _with(group, unknown)
            for raw in inside.nested(MDBA_ROUTER, _ROUTER_SHAPE).each(MDBA_ROUTER_PORT):
                yield _with(_router(raw, bridge, interface_name, part.operation), unknown)


def _with(found: BridgeGroup, around: tuple[UnknownAttribute, ...]) -> BridgeGroup:
    """With what is unknown of the message that it was in."""
    return found._replace(unknown_attributes=around + found.unknown_attributes) if around else found


def _group(raw: bytes, bridge: str, interface_name: Callable[[int], str], operation: str) -> BridgeGroup:
    if len(raw) < _ENTRY:
        raise malformed(f"an entry of {len(raw)} bytes", operation)
    port, state, flags, vlan, protocol = *unpack_from("=IBBH", raw), int.from_bytes(raw[24:26], "big")
    family, group = _address(raw[8:24], protocol)
    inside = Attributes(raw, operation, _ENTRY_SHAPE, _ENTRY)
    source = inside.raw(MDBA_MDB_EATTR_SOURCE)
    mode, origin = inside.number(MDBA_MDB_EATTR_GROUP_MODE), inside.number(MDBA_MDB_EATTR_RTPROT)
    return BridgeGroup(
        bridge,
        "group",
        interface_name(port),
        family,
        group,
        None if source is None else address_text(source),
        vlan or None,
        _STATES.get(state, str(state)),
        bit_names(flags, _FLAGS),
        None if mode is None else _MODES.get(mode, str(mode)),
        tuple(_sources(inside)),
        _seconds(inside.number(MDBA_MDB_EATTR_TIMER)) if state == 0 else None,
        None if origin is None else _PROTOCOLS.get(origin, str(origin)),
        unknown_attributes=inside.unknown(),
    )


def _router(raw: bytes, bridge: str, interface_name: Callable[[int], str], operation: str) -> BridgeGroup:
    if len(raw) < 4:
        raise malformed(f"a router port of {len(raw)} bytes", operation)
    (port,) = unpack_from("=I", raw)
    inside = Attributes(raw, operation, _PORT_SHAPE, 4)
    kind = inside.number(MDBA_ROUTER_PATTR_TYPE)
    return BridgeGroup(
        bridge,
        "router",
        interface_name(port),
        None,
        None,
        None,
        None,
        None if kind is None else _ROUTER_TYPES.get(kind, str(kind)),
        (),
        None,
        (),
        _seconds(inside.number(MDBA_ROUTER_PATTR_TIMER)) or None,
        None,
        unknown_attributes=inside.unknown(),
    )


def _address(raw: bytes, protocol: int) -> tuple[str, str]:
    if protocol == _ETH_P_IP:
        return "inet", address_text(raw[:4])
    if protocol == _ETH_P_IPV6:
        return "inet6", address_text(raw)
    return "link", raw[:6].hex(":")


def _sources(inside: Attributes) -> Iterator[str]:
    for raw in inside.nested(MDBA_MDB_EATTR_SRC_LIST, _SOURCES_SHAPE).each(MDBA_MDB_SRCLIST_ENTRY):
        address = Attributes(raw, inside.operation, _SOURCE_SHAPE).raw(MDBA_MDB_SRCATTR_ADDRESS)
        if address is not None:
            yield address_text(address)


def _seconds(ticks: int | None) -> float | None:
    """A time in hundredths of a second."""
    return None if ticks is None else ticks / _USER_HZ


def queriers_request() -> bytes:
    """A dump of the bridges, for what they say of queriers. A kernel that filters by no kind gives all interfaces."""
    bridges = attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, b"bridge"))
    return message(RTM_GETLINK, NLM_F_DUMP, bytes(_LINK_BODY) + WITHOUT_STATISTICS + bridges)


def queriers(run: Run) -> Iterator[tuple[int, str, str]]:
    """Index of a bridge, family, and the querier that it follows or is itself. Raises MalformedError if malformed."""
    for part, layout in run.by_layout(_LINK_BODY, _LINK_SHAPE):
        if IFLA_LINKINFO not in layout:
            continue
        at, size = layout[IFLA_LINKINFO]
        for first in range(0, len(part.data), part.length):
            info = Attributes(part.data, part.operation, _LINKINFO_SHAPE, first + at, first + at + size)
            if info.text(IFLA_INFO_KIND) != "bridge":
                continue
            (index,) = unpack_from("=I", part.data, first + 20)
            querier = info.nested(IFLA_INFO_DATA, _BRIDGE_SHAPE).nested(IFLA_BR_MCAST_QUERIER_STATE, _QUERIER_SHAPE)
            for family, kind in (("inet", BRIDGE_QUERIER_IP_ADDRESS), ("inet6", BRIDGE_QUERIER_IPV6_ADDRESS)):
                address = querier.address(kind)
                if address is not None:
                    yield index, family, address
