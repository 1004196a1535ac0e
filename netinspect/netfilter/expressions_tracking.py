"""Expressions that ask connection tracking, or tell it something (nft_ct.c, nft_flow_offload.c)."""

from __future__ import annotations

from _socket import inet_pton
from sys import byteorder

from ..uapi import nf_tables as nft
from .expressions import hexadecimal, loading, number_at
from .machine import BREAK, CONTINUE, MAY, UNKNOWN_WHY, Doubt, Machine, register
from .packet import UNKNOWN, UNTRACKED, Ends, Tracking, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .decode import Expression
    from .machine import Program

    Loaded = int | bytes | Unknown | None

STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}
"""linux/netfilter/nf_conntrack_common.h: NF_CT_STATE_*."""
IPS_EXPECTED = 1
_DIRECTIONS = ("original", "reply")


def tracking_of(machine: Machine) -> Tracking | Unknown | None:
    """The entry that the packet belongs to; None where it belongs to none, as expressions see it."""
    tracking = machine.state.packet.tracking
    if isinstance(tracking, Tracking) and tracking.state in ("invalid", "untracked"):
        return None
    return tracking


def _ct_state(machine: Machine) -> int | Unknown:
    tracking = machine.state.packet.tracking
    if tracking is None:
        return STATES["invalid"]  # before connection tracking has looked at it
    state = tracking.state if isinstance(tracking, Tracking) else tracking
    return STATES.get(state, 0) if isinstance(state, str) else state


def _entry(
    get: Callable[[Tracking], int | bytes | Unknown | None],
) -> Callable[[Machine], int | bytes | Unknown | None]:
    def value(machine: Machine) -> Loaded:
        tracking = tracking_of(machine)
        return get(tracking) if isinstance(tracking, Tracking) else tracking

    return value


def _direction(tracking: Tracking) -> int | Unknown:
    return tracking.direction if isinstance(tracking.direction, Unknown) else _DIRECTIONS.index(tracking.direction)


def _helper(tracking: Tracking) -> bytes | Unknown | None:
    # Of the flow that expected this one: the kernel asks ct->master.
    if isinstance(tracking.status, int) and not tracking.status & IPS_EXPECTED:
        return None
    if isinstance(tracking.helper, str):
        return tracking.helper.encode()[:15].ljust(16, b"\0")
    return tracking.helper


def _labels(tracking: Tracking) -> bytes | Unknown:
    labels = tracking.labels
    if isinstance(labels, Unknown):
        return labels
    # Words of the kernel's own order (struct nf_conn_labels).
    return b"".join((labels >> at & (1 << 64) - 1).to_bytes(8, byteorder) for at in (0, 64))


def _of_tuple(key: int, direction: int) -> Callable[[Tracking], int | bytes | Unknown | None]:
    def get(tracking: Tracking) -> int | bytes | Unknown | None:
        ends = tracking.reply if direction else tracking.original
        if not isinstance(ends, Ends):
            return UNKNOWN
        six = ":" in ends.source
        if key == nft.NFT_CT_L3PROTOCOL:
            return 10 if six else 2
        if key == nft.NFT_CT_PROTOCOL:
            return ends.protocol
        if key == nft.NFT_CT_PROTO_SRC:
            return ends.source_port
        if key == nft.NFT_CT_PROTO_DST:
            return ends.destination_port
        if key in (nft.NFT_CT_SRC_IP, nft.NFT_CT_DST_IP) and six:
            return None
        if key in (nft.NFT_CT_SRC_IP6, nft.NFT_CT_DST_IP6) and not six:
            return None
        address = ends.source if key in (nft.NFT_CT_SRC, nft.NFT_CT_SRC_IP, nft.NFT_CT_SRC_IP6) else ends.destination
        return inet_pton(10 if six else 2, address)

    return get


