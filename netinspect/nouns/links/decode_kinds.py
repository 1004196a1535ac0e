"""What links of one kind tell beside what all tell (linux/if_link.h; net/bridge, drivers/net: fill_info)."""

from __future__ import annotations

from struct import unpack_from
from sys import byteorder

from ...engine.netlink.messages import attributes, each_attribute
from ...engine.rtnetlink import address_text
from ...records import Bridge, BridgePort, Macvlan, Tun, Vxlan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Fields = dict[str, tuple[int, Callable[[bytes], Any]]]

IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_MACVLAN_MACADDR_DATA, IFLA_BR_MULTI_BOOLOPT = 5, 46

_TICKS = 100
"""USER_HZ: clock_t, in which the kernel tells times, has it everywhere but on alpha."""
_PORT_STATES = ("disabled", "listening", "learning", "forwarding", "blocking")
"""linux/if_bridge.h: BR_STATE_*."""
_ETHER_TYPES = {0x8100: "802.1Q", 0x88A8: "802.1ad"}
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

_BRIDGE_OPTIONS = ("no_link_local_learning", "multicast_vlan_snooping", "multiple_spanning_tree")
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
"""IFLA_BRPORT_*."""

_VXLAN: Fields = {
    "ttl": (5, _number),
    "tos": (6, _number),
    "learning": (7, _switch),
    "ageing": (8, _number),
    "limit": (9, _number),
    "source_ports": (10, lambda raw: (_big(raw[:2]), _big(raw[2:4]))),
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


def _inside(raw: bytes) -> dict[int, bytes]:
    return {kind: raw[at : at + size] for kind, (at, size) in attributes(raw, 0, len(raw)).items()}


def _fields(fields: Fields, found: dict[int, bytes]) -> dict[str, Any]:
    return {name: read(found[kind]) for name, (kind, read) in fields.items() if kind in found}


def _vxlan(data: bytes) -> Vxlan:
    found = _inside(data)
    values = _fields(_VXLAN, found)
    for name, kinds in _VXLAN_ADDRESSES.items():
        for kind in kinds:
            if kind in found:
                values[name] = address_text(found[kind])
    return Vxlan(**values)


def _macvlan(data: bytes) -> Macvlan:
    found = _inside(data)
    values = _fields(_MACVLAN, found)
    if IFLA_MACVLAN_MACADDR_DATA in found:
        raw = found[IFLA_MACVLAN_MACADDR_DATA]
        entries = each_attribute(raw, 0, len(raw), "listing links")
        values["sources"] = tuple(raw[at : at + size].hex(":") for _, at, size in entries)
    return Macvlan(**values)


def _bridge(data: bytes) -> Bridge:
    found = _inside(data)
    values = _fields(_BRIDGE, found)
    if IFLA_BR_MULTI_BOOLOPT in found:
        # struct br_boolopt_multi: values, and which of them there are.
        options, known = unpack_from("=II", found[IFLA_BR_MULTI_BOOLOPT])
        for bit, name in enumerate(_BRIDGE_OPTIONS):
            if known >> bit & 1:
                values[name] = bool(options >> bit & 1)
    return Bridge(**values)


_KINDS: dict[bytes, tuple[str, Callable[[bytes], Any]]] = {
    b"bridge": ("bridge", _bridge),
    b"vxlan": ("vxlan", _vxlan),
    b"tun": ("tun", lambda data: Tun(**_fields(_TUN, _inside(data)))),
    b"macvlan": ("macvlan", _macvlan),
    b"macvtap": ("macvlan", _macvlan),
}


def kinds_of(raw: bytes) -> dict[str, Any]:
    """What IFLA_LINKINFO says of a link's kind and of it as a port, as fields of the record."""
    inside = _inside(raw)
    found: dict[str, Any] = {}
    known = _KINDS.get(inside.get(IFLA_INFO_KIND, b"").split(b"\0", 1)[0])
    if known is not None and IFLA_INFO_DATA in inside:
        field, read = known
        found[field] = read(inside[IFLA_INFO_DATA])
    if inside.get(IFLA_INFO_SLAVE_KIND, b"").split(b"\0", 1)[0] == b"bridge" and IFLA_INFO_SLAVE_DATA in inside:
        found["bridge_port"] = BridgePort(**_fields(_BRIDGE_PORT, _inside(inside[IFLA_INFO_SLAVE_DATA])))
    return found
