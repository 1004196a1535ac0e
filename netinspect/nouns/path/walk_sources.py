"""The source address that the kernel chooses of IPv6 (RFC 6724; net/ipv6/addrconf.c: ipv6_dev_get_saddr).

RTM_GETROUTE answers with a route's own ``src`` where it has one, for which masquerade does not ask: so it is chosen
here, by what the kernel says of its addresses, labels and settings.
"""

from __future__ import annotations

from struct import pack, unpack_from

from ...engine.netlink.messages import attributes, malformed, message
from ...engine.netlink.transport import Dump
from ...engine.places import Place
from ...engine.prefixes import packed, within
from ...errors import NetlinkError
from ...uapi.if_addrlabel import IFAL_ADDRESS, IFAL_LABEL, RTM_GETADDRLABEL
from ...uapi.netlink import AF_INET6, NETLINK_ROUTE, NLM_F_DUMP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...records import Address
    from .listing_stack import Interface, Stack

Label = tuple[int, bytes, int, int]
"""Interface index, or 0 for each; prefix with its length; label."""
_OPERATION = "listing address labels"
_LINK, _SITE, _GLOBAL = 2, 5, 14
"""Scopes (RFC 4291)."""
_ORCHID = packed("2001:10::")
_EMBEDDING = (bytes(12), packed("::ffff:0:0")[:12])
"""What ::1 and addresses made of IPv4's begin with; these are never deprecated (ipv6_saddr_preferred)."""


def ipv6_source(stack: Stack, oif: Interface, vrf: Interface | None, others: list[Interface], to: str) -> str | None:
    """The address that a packet leaving by ``oif`` gets; None where there is none. Raises NetlinkError.

    ``vrf`` is the one that ``oif`` belongs to, ``others`` are the interfaces that belong to the same, or to none.
    """
    wanted = packed(to)
    labels = _labels(stack.place)
    known: dict[str, list[Address]] = {}
    from ..links.listing_addresses import AddressListing, Query

    for batch in AddressListing(Query(("inet6",)), [Place(stack.place.name)]).batches():
        for found in batch:
            if "tentative" not in found.flags or "optimistic" in found.flags:
                known.setdefault(found.interface, []).append(found)
    own_only = any(stack.own("ipv6", name, "use_oif_addrs_only") for name in ("all", oif.name))
    if own_only or _scope(wanted) <= _LINK:
        groups = [[oif]]
    elif vrf is None:
        groups = [others]
    else:  # before others of the VRF: its own, and the VRF's, where their scope is wide enough
        groups = [[oif, *([vrf] if vrf is not oif else [])], others]
    best: str | None = None
    for group in groups:
        highest: tuple[int, ...] = ()
        for interface in group:
            for found in known.get(interface.name, ()):
                score = _score(stack, interface, oif, found, wanted, labels)
                if score > highest:
                    best, highest = found.address, score
        if best is not None and _scope(packed(best)) >= _scope(wanted):
            break
    return best


def _score(
    stack: Stack, interface: Interface, oif: Interface, found: Address, wanted: bytes, labels: list[Label]
) -> tuple[int, ...]:
    """The rules in their order (ipv6_get_saddr_eval): the more the better.

    Whether home addresses of mobile hosts come first depends on how a kernel was built, and is left out.
    """
    address, flags, scope = packed(found.address), found.flags, _scope(packed(found.address))
    same = 128 - (int.from_bytes(address, "big") ^ int.from_bytes(wanted, "big")).bit_length()
    optimistic = "optimistic" in flags
    poor = "deprecated" in flags or (optimistic and not _uses_optimistic(stack, interface))
    private = (stack.own("ipv6", interface.name, "use_tempaddr") or 0) >= 2
    return (
        address == wanted,
        -scope if scope >= _scope(wanted) else scope - 128,
        not poor or address[:12] in _EMBEDDING,
        interface is oif,
        _label(labels, address, interface.index) == _label(labels, wanted, oif.index),
        ("temporary" in flags) is private,
        within(address, _ORCHID, 28) is within(wanted, _ORCHID, 28),
        min(same, found.prefix_length),
        not optimistic,
    )


def _scope(address: bytes) -> int:
    """net/ipv6/addrconf_core.c: __ipv6_addr_type"""
    if address[0] == 0xFF:
        return address[1] & 15
    if address[0] == 0xFE and address[1] & 0x80:
        return _SITE if address[1] & 0x40 else _LINK
    return _LINK if address == packed("::1") else _GLOBAL


def _uses_optimistic(stack: Stack, interface: Interface) -> bool:
    """net/ipv6/addrconf.c: ipv6_use_optimistic_addr"""
    return all(
        any(stack.own("ipv6", name, setting) for name in ("all", interface.name))
        for setting in ("optimistic_dad", "use_optimistic")
    )


def _labels(place: Place) -> list[Label]:
    """The table of labels, in its order, as ip-addrlabel(8) shows it; none where it cannot be read."""
    found: list[Label] = []
    asked = message(RTM_GETADDRLABEL, NLM_F_DUMP, pack("=BxBBII", AF_INET6, 0, 0, 0, 0))
    try:
        for run in Dump(place.connect(NETLINK_ROUTE), asked, _OPERATION):
            for single in run.singles():
                found.append(_one_label(single.data))
    except NetlinkError:
        pass
    return found


def _one_label(data: bytes) -> Label:
    """One entry (struct ifaddrlblmsg, behind struct nlmsghdr)."""
    inside = attributes(data, 28, len(data), _OPERATION) if len(data) >= 28 else {}
    if inside.get(IFAL_ADDRESS, (0, 0))[1] != 16 or inside.get(IFAL_LABEL, (0, 0))[1] < 4:
        raise malformed(f"a label of {len(data)} bytes", _OPERATION)
    length, index = unpack_from("=BxI", data, 18)
    at = inside[IFAL_ADDRESS][0]
    return index, data[at : at + 16], length, unpack_from("=I", data, inside[IFAL_LABEL][0])[0]


def _label(labels: list[Label], address: bytes, index: int) -> int | None:
    return next((label for on, net, length, label in labels if on in (0, index) and within(address, net, length)), None)
