"""Settings of tunnels (linux/if_tunnel.h, linux/if_link.h: IFLA_VXLAN_*, IFLA_GRE_* …)."""

from __future__ import annotations

from ...engine.rtnetlink import address_text
from ...records import Tunnel, Vxlan
from .decode_kinds_values import (
    big,
    choice,
    dont_fragment,
    gre_flags,
    inside,
    label_policy,
    number,
    port_range,
    switch,
    tunnel_flags,
    values_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .decode_kinds_values import Fields

_VXLAN: Fields = {
    "ttl": (5, number),
    "tos": (6, number),
    "learning": (7, switch),
    "ageing": (8, number),
    "limit": (9, number),
    "source_ports": (10, port_range),
    "proxy": (11, switch),
    "route_short_circuit": (12, switch),
    "l2_miss": (13, switch),
    "l3_miss": (14, switch),
    "port": (15, big),
    "udp_checksum": (18, switch),
    "udp_zero_checksum6_transmit": (19, switch),
    "udp_zero_checksum6_receive": (20, switch),
    "remote_checksum_transmit": (21, switch),
    "remote_checksum_receive": (22, switch),
    "group_policy": (23, switch),
    "external": (25, switch),
    "flow_label": (26, big),
    "generic_protocol": (27, switch),
    "ttl_inherit": (28, switch),
    "dont_fragment": (29, dont_fragment),
    "vni_filter": (30, switch),
    "local_bypass": (31, switch),
    "remote_checksum_no_partial": (24, switch),
    "label_policy": (32, label_policy),
    "reserved_bits": (33, lambda raw: raw.hex()),
    "multicast_route": (34, switch),
}
"""IFLA_VXLAN_*."""
_VXLAN_ADDRESSES = {"remote": (2, 16), "local": (4, 17)}
"""IFLA_VXLAN_GROUP and GROUP6, LOCAL and LOCAL6."""
_ENCAPSULATIONS = ("none", "fou", "gue", "mpls")
GRE: Fields = {
    "link_index": (1, number),
    "input_flags": (2, gre_flags),
    "output_flags": (3, gre_flags),
    "input_key": (4, big),
    "output_key": (5, big),
    "local": (6, address_text),
    "remote": (7, address_text),
    "ttl": (8, number),
    "tos": (9, number),
    "path_mtu_discovery": (10, switch),
    "encapsulation_limit": (11, number),
    "flow_info": (12, big),
    "flags": (13, number),
    "encapsulation": (14, choice(*_ENCAPSULATIONS)),
    "encapsulation_flags": (15, number),
    "encapsulation_source_port": (16, big),
    "encapsulation_port": (17, big),
    "external": (18, switch),
    "ignore_dont_fragment": (19, switch),
    "mark": (20, number),
    "erspan_index": (21, number),
    "erspan_version": (22, number),
    "erspan_direction": (23, number),
    "erspan_hardware": (24, number),
}
"""IFLA_GRE_*."""
_IP_TUNNEL: Fields = {
    "link_index": (1, number),
    "local": (2, address_text),
    "remote": (3, address_text),
    "ttl": (4, number),
    "tos": (5, number),
    "encapsulation_limit": (6, number),
    "flow_info": (7, big),
    "flags": (8, tunnel_flags),
    "protocol": (9, number),
    "path_mtu_discovery": (10, switch),
    "encapsulation": (15, choice(*_ENCAPSULATIONS)),
    "encapsulation_flags": (16, number),
    "encapsulation_source_port": (17, big),
    "encapsulation_port": (18, big),
    "external": (19, switch),
    "mark": (20, number),
}
"""IFLA_IPTUN_*."""
_6RD = {"prefix_6rd": (11, 13, 16), "relay_prefix_6rd": (12, 14, 4)}
"""IFLA_IPTUN_6RD_*: prefix, its length, and how many bytes an address has."""
VTI: Fields = {
    "link_index": (1, number),
    "input_key": (2, big),
    "output_key": (3, big),
    "local": (4, address_text),
    "remote": (5, address_text),
    "mark": (6, number),
}
"""IFLA_VTI_*."""
_GENEVE: Fields = {
    "id": (1, number),
    "ttl": (3, number),
    "tos": (4, number),
    "port": (5, big),
    "external": (6, switch),
    "udp_checksum": (8, switch),
    "udp_zero_checksum6_transmit": (9, switch),
    "udp_zero_checksum6_receive": (10, switch),
    "flow_info": (11, big),
    "ttl_inherit": (12, switch),
    "dont_fragment": (13, dont_fragment),
    "inner_protocol_inherit": (14, switch),
    "source_ports": (15, port_range),
}
"""IFLA_GENEVE_*."""
_GENEVE_REMOTES = (2, 7)
XFRM: Fields = {"link_index": (1, number), "interface_id": (2, number), "external": (3, switch)}
"""IFLA_XFRM_*."""


def vxlan(data: bytes) -> Vxlan:
    """The settings of a VXLAN interface."""
    found = inside(data)
    values = values_of(_VXLAN, found, (kind for kinds in _VXLAN_ADDRESSES.values() for kind in kinds), (1, 3))
    for name, kinds in _VXLAN_ADDRESSES.items():
        for kind in kinds:
            if kind in found:
                values[name] = address_text(found.raw(kind) or b"")
    return Vxlan(**values)


def ip_tunnel(data: bytes) -> Tunnel:
    """The settings of a tunnel of ipip, sit or ip6tnl."""
    found = inside(data)
    # The rules that map addresses to tunnels (FMRS) are shown by their number alone.
    values = values_of(_IP_TUNNEL, found, (11, 12, 13, 14), ())
    for name, (prefix, length, size) in _6RD.items():
        raw, bits = found.raw(prefix), found.number(length)
        if raw is not None and len(raw) == size and bits is not None:
            values[name] = f"{address_text(raw)}/{bits}"
    return Tunnel(**values)


def geneve(data: bytes) -> Tunnel:
    """The settings of a Geneve tunnel."""
    found = inside(data)
    values = values_of(_GENEVE, found, _GENEVE_REMOTES, ())
    for kind in _GENEVE_REMOTES:
        if kind in found:
            values["remote"] = address_text(found.raw(kind) or b"")
    return Tunnel(**values)
