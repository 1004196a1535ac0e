"""Links: network interfaces (netinspect links)."""

from __future__ import annotations

from .link_counters import LinkRates, LinkStatistics
from .link_kinds import (
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
    Vlan,
    Vrf,
    Vxlan,
    Xfrm,
)
from .unknown import UnknownAttribute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class XdpProgram(NamedTuple):
    """A BPF program that sees packets before the network stack does (linux/if_link.h: IFLA_XDP_*)."""

    mode: Annotated[str, "driver, generic, offload or multi"]
    id: Annotated[int | None, "program id, as in bpftool(8)"]


class Link(NamedTuple):
    """One network interface (rtnetlink(7): RTM_GETLINK). None: does not apply, or not reported."""

    index: Annotated[int, "number of the interface in its network namespace"]  # type: ignore[assignment]
    name: Annotated[str, "its name"]
    kind: Annotated[str | None, "kind of virtual link: veth, bridge, bond, vlan, macvlan, vxlan, tun …; None: hardware"]
    state: Annotated[str, "up, down, lowerlayerdown, dormant, testing, notpresent or unknown (RFC 2863: ifOperStatus)"]
    flags: Annotated[
        tuple[str, ...], "up, broadcast, multicast, loopback, pointopoint, noarp, promisc … (netdevice(7))"
    ]
    mtu: Annotated[int, "largest packet, bytes"]
    master: Annotated[str | None, "bridge, bond or VRF that the link is part of"] = None
    parent: Annotated[str | None, "lower link (vlan, macvlan, vxlan), or the other end (veth)"] = None
    parent_index: Annotated[int | None, "index of that link"] = None
    parent_namespace: Annotated[
        str | None, "network namespace of that link: its name, a process in it, or nsid and its number here"
    ] = None
    address: Annotated[str | None, "link-layer address"] = None
    broadcast: Annotated[str | None, "link-layer broadcast address, or the remote end of a tunnel"] = None
    permanent_address: Annotated[str | None, "permanent link-layer address, if it differs"] = None
    type: Annotated[str, "ether, loopback, none, tunnel … (linux/if_arp.h: ARPHRD_*)"] = "ether"
    queue_discipline: Annotated[str | None, "root queueing discipline: noqueue, fq_codel, mq …"] = None
    queue_length: Annotated[int | None, "length of the default queue, packets"] = None
    group: Annotated[str | None, "group, by the name in /etc/iproute2/group"] = None
    alternative_names: Annotated[tuple[str, ...], "further names"] = ()
    alias: Annotated[str | None, "description that an administrator gave (ifalias)"] = None
    carrier: Annotated[bool | None, "whether the link has a carrier"] = None
    carrier_changes: Annotated[int | None, "carrier changes"] = None
    carrier_up_count: Annotated[int | None, "times the carrier came up"] = None
    carrier_down_count: Annotated[int | None, "times the carrier went down"] = None
    promiscuity: Annotated[int | None, "users of promiscuous mode"] = None
    allmulti: Annotated[int | None, "users of all-multicast mode"] = None
    min_mtu: Annotated[int | None, "smallest MTU that may be set, bytes"] = None
    max_mtu: Annotated[int | None, "largest MTU that may be set, bytes"] = None
    tx_queues: Annotated[int | None, "transmit queues"] = None
    rx_queues: Annotated[int | None, "receive queues"] = None
    gso_max_size: Annotated[int | None, "largest packet handed to the driver for segmentation (GSO), bytes"] = None
    gso_max_segs: Annotated[int | None, "maximum number of segments in such a packet"] = None
    gro_max_size: Annotated[int | None, "largest packet that received ones are merged into (GRO), bytes"] = None
    tso_max_size: Annotated[int | None, "largest packet that the driver can segment (TSO), bytes"] = None
    tso_max_segs: Annotated[int | None, "maximum number of segments in such a packet"] = None
    parent_device: Annotated[str | None, "the hardware's device, such as 0000:00:03.0"] = None
    parent_bus: Annotated[str | None, "the bus of that device: pci, virtio, usb …"] = None
    port_kind: Annotated[str | None, "kind of its master: bridge, bond, vrf …"] = None
    vlan_id: Annotated[int | None, "vlan: VLAN identifier"] = None
    vni: Annotated[int | None, "vxlan: network identifier"] = None
    mode: Annotated[str | None, "macvlan, macvtap, ipvlan, bond: mode; tun: tun or tap"] = None
    bridge: Annotated[Bridge | None, "bridge: its settings"] = None
    bridge_port: Annotated[BridgePort | None, "ports of bridges: their state and settings"] = None
    vxlan: Annotated[Vxlan | None, "vxlan: the tunnel"] = None
    tun: Annotated[Tun | None, "tun, tap: owner and settings"] = None
    macvlan: Annotated[Macvlan | None, "macvlan, macvtap: settings"] = None
    vlan: Annotated[Vlan | None, "vlan: settings"] = None
    bond: Annotated[Bond | None, "bond: settings"] = None
    bond_port: Annotated[BondPort | None, "members of bonds: their state and settings"] = None
    vrf: Annotated[Vrf | None, "vrf and its members: the routing table"] = None
    ipvlan: Annotated[Ipvlan | None, "ipvlan, ipvtap: settings"] = None
    tunnel: Annotated[Tunnel | None, "gre, ipip, sit, ip6tnl, vti, erspan, geneve …: the tunnel"] = None
    macsec: Annotated[Macsec | None, "macsec: settings"] = None
    hsr: Annotated[Hsr | None, "hsr: the ring"] = None
    xfrm: Annotated[Xfrm | None, "xfrm: the IPsec interface"] = None
    xdp: Annotated[tuple[XdpProgram, ...] | None, "attached XDP programs"] = None
    statistics: Annotated[LinkStatistics | None, "counters"] = None
    rates: Annotated[LinkRates | None, "traffic per second, if requested"] = None
    netns: Annotated[str | None, "network namespace; None unless namespaces were selected"] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()
    link_mode: Annotated[
        str | None, "what the state of the link is left at when it comes up: dormant or testing; None: up (RFC 2863)"
    ] = None
    protocol_down: Annotated[bool, "whether a program keeps the link down (ip-link(8): protodown)"] = False
    protocol_down_reasons: Annotated[tuple[int, ...], "why, as numbers (ip-link(8): protodown_reason)"] = ()
    physical_port: Annotated[str | None, "name of the port of a switch or network card"] = None
    physical_port_id: Annotated[str | None, "identifier of that port, hexadecimal"] = None
    physical_switch: Annotated[str | None, "identifier of the switch that it is a port of, hexadecimal"] = None
    namespace_fixed: Annotated[bool, "whether the link cannot be moved to another network namespace"] = False
