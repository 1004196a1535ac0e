"""Settings of links of one kind (linux/if_link.h; net/bridge, drivers/net: fill_info)."""

from __future__ import annotations

from struct import unpack_from
from sys import byteorder

from ...engine.netlink.attributes import NUMBER, Attributes
from ...engine.netlink.interfaces import DATA_SHAPE, INFO_SHAPE
from ...engine.netlink.messages import each_attribute
from ...engine.rtnetlink import address_text
from ...errors import MalformedError
from ...records import (
    Bond,
    BondPort,
    Bridge,
    BridgePort,
    Hsr,
    Ipvlan,
    Macsec,
    Macvlan,
    Tun,
    Tunnel,
    UnknownAttribute,
    Vlan,
    Vrf,
    Vxlan,
    Xfrm,
)
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
    from collections.abc import Callable, Iterable, Mapping
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


def _choice(*names: str) -> Callable[[bytes], str]:
    """A number that stands for one of these; others are shown as they are."""

    def read(raw: bytes) -> str:
        number = _number(raw)
        return names[number] if number < len(names) else str(number)

    return read


def _address(raw: bytes) -> str:
    return raw.hex(":")


def _members(raw: bytes) -> tuple[bytes, ...]:
    """What attributes inside hold, whatever their numbers."""
    return tuple(raw[at : at + size] for _, at, size in each_attribute(raw, 0, len(raw), "listing links"))


def _link_addresses(raw: bytes) -> tuple[str, ...]:
    return tuple(map(_address, _members(raw)))


def _targets(raw: bytes) -> tuple[str, ...]:
    return tuple(address_text(member) for member in _members(raw))


def _priorities(raw: bytes) -> tuple[tuple[int, int], ...]:
    """struct ifla_vlan_qos_mapping."""
    return tuple((_number(member[:4]), _number(member[4:8])) for member in _members(raw))


def _vlan_flags(raw: bytes) -> tuple[str, ...]:
    """struct ifla_vlan_flags: those that are on."""
    return _bits(_number(raw[:4]), {1: "reorder_hdr", 2: "gvrp", 4: "loose_binding", 8: "mvrp", 16: "bridge_binding"})


def _gre_flags(raw: bytes) -> tuple[str, ...]:
    """linux/if_tunnel.h: GRE_*."""
    return _bits(_big(raw), {0x8000: "csum", 0x4000: "routing", 0x2000: "key", 0x1000: "seq"})


def _bits(word: int, names: Mapping[int, str]) -> tuple[str, ...]:
    rest = word & ~sum(names)
    return (*(name for bit, name in names.items() if word & bit), *((hex(rest),) if rest else ()))


def _tunnel_flags(raw: bytes) -> int:
    """Those of sit are in network order, those of ip6tnl in the machine's (net/ipv6/sit.c, ip6_tunnel.c)."""
    return _big(raw) if len(raw) == 2 else _number(raw)


def _cipher(raw: bytes) -> str:
    number = _number(raw)
    return _CIPHERS.get(number, hex(number))


def _sharing(raw: bytes) -> str:
    """linux/if_link.h: IPVLAN_F_PRIVATE, IPVLAN_F_VEPA."""
    return _choice("bridge", "private", "vepa")(raw)


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
    "sources": (IFLA_MACVLAN_MACADDR_DATA, _link_addresses),
}
"""IFLA_MACVLAN_*."""


_CIPHERS = {
    0x0080020001000001: "GCM-AES-128",
    0x0080C20001000001: "GCM-AES-128",
    0x0080C20001000002: "GCM-AES-256",
    0x0080C20001000003: "GCM-AES-XPN-128",
    0x0080C20001000004: "GCM-AES-XPN-256",
}
"""linux/if_macsec.h: MACSEC_CIPHER_ID_*, MACSEC_DEFAULT_CIPHER_ALT."""

