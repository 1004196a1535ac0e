"""Matches of iptables that ask the transport header: ports, flags and options of TCP, types of ICMP."""

from __future__ import annotations

from struct import unpack_from

from .expressions_header import no_transport, tcp_option
from .machine import Machine
from .packet import ETH_P_IPV6, ICMP, ICMPV6, UNKNOWN, Unknown
from .xtables import inverted, on_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .xtables import Condition, Matcher


def _tcp(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    first, last, low, high, option, mask, flags, invert = unpack_from("=4H4B", info)

    def check(machine: Machine) -> Iterable[Condition]:
        packet = machine.state.packet
        yield not no_transport(packet), ""
        source = on_field(packet.source_port, lambda port: first <= port <= last)
        target = on_field(packet.destination_port, lambda port: low <= port <= high)
        if (first, last) != (0, 65535) or invert & 1:
            yield inverted(source, invert & 1), "the source port"
        if (low, high) != (0, 65535) or invert & 2:
            yield inverted(target, invert & 2), "the destination port"
        if mask or flags:
            yield (
                inverted(on_field(packet.tcp_flags, lambda value: value & mask == flags), invert & 4),
                "the flags of TCP",
            )
        if option:
            options = packet.tcp_options
            there = UNKNOWN if isinstance(options, Unknown) else tcp_option(options, option) is not None
            yield inverted(there, invert & 8), f"TCP option {option}"

    return check


def _udp(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    first, last, low, high, invert = unpack_from("=4HB", info)

    def check(machine: Machine) -> Iterable[Condition]:
        packet = machine.state.packet
        yield not no_transport(packet), ""
        if (first, last) != (0, 65535) or invert & 1:
            yield (
                inverted(on_field(packet.source_port, lambda port: first <= port <= last), invert & 1),
                "the source port",
            )
        if (low, high) != (0, 65535) or invert & 2:
            holds = on_field(packet.destination_port, lambda port: low <= port <= high)
            yield inverted(holds, invert & 2), "the destination port"

    return check


def _multiport(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    which, count = info[0], min(info[1], 15)
    ports = unpack_from("=15H", info, 2)
    ranged = info[32:47] if revision else bytes(15)
    invert = info[47] if revision else 0
    wanted = []
    at = 0
    while at < count:
        last = ports[at + 1] if ranged[at] and at + 1 < count else ports[at]
        wanted.append((ports[at], last))
        at += 2 if ranged[at] else 1

    def among(port: int) -> bool:
        return any(low <= port <= high for low, high in wanted)

    def check(machine: Machine) -> Iterable[Condition]:
        packet = machine.state.packet
        yield not no_transport(packet), ""
        source, destination = on_field(packet.source_port, among), on_field(packet.destination_port, among)
        if which == 0:
            holds = source
        elif which == 1:
            holds = destination
        elif True in (source, destination):
            holds = True
        else:
            holds = UNKNOWN if UNKNOWN in (source, destination) else False
        yield inverted(holds, invert), "its ports"

    return check


def _icmp(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    kind, low, high, invert = info[0], info[1], info[2], info[3] & 1

    def check(machine: Machine) -> Iterable[Condition]:
        packet = machine.state.packet
        yield not no_transport(packet), ""
        if isinstance(packet.protocol, int) and packet.protocol not in (ICMP, ICMPV6):
            yield False, ""
        holds: bool | Unknown
        if kind == 255 and packet.ethertype != ETH_P_IPV6:
            holds = True
        else:
            holds = on_field(packet.icmp_type, lambda value: value == kind)
            if holds is not False and (low, high) != (0, 255):
                code = on_field(packet.icmp_code, lambda value: low <= value <= high)
                holds = code if holds is True or code is False else UNKNOWN
        yield inverted(holds, invert), "the type of ICMP"

    return check


def _tcpmss(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    low, high, invert = unpack_from("=HHB", info)

    def check(machine: Machine) -> Iterable[Condition]:
        packet = machine.state.packet
        if isinstance(packet.tcp_options, Unknown):
            yield UNKNOWN, "TCP's segment size"
            return
        option = tcp_option(packet.tcp_options, 2)
        if option is None or len(option) != 4:
            yield bool(invert), ""
            return
        yield inverted(low <= int.from_bytes(option[2:], "big") <= high, invert), ""

    return check


MATCHES: dict[str, Matcher] = {
    "tcp": _tcp,
    "udp": _udp,
    "udplite": _udp,
    "multiport": _multiport,
    "icmp": _icmp,
    "icmp6": _icmp,
    "tcpmss": _tcpmss,
}
