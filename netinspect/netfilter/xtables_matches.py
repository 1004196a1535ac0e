"""Matches of iptables in rules of iptables-nft (linux/netfilter/nf_tables_compat.h).

They keep the structs of linux/netfilter/xt_*.h, linux/netfilter_ipv4/ipt_*.h and linux/netfilter_ipv6/ip6t_*.h, in the
machine's order and alignment. What is not known here is a condition that is open, by its name.
"""

from __future__ import annotations

from _socket import inet_pton
from struct import unpack_from

from ..uapi import nf_tables as nft
from .expressions_header import no_transport, tcp_option
from .expressions_tracking import STATES, tracking_of
from .machine import BREAK, CONTINUE, MAY, UNKNOWN_WHY, Doubt, Machine
from .packet import ETH_P_IPV6, ICMP, ICMPV6, UNKNOWN, Ends, Tracking, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .decode import Expression
    from .machine import Program

    Condition = tuple[bool | Unknown, str]
    Matcher = Callable[[bytes, int], Callable[[Machine], Iterable[Condition]]]

_IPS_SRC_NAT, _IPS_DST_NAT = 1 << 4, 1 << 5
_STATE_BITS = {"invalid": 1, "established": 2, "related": 4, "new": 8}
_RTN_UNICAST, _RTN_LOCAL = 1, 2


def match(expression: Expression) -> Program:
    """A match."""
    name = expression.text(nft.NFTA_MATCH_NAME)
    revision = expression.number(nft.NFTA_MATCH_REV) or 0
    info = expression.raw(nft.NFTA_MATCH_INFO) or b""
    if name in _CHANCE:
        doubt = Doubt(MAY, f"it depends on {_CHANCE[name]} (iptables' match {name})")
        return lambda machine: machine.maybe(doubt)
    if name not in _MATCHES:
        return unknown_extension(f"iptables' match {name}")
    try:
        conditions = _MATCHES[name](info.ljust(SHORTEST, b"\0"), revision)
    except LookupError:
        return unknown_extension(f"iptables' match {name}, revision {revision}")

    def check(machine: Machine) -> int:
        open_on = []
        for holds, what in conditions(machine):
            if holds is False:
                return BREAK
            if isinstance(holds, Unknown):
                open_on.append(what)
        if not open_on:
            return CONTINUE
        what = " and ".join(open_on)
        return machine.maybe(Doubt(UNKNOWN_WHY, f"{what} (iptables' match {name})"), (name, info))

    return check


SHORTEST = 192
"""Infos are filled up with zeros: those of older revisions lack the last fields."""


def unknown_extension(what: str) -> Program:
    """A condition that cannot be evaluated."""
    doubt = Doubt(UNKNOWN_WHY, what)
    return lambda machine: machine.maybe(doubt, what)


def _both(value: int | Unknown | None, holds: Callable[[int], bool]) -> bool | Unknown:
    """A condition on a field: that does not hold where there is none, and is open where it is not known."""
    if value is None:
        return False
    return holds(value) if isinstance(value, int) else UNKNOWN


def _inverted(holds: bool | Unknown, invert: object) -> bool | Unknown:
    return holds if isinstance(holds, Unknown) else holds is not bool(invert)


