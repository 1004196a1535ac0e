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
    forward_delay: Annotated[float | None, "seconds a port spends in each of listening and learning"] = None
    hello_time: Annotated[float | None, "seconds between two hello messages"] = None
    max_age: Annotated[float | None, "seconds after which another bridge is considered gone"] = None
    ageing_time: Annotated[float | None, "seconds a learned address is kept"] = None
    priority: Annotated[int | None, "priority in the election of the root"] = None
    bridge_id: Annotated[str | None, "bridge identifier: priority (hexadecimal) and address"] = None
    root_id: Annotated[str | None, "identifier of the root bridge"] = None
    root_port: Annotated[int | None, "number of the root port; 0: this bridge is the root"] = None
    root_path_cost: Annotated[int | None, "path cost to the root"] = None
    topology_change: Annotated[bool | None, "whether the topology is changing"] = None
    topology_change_detected: Annotated[bool | None, "whether this bridge detected a change"] = None
    vlan_filtering: Annotated[bool | None, "whether VLANs are filtered"] = None
    vlan_protocol: Annotated[str | None, "802.1Q or 802.1ad"] = None
    vlan_default_pvid: Annotated[int | None, "VLAN of untagged packets on new ports"] = None
    vlan_statistics: Annotated[bool | None, "whether packets are counted per VLAN"] = None
    vlan_statistics_per_port: Annotated[bool | None, "whether they are counted per port as well"] = None
    group_address: Annotated[str | None, "destination address of spanning tree messages"] = None
    group_forward_mask: Annotated[int | None, "which link-local groups are forwarded: one bit for each last digit"] = (
        None
    )
    multicast_snooping: Annotated[bool | None, "whether IGMP and MLD snooping is on"] = None
    multicast_router: Annotated[int | None, "multicast router port: 0 never, 1 as learned, 2 always"] = None
    multicast_querier: Annotated[bool | None, "whether the bridge sends queries itself"] = None
    multicast_query_use_address: Annotated[bool | None, "whether its queries use its own IP address as source"] = None
    multicast_hash_maximum: Annotated[int | None, "maximum number of groups"] = None
    multicast_last_member_count: Annotated[int | None, "queries before a group is removed after a leave"] = None
    multicast_startup_query_count: Annotated[int | None, "number of startup queries"] = None
    multicast_last_member_interval: Annotated[float | None, "seconds between queries after a leave"] = None
    multicast_membership_interval: Annotated[float | None, "seconds after which a group without reports expires"] = None
    multicast_querier_interval: Annotated[float | None, "seconds after which another querier is considered gone"] = None
    multicast_query_interval: Annotated[float | None, "seconds between queries"] = None
    multicast_query_response_interval: Annotated[float | None, "maximum response time of members, seconds"] = None
    multicast_startup_query_interval: Annotated[float | None, "seconds between startup queries"] = None
    multicast_statistics: Annotated[bool | None, "whether IGMP and MLD messages are counted"] = None
    igmp_version: Annotated[int | None, "IGMP version of its queries"] = None
    mld_version: Annotated[int | None, "MLD version of its queries"] = None
    netfilter_ipv4: Annotated[bool | None, "whether iptables sees bridged packets"] = None
    netfilter_ipv6: Annotated[bool | None, "whether ip6tables does"] = None
    netfilter_arp: Annotated[bool | None, "whether arptables does"] = None
    no_link_local_learning: Annotated[bool | None, "whether learning from link-local frames is off"] = None
    multicast_vlan_snooping: Annotated[bool | None, "whether multicast snooping is per VLAN"] = None
    multiple_spanning_tree: Annotated[bool | None, "whether each VLAN has its own spanning tree (MSTP)"] = None
    learned_maximum: Annotated[int | None, "maximum number of learned addresses; 0: no limit"] = None
    mdb_offload_failure_notification: Annotated[
        bool | None, "whether groups that hardware could not offload are reported (Linux 6.15)"
    ] = None
    fdb_local_vlan_0: Annotated[
        bool | None, "whether its own addresses are only in VLAN 0 of the forwarding database (Linux 6.17)"
    ] = None
    other_options: Annotated[int | None, "enabled options that this release does not know, as bits"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class BridgePort(NamedTuple):
    """A link as a port of a bridge (linux/if_link.h: IFLA_BRPORT_*; bridge(8)). None: this kernel does not report."""

    state: Annotated[str | None, "disabled, listening, learning, forwarding or blocking"] = None
    priority: Annotated[int | None, "priority in the choice of the root port"] = None
    cost: Annotated[int | None, "path cost through this port"] = None
    number: Annotated[int | None, "port number in the bridge"] = None
    id: Annotated[int | None, "priority and number, as in spanning tree messages"] = None
    designated_root: Annotated[str | None, "identifier of the root, as Bridge.root_id"] = None
    designated_bridge: Annotated[str | None, "identifier of the segment's designated bridge"] = None
    designated_port: Annotated[int | None, "designated port of that bridge"] = None
    designated_cost: Annotated[int | None, "its path cost to the root"] = None
    hairpin: Annotated[bool | None, "whether packets may leave by the port they arrived on (hairpin)"] = None
    bpdu_guard: Annotated[bool | None, "whether a spanning tree message disables the port (BPDU guard)"] = None
    root_block: Annotated[bool | None, "whether the port may not become the root port (root guard)"] = None
    fast_leave: Annotated[bool | None, "whether a leave removes a group at once"] = None
    learning: Annotated[bool | None, "whether addresses are learned"] = None
    unicast_flood: Annotated[bool | None, "whether packets to unknown addresses are flooded to it"] = None
    multicast_flood: Annotated[bool | None, "whether packets to unknown groups are flooded to it"] = None
    broadcast_flood: Annotated[bool | None, "whether broadcasts are flooded to it"] = None
    multicast_to_unicast: Annotated[bool | None, "whether multicast is sent to each member as unicast"] = None
    multicast_router: Annotated[int | None, "multicast router port: 0 never, 1 as learned, 2 always, 3 temporarily"] = (
        None
    )
    multicast_groups_maximum: Annotated[int | None, "maximum number of groups of this port; 0: no limit"] = None
    multicast_hosts_maximum: Annotated[int | None, "maximum number of tracked hosts"] = None
    proxy_arp: Annotated[bool | None, "whether the bridge answers ARP requests for hosts behind the port"] = None
    proxy_arp_wifi: Annotated[bool | None, "the same, as IEEE 802.11 requires"] = None
    neighbour_suppression: Annotated[
        bool | None, "whether the bridge answers ARP and neighbour discovery and does not flood them to it"
    ] = None
    vlan_neighbour_suppression: Annotated[bool | None, "whether that is set per VLAN"] = None
    vlan_tunnel: Annotated[bool | None, "whether VLANs are mapped to tunnels"] = None
    isolated: Annotated[bool | None, "whether it cannot reach other isolated ports"] = None
    locked: Annotated[bool | None, "whether only known addresses may send (locked)"] = None
    mac_authentication_bypass: Annotated[bool | None, "whether other addresses are learned as locked entries"] = None
    group_forward_mask: Annotated[int | None, "as Bridge.group_forward_mask"] = None
    backup_port_index: Annotated[int | None, "index of the port that takes over when the carrier is lost"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class Vxlan(NamedTuple):
    """A VXLAN tunnel (linux/if_link.h: IFLA_VXLAN_*; ip-link(8)). None: not set, or this kernel does not report."""

    remote: Annotated[str | None, "destination for unknown addresses: a remote address or a multicast group"] = None
    local: Annotated[str | None, "source address"] = None
    port: Annotated[int | None, "UDP destination port"] = None
    source_ports: Annotated[tuple[int, int] | None, "lowest and highest UDP source port; 0: the kernel's range"] = None
    learning: Annotated[bool | None, "whether addresses are learned"] = None
    ageing: Annotated[int | None, "seconds learned addresses are kept"] = None
    limit: Annotated[int | None, "maximum number of learned addresses; 0: no limit"] = None
    ttl: Annotated[int | None, "time to live; 0: the kernel's default"] = None
    ttl_inherit: Annotated[bool | None, "whether it is inherited from the inner packet"] = None
    tos: Annotated[int | None, "type of service; 1: inherited from the inner packet"] = None
    flow_label: Annotated[int | None, "IPv6 flow label"] = None
    dont_fragment: Annotated[str | None, "unset, set, or inherit (from the inner packet)"] = None
    proxy: Annotated[bool | None, "whether ARP requests are answered locally"] = None
    route_short_circuit: Annotated[
        bool | None, "whether routers are bypassed if the host is known (route short circuit)"
    ] = None
    l2_miss: Annotated[bool | None, "whether user space is notified of lookups of unknown link-layer addresses"] = None
    l3_miss: Annotated[bool | None, "whether user space is notified of lookups of unknown IP addresses"] = None
    udp_checksum: Annotated[bool | None, "whether outer UDP checksums are computed over IPv4"] = None
    udp_zero_checksum6_transmit: Annotated[bool | None, "whether packets over IPv6 are sent without UDP checksums"] = (
        None
    )
    udp_zero_checksum6_receive: Annotated[bool | None, "whether they are accepted without"] = None
    remote_checksum_transmit: Annotated[bool | None, "whether inner checksums are left to the remote end"] = None
    remote_checksum_receive: Annotated[
        bool | None, "whether inner checksums left by the remote end are computed here"
    ] = None
    group_policy: Annotated[bool | None, "whether the group policy extension (GBP) is used"] = None
    generic_protocol: Annotated[bool | None, "whether the generic protocol extension (GPE) is used"] = None
    external: Annotated[bool | None, "whether each packet carries its own tunnel metadata (lightweight tunnels)"] = None
    vni_filter: Annotated[bool | None, "whether only known network identifiers are accepted"] = None
    local_bypass: Annotated[bool | None, "whether packets for this machine bypass encapsulation"] = None
    remote_checksum_no_partial: Annotated[
        bool | None, "whether remote checksums are computed in full, not marked partial"
    ] = None
    label_policy: Annotated[str | None, "flow label of the outer packet: fixed, or inherit from the inner one"] = None
    reserved_bits: Annotated[str | None, "reserved header bits that may be set, in hexadecimal"] = None
    multicast_route: Annotated[bool | None, "whether multicast uses the multicast routing table"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class Tun(NamedTuple):
    """A tun or tap interface, whose packets a program reads and writes (linux/if_link.h: IFLA_TUN_*)."""

    owner: Annotated[int | None, "id of the user who may attach to it"] = None
    group: Annotated[int | None, "id of the group that may attach to it"] = None
    persistent: Annotated[bool | None, "whether it persists when no program has it open"] = None
    packet_information: Annotated[bool | None, "whether packets carry a header with their protocol"] = None
    virtio_header: Annotated[bool | None, "whether packets carry a virtio header"] = None
    multi_queue: Annotated[bool | None, "whether it is multi-queue"] = None
    queues: Annotated[int | None, "attached queues"] = None
    disabled_queues: Annotated[int | None, "detached queues"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class Macvlan(NamedTuple):
    """A macvlan or macvtap interface (linux/if_link.h: IFLA_MACVLAN_*)."""

    flags: Annotated[int | None, "1: the link below is not made promiscuous; 2: packets of unknown hosts only"] = None
    sources: Annotated[tuple[str, ...] | None, "mode source: the addresses whose packets it receives"] = None
    broadcast_queue_length: Annotated[int | None, "requested length of the broadcast queue"] = None
    broadcast_queue_length_used: Annotated[int | None, "length of the broadcast queue in use, on the link below"] = None
    broadcast_cutoff: Annotated[int | None, "number of members above which a multicast group uses that queue"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class Vlan(NamedTuple):
    """A VLAN interface (linux/if_link.h: IFLA_VLAN_*)."""

    protocol: Annotated[str | None, "802.1Q, 802.1ad, or the Ethernet type"] = None
    flags: Annotated[
        tuple[str, ...] | None, "reorder_hdr, gvrp, loose_binding, mvrp, bridge_binding (ip-link(8): TYPE vlan)"
    ] = None
    ingress_priorities: Annotated[
        tuple[tuple[int, int], ...] | None, "priority in the VLAN header, and of the packet inside the kernel"
    ] = None
    egress_priorities: Annotated[
        tuple[tuple[int, int], ...] | None, "priority of the packet inside the kernel, and in the VLAN header"
    ] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class Bond(NamedTuple):
    """A bond of several links (linux/if_link.h: IFLA_BOND_*; the kernel's bonding.rst). The mode is the link's."""

    active_index: Annotated[int | None, "index of the member that is in use; None where there is none, or several"] = (
        None
    )
    primary_index: Annotated[int | None, "index of the preferred member"] = None
    primary_reselect: Annotated[str | None, "when the preferred member takes over: always, better or failure"] = None
    miimon: Annotated[int | None, "time between two looks at the carriers, milliseconds; 0: none"] = None
    up_delay: Annotated[int | None, "time until a member with a carrier is used, milliseconds"] = None
    down_delay: Annotated[int | None, "time until a member without a carrier is given up, milliseconds"] = None
    peer_notification_delay: Annotated[int | None, "time between notifications of a new member, milliseconds"] = None
    peer_notifications: Annotated[int | None, "notifications after the member in use has changed"] = None
    use_carrier: Annotated[bool | None, "whether drivers report the carrier by themselves"] = None
    arp_interval: Annotated[int | None, "time between two ARP requests, milliseconds; 0: none"] = None
    arp_targets: Annotated[tuple[str, ...] | None, "addresses that are asked for by ARP"] = None
    neighbour_targets: Annotated[tuple[str, ...] | None, "IPv6 addresses that are asked for"] = None
    arp_validate: Annotated[str | None, "which members' answers are looked at: none, active, backup, all …"] = None
    arp_all_targets: Annotated[str | None, "how many targets have to answer: any or all"] = None
    missed_max: Annotated[int | None, "unanswered intervals after which a member is down"] = None
    fail_over_address: Annotated[str | None, "whose address the bond has: none, active or follow"] = None
    transmit_hash: Annotated[str | None, "what selects the member that sends: layer2, layer3+4 …"] = None
    resend_igmp: Annotated[int | None, "IGMP reports after the member in use has changed"] = None
    all_active: Annotated[bool | None, "whether what members not in use receive is delivered"] = None
    minimum_links: Annotated[int | None, "members with a carrier without which the bond has none"] = None
    learning_interval: Annotated[int | None, "balance-tlb, balance-alb: seconds between two learning packets"] = None
    packets_per_member: Annotated[int | None, "balance-rr: packets after which it is the next one's turn"] = None
    dynamic_balance: Annotated[bool | None, "balance-tlb: whether flows move with the load"] = None
    lacp_rate: Annotated[str | None, "802.3ad: how often the partner is to send: slow or fast"] = None
    lacp_active: Annotated[bool | None, "802.3ad: whether LACP is sent without being asked"] = None
    lacp_select: Annotated[str | None, "802.3ad: how the aggregator is selected: stable, bandwidth, count …"] = None
    coupled_control: Annotated[bool | None, "802.3ad: whether receiving and sending begin together"] = None
    broadcast_neighbour: Annotated[bool | None, "802.3ad: whether ARP and ND are sent through every port"] = None
    lacp_strict: Annotated[bool | None, "802.3ad: the option lacp_strict of the driver (Linux 7.2)"] = None
    actor_priority: Annotated[int | None, "802.3ad: system priority"] = None
    actor_address: Annotated[str | None, "802.3ad: system address"] = None
    port_key: Annotated[int | None, "802.3ad: upper ten bits of the port key"] = None
    aggregator: Annotated[int | None, "802.3ad: active aggregator"] = None
    aggregator_ports: Annotated[int | None, "802.3ad: its ports"] = None
    actor_key: Annotated[int | None, "802.3ad: its key"] = None
    partner_key: Annotated[int | None, "802.3ad: its partner's key"] = None
    partner_address: Annotated[str | None, "802.3ad: its partner's address"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class BondPort(NamedTuple):
    """A member of a bond (linux/if_link.h: IFLA_BOND_SLAVE_*)."""

    state: Annotated[str | None, "active or backup"] = None
    link: Annotated[str | None, "what the bond takes it for: up, going down, down or going up"] = None
    failures: Annotated[int | None, "times the link went down"] = None
    permanent_address: Annotated[str | None, "its address outside the bond"] = None
    queue: Annotated[int | None, "queue of the bond that is sent through it"] = None
    priority: Annotated[int | None, "priority when a new member is put in use"] = None
    aggregator: Annotated[int | None, "802.3ad: aggregator"] = None
    actor_state: Annotated[int | None, "802.3ad: bits of the actor's state (IEEE 802.1AX)"] = None
    partner_state: Annotated[int | None, "802.3ad: bits of the partner's state"] = None
    actor_priority: Annotated[int | None, "802.3ad: priority of the port"] = None
    actor_churn: Annotated[str | None, "802.3ad: whether the actor fails to settle: monitoring, churned or none"] = None
    partner_churn: Annotated[str | None, "802.3ad: whether the partner fails to settle"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class Tunnel(NamedTuple):
    """gre, gretap, erspan, ipip, sit, ip6tnl, vti, geneve … (linux/if_tunnel.h, linux/if_link.h: IFLA_GENEVE_*)."""

    local: Annotated[str | None, "outer source address"] = None
    remote: Annotated[str | None, "outer destination address"] = None
    link_index: Annotated[int | None, "index of the link that it goes through"] = None
    id: Annotated[int | None, "geneve: network identifier"] = None
    input_key: Annotated[int | None, "gre, vti: key of what is received"] = None
    output_key: Annotated[int | None, "gre, vti: key of what is sent"] = None
    input_flags: Annotated[tuple[str, ...] | None, "gre: csum, key, seq: what is received has to have"] = None
    output_flags: Annotated[tuple[str, ...] | None, "gre: csum, key, seq: what is sent has"] = None
    ttl: Annotated[int | None, "outer time to live, or hop limit; 0: inherited from the inner packet"] = None
    ttl_inherit: Annotated[bool | None, "geneve: whether the time to live is the inner packet's"] = None
    tos: Annotated[int | None, "outer type of service; 1: inherited from the inner packet"] = None
    path_mtu_discovery: Annotated[bool | None, "whether the path MTU is discovered"] = None
    ignore_dont_fragment: Annotated[bool | None, "gre: whether packets that must not be fragmented are"] = None
    dont_fragment: Annotated[str | None, "geneve: don't-fragment flag of the outer packet: unset, set or inherit"] = (
        None
    )
    encapsulation_limit: Annotated[int | None, "IPv6: how many tunnels more may be inside each other"] = None
    flow_info: Annotated[int | None, "IPv6: outer traffic class and flow label"] = None
    flags: Annotated[int | None, "ip6tnl: IP6_TNL_F_* (linux/ip6_tunnel.h); sit: SIT_ISATAP"] = None
    protocol: Annotated[int | None, "ipip, sit, ip6tnl: inner protocol; 0: any"] = None
    port: Annotated[int | None, "geneve: UDP port"] = None
    source_ports: Annotated[tuple[int, int] | None, "geneve: lowest and highest UDP source port"] = None
    udp_checksum: Annotated[bool | None, "geneve: whether outer IPv4 packets have a UDP checksum"] = None
    udp_zero_checksum6_transmit: Annotated[bool | None, "geneve: whether it sends IPv6 without a UDP checksum"] = None
    udp_zero_checksum6_receive: Annotated[bool | None, "geneve: whether it receives IPv6 without a UDP checksum"] = None
    external: Annotated[bool | None, "whether routes and programs give the addresses and ids"] = None
    inner_protocol_inherit: Annotated[bool | None, "geneve: whether the inner protocol is the packet's own"] = None
    mark: Annotated[int | None, "firewall mark of outer packets"] = None
    encapsulation: Annotated[str | None, "UDP around it: none, fou, gue or mpls"] = None
    encapsulation_flags: Annotated[int | None, "TUNNEL_ENCAP_FLAG_* of it (linux/if_tunnel.h)"] = None
    encapsulation_source_port: Annotated[int | None, "UDP source port of it; 0: by flow"] = None
    encapsulation_port: Annotated[int | None, "UDP destination port of it"] = None
    erspan_index: Annotated[int | None, "erspan: index"] = None
    erspan_version: Annotated[int | None, "erspan: version"] = None
    erspan_direction: Annotated[int | None, "erspan, version 2: 0 ingress, 1 egress"] = None
    erspan_hardware: Annotated[int | None, "erspan, version 2: hardware id"] = None
    prefix_6rd: Annotated[str | None, "sit: prefix of 6rd"] = None
    relay_prefix_6rd: Annotated[str | None, "sit: relay prefix of 6rd"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class Macsec(NamedTuple):
    """A MACsec interface (linux/if_link.h: IFLA_MACSEC_*; ip-macsec(8))."""

    channel: Annotated[str | None, "identifier of the secure channel, in hexadecimal"] = None
    port: Annotated[int | None, "port of it"] = None
    check_length: Annotated[int | None, "integrity check value, bytes"] = None
    cipher: Annotated[str | None, "cipher suite: GCM-AES-128, GCM-AES-256 …, or its number in hexadecimal"] = None
    encoding_association: Annotated[int | None, "secure association that sends"] = None
    window: Annotated[int | None, "replay window, packets"] = None
    encrypt: Annotated[bool | None, "whether packets are encrypted"] = None
    protect: Annotated[bool | None, "whether packets are protected"] = None
    send_channel: Annotated[bool | None, "whether packets name the channel"] = None
    end_station: Annotated[bool | None, "whether they have the bit of an end station"] = None
    single_copy_broadcast: Annotated[bool | None, "whether they have the bit of a single copy broadcast"] = None
    replay_protect: Annotated[bool | None, "whether packets that come again are dropped"] = None
    validation: Annotated[str | None, "disabled, check or strict"] = None
    offload: Annotated[str | None, "off, phy or mac"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class Hsr(NamedTuple):
    """A seamless redundancy interface (linux/if_link.h: IFLA_HSR_*)."""

    first_index: Annotated[int | None, "index of the first link of the ring"] = None
    second_index: Annotated[int | None, "index of the second one"] = None
    interlink_index: Annotated[int | None, "index of the link to another ring"] = None
    supervision: Annotated[str | None, "address of supervision frames"] = None
    version: Annotated[int | None, "version of HSR"] = None
    protocol: Annotated[str | None, "hsr or prp"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class Xfrm(NamedTuple):
    """An IPsec interface (linux/if_link.h: IFLA_XFRM_*)."""

    interface_id: Annotated[int | None, "id that policies and states name"] = None
    link_index: Annotated[int | None, "index of the link below"] = None
    external: Annotated[bool | None, "whether routes and programs give the id"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class Ipvlan(NamedTuple):
    """An ipvlan or ipvtap interface (linux/if_link.h: IFLA_IPVLAN_*). The mode is the link's."""

    sharing: Annotated[str | None, "how interfaces of one link see each other: bridge, private or vepa"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class Vrf(NamedTuple):
    """A VRF, or a member of one (linux/if_link.h: IFLA_VRF_TABLE, IFLA_VRF_PORT_TABLE)."""

    table: Annotated[int | None, "number of its routing table"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()
