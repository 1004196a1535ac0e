"""How values of a link's own kind are read, and records made of them."""

from __future__ import annotations

from sys import byteorder

from ...engine.netlink.attributes import NUMBER, Attributes
from ...engine.netlink.interfaces import DATA_SHAPE
from ...engine.netlink.messages import each_attribute
from ...engine.rtnetlink import address_text
from ...errors import MalformedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    Fields = dict[str, tuple[int, Callable[[bytes], Any]]]
    """By the name of a record's field the number of its attribute, and what reads it."""

_TICKS = 100
"""USER_HZ: clock_t, in which the kernel reports times, has it everywhere but on alpha."""
_CIPHERS = {
    0x0080020001000001: "GCM-AES-128",
    0x0080C20001000001: "GCM-AES-128",
    0x0080C20001000002: "GCM-AES-256",
    0x0080C20001000003: "GCM-AES-XPN-128",
    0x0080C20001000004: "GCM-AES-XPN-256",
}
"""linux/if_macsec.h: MACSEC_CIPHER_ID_*, MACSEC_DEFAULT_CIPHER_ALT."""
_ETHER_TYPES = {0x8100: "802.1Q", 0x88A8: "802.1ad"}


def number(raw: bytes) -> int:
    """A number in the machine's order."""
    return int.from_bytes(raw, byteorder)


def big(raw: bytes) -> int:
    """A number in network order."""
    return int.from_bytes(raw, "big")


def seconds(raw: bytes) -> float:
    """A clock_t."""
    return number(raw) / _TICKS


def switch(raw: bytes) -> bool:
    """An attribute without a value says all by its presence."""
    return not raw or number(raw) != 0


def bridge_id(raw: bytes) -> str:
    """struct ifla_bridge_id: priority and address."""
    return f"{raw[:2].hex()}.{raw[2:].hex(':')}"


def ether_type(raw: bytes) -> str:
    """The protocol of a VLAN's tags (linux/if_ether.h: ETH_P_8021Q, ETH_P_8021AD)."""
    return _ETHER_TYPES.get(big(raw), hex(big(raw)))


def choice(*names: str) -> Callable[[bytes], str]:
    """A number that stands for one of these; others are shown as they are."""

    def read(raw: bytes) -> str:
        value = number(raw)
        return names[value] if value < len(names) else str(value)

    return read


port_state = choice("disabled", "listening", "learning", "forwarding", "blocking")
"""linux/if_bridge.h: BR_STATE_*."""
dont_fragment = choice("unset", "set", "inherit")
"""linux/if_link.h: VXLAN_DF_*, GENEVE_DF_*."""
label_policy = choice("fixed", "inherit")
"""linux/if_link.h: VXLAN_LABEL_*."""
sharing = choice("bridge", "private", "vepa")
"""linux/if_link.h: IPVLAN_F_PRIVATE, IPVLAN_F_VEPA."""


def hardware(raw: bytes) -> str:
    """A link-layer address."""
    return raw.hex(":")


def _members(raw: bytes) -> tuple[bytes, ...]:
    """What attributes inside hold, whatever their numbers."""
    return tuple(raw[at : at + size] for _, at, size in each_attribute(raw, 0, len(raw), "listing links"))


def link_addresses(raw: bytes) -> tuple[str, ...]:
    """A list of link-layer addresses."""
    return tuple(map(hardware, _members(raw)))


def targets(raw: bytes) -> tuple[str, ...]:
    """A list of IP addresses."""
    return tuple(address_text(member) for member in _members(raw))


def priorities(raw: bytes) -> tuple[tuple[int, int], ...]:
    """struct ifla_vlan_qos_mapping."""
    return tuple((number(member[:4]), number(member[4:8])) for member in _members(raw))


def vlan_flags(raw: bytes) -> tuple[str, ...]:
    """struct ifla_vlan_flags: those that are on."""
    return bit_names(
        number(raw[:4]), {1: "reorder_hdr", 2: "gvrp", 4: "loose_binding", 8: "mvrp", 16: "bridge_binding"}
    )


def gre_flags(raw: bytes) -> tuple[str, ...]:
    """linux/if_tunnel.h: GRE_*."""
    return bit_names(big(raw), {0x8000: "csum", 0x4000: "routing", 0x2000: "key", 0x1000: "seq"})


def bit_names(word: int, names: Mapping[int, str]) -> tuple[str, ...]:
    """The names of bits that are set; what has no name comes last, as one number."""
    rest = word & ~sum(names)
    return (*(name for bit, name in names.items() if word & bit), *((hex(rest),) if rest else ()))


def tunnel_flags(raw: bytes) -> int:
    """Those of sit are in network order, those of ip6tnl in the machine's (net/ipv6/sit.c, ip6_tunnel.c)."""
    return big(raw) if len(raw) == 2 else number(raw)


def cipher(raw: bytes) -> str:
    """The cipher of MACsec, as a 64-bit number where it has no name here."""
    return _CIPHERS.get(number(raw), hex(number(raw)))


def port_range(raw: bytes) -> tuple[int, int]:
    """struct ifla_vxlan_port_range."""
    return big(raw[:2]), big(raw[2:])


_SIZES: dict[Callable[[bytes], Any], tuple[int, ...]] = {
    **dict.fromkeys((number, big, seconds, port_state, ether_type, dont_fragment, label_policy), NUMBER),
    switch: (0, *NUMBER),
    bridge_id: (8,),
    port_range: (4,),
    hardware: (6,),
    vlan_flags: (8,),
    gre_flags: (2,),
    tunnel_flags: (2, 4),
    cipher: (8,),
    sharing: (2,),
    address_text: (4, 16),
}
"""Sizes that an attribute may have; one of another size is not what we take it for, and so unknown."""


def inside(raw: bytes) -> Attributes:
    """The attributes in an IFLA_INFO_DATA or IFLA_INFO_SLAVE_DATA."""
    return Attributes(raw, "listing links", DATA_SHAPE)


def values_of(fields: Fields, found: Attributes, read: Iterable[int], skipped: Iterable[int]) -> dict[str, Any]:
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


def reading(make: Callable[..., Any], fields: Fields, skipped: Iterable[int] = ()) -> Callable[[bytes], Any]:
    """What makes a record of attributes where each is a field, and none needs more."""
    return lambda data: make(**values_of(fields, inside(data), (), skipped))