def _tcp(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    first, last, low, high, option, mask, flags, invert = unpack_from("=4H4B", info)

    def check(machine: Machine) -> Iterable[Condition]:
        packet = machine.state.packet
        yield not no_transport(packet), ""
        source = _both(packet.source_port, lambda port: first <= port <= last)
        target = _both(packet.destination_port, lambda port: low <= port <= high)
        if (first, last) != (0, 65535) or invert & 1:
            yield _inverted(source, invert & 1), "the source port"
        if (low, high) != (0, 65535) or invert & 2:
            yield _inverted(target, invert & 2), "the destination port"
        if mask or flags:
            yield (
                _inverted(_both(packet.tcp_flags, lambda value: value & mask == flags), invert & 4),
                "the flags of TCP",
            )
        if option:
            options = packet.tcp_options
            there = UNKNOWN if isinstance(options, Unknown) else tcp_option(options, option) is not None
            yield _inverted(there, invert & 8), f"TCP option {option}"

    return check


def _udp(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    first, last, low, high, invert = unpack_from("=4HB", info)

    def check(machine: Machine) -> Iterable[Condition]:
        packet = machine.state.packet
        yield not no_transport(packet), ""
        if (first, last) != (0, 65535) or invert & 1:
            yield (
                _inverted(_both(packet.source_port, lambda port: first <= port <= last), invert & 1),
                "the source port",
            )
        if (low, high) != (0, 65535) or invert & 2:
            holds = _both(packet.destination_port, lambda port: low <= port <= high)
            yield _inverted(holds, invert & 2), "the destination port"

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
        source, destination = _both(packet.source_port, among), _both(packet.destination_port, among)
        if which == 0:
            holds = source
        elif which == 1:
            holds = destination
        elif True in (source, destination):
            holds = True
        else:
            holds = UNKNOWN if UNKNOWN in (source, destination) else False
        yield _inverted(holds, invert), "its ports"

    return check


def _state(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    (mask,) = unpack_from("=I", info)
    return lambda machine: [(_in_state(machine, mask, 1 << 6, nat=False), "the state of its connection")]


def _in_state(machine: Machine, mask: int, untracked: int, *, nat: bool) -> bool | Unknown:
    """Whether a packet is in one of these states; with ``nat`` also whether its flow is translated."""
    tracking = machine.state.packet.tracking
    if isinstance(tracking, Unknown):
        return UNKNOWN
    if tracking is None:
        return bool(mask & 1)
    if isinstance(tracking.state, Unknown):
        return UNKNOWN
    bit = untracked if tracking.state == "untracked" else _STATE_BITS.get(tracking.state, 1)
    if mask & bit:
        return True
    if not nat or not mask & (1 << 6 | 1 << 7) or tracking.state not in STATES:
        return False
    if isinstance(tracking.status, Unknown):
        return UNKNOWN
    translated = (tracking.status & _IPS_SRC_NAT) << 2 | (tracking.status & _IPS_DST_NAT) << 2
    return bool(translated & mask)


_CT_ADDRESSES = (
    (1 << 2, 0, "original", "source"),
    (1 << 3, 32, "original", "destination"),
    (1 << 4, 64, "reply", "source"),
    (1 << 5, 96, "reply", "destination"),
)
_CT_PORTS = (
    (1 << 8, 138, 154, "original", "source_port"),
    (1 << 9, 140, 156, "original", "destination_port"),
    (1 << 10, 142, 158, "reply", "source_port"),
    (1 << 11, 144, 160, "reply", "destination_port"),
)


def _conntrack(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    if revision not in (1, 2, 3):
        raise LookupError(revision)
    protocol, flags, invert = unpack_from("=H", info, 136)[0], *unpack_from("=HH", info, 146)
    states, statuses = unpack_from("=BB" if revision == 1 else "=HH", info, 150)

    def check(machine: Machine) -> Iterable[Condition]:
        if flags & 1:
            holds = _in_state(machine, states, 1 << 8, nat=True)
            yield _inverted(holds, invert & 1), "the state of its connection"
        entry = tracking_of(machine)
        if entry is None:
            yield bool(flags & 1), ""
            return
        if flags & ~1 and isinstance(entry, Unknown):
            yield UNKNOWN, "its conntrack entry"
            return
        if not isinstance(entry, Tracking):
            return
        if flags & 1 << 12:
            known = isinstance(entry.direction, str)
            yield _inverted(entry.direction == "original" if known else UNKNOWN, invert & 1 << 12), "its direction"
        if flags & 1 << 6:
            holds = _both(entry.status, lambda status: bool(status & statuses))
            yield _inverted(holds, invert & 1 << 6), "the status of its conntrack entry"
        if flags & 1 << 7:
            yield UNKNOWN, "when its conntrack entry expires"
        if flags & 1 << 1:
            known = isinstance(entry.original, Ends)
            ends = entry.original
            holds = ends.protocol == protocol if isinstance(ends, Ends) else UNKNOWN
            yield _inverted(holds, invert & 1 << 1), "the protocol of its flow"
        for bit, at, direction, field in _CT_ADDRESSES:
            if flags & bit:
                ends = getattr(entry, direction)
                holds = _within(getattr(ends, field), info[at : at + 16], info[at + 16 : at + 32]) if ends else UNKNOWN
                yield _inverted(holds, invert & bit), "the addresses of its flow"
        for bit, at, end, direction, field in _CT_PORTS:
            if flags & bit:
                ends = getattr(entry, direction)
                # Revision 3 has ranges in the machine's order, the older ones a port in network order.
                order = "=H" if revision == 3 else "!H"
                low = unpack_from(order, info, at)[0]
                high = unpack_from("=H", info, end)[0] if revision == 3 else low
                holds = low <= getattr(ends, field) <= high if ends else UNKNOWN
                yield _inverted(holds, invert & bit), "the ports of its flow"

    return check


def _within(address: str, wanted: bytes, mask: bytes) -> bool:
    packed = inet_pton(10 if ":" in address else 2, address)
    size = len(packed)
    return all(one & bits == other & bits for one, other, bits in zip(packed, wanted[:size], mask[:size], strict=True))


def _mark(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    if revision != 1:
        raise LookupError(revision)
    mark, mask, invert = unpack_from("=IIB", info)
    return lambda machine: [
        (_inverted(_both(machine.state.packet.mark, lambda value: value & mask == mark), invert), "the packet's mark")
    ]


def _connmark(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    if revision != 1:
        raise LookupError(revision)
    mark, mask, invert = unpack_from("=IIB", info)

    def check(machine: Machine) -> Iterable[Condition]:
        entry = tracking_of(machine)
        if entry is None:
            yield False, ""
        value = entry.mark if isinstance(entry, Tracking) else UNKNOWN
        holds = _both(value, lambda value: value & mask == mark)
        yield _inverted(holds, invert), "the mark of its conntrack entry"

    return check


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
            yield _inverted(holds, flags & bit), f"the type of the {name} address"

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
            yield _inverted(holds, flags & invert), "its addresses"

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
            holds = _both(packet.icmp_type, lambda value: value == kind)
            if holds is not False and (low, high) != (0, 255):
                code = _both(packet.icmp_code, lambda value: low <= value <= high)
                holds = code if holds is True or code is False else UNKNOWN
        yield _inverted(holds, invert), "the type of ICMP"

    return check


def _length(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    low, high, invert = unpack_from("=HHB", info)
    return lambda machine: [
        (_inverted(_both(machine.state.packet.length, lambda size: low <= size <= high), invert), "the packet's length")
    ]


def _mac(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    wanted, invert = info[:6].hex(":"), unpack_from("=i", info, 8)[0]

    def check(machine: Machine) -> Iterable[Condition]:
        address = machine.state.packet.link_source
        if address is None:
            yield False, ""
        holds = address == wanted if isinstance(address, str) else UNKNOWN
        yield _inverted(holds, invert), "the source address of the frame"

    return check


def _pkttype(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    kind, invert = unpack_from("=ii", info)
    return lambda machine: [
        (
            _inverted(_both(machine.state.packet.type, lambda value: value == kind), invert),
            "what type of frame it came in",
        )
    ]


def _owner(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    uid_low, uid_high, gid_low, gid_high, wanted, invert = unpack_from("=IIIIBB", info)

    def check(machine: Machine) -> Iterable[Condition]:
        packet = machine.state.packet
        if packet.uid is None:
            yield wanted ^ invert == 0, ""
            return
        if wanted & 4:
            yield _inverted(UNKNOWN if isinstance(packet.uid, Unknown) else True, invert & 4), "whether it has a socket"
        if wanted & 1:
            holds = _both(packet.uid, lambda value: uid_low <= value <= uid_high)
            yield _inverted(holds, invert & 1), "the user of its socket"
        if wanted & 2:
            holds = _both(packet.gid, lambda value: gid_low <= value <= gid_high)
            yield (UNKNOWN if wanted & 8 else _inverted(holds, invert & 2)), "the group of its socket"

    return check


def _tos(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    mask, value, invert = info[:3]
    return lambda machine: [
        (_inverted(_both(machine.state.packet.tos, lambda tos: tos & mask == value), invert), "its type of service")
    ]


def _dscp(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    value, invert = info[:2]
    return lambda machine: [
        (_inverted(_both(machine.state.packet.tos, lambda tos: tos >> 2 == value), invert), "its DSCP")
    ]


def _ttl(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    mode, wanted = info[:2]

    def holds(value: int) -> bool:
        return (value == wanted, value != wanted, value < wanted, value > wanted)[min(mode, 3)]

    return lambda machine: [(_both(machine.state.packet.ttl, holds), "its time to live")]


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
                holds = _both(found, lambda value, group=group, mask=mask: not (value ^ group) & mask)  # type: ignore[misc]
                yield _inverted(holds, flags & invert), "the group of its interface"

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
            yield _inverted(out, invert & 4), "whether it is bridged"
        if wanted & 8:
            yield _inverted(True, invert & 8), ""
        if wanted & 16:
            yield _inverted(out, invert & 16), "the port of the bridge that it goes out by"
        if wanted & 1:
            yield _inverted(_named(came.name, info[:16], info[16:32]), invert & 1), ""
        if wanted & 2:
            name = UNKNOWN if isinstance(goes, Unknown) else _named(goes.name if goes else "", info[32:48], info[48:64])
            yield _inverted(name, invert & 2), "the port of the bridge that it goes out by"

    return check


def _named(name: str, wanted: bytes, mask: bytes) -> bool:
    packed = name.encode().ljust(16, b"\0")[:16]
    return all(one & bits == other & bits for one, other, bits in zip(packed, wanted, mask, strict=True))


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
        yield _inverted(low <= int.from_bytes(option[2:], "big") <= high, invert), ""

    return check


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
        yield _inverted(right, flags & 8), ""

    return check


def _policy(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    return lambda machine: [(UNKNOWN, "the IPsec policy that it came by or goes out by")]


def _always(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    return lambda machine: []


_MATCHES: dict[str, Matcher] = {
    "tcp": _tcp,
    "udp": _udp,
    "udplite": _udp,
    "multiport": _multiport,
    "state": _state,
    "conntrack": _conntrack,
    "mark": _mark,
    "connmark": _connmark,
    "addrtype": _addrtype,
    "iprange": _iprange,
    "icmp": _icmp,
    "icmp6": _icmp,
    "length": _length,
    "mac": _mac,
    "pkttype": _pkttype,
    "owner": _owner,
    "tos": _tos,
    "dscp": _dscp,
    "ttl": _ttl,
    "hl": _ttl,
    "devgroup": _devgroup,
    "physdev": _physdev,
    "tcpmss": _tcpmss,
    "rpfilter": _rpfilter,
    "policy": _policy,
    "comment": _always,
}
_CHANCE = {
    "limit": "the packets before",
    "hashlimit": "the packets before",
    "statistic": "chance or the packets before",
    "recent": "the packets before",
    "connlimit": "how many connections there are",
    "connbytes": "how much has been sent",
    "quota": "the packets before",
    "rateest": "rates of the time",
    "nfacct": "an account's quota",
    "cpu": "the processor that it is handled on",
    "time": "the time",
    "cluster": "a hash",
}
