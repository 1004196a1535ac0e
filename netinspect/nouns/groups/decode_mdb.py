"""What bridges know of multicast: members behind their ports, routers and queriers.

Sources: linux/if_bridge.h, linux/if_link.h, net/bridge/br_mdb.c.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop
from struct import pack, unpack_from

from ...engine.netlink.interfaces import WITHOUT_STATISTICS
from ...engine.netlink.messages import NLM_F_DUMP, attribute, attribute_list, attributes, malformed, message
from ...records import BridgeGroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...engine.netlink.messages import Run

RTM_GETLINK, RTM_GETMDB = 18, 86
_AF_BRIDGE = 7
MDBA_MDB, MDBA_ROUTER = 1, 2
MDBA_MDB_ENTRY, MDBA_MDB_ENTRY_INFO, MDBA_ROUTER_PORT = 1, 1, 1
(
    MDBA_MDB_EATTR_TIMER,
    MDBA_MDB_EATTR_SRC_LIST,
    MDBA_MDB_EATTR_GROUP_MODE,
    MDBA_MDB_EATTR_SOURCE,
    MDBA_MDB_EATTR_RTPROT,
) = range(1, 6)
MDBA_MDB_SRCLIST_ENTRY, MDBA_MDB_SRCATTR_ADDRESS = 1, 1
MDBA_ROUTER_PATTR_TIMER, MDBA_ROUTER_PATTR_TYPE = 1, 2

IFLA_LINKINFO, IFLA_INFO_KIND, IFLA_INFO_DATA = 18, 1, 2
IFLA_BR_MCAST_QUERIER_STATE = 47
BRIDGE_QUERIER_IP_ADDRESS, BRIDGE_QUERIER_IPV6_ADDRESS = 1, 5

_BODY, _LINK_BODY = 8, 16
_ENTRY = 28
"""struct br_mdb_entry; what more there is to say follows it in the same attribute."""
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
    return message(RTM_GETMDB, NLM_F_DUMP, pack("=BxxxI", _AF_BRIDGE, 0))


def groups(run: Run, interface_name: Callable[[int], str]) -> Iterator[BridgeGroup]:
    """The entries and router ports in a run. Raises NetlinkError where messages are malformed."""
    for part, layout in run.by_layout(_BODY):
        data, operation = part.data, part.operation
        for first in range(0, len(data), part.length):
            (index,) = unpack_from("=I", data, first + 20)
            bridge = interface_name(index)
            for kind, start, size in _inside(data, first, layout.get(MDBA_MDB), operation):
                if kind == MDBA_MDB_ENTRY:
                    for inner, at, length in attribute_list(data, start, start + size, operation):
                        if inner == MDBA_MDB_ENTRY_INFO:
                            yield _group(data[at : at + length], bridge, interface_name, operation)
            for kind, start, size in _inside(data, first, layout.get(MDBA_ROUTER), operation):
                if kind == MDBA_ROUTER_PORT:
                    yield _router(data[start : start + size], bridge, interface_name, operation)


def _inside(data: bytes, first: int, place: tuple[int, int] | None, operation: str) -> list[tuple[int, int, int]]:
    if place is None:
        return []
    return attribute_list(data, first + place[0], first + sum(place), operation)


def _group(raw: bytes, bridge: str, interface_name: Callable[[int], str], operation: str) -> BridgeGroup:
    if len(raw) < _ENTRY:
        raise malformed(f"an entry of {len(raw)} bytes", operation)
    port, state, flags, vlan, protocol = *unpack_from("=IBBH", raw), int.from_bytes(raw[24:26], "big")
    family, group = _address(raw[8:24], protocol)
    fields = _fields(raw, _ENTRY, operation)
    source = fields.get(MDBA_MDB_EATTR_SOURCE)
    mode, origin = fields.get(MDBA_MDB_EATTR_GROUP_MODE), fields.get(MDBA_MDB_EATTR_RTPROT)
    return BridgeGroup(
        bridge,
        "group",
        interface_name(port),
        family,
        group,
        None if source is None else _text(source),
        vlan or None,
        _STATES.get(state, str(state)),
        _flag_names(flags),
        _MODES.get(mode[0], str(mode[0])) if mode else None,
        tuple(_sources(fields.get(MDBA_MDB_EATTR_SRC_LIST, b""), operation)),
        _seconds(fields.get(MDBA_MDB_EATTR_TIMER)) if state == 0 else None,
        _PROTOCOLS.get(origin[0], str(origin[0])) if origin else None,
    )


def _router(raw: bytes, bridge: str, interface_name: Callable[[int], str], operation: str) -> BridgeGroup:
    if len(raw) < 4:
        raise malformed(f"a router port of {len(raw)} bytes", operation)
    (port,) = unpack_from("=I", raw)
    fields = _fields(raw, 4, operation)
    kind = fields.get(MDBA_ROUTER_PATTR_TYPE)
    return BridgeGroup(
        bridge,
        "router",
        interface_name(port),
        None,
        None,
        None,
        None,
        _ROUTER_TYPES.get(kind[0], str(kind[0])) if kind else None,
        (),
        None,
        (),
        _seconds(fields.get(MDBA_ROUTER_PATTR_TIMER)) or None,
        None,
    )


def _fields(raw: bytes, start: int, operation: str) -> dict[int, bytes]:
    return {kind: raw[at : at + size] for kind, (at, size) in attributes(raw, start, len(raw), operation).items()}


def _address(raw: bytes, protocol: int) -> tuple[str, str]:
    if protocol == _ETH_P_IP:
        return "inet", inet_ntop(AF_INET, raw[:4])
    if protocol == _ETH_P_IPV6:
        return "inet6", inet_ntop(AF_INET6, raw)
    return "link", raw[:6].hex(":")


def _text(raw: bytes) -> str:
    if len(raw) in (4, 16):
        return inet_ntop(AF_INET if len(raw) == 4 else AF_INET6, raw)
    return raw.hex(":")


def _sources(raw: bytes, operation: str) -> Iterator[str]:
    for kind, at, size in attribute_list(raw, 0, len(raw), operation):
        if kind == MDBA_MDB_SRCLIST_ENTRY:
            address = _fields(raw[: at + size], at, operation).get(MDBA_MDB_SRCATTR_ADDRESS)
            if address is not None:
                yield _text(address)


def _seconds(raw: bytes | None) -> float | None:
    """A time in hundredths of a second."""
    if raw is None or len(raw) < 4:
        return None
    ticks: int = unpack_from("=I", raw)[0]
    return ticks / _USER_HZ


def _flag_names(flags: int) -> tuple[str, ...]:
    names = [name for bit, name in _FLAGS.items() if flags & bit]
    rest = flags & ~sum(_FLAGS)
    return (*names, f"{rest:#x}") if rest else tuple(names)


def queriers_request() -> bytes:
    """A dump of the bridges, for what they say of queriers. A kernel that filters by no kind gives all interfaces."""
    bridges = attribute(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, b"bridge"))
    return message(RTM_GETLINK, NLM_F_DUMP, bytes(_LINK_BODY) + WITHOUT_STATISTICS + bridges)


def queriers(run: Run) -> Iterator[tuple[int, str, str]]:
    """Index of a bridge, family, and the querier that it follows or is itself. Raises NetlinkError if malformed."""
    for part, layout in run.by_layout(_LINK_BODY):
        for first in range(0, len(part.data), part.length):
            place = layout.get(IFLA_LINKINFO)
            start, end = (0, 0) if place is None else (first + place[0], first + sum(place))
            for kind in (IFLA_INFO_DATA, IFLA_BR_MCAST_QUERIER_STATE):
                if kind == IFLA_INFO_DATA and not _is_bridge(part.data, start, end, part.operation):
                    start = end = 0
                at, size = attributes(part.data, start, end, part.operation).get(kind, (0, 0))
                start, end = at, at + size
            (index,) = unpack_from("=i", part.data, first + 20)
            found = attributes(part.data, start, end, part.operation)
            for family, kind in (("inet", BRIDGE_QUERIER_IP_ADDRESS), ("inet6", BRIDGE_QUERIER_IPV6_ADDRESS)):
                if kind in found:
                    at, size = found[kind]
                    yield index, family, _text(part.data[at : at + size])


def _is_bridge(data: bytes, start: int, end: int, operation: str) -> bool:
    at, size = attributes(data, start, end, operation).get(IFLA_INFO_KIND, (0, 0))
    return data[at : at + size].rstrip(b"\0") == b"bridge"