_VLAN: Fields = {
    "flags": (2, _vlan_flags),
    "egress_priorities": (3, _priorities),
    "ingress_priorities": (4, _priorities),
    "protocol": (5, _ether_type),
}
"""IFLA_VLAN_*."""

_BOND: Fields = {
    "active_index": (2, _number),
    "miimon": (3, _number),
    "up_delay": (4, _number),
    "down_delay": (5, _number),
    "use_carrier": (6, _switch),
    "arp_interval": (7, _number),
    "arp_targets": (8, _targets),
    "arp_validate": (
        9,
        _choice("none", "active", "backup", "all", "filter", "filter_active", "filter_backup"),
    ),
    "arp_all_targets": (10, _choice("any", "all")),
    "primary_index": (11, _number),
    "primary_reselect": (12, _choice("always", "better", "failure")),
    "fail_over_address": (13, _choice("none", "active", "follow")),
    "transmit_hash": (14, _choice("layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac")),
    "resend_igmp": (15, _number),
    "peer_notifications": (16, _number),
    "all_active": (17, _switch),
    "minimum_links": (18, _number),
    "learning_interval": (19, _number),
    "packets_per_member": (20, _number),
    "lacp_rate": (21, _choice("slow", "fast")),
    "lacp_select": (22, _choice("stable", "bandwidth", "count", "prio")),
    "actor_priority": (24, _number),
    "port_key": (25, _number),
    "actor_address": (26, _address),
    "dynamic_balance": (27, _switch),
    "peer_notification_delay": (28, _number),
    "lacp_active": (29, _switch),
    "missed_max": (30, _number),
    "neighbour_targets": (31, _targets),
    "coupled_control": (32, _switch),
    "broadcast_neighbour": (33, _switch),
    "lacp_strict": (34, _switch),
}
"""IFLA_BOND_*."""
_BOND_AGGREGATOR = 23
_AGGREGATOR: Fields = {
    "aggregator": (1, _number),
    "aggregator_ports": (2, _number),
    "actor_key": (3, _number),
    "partner_key": (4, _number),
    "partner_address": (5, _address),
}
"""IFLA_BOND_AD_INFO_*."""

_CHURN = ("monitoring", "churned", "none")
_BOND_PORT: Fields = {
    "state": (1, _choice("active", "backup")),
    "link": (2, _choice("up", "going down", "down", "going up")),
    "failures": (3, _number),
    "permanent_address": (4, _address),
    "queue": (5, _number),
    "aggregator": (6, _number),
    "actor_state": (7, _number),
    "partner_state": (8, _number),
    "priority": (9, lambda raw: int.from_bytes(raw, byteorder, signed=True)),
    "actor_priority": (10, _number),
    "actor_churn": (11, _choice(*_CHURN)),
    "partner_churn": (12, _choice(*_CHURN)),
}
"""IFLA_BOND_SLAVE_*."""

_ENCAPSULATIONS = ("none", "fou", "gue", "mpls")
_GRE: Fields = {
    "link_index": (1, _number),
    "input_flags": (2, _gre_flags),
    "output_flags": (3, _gre_flags),
    "input_key": (4, _big),
    "output_key": (5, _big),
    "local": (6, address_text),
    "remote": (7, address_text),
    "ttl": (8, _number),
    "tos": (9, _number),
    "path_mtu_discovery": (10, _switch),
    "encapsulation_limit": (11, _number),
    "flow_info": (12, _big),
    "flags": (13, _number),
    "encapsulation": (14, _choice(*_ENCAPSULATIONS)),
    "encapsulation_flags": (15, _number),
    "encapsulation_source_port": (16, _big),
    "encapsulation_port": (17, _big),
    "external": (18, _switch),
    "ignore_dont_fragment": (19, _switch),
    "mark": (20, _number),
    "erspan_index": (21, _number),
    "erspan_version": (22, _number),
    "erspan_direction": (23, _number),
    "erspan_hardware": (24, _number),
}
"""IFLA_GRE_*."""

