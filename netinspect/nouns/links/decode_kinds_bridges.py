"""Settings of bridges and of their ports (linux/if_link.h: IFLA_BR_*, IFLA_BRPORT_*)."""

from __future__ import annotations

from _struct import unpack_from

from ...records import Bridge, BridgePort
from ...uapi.if_link import IFLA_BR_FDB_N_LEARNED, IFLA_BR_MULTI_BOOLOPT
from .decode_kinds_values import bridge_id, ether_type, inside, number, port_state, seconds, switch, values_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .decode_kinds_values import Fields

_BRIDGE: Fields = {
    "forward_delay": (1, seconds),
    "hello_time": (2, seconds),
    "max_age": (3, seconds),
    "ageing_time": (4, seconds),
    "spanning_tree": (5, switch),
    "priority": (6, number),
    "vlan_filtering": (7, switch),
    "vlan_protocol": (8, ether_type),
    "group_forward_mask": (9, number),
    "root_id": (10, bridge_id),
    "bridge_id": (11, bridge_id),
    "root_port": (12, number),
    "root_path_cost": (13, number),
    "topology_change": (14, switch),
    "topology_change_detected": (15, switch),
    "group_address": (20, lambda raw: raw.hex(":")),
    "multicast_router": (22, number),
    "multicast_snooping": (23, switch),
    "multicast_query_use_address": (24, switch),
    "multicast_querier": (25, switch),
    "multicast_hash_maximum": (27, number),
    "multicast_last_member_count": (28, number),
    "multicast_startup_query_count": (29, number),
    "multicast_last_member_interval": (30, seconds),
    "multicast_membership_interval": (31, seconds),
    "multicast_querier_interval": (32, seconds),
    "multicast_query_interval": (33, seconds),
    "multicast_query_response_interval": (34, seconds),
    "multicast_startup_query_interval": (35, seconds),
    "netfilter_ipv4": (36, switch),
    "netfilter_ipv6": (37, switch),
    "netfilter_arp": (38, switch),
    "vlan_default_pvid": (39, number),
    "vlan_statistics": (41, switch),
    "multicast_statistics": (42, switch),
    "igmp_version": (43, number),
    "mld_version": (44, number),
    "vlan_statistics_per_port": (45, switch),
    "learned_maximum": (49, number),
}
"""IFLA_BR_*; without the timers, which go on by themselves."""
_BRIDGE_OPTIONS = (
    *("no_link_local_learning", "multicast_vlan_snooping", "multiple_spanning_tree"),
    *("mdb_offload_failure_notification", "fdb_local_vlan_0"),
)
"""linux/if_bridge.h: BR_BOOLOPT_*."""
_BRIDGE_PORT: Fields = {
    "state": (1, port_state),
    "priority": (2, number),
    "cost": (3, number),
    "hairpin": (4, switch),
    "bpdu_guard": (5, switch),
    "root_block": (6, switch),
    "fast_leave": (7, switch),
    "learning": (8, switch),
    "unicast_flood": (9, switch),
    "proxy_arp": (10, switch),
    "proxy_arp_wifi": (12, switch),
    "designated_root": (13, bridge_id),
    "designated_bridge": (14, bridge_id),
    "designated_port": (15, number),
    "designated_cost": (16, number),
    "id": (17, number),
    "number": (18, number),
    "multicast_router": (25, number),
    "multicast_flood": (27, switch),
    "multicast_to_unicast": (28, switch),
    "vlan_tunnel": (29, switch),
    "broadcast_flood": (30, switch),
    "group_forward_mask": (31, number),
    "neighbour_suppression": (32, switch),
    "isolated": (33, switch),
    "backup_port_index": (34, number),
    "multicast_hosts_maximum": (37, number),
    "locked": (39, switch),
    "mac_authentication_bypass": (40, switch),
    "multicast_groups_maximum": (42, number),
    "vlan_neighbour_suppression": (43, switch),
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


def bridge(data: bytes) -> Bridge:
    """The settings of a bridge."""
    found = inside(data)
    # The timers go on by themselves; FLUSH is for requests, HASH_ELASTICITY and PAD tell nothing; the querier is in
    # `groups --bridge`.
    skipped = (*range(16, 20), 21, 26, 40, 47, IFLA_BR_FDB_N_LEARNED)
    options = found.raw(IFLA_BR_MULTI_BOOLOPT) or b""
    values = values_of(_BRIDGE, found, (IFLA_BR_MULTI_BOOLOPT,) if len(options) >= 8 else (), skipped)
    if len(options) >= 8:
        # struct br_boolopt_multi: values, and which of them there are.
        on, known = unpack_from("=II", options)
        for bit, name in enumerate(_BRIDGE_OPTIONS):
            if known >> bit & 1:
                values[name] = bool(on >> bit & 1)
        values["other_options"] = known >> len(_BRIDGE_OPTIONS) << len(_BRIDGE_OPTIONS) & on or None
    return Bridge(**values)


def bridge_port(data: bytes) -> BridgePort:
    """The settings of an interface as a port of a bridge."""
    return BridgePort(**values_of(_BRIDGE_PORT, inside(data), (), _BRIDGE_PORT_SKIPPED))
