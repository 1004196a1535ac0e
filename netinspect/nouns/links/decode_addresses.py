"""Addresses of interfaces (linux/if_addr.h: RTM_GETADDR; net/ipv4/devinet.c, net/ipv6/addrconf.c)."""

from __future__ import annotations

from _struct import Struct, pack, unpack_from

from ...engine.netlink.attributes import ADDRESS, ANY, NUMBER, Shape
from ...engine.netlink.messages import malformed, message
from ...engine.rtnetlink import FAMILIES, Message, in_order
from ...engine.schema import Schema
from ...records import Address
from ...uapi.if_addr import (
    IFA_ADDRESS,
    IFA_ANYCAST,
    IFA_BROADCAST,
    IFA_CACHEINFO,
    IFA_FLAGS,
    IFA_LABEL,
    IFA_LOCAL,
    IFA_PROTO,
    IFA_RT_PRIORITY,
)
from ...uapi.netlink import AF_INET, AF_INET6, NLM_F_DUMP
from ...uapi.rtnetlink import RTM_GETADDR, RTM_NEWADDR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...engine.columns import Batch
    from ...engine.netlink.messages import Run
    from ...engine.rtnetlink import Names


_PERMANENT = 0x80
_FLAGS = {
    0x01: "secondary",
    0x02: "nodad",
    0x04: "optimistic",
    0x08: "dadfailed",
    0x10: "home",
    0x20: "deprecated",
    0x40: "tentative",
    0x80: "permanent",
    0x100: "mngtmpaddr",
    0x200: "noprefixroute",
    0x400: "autojoin",
    0x800: "stable-privacy",
}
"""IFA_F_*. What is not permanent is dynamic."""
_TEMPORARY = 0x01
"""The lowest bit means a temporary address in IPv6 (RFC 8981)."""
_PROTOCOLS = {0: None, 1: "kernel_lo", 2: "kernel_ra", 3: "kernel_ll"}
"""IFAPROT_*."""
_FOREVER = 0xFFFFFFFF
_WIDTHS = {AF_INET: 32, AF_INET6: 128}
_BODY = 8
_LIFETIMES = Struct("=IIII")
_SHAPE = Shape(
    {
        **dict.fromkeys((IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_ANYCAST), ADDRESS),
        **dict.fromkeys((IFA_FLAGS, IFA_RT_PRIORITY, IFA_PROTO), NUMBER),
        IFA_LABEL: ANY,
        IFA_CACHEINFO: _LIFETIMES.size,
    },
    (7, 10),  # MULTICAST, of groups; TARGET_NETNSID, of requests
)


def request(family: int, *, interface: int = 0) -> bytes:
    """A dump of one family's addresses, of one interface where ``interface`` is not 0 (struct ifaddrmsg)."""
    return message(RTM_GETADDR, NLM_F_DUMP, pack("=BBBBI", family, 0, 0, 0, interface))


_ADDRESS = Schema.of_fields("Address", extra=("identity", "interface_index"))


def batch(runs: Sequence[Run], names: Names) -> Batch | None:
    """The addresses of one received buffer, in order. Raises NetlinkError where messages are malformed."""
    messages = list(in_order(runs, RTM_NEWADDR, _BODY, _SHAPE))
    if not messages:
        return None
    # Lifetimes change while a dump is repeated.
    identities = [hash((single.body, single.attributes.raw(IFA_ADDRESS))) for single in messages]
    indices = [unpack_from("=I", single.body, 4)[0] for single in messages]
    return _ADDRESS.rows(
        [_address(single, names) for single in messages], {"identity": identities, "interface_index": indices}
    )


def own_addresses(runs: Iterable[Run]) -> Iterator[tuple[int, str, int]]:
    """Interface index, own address and prefix length of each address. Raises MalformedError."""
    for run in runs:
        for single in in_order([run], RTM_NEWADDR, _BODY, _SHAPE):
            length, index = unpack_from("=xBxxI", single.body)
            yield index, _ends(single)[0], length


def _ends(single: Message) -> tuple[str, str]:
    """The interface's own address, and the other end's where the link has two ends, otherwise the same again."""
    family, length = single.body[:2]
    if family not in _WIDTHS:
        raise malformed(f"an address of family {family}", single.operation)
    attributes = single.attributes
    found = attributes.address(IFA_ADDRESS) or attributes.address(IFA_LOCAL)
    local = attributes.address(IFA_LOCAL) or found
    if local is None or found is None:
        raise malformed("an address without the address itself", single.operation)
    if length > _WIDTHS[family] or (":" in local) != (family == AF_INET6):
        raise malformed(f"an address of family {family} and {length} bits", single.operation)
    return local, found


def _address(single: Message, names: Names) -> Address:
    family, length, low_flags, scope, index = unpack_from("=BBBBI", single.body)
    local, found = _ends(single)
    attributes = single.attributes
    flags, protocol = attributes.number(IFA_FLAGS), attributes.number(IFA_PROTO) or 0
    lifetimes = attributes.struct(IFA_CACHEINFO, _LIFETIMES)
    return Address(
        FAMILIES[family],
        names.interfaces[index],
        local,
        length,
        names.scopes[scope],
        _flags(low_flags if flags is None else flags, family),
        found if found != local else None,
        attributes.address(IFA_BROADCAST),
        attributes.address(IFA_ANYCAST),
        attributes.text(IFA_LABEL),
        _seconds(lifetimes[1]) if lifetimes else None,
        _seconds(lifetimes[0]) if lifetimes else None,
        lifetimes[2] / 100 if lifetimes else None,
        lifetimes[3] / 100 if lifetimes else None,
        attributes.number(IFA_RT_PRIORITY),
        _PROTOCOLS.get(protocol, str(protocol)),
        unknown_attributes=attributes.unknown(),
    )


def _flags(word: int, family: int) -> tuple[str, ...]:
    names = [] if word & _PERMANENT else ["dynamic"]
    for bit in range(word.bit_length()):
        if word >> bit & 1:
            name = _FLAGS.get(1 << bit, hex(1 << bit))
            names.append("temporary" if family == AF_INET6 and 1 << bit == _TEMPORARY else name)
    return tuple(names)


def _seconds(lifetime: int) -> int | None:
    return None if lifetime == _FOREVER else lifetime