_CT: dict[int, tuple[int, str, Callable[[Tracking], int | bytes | Unknown | None], str]] = {
    nft.NFT_CT_DIRECTION: (1, "big", _direction, "the direction of the packet in its flow"),
    nft.NFT_CT_STATUS: (4, byteorder, lambda tracking: tracking.status, "the status of its conntrack entry"),
    nft.NFT_CT_MARK: (4, byteorder, lambda tracking: tracking.mark, "the mark of its conntrack entry"),
    nft.NFT_CT_HELPER: (16, "", _helper, "the helper of the flow that expected it"),
    nft.NFT_CT_LABELS: (16, "", _labels, "the labels of its conntrack entry"),
    nft.NFT_CT_ZONE: (2, byteorder, lambda tracking: tracking.zone, "its conntrack zone"),
    nft.NFT_CT_ID: (4, byteorder, lambda tracking: tracking.id, "the id of its conntrack entry"),
}
_CT_OTHERS = {
    nft.NFT_CT_SECMARK: (4, "the security mark of its conntrack entry"),
    nft.NFT_CT_EXPIRATION: (4, "when its conntrack entry expires"),
    nft.NFT_CT_PKTS: (8, "the packets of its flow so far"),
    nft.NFT_CT_BYTES: (8, "the bytes of its flow so far"),
    nft.NFT_CT_AVGPKT: (8, "the average size of its flow's packets"),
}
_CT_COUNTED = frozenset((nft.NFT_CT_EXPIRATION, nft.NFT_CT_PKTS, nft.NFT_CT_BYTES, nft.NFT_CT_AVGPKT))
"""What depends on the packets of a flow before."""
_CT_TUPLE = {
    **dict.fromkeys((nft.NFT_CT_SRC, nft.NFT_CT_DST, nft.NFT_CT_SRC_IP6, nft.NFT_CT_DST_IP6), 16),
    **dict.fromkeys((nft.NFT_CT_SRC_IP, nft.NFT_CT_DST_IP), 4),
    **dict.fromkeys((nft.NFT_CT_PROTO_SRC, nft.NFT_CT_PROTO_DST), 2),
    **dict.fromkeys((nft.NFT_CT_L3PROTOCOL, nft.NFT_CT_PROTOCOL), 1),
}


def _ct(expression: Expression) -> Program:
    key = expression.number(nft.NFTA_CT_KEY) or 0
    direction = (expression.raw(nft.NFTA_CT_DIRECTION) or b"\0")[0]
    if nft.NFTA_CT_SREG in expression.layout:
        way = 1 + direction if nft.NFTA_CT_DIRECTION in expression.layout else 0
        return _ct_set(key, register(expression.number(nft.NFTA_CT_SREG)), way)
    at = register(expression.number(nft.NFTA_CT_DREG))
    if key == nft.NFT_CT_STATE:
        return loading(at, 4, byteorder, _ct_state, "the state of its connection")
    if key in _CT:
        size, order, get, what = _CT[key]
        return loading(at, size, order, _entry(get), what)
    if key in _CT_TUPLE:
        return loading(at, _CT_TUPLE[key], "big", _entry(_of_tuple(key, direction)), "the addresses of its flow")
    size, what = _CT_OTHERS.get(key, (4, f"ct key {key}"))
    kind = MAY if key in _CT_COUNTED else UNKNOWN_WHY
    return loading(at, size, "big", _entry(lambda tracking: UNKNOWN), what, kind)


def _ct_set(key: int, at: int, way: int) -> Program:
    names = {nft.NFT_CT_MARK: "ct mark", nft.NFT_CT_ZONE: "zone", nft.NFT_CT_LABELS: "ct label"}

    def act(machine: Machine) -> int:
        tracking = machine.state.packet.tracking
        if key == nft.NFT_CT_ZONE:
            value, doubt = number_at(machine, at, 2)
            if tracking is None or isinstance(tracking, Unknown):
                machine.act("zone", f"ct zone set {value}", number=value, flags=way, doubt=doubt)
            return CONTINUE
        entry = tracking_of(machine)
        if entry is None:
            return CONTINUE
        if key == nft.NFT_CT_MARK:
            value, doubt = number_at(machine, at)
            if isinstance(entry, Tracking):
                machine.change(tracking=entry._replace(mark=UNKNOWN if value is None else value))
            machine.act("ct mark", f"ct mark set {hexadecimal(value)}", number=value, doubt=doubt)
        elif key == nft.NFT_CT_LABELS:
            raw, known, doubt = machine.load(at, 16)
            words = [int.from_bytes(raw[start : start + 8], byteorder) for start in (0, 8)]
            labels = words[0] | words[1] << 64 if known is None else None
            if isinstance(entry, Tracking):
                machine.change(tracking=entry._replace(labels=UNKNOWN if labels is None else labels))
            machine.act("ct label", f"ct label set {hexadecimal(labels)}", number=labels, doubt=doubt)
        else:
            machine.act(names.get(key, "ct"), f"ct key {key} set")
        return CONTINUE

    return act


def _notrack(expression: Expression) -> Program:
    def act(machine: Machine) -> int:
        if not isinstance(machine.state.packet.tracking, Tracking):
            machine.change(tracking=UNTRACKED)
            machine.act("notrack", "not tracked")
        return CONTINUE

    return act


def _offload(expression: Expression) -> Program:
    name = expression.text(nft.NFTA_FLOW_TABLE_NAME)
    doubt = Doubt(MAY, "only flows that are established and fit for it go into a flowtable")

    def act(machine: Machine) -> int:
        entry = tracking_of(machine)
        if entry is None or (isinstance(entry, Tracking) and entry.state in ("new", "invalid")):
            return BREAK
        if machine.maybe(doubt):
            return BREAK
        machine.act("offload", f"its flow goes into flowtable {name}: further packets pass by these rules")
        return CONTINUE

    return act


COMPILERS: dict[str, Callable[[Expression], Program]] = {"ct": _ct, "notrack": _notrack, "flow_offload": _offload}
