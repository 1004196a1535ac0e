"""Matches of iptables that ask other facts of a packet: mark, length, owner, type of service."""

from __future__ import annotations

from struct import unpack_from

from .machine import Machine
from .packet import UNKNOWN, Unknown
from .xtables import inverted, on_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .xtables import Condition, Matcher


def _mark(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    if revision != 1:
        raise LookupError(revision)
    mark, mask, invert = unpack_from("=IIB", info)
    return lambda machine: [
        (inverted(on_field(machine.state.packet.mark, lambda value: value & mask == mark), invert), "the packet's mark")
    ]


def _length(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    low, high, invert = unpack_from("=HHB", info)
    return lambda machine: [
        (
            inverted(on_field(machine.state.packet.length, lambda size: low <= size <= high), invert),
            "the packet's length",
        )
    ]


def _pkttype(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    kind, invert = unpack_from("=ii", info)
    return lambda machine: [
        (
            inverted(on_field(machine.state.packet.type, lambda value: value == kind), invert),
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
            yield inverted(UNKNOWN if isinstance(packet.uid, Unknown) else True, invert & 4), "whether it has a socket"
        if wanted & 1:
            holds = on_field(packet.uid, lambda value: uid_low <= value <= uid_high)
            yield inverted(holds, invert & 1), "the user of its socket"
        if wanted & 2:
            holds = on_field(packet.gid, lambda value: gid_low <= value <= gid_high)
            yield (UNKNOWN if wanted & 8 else inverted(holds, invert & 2)), "the group of its socket"

    return check


def _tos(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    mask, value, invert = info[:3]
    return lambda machine: [
        (inverted(on_field(machine.state.packet.tos, lambda tos: tos & mask == value), invert), "its type of service")
    ]


def _dscp(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    value, invert = info[:2]
    return lambda machine: [
        (inverted(on_field(machine.state.packet.tos, lambda tos: tos >> 2 == value), invert), "its DSCP")
    ]


def _ttl(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    mode, wanted = info[:2]

    def holds(value: int) -> bool:
        return (value == wanted, value != wanted, value < wanted, value > wanted)[min(mode, 3)]

    return lambda machine: [(on_field(machine.state.packet.ttl, holds), "its time to live")]


def _policy(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    none = bool(unpack_from("=H", info, 304)[0] & 4)  # struct xt_policy_info: XT_POLICY_MATCH_NONE

    def check(machine: Machine) -> Iterable[Condition]:
        known = machine.state.packet.ipsec is False
        yield none if known else UNKNOWN, "the IPsec policy that it came by or goes out by"

    return check


_DAY = 86400
_EVERY_DAY = 0xFFFFFFFE


def _time(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    first, last, start, stop, days, weekdays, flags = unpack_from("=IIIIIBB", info)  # struct xt_time_info

    def holds(now: int) -> bool:
        of_day = now % _DAY
        if not first <= now <= last:
            return False
        if start < stop:
            if not start <= of_day <= stop:
                return False
        elif of_day < start and of_day > stop:
            return False
        elif flags & 2 and of_day <= stop:
            now -= _DAY  # the span began the day before
        if not weekdays >> ((3 + now // _DAY) % 7 + 1) & 1:
            return False
        if days == _EVERY_DAY:
            return True
        from time import gmtime

        return bool(days >> gmtime(now).tm_mday & 1)

    def check(machine: Machine) -> Iterable[Condition]:
        # By the kernel's own zone, which only it knows, where that is wanted.
        yield UNKNOWN if flags & 1 else holds(int(machine.context.now())), "the time in the kernel's time zone"

    return check


MATCHES: dict[str, Matcher] = {
    "mark": _mark,
    "length": _length,
    "pkttype": _pkttype,
    "owner": _owner,
    "tos": _tos,
    "dscp": _dscp,
    "ttl": _ttl,
    "hl": _ttl,
    "policy": _policy,
    "time": _time,
}
