"""Matches of iptables that ask addresses and interfaces, and the routes to them."""

from __future__ import annotations

from _socket import inet_pton
from struct import unpack_from

from .machine import Machine
from .packet import UNKNOWN, Unknown
from .xtables import inverted, on_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .xtables import Condition, Matcher

_RTN_UNICAST, _RTN_LOCAL = 1, 2


def _addrtype(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    source, destination = unpack_from("=HH", info)
    if revision:
        (flags,) = unpack_from("=I", info, 4)
    else:
        one, other = unpack_from("=II", info, 4)
        flags = bool(one) | bool(other) << 1

    def check(machine: Machine) -> Iterable[Condition]:
        packet = machine.state.packet
        device = packet.incoming if flags & 4 else packet.outgoing if flags & 8 else None
        for types, address, bit, name in (
            (source, packet.source, 1, "source"),
            (destination, packet.destination, 2, "destination"),
        ):
            if not types:
                continue
            kind = machine.context.address_type(address, device) if isinstance(address, str) else UNKNOWN
            holds = UNKNOWN if isinstance(kind, Unknown) else bool(types >> kind & 1)
            yield inverted(holds, flags & bit), f"the type of the {name} address"

    return check


def _iprange(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    if revision != 1:
        raise LookupError(revision)
    flags = info[64]

    def check(machine: Machine) -> Iterable[Condition]:
        packet = machine.state.packet
        for bit, invert, at, address in ((1, 16, 0, packet.source), (2, 32, 32, packet.destination)):
            if not flags & bit:
                continue
            holds: bool | Unknown = UNKNOWN
            if isinstance(address, str):
                packed = inet_pton(10 if ":" in address else 2, address)
                holds = info[at : at + len(packed)] <= packed <= info[at + 16 : at + 16 + len(packed)]
            yield inverted(holds, flags & invert), "its addresses"

    return check


def _mac(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    wanted, invert = info[:6].hex(":"), unpack_from("=i", info, 8)[0]

    def check(machine: Machine) -> Iterable[Condition]:
        address = machine.state.packet.link_source
        if address is None:
            yield False, ""
        holds = address == wanted if isinstance(address, str) else UNKNOWN
        yield inverted(holds, invert), "the source address of the frame"

    return check


def _devgroup(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    flags, source, source_mask, target, target_mask = unpack_from("=5I", info)

    def check(machine: Machine) -> Iterable[Condition]:
        packet = machine.state.packet
        for bit, invert, interface, group, mask in (
            (1, 2, packet.incoming, source, source_mask),
            (4, 8, packet.outgoing, target, target_mask),
        ):
            if flags & bit:
                found = interface.group if interface is not None else None
                holds = on_field(found, lambda value, group=group, mask=mask: not (value ^ group) & mask)  # type: ignore[misc]
                yield inverted(holds, flags & invert), "the group of its interface"

    return check


def _physdev(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    invert, wanted = info[64], info[65]

    def check(machine: Machine) -> Iterable[Condition]:
        packet = machine.state.packet
        came, goes = packet.physical_incoming, packet.physical_outgoing
        if isinstance(came, Unknown):
            yield UNKNOWN, "the port of the bridge that it came in by"
            return
        if came is None:
            # Not bridged: only what is asked the other way round holds.
            for bit in (2, 16, 4, 1, 8):
                if wanted & bit:
                    yield bool(invert & bit), ""
            return
        out = UNKNOWN if isinstance(goes, Unknown) else goes is not None
        if wanted & 4:
            yield inverted(out, invert & 4), "whether it is bridged"
        if wanted & 8:
            yield inverted(True, invert & 8), ""
        if wanted & 16:
            yield inverted(out, invert & 16), "the port of the bridge that it goes out by"
        if wanted & 1:
            yield inverted(_named(came.name, info[:16], info[16:32]), invert & 1), ""
        if wanted & 2:
            name = UNKNOWN if isinstance(goes, Unknown) else _named(goes.name if goes else "", info[32:48], info[48:64])
            yield inverted(name, invert & 2), "the port of the bridge that it goes out by"

    return check


def _named(name: str, wanted: bytes, mask: bytes) -> bool:
    packed = name.encode().ljust(16, b"\0")[:16]
    return all(one & bits == other & bits for one, other, bits in zip(packed, wanted, mask, strict=True))


def _rpfilter(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    flags = info[0]

    def check(machine: Machine) -> Iterable[Condition]:
        packet = machine.state.packet
        if packet.incoming is not None and packet.incoming.name == "lo":
            yield not flags & 8, ""
            return
        if not isinstance(packet.source, str) or (flags & 2 and isinstance(packet.mark, Unknown)):
            yield UNKNOWN, "the route to the source address"
            return
        device = None if flags & 1 else packet.incoming
        mark = packet.mark if flags & 2 and isinstance(packet.mark, int) else 0
        tos = packet.tos if isinstance(packet.tos, int) else 0
        known = packet.destination if isinstance(packet.destination, str) else None
        route = machine.context.reverse_route(packet.source, known, mark, tos, device)
        if isinstance(route, Unknown):
            yield UNKNOWN, "the route to the source address"
            return
        right = route is not None and (route.type == _RTN_UNICAST or (route.type == _RTN_LOCAL and bool(flags & 4)))
        yield inverted(right, flags & 8), ""

    return check


MATCHES: dict[str, Matcher] = {
    "addrtype": _addrtype,
    "iprange": _iprange,
    "mac": _mac,
    "devgroup": _devgroup,
    "physdev": _physdev,
    "rpfilter": _rpfilter,
}
