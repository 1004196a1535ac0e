"""What links of one kind tell beside what all tell (linux/if_link.h; net/bridge, drivers/net: fill_info)."""

from __future__ import annotations

from struct import unpack_from
from sys import byteorder

from ...engine.netlink.attributes import NUMBER, Attributes
from ...engine.netlink.interfaces import DATA_SHAPE, INFO_SHAPE
from ...engine.netlink.messages import each_attribute
from ...engine.rtnetlink import address_text
from ...records import Bridge, BridgePort, Macvlan, Tun, Vxlan
from ...uapi.if_link import (
    IFLA_BR_FDB_N_LEARNED,
    IFLA_BR_MULTI_BOOLOPT,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_INFO_SLAVE_DATA,
    IFLA_INFO_SLAVE_KIND,
    IFLA_MACVLAN_MACADDR_DATA,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Fields = dict[str, tuple[int, Callable[[bytes], Any]]]


_TICKS = 100
"""USER_HZ: clock_t, in which the kernel reports times, has it everywhere but on alpha."""
_PORT_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")
"""linux/if_bridge.h: BR_STATE_*."""
_ETHER_TYPES = {0x8100: "802.1Q", 0x88A8: "802.1ad"}
_LABEL_POLICIES = ("fixed", "inherit")
_DONT_FRAGMENT = ("unset", "set", "inherit")


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, byteorder)


