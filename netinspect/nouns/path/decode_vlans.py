"""The VLANs of bridges that filter by them, port by port (linux/if_bridge.h; net/bridge/br_vlan.c)."""

from __future__ import annotations

from struct import pack, unpack_from

from ...engine.netlink.messages import attribute, attributes, each_attribute, malformed, message
from ...engine.netlink.transport import Dump
from ...uapi.if_bridge import (
    BRIDGE_VLAN_INFO_PVID,
    BRIDGE_VLAN_INFO_UNTAGGED,
    IFLA_BRIDGE_VLAN_INFO,
    RTEXT_FILTER_BRVLAN,
)
from ...uapi.if_link import IFLA_AF_SPEC, IFLA_EXT_MASK
from ...uapi.netlink import AF_BRIDGE, NETLINK_ROUTE, NLM_F_DUMP
from ...uapi.rtnetlink import RTM_GETLINK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...engine.places import Place

_OPERATION = "listing the VLANs of bridges"
_HEADER, _LINK = 16, 16
"""struct nlmsghdr, struct ifinfomsg."""


class PortVlans:
    """The VLANs of a port, or of the bridge itself, with their flags."""

    __slots__ = ("flags",)

    def __init__(self, flags: dict[int, int]) -> None:
        self.flags = flags

    def entered(self, tag: int | None) -> int | None:
        """The VLAN that a frame is in behind this port: untagged ones are in its PVID; None where it may not pass."""
        if tag:
            return tag if tag in self.flags else None
        return next((vlan for vlan, flags in self.flags.items() if flags & BRIDGE_VLAN_INFO_PVID), None)

    def tag_of(self, vlan: int) -> int | None:
        """The tag of frames of a VLAN that leave by it; None is none."""
        return None if self.flags[vlan] & BRIDGE_VLAN_INFO_UNTAGGED else vlan

    def __str__(self) -> str:
        words = []
        for vlan, flags in sorted(self.flags.items()):
            pvid = " pvid" if flags & BRIDGE_VLAN_INFO_PVID else ""
            words.append(f"{vlan}{pvid}{' untagged' if flags & BRIDGE_VLAN_INFO_UNTAGGED else ''}")
        return ", ".join(words) or "none"


def port_vlans(place: Place) -> dict[int, PortVlans]:
    """By interface index. Raises NetlinkError."""
    payload = pack("=BxHiII", AF_BRIDGE, 0, 0, 0, 0) + attribute(IFLA_EXT_MASK, pack("=I", RTEXT_FILTER_BRVLAN))
    found: dict[int, PortVlans] = {}
    for run in Dump(place.connect(NETLINK_ROUTE), message(RTM_GETLINK, NLM_F_DUMP, payload), _OPERATION):
        for single in run.singles():
            index, vlans = one_port(single.data)
            if vlans.flags or index not in found:  # a card with a bridge of its own has a second message
                found[index] = vlans
    return found


def one_port(data: bytes) -> tuple[int, PortVlans]:
    """The interface index of a message, and its VLANs. Raises NetlinkError."""
    if len(data) < _HEADER + _LINK:
        raise malformed(f"a link of {len(data)} bytes", _OPERATION)
    inside = attributes(data, _HEADER + _LINK, len(data), _OPERATION)
    (index,) = unpack_from("=i", data, _HEADER + 4)
    flags: dict[int, int] = {}
    if IFLA_AF_SPEC in inside:
        start, size = inside[IFLA_AF_SPEC]
        for kind, where, length in each_attribute(data, start, start + size, _OPERATION):
            if kind == IFLA_BRIDGE_VLAN_INFO and length >= 4:
                its, vlan = unpack_from("=HH", data, where)
                flags[vlan] = its
    return index, PortVlans(flags)
