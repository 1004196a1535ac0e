"""Matches of iptables that ask connection tracking."""

from __future__ import annotations

from _socket import inet_pton
from struct import unpack_from

from .expressions_tracking import IPS_EXPECTED, STATES, tracking_of
from .machine import Machine
from .packet import UNKNOWN, Ends, Tracking, Unknown
from .xtables import inverted, on_field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .xtables import Condition, Matcher

_IPS_SRC_NAT, _IPS_DST_NAT = 1 << 4, 1 << 5
_STATE_BITS = {"invalid": 1, "established": 2, "related": 4, "new": 8}


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
            yield inverted(holds, invert & 1), "the state of its connection"
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
            yield inverted(entry.direction == "original" if known else UNKNOWN, invert & 1 << 12), "its direction"
        if flags & 1 << 6:
            holds = on_field(entry.status, lambda status: bool(status & statuses))
            yield inverted(holds, invert & 1 << 6), "the status of its conntrack entry"
        if flags & 1 << 7:
            yield UNKNOWN, "when its conntrack entry expires"
        if flags & 1 << 1:
            known = isinstance(entry.original, Ends)
            ends = entry.original
            holds = ends.protocol == protocol if isinstance(ends, Ends) else UNKNOWN
            yield inverted(holds, invert & 1 << 1), "the protocol of its flow"
        for bit, at, direction, field in _CT_ADDRESSES:
            if flags & bit:
                ends = getattr(entry, direction)
                holds = _within(getattr(ends, field), info[at : at + 16], info[at + 16 : at + 32]) if ends else UNKNOWN
                yield inverted(holds, invert & bit), "the addresses of its flow"
        for bit, at, end, direction, field in _CT_PORTS:
            if flags & bit:
                ends = getattr(entry, direction)
                # Revision 3 has ranges in the machine's order, the older ones a port in network order.
                order = "=H" if revision == 3 else "!H"
                low = unpack_from(order, info, at)[0]
                high = unpack_from("=H", info, end)[0] if revision == 3 else low
                holds = low <= getattr(ends, field) <= high if ends else UNKNOWN
                yield inverted(holds, invert & bit), "the ports of its flow"

    return check


def _within(address: str, wanted: bytes, mask: bytes) -> bool:
    packed = inet_pton(10 if ":" in address else 2, address)
    size = len(packed)
    return all(one & bits == other & bits for one, other, bits in zip(packed, wanted[:size], mask[:size], strict=True))


def _connmark(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    if revision != 1:
        raise LookupError(revision)
    mark, mask, invert = unpack_from("=IIB", info)

    def check(machine: Machine) -> Iterable[Condition]:
        entry = tracking_of(machine)
        if entry is None:
            yield False, ""
        value = entry.mark if isinstance(entry, Tracking) else UNKNOWN
        holds = on_field(value, lambda value: value & mask == mark)
        yield inverted(holds, invert), "the mark of its conntrack entry"

    return check


def _helper(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    invert = bool(unpack_from("=i", info)[0])
    name = info[4:34].split(b"\0", 1)[0].decode("utf-8", "backslashreplace")

    def check(machine: Machine) -> Iterable[Condition]:
        entry = tracking_of(machine)
        status = entry.status if isinstance(entry, Tracking) else UNKNOWN
        if entry is None or (isinstance(status, int) and not status & IPS_EXPECTED):
            yield invert, ""  # it is the helper of the flow that expected this one
            return
        held = entry.helper if isinstance(entry, Tracking) else UNKNOWN
        holds = held.startswith(name) if isinstance(held, str) else UNKNOWN
        yield inverted(holds, invert), "the helper of the flow that expected it"

    return check


def _connlabel(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    bit, options = unpack_from("=HH", info)
    if options & 2:
        raise LookupError(revision)  # one that sets the label

    def check(machine: Machine) -> Iterable[Condition]:
        entry = tracking_of(machine)
        labels = 0 if entry is None else entry.labels if isinstance(entry, Tracking) else UNKNOWN
        holds = on_field(labels, lambda value: bool(value >> bit & 1))
        yield inverted(holds, options & 1), "the labels of its conntrack entry"

    return check


MATCHES: dict[str, Matcher] = {
    "state": _state,
    "conntrack": _conntrack,
    "connmark": _connmark,
    "helper": _helper,
    "connlabel": _connlabel,
}
