"""What links of one kind have beside what all have (netinspect links)."""

from __future__ import annotations

from .unknown import UnknownAttribute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class Bridge(NamedTuple):
    """A bridge (linux/if_link.h: IFLA_BR_*; ip-link(8)). None: this kernel does not report."""

    spanning_tree: Annotated[bool | None, "whether the spanning tree protocol is on"] = None
    forward_delay: Annotated[float | None, "seconds that a port spends in each of listening and learning"] = None
    hello_time: Annotated[float | None, "seconds between two hello messages"] = None
    max_age: Annotated[float | None, "seconds after which another bridge is given up"] = None
    ageing_time: Annotated[float | None, "seconds for which an address that was learned is kept"] = None
    priority: Annotated[int | None, "priority in the election of the root"] = None
    bridge_id: Annotated[str | None, "its own identifier: priority, in hexadecimal digits, and address"] = None
    root_id: Annotated[str | None, "that of the root of the spanning tree"] = None
    root_port: Annotated[int | None, "number of the port towards the root; 0: it is the root"] = None
    root_path_cost: Annotated[int | None, "cost of the way to the root"] = None
    topology_change: Annotated[bool | None, "whether the topology is changing"] = None
    topology_change_detected: Annotated[bool | None, "whether this bridge detected a change"] = None
    vlan_filtering: Annotated[bool | None, "whether VLANs are filtered"] = None
    vlan_protocol: Annotated[str | None, "802.1Q or 802.1ad"] = None
    vlan_default_pvid: Annotated[int | None, "VLAN of untagged packets on new ports"] = None
    vlan_statistics: Annotated[bool | None, "whether packets are counted for each VLAN"] = None
    vlan_statistics_per_port: Annotated[bool | None, "whether they are for each port, too"] = None
    group_address: Annotated[str | None, "address that spanning tree messages go to"] = None
    group_forward_mask: Annotated[int | None, "which link-local groups are forwarded: a bit for each last digit"] = None
    multicast_snooping: Annotated[bool | None, "whether IGMP and MLD decide where multicast goes"] = None
    multicast_router: Annotated[int | None, "0 never, 1 as found out, 2 always a multicast router"] = None
    multicast_querier: Annotated[bool | None, "whether it asks for members itself"] = None
    multicast_query_use_address: Annotated[bool | None, "whether it asks from its own IP address"] = None
    multicast_hash_maximum: Annotated[int | None, "groups that it keeps at most"] = None
    multicast_last_member_count: Annotated[int | None, "queries before a group is given up"] = None
    multicast_startup_query_count: Annotated[int | None, "queries at the start"] = None
    multicast_last_member_interval: Annotated[float | None, "seconds between queries after a leave"] = None
    multicast_membership_interval: Annotated[float | None, "seconds after which a group without reports ends"] = None
    multicast_querier_interval: Annotated[float | None, "seconds after which another querier is given up"] = None
    multicast_query_interval: Annotated[float | None, "seconds between queries"] = None
    multicast_query_response_interval: Annotated[float | None, "seconds within which members are to answer"] = None
    multicast_startup_query_interval: Annotated[float | None, "seconds between the queries at the start"] = None
    multicast_statistics: Annotated[bool | None, "whether IGMP and MLD messages are counted"] = None
    igmp_version: Annotated[int | None, "version of IGMP that it asks with"] = None
    mld_version: Annotated[int | None, "version of MLD that it asks with"] = None
    netfilter_ipv4: Annotated[bool | None, "whether iptables sees what is bridged"] = None
    netfilter_ipv6: Annotated[bool | None, "whether ip6tables does"] = None
    netfilter_arp: Annotated[bool | None, "whether arptables does"] = None
    no_link_local_learning: Annotated[bool | None, "whether nothing is learned from link-local groups"] = None
    multicast_vlan_snooping: Annotated[bool | None, "whether groups are kept for each VLAN"] = None
    multiple_spanning_tree: Annotated[bool | None, "whether VLANs have trees of their own (MSTP)"] = None
    learned_maximum: Annotated[int | None, "addresses that may be learned; 0: any number"] = None
    mdb_offload_failure_notification: Annotated[
        bool | None, "whether groups that hardware could not offload are reported (Linux 6.15)"
    ] = None
    fdb_local_vlan_0: Annotated[
        bool | None, "whether addresses of its own are in VLAN 0 of the forwarding database alone (Linux 6.17)"
    ] = None
    other_options: Annotated[int | None, "options that are on and that this release does not know, as bits"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class BridgePort(NamedTuple):
    """A link as a port of a bridge (linux/if_link.h: IFLA_BRPORT_*; bridge(8)). None: this kernel does not report."""

    state: Annotated[str | None, "disabled, listening, learning, forwarding or blocking"] = None
    priority: Annotated[int | None, "priority in the choice of the root port"] = None
    cost: Annotated[int | None, "cost of the way through this port"] = None
    number: Annotated[int | None, "number of the port in its bridge"] = None
    id: Annotated[int | None, "priority and number, as spanning tree messages have them"] = None
    designated_root: Annotated[str | None, "identifier of the root, as Bridge.root_id"] = None
    designated_bridge: Annotated[str | None, "identifier of the bridge that this segment sends through"] = None
    designated_port: Annotated[int | None, "port of that bridge"] = None
    designated_cost: Annotated[int | None, "cost of its way to the root"] = None
    hairpin: Annotated[bool | None, "whether packets may leave by the port that they came by"] = None
    bpdu_guard: Annotated[bool | None, "whether a spanning tree message disables the port"] = None
    root_block: Annotated[bool | None, "whether the port may not become the root port"] = None
    fast_leave: Annotated[bool | None, "whether a leave ends a group at once"] = None
    learning: Annotated[bool | None, "whether addresses are learned"] = None
    unicast_flood: Annotated[bool | None, "whether packets to unknown addresses are sent here"] = None
    multicast_flood: Annotated[bool | None, "whether packets to unknown groups are"] = None
    broadcast_flood: Annotated[bool | None, "whether broadcasts are"] = None
    multicast_to_unicast: Annotated[bool | None, "whether multicast is sent to each member by itself"] = None
    multicast_router: Annotated[int | None, "0 never, 1 as found out, 2 always, 3 for now a multicast router"] = None
    multicast_groups_maximum: Annotated[int | None, "groups of this port at most; 0: any number"] = None
    multicast_hosts_maximum: Annotated[int | None, "hosts that are tracked at most"] = None
    proxy_arp: Annotated[bool | None, "whether ARP requests are answered for the hosts behind"] = None
    proxy_arp_wifi: Annotated[bool | None, "the same, as IEEE 802.11 wants it"] = None
    neighbour_suppression: Annotated[bool | None, "whether ARP and neighbour discovery are answered by the bridge"] = (
        None
    )
    vlan_neighbour_suppression: Annotated[bool | None, "whether that is set for each VLAN"] = None
    vlan_tunnel: Annotated[bool | None, "whether VLANs are mapped to tunnels"] = None
    isolated: Annotated[bool | None, "whether it reaches no other isolated port"] = None
    locked: Annotated[bool | None, "whether only known addresses may send"] = None
    mac_authentication_bypass: Annotated[bool | None, "whether others are remembered as locked entries"] = None
    group_forward_mask: Annotated[int | None, "as Bridge.group_forward_mask"] = None
    backup_port_index: Annotated[int | None, "index of the port that takes over without a carrier"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class Vxlan(NamedTuple):
    """A VXLAN tunnel (linux/if_link.h: IFLA_VXLAN_*; ip-link(8)). None: not set, or this kernel does not report."""

    remote: Annotated[str | None, "where packets to unknown addresses go: an address, or a multicast group"] = None
    local: Annotated[str | None, "source address"] = None
    port: Annotated[int | None, "UDP port of the other ends"] = None
    source_ports: Annotated[tuple[int, int] | None, "lowest and highest UDP port to send from; 0: the kernel's own"] = (
        None
    )
    learning: Annotated[bool | None, "whether addresses are learned"] = None
    ageing: Annotated[int | None, "seconds for which they are kept"] = None
    limit: Annotated[int | None, "addresses that may be learned; 0: any number"] = None
    ttl: Annotated[int | None, "time to live; 0: the kernel's own choice"] = None
    ttl_inherit: Annotated[bool | None, "whether that of the packet inside is taken"] = None
    tos: Annotated[int | None, "type of service; 1: that of the packet inside"] = None
    flow_label: Annotated[int | None, "IPv6 flow label"] = None
    dont_fragment: Annotated[str | None, "unset, set, or inherit: that of the packet inside"] = None
    proxy: Annotated[bool | None, "whether ARP requests are answered here"] = None
    route_short_circuit: Annotated[bool | None, "whether routers between are left out where the host is known"] = None
    l2_miss: Annotated[bool | None, "whether user space is notified of unknown link-layer addresses"] = None
    l3_miss: Annotated[bool | None, "whether it is notified of unknown IP addresses"] = None
    udp_checksum: Annotated[bool | None, "whether packets over IPv4 have UDP checksums"] = None
    udp_zero_checksum6_transmit: Annotated[bool | None, "whether packets over IPv6 are sent without"] = None
    udp_zero_checksum6_receive: Annotated[bool | None, "whether they are taken without"] = None
    remote_checksum_transmit: Annotated[bool | None, "whether checksums inside are left to the other end"] = None
    remote_checksum_receive: Annotated[bool | None, "whether those of the other end are made here"] = None
    group_policy: Annotated[bool | None, "whether the group policy extension is used"] = None
    generic_protocol: Annotated[bool | None, "whether the generic protocol extension is used"] = None
    external: Annotated[bool | None, "whether each packet carries its own tunnel metadata (lightweight tunnels)"] = None
    vni_filter: Annotated[bool | None, "whether only known network identifiers are taken"] = None
    local_bypass: Annotated[bool | None, "whether packets to this machine are handed over at once"] = None
    remote_checksum_no_partial: Annotated[bool | None, "whether remote checksums are computed whole"] = None
    label_policy: Annotated[str | None, "flow label of the outer packet: fixed, or inherit from the inner one"] = None
    reserved_bits: Annotated[str | None, "bits of the header that may be set, as hexadecimal digits"] = None
    multicast_route: Annotated[bool | None, "whether multicast goes by the multicast routing table"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class Tun(NamedTuple):
    """A tun or tap interface, whose packets a program reads and writes (linux/if_link.h: IFLA_TUN_*)."""

    owner: Annotated[int | None, "id of the user who may open it"] = None
    group: Annotated[int | None, "id of the group that may"] = None
    persistent: Annotated[bool | None, "whether it stays when nobody has it open"] = None
    packet_information: Annotated[bool | None, "whether packets have a header with their protocol"] = None
    virtio_header: Annotated[bool | None, "whether they have a header of virtio's"] = None
    multi_queue: Annotated[bool | None, "whether it may be open several times"] = None
    queues: Annotated[int | None, "how often it is open"] = None
    disabled_queues: Annotated[int | None, "how many of those are detached"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class Macvlan(NamedTuple):
    """A macvlan or macvtap interface (linux/if_link.h: IFLA_MACVLAN_*)."""

    flags: Annotated[int | None, "1: the link below is not made promiscuous; 2: packets of unknown hosts only"] = None
    sources: Annotated[tuple[str, ...] | None, "mode source: the addresses whose packets it receives"] = None
    broadcast_queue_length: Annotated[int | None, "broadcasts that may wait, as asked for"] = None
    broadcast_queue_length_used: Annotated[int | None, "as the link below has it"] = None
    broadcast_cutoff: Annotated[int | None, "number of members from which a group is sent through that queue"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()