_IP_TUNNEL: Fields = {
    "link_index": (1, _number),
    "local": (2, address_text),
    "remote": (3, address_text),
    "ttl": (4, _number),
    "tos": (5, _number),
    "encapsulation_limit": (6, _number),
    "flow_info": (7, _big),
    "flags": (8, _tunnel_flags),
    "protocol": (9, _number),
    "path_mtu_discovery": (10, _switch),
    "encapsulation": (15, _choice(*_ENCAPSULATIONS)),
    "encapsulation_flags": (16, _number),
    "encapsulation_source_port": (17, _big),
    "encapsulation_port": (18, _big),
    "external": (19, _switch),
    "mark": (20, _number),
}
"""IFLA_IPTUN_*."""
_6RD = {"prefix_6rd": (11, 13, 16), "relay_prefix_6rd": (12, 14, 4)}
"""IFLA_IPTUN_6RD_*: prefix, its length, and how many bytes an address has."""

_VTI: Fields = {
    "link_index": (1, _number),
    "input_key": (2, _big),
    "output_key": (3, _big),
    "local": (4, address_text),
    "remote": (5, address_text),
    "mark": (6, _number),
}
"""IFLA_VTI_*."""

_GENEVE: Fields = {
    "id": (1, _number),
    "ttl": (3, _number),
    "tos": (4, _number),
    "port": (5, _big),
    "external": (6, _switch),
    "udp_checksum": (8, _switch),
    "udp_zero_checksum6_transmit": (9, _switch),
    "udp_zero_checksum6_receive": (10, _switch),
    "flow_info": (11, _big),
    "ttl_inherit": (12, _switch),
    "dont_fragment": (13, _dont_fragment),
    "inner_protocol_inherit": (14, _switch),
    "source_ports": (15, _ports),
}
"""IFLA_GENEVE_*."""
_GENEVE_REMOTES = (2, 7)

_MACSEC: Fields = {
    "channel": (1, lambda raw: raw.hex()),
    "port": (2, _big),
    "check_length": (3, _number),
    "cipher": (4, _cipher),
    "window": (5, _number),
    "encoding_association": (6, _number),
    "encrypt": (7, _switch),
    "protect": (8, _switch),
    "send_channel": (9, _switch),
    "end_station": (10, _switch),
    "single_copy_broadcast": (11, _switch),
    "replay_protect": (12, _switch),
    "validation": (13, _choice("disabled", "check", "strict")),
    "offload": (15, _choice("off", "phy", "mac")),
}
"""IFLA_MACSEC_*."""

_HSR: Fields = {
    "first_index": (1, _number),
    "second_index": (2, _number),
    "supervision": (4, _address),
    "version": (6, _number),
    "protocol": (7, _choice("hsr", "prp")),
    "interlink_index": (8, _number),
}
"""IFLA_HSR_*."""

_XFRM: Fields = {"link_index": (1, _number), "interface_id": (2, _number), "external": (3, _switch)}
"""IFLA_XFRM_*."""
_IPVLAN: Fields = {"sharing": (2, _sharing)}
_VRF: Fields = {"table": (1, _number)}
"""IFLA_VRF_TABLE, and IFLA_VRF_PORT_TABLE of members, whose number is the same."""


