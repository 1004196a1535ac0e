"""Settings of links of one kind (linux/if_link.h; net/bridge, drivers/net: fill_info)."""

from __future__ import annotations

from ...engine.netlink.attributes import Attributes
from ...engine.netlink.interfaces import INFO_SHAPE
from ...records import BondPort, Hsr, Ipvlan, Macsec, Macvlan, Tun, Tunnel, Vlan, Vrf, Xfrm
from ...uapi.if_link import (
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_INFO_SLAVE_DATA,
    IFLA_INFO_SLAVE_KIND,
    IFLA_MACVLAN_MACADDR_DATA,
)
from .decode_kinds_bonds import BOND_PORT, bond
from .decode_kinds_bridges import bridge, bridge_port
from .decode_kinds_tunnels import GRE, VTI, XFRM, geneve, ip_tunnel, vxlan
from .decode_kinds_values import (
    big,
    choice,
    cipher,
    ether_type,
    hardware,
    inside,
    link_addresses,
    number,
    priorities,
    reading,
    sharing,
    switch,
    values_of,
    vlan_flags,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .decode_kinds_values import Fields

_TUN: Fields = {
    "owner": (1, number),
    "group": (2, number),
    "packet_information": (4, switch),
    "virtio_header": (5, switch),
    "persistent": (6, switch),
    "multi_queue": (7, switch),
    "queues": (8, number),
    "disabled_queues": (9, number),
}
"""IFLA_TUN_*."""
_MACVLAN: Fields = {
    "flags": (2, number),
    "broadcast_queue_length": (7, number),
    "broadcast_queue_length_used": (8, number),
    "broadcast_cutoff": (9, number),
    "sources": (IFLA_MACVLAN_MACADDR_DATA, link_addresses),
}
"""IFLA_MACVLAN_*."""
_VLAN: Fields = {
    "flags": (2, vlan_flags),
    "egress_priorities": (3, priorities),
    "ingress_priorities": (4, priorities),
    "protocol": (5, ether_type),
}
"""IFLA_VLAN_*."""
_MACSEC: Fields = {
    "channel": (1, lambda raw: raw.hex()),
    "port": (2, big),
    "check_length": (3, number),
    "cipher": (4, cipher),
    "window": (5, number),
    "encoding_association": (6, number),
    "encrypt": (7, switch),
    "protect": (8, switch),
    "send_channel": (9, switch),
    "end_station": (10, switch),
    "single_copy_broadcast": (11, switch),
    "replay_protect": (12, switch),
    "validation": (13, choice("disabled", "check", "strict")),
    "offload": (15, choice("off", "phy", "mac")),
}
"""IFLA_MACSEC_*."""
_HSR: Fields = {
    "first_index": (1, number),
    "second_index": (2, number),
    "supervision": (4, hardware),
    "version": (6, number),
    "protocol": (7, choice("hsr", "prp")),
    "interlink_index": (8, number),
}
"""IFLA_HSR_*."""
_IPVLAN: Fields = {"sharing": (2, sharing)}
_VRF: Fields = {"table": (1, number)}
"""IFLA_VRF_TABLE, and IFLA_VRF_PORT_TABLE of members, whose number is the same."""


def _macvlan(data: bytes) -> Macvlan:
    found = inside(data)
    # The mode is a field of the link's own; MACADDR and MACADDR_MODE are for requests, COUNT that of the entries.
    return Macvlan(**values_of(_MACVLAN, found, (), (1, 3, 4, 6)))


def _tun(data: bytes) -> Tun:
    return Tun(**values_of(_TUN, inside(data), (), (3,)))  # the type is a field of the link's own


_KINDS: dict[str, tuple[str, Callable[[bytes], Any]]] = {
    "bridge": ("bridge", bridge),
    "vxlan": ("vxlan", vxlan),
    "tun": ("tun", _tun),
    "macvlan": ("macvlan", _macvlan),
    "macvtap": ("macvlan", _macvlan),
    "vlan": ("vlan", reading(Vlan, _VLAN, (1,))),
    "bond": ("bond", bond),
    "vrf": ("vrf", reading(Vrf, _VRF)),
    **dict.fromkeys(("ipvlan", "ipvtap"), ("ipvlan", reading(Ipvlan, _IPVLAN, (1,)))),
    **dict.fromkeys(("gre", "gretap", "erspan", "ip6gre", "ip6gretap", "ip6erspan"), ("tunnel", reading(Tunnel, GRE))),
    **dict.fromkeys(("ipip", "sit", "ip6tnl"), ("tunnel", ip_tunnel)),
    **dict.fromkeys(("vti", "vti6"), ("tunnel", reading(Tunnel, VTI))),
    "geneve": ("tunnel", geneve),
    "macsec": ("macsec", reading(Macsec, _MACSEC, (14,))),  # PAD
    "hsr": ("hsr", reading(Hsr, _HSR, (3, 5))),  # for requests, and a number that goes on by itself
    "xfrm": ("xfrm", reading(Xfrm, XFRM)),
}
_PORTS: dict[str, tuple[str, Callable[[bytes], Any]]] = {
    "bridge": ("bridge_port", bridge_port),
    "bond": ("bond_port", reading(BondPort, BOND_PORT)),
    "vrf": ("vrf", reading(Vrf, _VRF)),
}


def kinds_of(raw: bytes) -> dict[str, Any]:
    """What IFLA_LINKINFO says of a link's kind and of it as a port, as fields of the record.

    Its attributes have been walked before, when the link was decoded.
    """
    info = Attributes(raw, "listing links", INFO_SHAPE)
    found: dict[str, Any] = {}
    known = _KINDS.get(info.text(IFLA_INFO_KIND) or "")
    data, port = info.raw(IFLA_INFO_DATA), info.raw(IFLA_INFO_SLAVE_DATA)
    if known is not None and data is not None:
        field, read = known
        found[field] = read(data)
    known = _PORTS.get(info.text(IFLA_INFO_SLAVE_KIND) or "")
    if known is not None and port is not None:
        field, read = known
        found[field] = read(port)
    return found