def _big(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _seconds(raw: bytes) -> float:
    return _number(raw) / _TICKS


def _switch(raw: bytes) -> bool:
    """An attribute without a value says all by its presence."""
    return not raw or _number(raw) != 0


def _bridge_id(raw: bytes) -> str:
    """struct ifla_bridge_id: priority and address."""
    return f"{raw[:2].hex()}.{raw[2:].hex(':')}"


def _state(raw: bytes) -> str:
    number = _number(raw)
    return _PORT_STATES[number] if number < len(_PORT_STATES) else str(number)


def _ether_type(raw: bytes) -> str:
    return _ETHER_TYPES.get(_big(raw), hex(_big(raw)))


def _dont_fragment(raw: bytes) -> str:
    number = _number(raw)
    return _DONT_FRAGMENT[number] if number < len(_DONT_FRAGMENT) else str(number)


def _ports(raw: bytes) -> tuple[int, int]:
    """struct ifla_vxlan_port_range."""
    return _big(raw[:2]), _big(raw[2:])


def _label_policy(raw: bytes) -> str:
    """linux/if_link.h: VXLAN_LABEL_*."""
    number = _number(raw)
    return _LABEL_POLICIES[number] if number < len(_LABEL_POLICIES) else str(number)


_BRIDGE: Fields = {
    "forward_delay": (1, _seconds),
    "hello_time": (2, _seconds),
    "max_age": (3, _seconds),
    "ageing_time": (4, _seconds),
    "spanning_tree": (5, _switch),
    "priority": (6, _number),
    "vlan_filtering": (7, _switch),
    "vlan_protocol": (8, _ether_type),
    "group_forward_mask": (9, _number),
    "root_id": (10, _bridge_id),
    "bridge_id": (11, _bridge_id),
    "root_port": (12, _number),
    "root_path_cost": (13, _number),
    "topology_change": (14, _switch),
    "topology_change_detected": (15, _switch),
    "group_address": (20, lambda raw: raw.hex(":")),
    "multicast_router": (22, _number),
    "multicast_snooping": (23, _switch),
    "multicast_query_use_address": (24, _switch),
    "multicast_querier": (25, _switch),
    "multicast_hash_maximum": (27, _number),
    "multicast_last_member_count": (28, _number),
    "multicast_startup_query_count": (29, _number),
    "multicast_last_member_interval": (30, _seconds),
    "multicast_membership_interval": (31, _seconds),
    "multicast_querier_interval": (32, _seconds),
    "multicast_query_interval": (33, _seconds),
    "multicast_query_response_interval": (34, _seconds),
    "multicast_startup_query_interval": (35, _seconds),
    "netfilter_ipv4": (36, _switch),
    "netfilter_ipv6": (37, _switch),
    "netfilter_arp": (38, _switch),
    "vlan_default_pvid": (39, _number),
    "vlan_statistics": (41, _switch),
    "multicast_statistics": (42, _switch),
    "igmp_version": (43, _number),
    "mld_version": (44, _number),
    "vlan_statistics_per_port": (45, _switch),
    "learned_maximum": (49, _number),
}
"""IFLA_BR_*; without the timers, which go on by themselves."""

_BRIDGE_OPTIONS = (
    *("no_link_local_learning", "multicast_vlan_snooping", "multiple_spanning_tree"),
    *("mdb_offload_failure_notification", "fdb_local_vlan_0"),
)
"""linux/if_bridge.h: BR_BOOLOPT_*."""

_BRIDGE_PORT: Fields = {
    "state": (1, _state),
    "priority": (2, _number),
    "cost": (3, _number),
    "hairpin": (4, _switch),
    "bpdu_guard": (5, _switch),
    "root_block": (6, _switch),
    "fast_leave": (7, _switch),
    "learning": (8, _switch),
    "unicast_flood": (9, _switch),
    "proxy_arp": (10, _switch),
    "proxy_arp_wifi": (12, _switch),
    "designated_root": (13, _bridge_id),
    "designated_bridge": (14, _bridge_id),
    "designated_port": (15, _number),
    "designated_cost": (16, _number),
    "id": (17, _number),
    "number": (18, _number),
    "multicast_router": (25, _number),
    "multicast_flood": (27, _switch),
    "multicast_to_unicast": (28, _switch),
    "vlan_tunnel": (29, _switch),
    "broadcast_flood": (30, _switch),
    "group_forward_mask": (31, _number),
    "neighbour_suppression": (32, _switch),
    "isolated": (33, _switch),
    "backup_port_index": (34, _number),
    "multicast_hosts_maximum": (37, _number),
    "locked": (39, _switch),
    "mac_authentication_bypass": (40, _switch),
    "multicast_groups_maximum": (42, _number),
    "vlan_neighbour_suppression": (43, _switch),
}
_BRIDGE_PORT_SKIPPED = (
    *(
        11,
        19,
        20,
        21,
        22,
        23,
        24,
        26,
    ),  # LEARNING_SYNC, which is never set, acknowledgments, timers that go on by themselves, FLUSH, PAD
    *(35, 36, 38, 41),  # what of the ring protocol there is, counts of hosts and groups, which change all the time
)
"""IFLA_BRPORT_*."""

_VXLAN: Fields = {
    "ttl": (5, _number),
    "tos": (6, _number),
    "learning": (7, _switch),
    "ageing": (8, _number),
    "limit": (9, _number),
    "source_ports": (10, _ports),
    "proxy": (11, _switch),
    "route_short_circuit": (12, _switch),
    "l2_miss": (13, _switch),
    "l3_miss": (14, _switch),
    "port": (15, _big),
    "udp_checksum": (18, _switch),
    "udp_zero_checksum6_transmit": (19, _switch),
    "udp_zero_checksum6_receive": (20, _switch),
    "remote_checksum_transmit": (21, _switch),
    "remote_checksum_receive": (22, _switch),
    "group_policy": (23, _switch),
    "external": (25, _switch),
    "flow_label": (26, _big),
    "generic_protocol": (27, _switch),
    "ttl_inherit": (28, _switch),
    "dont_fragment": (29, _dont_fragment),
    "vni_filter": (30, _switch),
    "local_bypass": (31, _switch),
    "remote_checksum_no_partial": (24, _switch),
    "label_policy": (32, _label_policy),
    "reserved_bits": (33, lambda raw: raw.hex()),
    "multicast_route": (34, _switch),
}
"""IFLA_VXLAN_*."""
_VXLAN_ADDRESSES = {"remote": (2, 16), "local": (4, 17)}
"""IFLA_VXLAN_GROUP and GROUP6, LOCAL and LOCAL6."""

_TUN: Fields = {
    "owner": (1, _number),
    "group": (2, _number),
    "packet_information": (4, _switch),
    "virtio_header": (5, _switch),
    "persistent": (6, _switch),
    "multi_queue": (7, _switch),
    "queues": (8, _number),
    "disabled_queues": (9, _number),
}
"""IFLA_TUN_*."""

_MACVLAN: Fields = {
    "flags": (2, _number),
    "broadcast_queue_length": (7, _number),
    "broadcast_queue_length_used": (8, _number),
    "broadcast_cutoff": (9, _number),
}
"""IFLA_MACVLAN_*."""


_SIZES: dict[Callable[[bytes], Any], tuple[int, ...]] = {
    **dict.fromkeys((_number, _big, _seconds, _state, _ether_type, _dont_fragment, _label_policy), NUMBER),
    _switch: (0, *NUMBER),
    _bridge_id: (8,),
    _ports: (4,),
}
"""Sizes that an attribute may have; one of another size is not what we take it for, and so unknown."""


def _inside(raw: bytes) -> Attributes:
    return Attributes(raw, "listing links", DATA_SHAPE)


def _values(fields: Fields, found: Attributes, read: Iterable[int], skipped: Iterable[int]) -> dict[str, Any]:
    """The fields of a record; ``read`` are attributes that its maker reads itself, ``skipped`` those not shown."""
    values: dict[str, Any] = {}
    known = {*read, *skipped}
    for name, (kind, reader) in fields.items():
        raw = found.raw(kind)
        if raw is not None and len(raw) in _SIZES.get(reader, (len(raw),)):
            values[name] = reader(raw)
            known.add(kind)
    values["unknown_attributes"] = found.unknown(known)
    return values


def _vxlan(data: bytes) -> Vxlan:
    found = _inside(data)
    values = _values(_VXLAN, found, (kind for kinds in _VXLAN_ADDRESSES.values() for kind in kinds), (1, 3))
    for name, kinds in _VXLAN_ADDRESSES.items():
        for kind in kinds:
            if kind in found:
                values[name] = address_text(found.raw(kind) or b"")
    return Vxlan(**values)


def _macvlan(data: bytes) -> Macvlan:
    found = _inside(data)
    # The mode is a field of the link's own; MACADDR and MACADDR_MODE are for requests, COUNT that of the entries.
    values = _values(_MACVLAN, found, (IFLA_MACVLAN_MACADDR_DATA,), (1, 3, 4, 6))
    raw = found.raw(IFLA_MACVLAN_MACADDR_DATA)
    if raw is not None:
        entries = each_attribute(raw, 0, len(raw), "listing links")
        values["sources"] = tuple(raw[at : at + size].hex(":") for _, at, size in entries)
    return Macvlan(**values)


def _bridge(data: bytes) -> Bridge:
    found = _inside(data)
    # The timers go on by themselves; FLUSH is for requests, HASH_ELASTICITY and PAD tell nothing; the querier is in
    # `groups --bridge`.
    skipped = (*range(16, 20), 21, 26, 40, 47, IFLA_BR_FDB_N_LEARNED)
    options = found.raw(IFLA_BR_MULTI_BOOLOPT) or b""
    values = _values(_BRIDGE, found, (IFLA_BR_MULTI_BOOLOPT,) if len(options) >= 8 else (), skipped)
    if len(options) >= 8:
        # struct br_boolopt_multi: values, and which of them there are.
        on, known = unpack_from("=II", options)
        for bit, name in enumerate(_BRIDGE_OPTIONS):
            if known >> bit & 1:
                values[name] = bool(on >> bit & 1)
        values["other_options"] = known >> len(_BRIDGE_OPTIONS) << len(_BRIDGE_OPTIONS) & on or None
    return Bridge(**values)


def _tun(data: bytes) -> Tun:
    return Tun(**_values(_TUN, _inside(data), (), (3,)))  # the type is a field of the link's own


def _bridge_port(data: bytes) -> BridgePort:
    return BridgePort(**_values(_BRIDGE_PORT, _inside(data), (), _BRIDGE_PORT_SKIPPED))


_KINDS: dict[str, tuple[str, Callable[[bytes], Any]]] = {
    "bridge": ("bridge", _bridge),
    "vxlan": ("vxlan", _vxlan),
    "tun": ("tun", _tun),
    "macvlan": ("macvlan", _macvlan),
    "macvtap": ("macvlan", _macvlan),
}


def kinds_of(raw: bytes) -> dict[str, Any]:
    """What IFLA_LINKINFO says of a link's kind and of it as a port, as fields of the record.

    Its attributes have been walked before, when the link was decoded.
    """
    inside = Attributes(raw, "listing links", INFO_SHAPE)
    found: dict[str, Any] = {}
    known = _KINDS.get(inside.text(IFLA_INFO_KIND) or "")
    data, port = inside.raw(IFLA_INFO_DATA), inside.raw(IFLA_INFO_SLAVE_DATA)
    if known is not None and data is not None:
        field, read = known
        found[field] = read(data)
    if inside.text(IFLA_INFO_SLAVE_KIND) == "bridge" and port is not None:
        found["bridge_port"] = _bridge_port(port)
    return found