_SIZES: dict[Callable[[bytes], Any], tuple[int, ...]] = {
    **dict.fromkeys((_number, _big, _seconds, _state, _ether_type, _dont_fragment, _label_policy), NUMBER),
    _switch: (0, *NUMBER),
    _bridge_id: (8,),
    _ports: (4,),
    _address: (6,),
    _vlan_flags: (8,),
    _gre_flags: (2,),
    _tunnel_flags: (2, 4),
    _cipher: (8,),
    _sharing: (2,),
    address_text: (4, 16),
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
            try:
                values[name] = reader(raw)
            except MalformedError:  # attributes inside that make no sense: it is shown as unknown
                continue
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
    return Macvlan(**_values(_MACVLAN, found, (), (1, 3, 4, 6)))


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


def _plain(make: Callable[..., Any], fields: Fields, skipped: Iterable[int] = ()) -> Callable[[bytes], Any]:
    return lambda data: make(**_values(fields, _inside(data), (), skipped))


def _bond(data: bytes) -> Bond:
    found = _inside(data)
    values = _values(_BOND, found, (), (1, _BOND_AGGREGATOR))  # the mode is a field of the link's own
    aggregator = found.raw(_BOND_AGGREGATOR)
    if aggregator is not None:
        try:
            inner = _values(_AGGREGATOR, _inside(aggregator), (), ())
        except MalformedError:
            inner = {"unknown_attributes": (UnknownAttribute(_BOND_AGGREGATOR, len(aggregator), ()),)}
        else:
            unknown = [one._replace(inside=(_BOND_AGGREGATOR,)) for one in inner["unknown_attributes"]]
            inner["unknown_attributes"] = tuple(unknown)
        values |= inner | {"unknown_attributes": values["unknown_attributes"] + inner["unknown_attributes"]}
    return Bond(**values)


def _ip_tunnel(data: bytes) -> Tunnel:
    found = _inside(data)
    # What the rules that map addresses to tunnels (FMRS) are is told by nothing but their number.
    values = _values(_IP_TUNNEL, found, (11, 12, 13, 14), ())
    for name, (prefix, length, size) in _6RD.items():
        raw, bits = found.raw(prefix), found.number(length)
        if raw is not None and len(raw) == size and bits is not None:
            values[name] = f"{address_text(raw)}/{bits}"
    return Tunnel(**values)


def _geneve(data: bytes) -> Tunnel:
    found = _inside(data)
    values = _values(_GENEVE, found, _GENEVE_REMOTES, ())
    for kind in _GENEVE_REMOTES:
        if kind in found:
            values["remote"] = address_text(found.raw(kind) or b"")
    return Tunnel(**values)


_gre = _plain(Tunnel, _GRE)
_vti = _plain(Tunnel, _VTI)
_KINDS: dict[str, tuple[str, Callable[[bytes], Any]]] = {
    "bridge": ("bridge", _bridge),
    "vxlan": ("vxlan", _vxlan),
    "tun": ("tun", _tun),
    "macvlan": ("macvlan", _macvlan),
    "macvtap": ("macvlan", _macvlan),
    "vlan": ("vlan", _plain(Vlan, _VLAN, (1,))),
    "bond": ("bond", _bond),
    "vrf": ("vrf", _plain(Vrf, _VRF)),
    **dict.fromkeys(("ipvlan", "ipvtap"), ("ipvlan", _plain(Ipvlan, _IPVLAN, (1,)))),
    **dict.fromkeys(("gre", "gretap", "erspan", "ip6gre", "ip6gretap", "ip6erspan"), ("tunnel", _gre)),
    **dict.fromkeys(("ipip", "sit", "ip6tnl"), ("tunnel", _ip_tunnel)),
    **dict.fromkeys(("vti", "vti6"), ("tunnel", _vti)),
    "geneve": ("tunnel", _geneve),
    "macsec": ("macsec", _plain(Macsec, _MACSEC, (14,))),  # PAD
    "hsr": ("hsr", _plain(Hsr, _HSR, (3, 5))),  # for requests, and a number that goes on by itself
    "xfrm": ("xfrm", _plain(Xfrm, _XFRM)),
}
_PORTS: dict[str, tuple[str, Callable[[bytes], Any]]] = {
    "bridge": ("bridge_port", _bridge_port),
    "bond": ("bond_port", _plain(BondPort, _BOND_PORT)),
    "vrf": ("vrf", _plain(Vrf, _VRF)),
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
    known = _PORTS.get(inside.text(IFLA_INFO_SLAVE_KIND) or "")
    if known is not None and port is not None:
        field, read = known
        found[field] = read(port)
    return found
