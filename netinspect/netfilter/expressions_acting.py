"""Expressions that ask connection tracking and routing, depend on other packets, or do something to the packet."""

from __future__ import annotations

from _socket import inet_ntop, inet_pton
from sys import byteorder

from ..uapi import nf_tables as nft
from .expressions import find_set, loading, matching, no_transport, number_at, tcp_option
from .machine import ACCEPT as _ACCEPT
from .machine import (
    BREAK,
    CONTINUE,
    DROP,
    MAY,
    STOLEN,
    UNKNOWN_WHY,
    VERDICT,
    Doubt,
    Machine,
    Verdict,
    register,
)
from .packet import ETH_P_IPV6, TCP, UDP, UNKNOWN, UNTRACKED, Ends, Interface, Tracking, Unknown, written

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from .decode import Expression
    from .machine import Program

    Loaded = int | bytes | Unknown | None
    Value = TypeVar("Value", str, int)

STATES = {"invalid": 1, "established": 2, "related": 4, "new": 8, "untracked": 64}
"""linux/netfilter/nf_conntrack_common.h: NF_CT_STATE_*."""
IPS_EXPECTED = 1
RTN_UNICAST, RTN_LOCAL = 1, 2
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
    return labels if isinstance(labels, Unknown) else labels.to_bytes(16, "little")


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
        return _ct_set(key, register(expression.number(nft.NFTA_CT_SREG)))
    at = register(expression.number(nft.NFTA_CT_DREG))
    if key == nft.NFT_CT_STATE:
        return loading(at, 4, byteorder, _ct_state, "the state of its connection")
    if key in _CT:
        size, order, get, what = _CT[key]
        return loading(at, size, order, _entry(get), what)
    if key in _CT_TUPLE:
        return loading(at, _CT_TUPLE[key], "big", _entry(_of_tuple(key, direction)), "the addresses of its flow")
    size, what = _CT_OTHERS.get(key, (4, f"ct key {key}"))
    return loading(at, size, "big", _entry(lambda tracking: UNKNOWN), what)


def _ct_set(key: int, at: int) -> Program:
    names = {nft.NFT_CT_MARK: "ct mark", nft.NFT_CT_ZONE: "zone", nft.NFT_CT_LABELS: "ct label"}

    def act(machine: Machine) -> int:
        tracking = machine.state.packet.tracking
        if key == nft.NFT_CT_ZONE:
            value, doubt = number_at(machine, at, 2)
            if tracking is None or isinstance(tracking, Unknown):
                machine.act("zone", f"ct zone set {value}", number=value, doubt=doubt)
            return CONTINUE
        entry = tracking_of(machine)
        if entry is None:
            return CONTINUE
        if key == nft.NFT_CT_MARK:
            value, doubt = number_at(machine, at)
            if isinstance(entry, Tracking):
                machine.change(tracking=entry._replace(mark=UNKNOWN if value is None else value))
            machine.act("ct mark", f"ct mark set {_hexadecimal(value)}", number=value, doubt=doubt)
        elif key == nft.NFT_CT_LABELS:
            raw, known, doubt = machine.load(at, 16)
            labels = int.from_bytes(raw, "little") if known is None else None
            if isinstance(entry, Tracking):
                machine.change(tracking=entry._replace(labels=UNKNOWN if labels is None else labels))
            machine.act("ct label", f"ct label set {_hexadecimal(labels)}", number=labels, doubt=doubt)
        else:
            machine.act(names.get(key, "ct"), f"ct key {key} set")
        return CONTINUE

    return act


def _hexadecimal(value: int | None) -> str:
    return "?" if value is None else f"{value:#x}"


def _notrack(expression: Expression) -> Program:
    def act(machine: Machine) -> int:
        if not isinstance(machine.state.packet.tracking, Tracking):
            machine.change(tracking=UNTRACKED)
            machine.act("notrack", "not tracked")
        return CONTINUE

    return act


def _meta_set(expression: Expression) -> Program:
    """Sets something of the packet: mark, priority, type."""
    key = expression.number(nft.NFTA_META_KEY) or 0
    at = register(expression.number(nft.NFTA_META_SREG))

    def act(machine: Machine) -> int:
        value, doubt = number_at(machine, at, 1 if key in (nft.NFT_META_PKTTYPE, nft.NFT_META_NFTRACE) else 4)
        new = UNKNOWN if value is None else value
        if key == nft.NFT_META_MARK:
            machine.change(mark=new)
            machine.act("mark", f"mark set {_hexadecimal(value)}", number=value, doubt=doubt)
        elif key == nft.NFT_META_PRIORITY:
            machine.change(priority=new)
            machine.act("priority", f"priority set {_hexadecimal(value)}", number=value, doubt=doubt)
        elif key == nft.NFT_META_PKTTYPE:
            machine.change(type=new)
            machine.act("type", f"packet type set {value}", number=value, doubt=doubt)
        elif key == nft.NFT_META_NFTRACE:
            machine.act("trace", "traced from here", number=value)
        else:
            machine.act("meta", f"meta key {key} set", number=value, doubt=doubt)
        return CONTINUE

    return act


def _payload_set(expression: Expression) -> Program:
    """Writes into a header."""
    base = expression.number(nft.NFTA_PAYLOAD_BASE) or 0
    offset = expression.number(nft.NFTA_PAYLOAD_OFFSET) or 0
    size = expression.size(nft.NFTA_PAYLOAD_LEN)
    at = register(expression.number(nft.NFTA_PAYLOAD_SREG))

    def act(machine: Machine) -> int:
        header = machine.header(base) if base < 3 else None
        if base == 2 and no_transport(machine.state.packet) is True:
            return BREAK
        if base < 3 and header is None:
            return BREAK
        value, known, doubt = machine.load(at, size)
        new = value if known is None else None
        if base < 3:
            machine.put(written(machine.state.packet, base, offset, new, size))
        machine.act("header", f"bytes {offset} to {offset + size - 1} of header {base} written", doubt=doubt)
        return CONTINUE

    return act


def _exthdr_set(expression: Expression) -> Program:
    """Sets a TCP option, as ``tcp option maxseg size set`` does, or takes it out."""
    kind = (expression.raw(nft.NFTA_EXTHDR_TYPE) or b"\0")[0]
    if expression.number(nft.NFTA_EXTHDR_OP) != nft.NFT_EXTHDR_OP_TCPOPT:
        return lambda machine: CONTINUE
    at = register(expression.number(nft.NFTA_EXTHDR_SREG))
    size = expression.size(nft.NFTA_EXTHDR_LEN)

    def act(machine: Machine) -> int:
        packet = machine.state.packet
        if isinstance(packet.protocol, int) and (packet.protocol != TCP or no_transport(packet)):
            return BREAK
        if at < 0:
            machine.act("header", f"TCP option {kind} taken out")
            return CONTINUE
        value, known, doubt = machine.load(at, size)
        number = int.from_bytes(value, "big") if known is None else None
        if kind != 2:
            machine.act("header", f"TCP option {kind} set", number=number, doubt=doubt)
            return CONTINUE
        clamp_to(machine, number, doubt)
        return CONTINUE

    return act


def clamp_to(machine: Machine, size: int | None, doubt: Doubt | None) -> None:
    """Lowers the maximum segment size of a SYN, and never raises it."""
    options = machine.state.packet.tcp_options
    if isinstance(options, bytes):
        option = tcp_option(options, 2)
        if option is None or len(option) != 4:
            return
        before = int.from_bytes(option[2:], "big")
        if size is not None and before <= size:
            return
        if size is None:
            machine.change(tcp_options=UNKNOWN)
        else:
            machine.change(tcp_options=options.replace(option, option[:2] + size.to_bytes(2, "big"), 1))
    machine.act("clamp", f"TCP's segment size at most {'?' if size is None else size}", number=size, doubt=doubt)


def _rt(expression: Expression) -> Program:
    at = register(expression.number(nft.NFTA_RT_DREG))
    key = expression.number(nft.NFTA_RT_KEY) or 0
    what = {
        nft.NFT_RT_CLASSID: "the realm of its route",
        nft.NFT_RT_TCPMSS: "the segment size of its path",
        nft.NFT_RT_XFRM: "whether its route leads through IPsec",
    }.get(key, "its next hop")
    size, order = {nft.NFT_RT_NEXTHOP4: (4, ""), nft.NFT_RT_NEXTHOP6: (16, ""), nft.NFT_RT_TCPMSS: (2, byteorder)}.get(
        key, (1, "big") if key == nft.NFT_RT_XFRM else (4, byteorder)
    )

    def get(machine: Machine) -> int | bytes | Unknown | None:
        packet = machine.state.packet
        if key == nft.NFT_RT_CLASSID:
            return packet.realm
        route = machine.context.next_route(packet)
        if route is None or isinstance(route, Unknown):
            return route
        if key in (nft.NFT_RT_NEXTHOP4, nft.NFT_RT_NEXTHOP6):
            if packet.family != ("ip" if key == nft.NFT_RT_NEXTHOP4 else "ip6"):
                return None
            hop = route.gateway or packet.destination
            return inet_pton(10 if ":" in hop else 2, hop) if isinstance(hop, str) else UNKNOWN
        if key == nft.NFT_RT_TCPMSS:
            return segment_size(machine)
        return UNKNOWN

    return loading(at, size, order, get, what)


def segment_size(machine: Machine) -> int | Unknown:
    """The segment size that the path's MTU leaves, the lesser of both directions (nft_rt.c: get_tcpmss)."""
    packet = machine.state.packet
    route = machine.context.next_route(packet)
    if route is None or isinstance(route, Unknown) or route.mtu is None or not isinstance(packet.source, str):
        return UNKNOWN
    back = machine.context.reverse_route(packet.source, None, 0, 0, None)
    if isinstance(back, Unknown):
        return UNKNOWN
    mtus = [route.mtu]
    if back is not None:
        if back.mtu is None:
            return UNKNOWN
        mtus.append(back.mtu)
    return max(min(mtus) - (60 if packet.ethertype == ETH_P_IPV6 else 40), 0)


def _fib(expression: Expression) -> Program:
    at = register(expression.number(nft.NFTA_FIB_DREG))
    result = expression.number(nft.NFTA_FIB_RESULT) or 0
    flags = expression.number(nft.NFTA_FIB_FLAGS) or 0
    which = "source" if flags & nft.NFTA_FIB_F_SADDR else "destination"
    if result == nft.NFT_FIB_RESULT_ADDRTYPE:
        what = f"the type of the {which} address"
    else:
        what = f"the route to the {which} address"
    doubt = Doubt(UNKNOWN_WHY, what)
    present = bool(flags & nft.NFTA_FIB_F_PRESENT)
    size = 16 if result == nft.NFT_FIB_RESULT_OIFNAME else 4

    def load(machine: Machine) -> int:
        packet = machine.state.packet
        if packet.family is None:
            # In netdev and bridge chains there are other frames, which have no route.
            return BREAK if machine.family in ("netdev", "bridge") else CONTINUE
        address = packet.source if which == "source" else packet.destination
        device = None
        if flags & nft.NFTA_FIB_F_IIF:
            device = packet.incoming
        elif flags & nft.NFTA_FIB_F_OIF:
            device = packet.outgoing
        if not isinstance(address, str):
            machine.store_unknown(at, size, doubt)
            return CONTINUE
        if result == nft.NFT_FIB_RESULT_ADDRTYPE:
            kind = machine.context.address_type(address, device)
            if isinstance(kind, Unknown):
                machine.store_unknown(at, 4, doubt)
            else:
                machine.store(at, kind.to_bytes(4, byteorder))
            return CONTINUE
        other = packet.destination if which == "source" else packet.source
        mark = packet.mark if flags & nft.NFTA_FIB_F_MARK else 0
        if isinstance(mark, Unknown):
            machine.store_unknown(at, size, doubt)
            return CONTINUE
        if machine.hook in ("prerouting", "ingress") and packet.incoming is not None and packet.incoming.name == "lo":
            found: Interface | None = packet.incoming
        else:
            tos = packet.tos if isinstance(packet.tos, int) else 0
            known = other if isinstance(other, str) else None
            route = machine.context.reverse_route(address, known, mark, tos, device)
            if isinstance(route, Unknown):
                machine.store_unknown(at, size, doubt)
                return CONTINUE
            # A route that is not to elsewhere counts as none (net/ipv4/netfilter/nft_fib_ipv4.c).
            found = route.device if route is not None and route.type == RTN_UNICAST else None
        if present:
            machine.store(at, b"\1" if found is not None else b"\0")
        elif result == nft.NFT_FIB_RESULT_OIFNAME:
            machine.store(at, (found.name if found is not None else "").encode()[:15].ljust(16, b"\0"))
        else:
            machine.store(at, (found.index if found is not None else 0).to_bytes(4, byteorder))
        return CONTINUE

    return load


def _conditional(reason: str) -> Callable[[Expression], Program]:
    doubt = Doubt(MAY, reason)
    return lambda expression: lambda machine: machine.maybe(doubt)


def _quota(expression: Expression) -> Program:
    total = expression.number(nft.NFTA_QUOTA_BYTES) or 0
    used = expression.number(nft.NFTA_QUOTA_CONSUMED) or 0
    over = bool((expression.number(nft.NFTA_QUOTA_FLAGS) or 0) & 1)
    doubt = Doubt(MAY, f"it depends on the packets before: {used} of the quota's {total} bytes were used")

    def check(machine: Machine) -> int:
        length = machine.state.packet.length
        if used + (length if isinstance(length, int) else 0) > total:
            return CONTINUE if over else BREAK  # what is used up stays so
        return machine.maybe(doubt)

    return check


def _dynset(expression: Expression) -> Program:
    name = expression.text(nft.NFTA_DYNSET_SET_NAME)
    source = register(expression.number(nft.NFTA_DYNSET_SREG_KEY))
    data = (
        register(expression.number(nft.NFTA_DYNSET_SREG_DATA))
        if nft.NFTA_DYNSET_SREG_DATA in expression.layout
        else None
    )
    operation = expression.number(nft.NFTA_DYNSET_OP) or 0
    inverted = bool((expression.number(nft.NFTA_DYNSET_FLAGS) or 0) & 1)
    parts = expression.expressions(nft.NFTA_DYNSET_EXPRESSIONS)
    single = expression.nested(nft.NFTA_DYNSET_EXPR)
    names = [part.name for part in parts] + ([single.text(nft.NFTA_EXPR_NAME)] if single is not None else [])
    conditional = [part for part in names if part in ("limit", "quota", "connlimit")]
    words = ("add", "update", "delete")

    def act(machine: Machine) -> int:
        found = find_set(machine, name)
        if found is None:
            return machine.maybe(Doubt(UNKNOWN_WHY, f"the set {name} is not there"), name)
        key, known, _ = machine.load(source, found.key_length)
        value = bytes(machine.data[data : data + found.data_length]) if data is not None and data >= 0 else b""
        if operation == nft.NFT_DYNSET_OP_DELETE:
            if known is None:
                machine.state.stored += ((found.key, key, None),)
            machine.act("set", f"deleted from @{name}")
            return CONTINUE
        there = matching(machine, found, source)
        full = found.size is not None and found.number is not None and found.number >= found.size
        if there is None and full and machine.maybe(Doubt(MAY, f"set {name} is full, but may not be when it comes")):
            return BREAK if not inverted else CONTINUE
        if known is None and there is None:
            machine.state.stored += ((found.key, key, value),)
        machine.act("set", f"{words[min(operation, 2)]} @{name}")
        if conditional:
            why = f"it depends on the {' and '.join(conditional)} of an element of set {name}"
            return machine.maybe(Doubt(MAY, why))
        return BREAK if inverted else CONTINUE

    return act


_OBJECTS = {
    nft.NFT_OBJECT_COUNTER: "counter",
    nft.NFT_OBJECT_QUOTA: "quota",
    nft.NFT_OBJECT_CT_HELPER: "helper",
    nft.NFT_OBJECT_LIMIT: "limit",
    nft.NFT_OBJECT_CONNLIMIT: "connlimit",
    nft.NFT_OBJECT_CT_TIMEOUT: "timeout",
    nft.NFT_OBJECT_SECMARK: "secmark",
    nft.NFT_OBJECT_CT_EXPECT: "expectation",
    nft.NFT_OBJECT_SYNPROXY: "synproxy",
}


def _objref(expression: Expression) -> Program:
    if nft.NFTA_OBJREF_SET_NAME in expression.layout:
        name = expression.text(nft.NFTA_OBJREF_SET_NAME)
        source = register(expression.number(nft.NFTA_OBJREF_SET_SREG))

        def by_map(machine: Machine) -> int:
            found = find_set(machine, name)
            if found is None:
                return machine.maybe(Doubt(UNKNOWN_WHY, f"the map {name} is not there"), name)
            element = matching(machine, found, source)
            if element is None:
                return BREAK
            if isinstance(element, int):
                return machine.maybe(Doubt(UNKNOWN_WHY, f"which object map {name} gives"))
            return _apply(machine, found.object_type or 0, element.object)

        return by_map
    kind = expression.number(nft.NFTA_OBJREF_IMM_TYPE) or 0
    name = expression.text(nft.NFTA_OBJREF_IMM_NAME)
    return lambda machine: _apply(machine, kind, name)


def _apply(machine: Machine, kind: int, name: str) -> int:
    """What a named object does to the packet."""
    word = _OBJECTS.get(kind)
    found = machine.ruleset.objects.get((machine.chain.family, machine.chain.table, name))
    if word == "quota" and found is not None and found.data is not None:
        return _quota(found.data)(machine)
    if word in ("limit", "connlimit", "quota"):
        return machine.maybe(Doubt(MAY, f"it depends on the packets before ({word} {name})"))
    if word == "synproxy":
        return synproxied(machine)
    if word == "helper":
        entry = tracking_of(machine)
        if isinstance(entry, Tracking):
            helper = found.data.text(nft.NFTA_CT_HELPER_NAME) if found is not None and found.data is not None else name
            machine.act("helper", f"ct helper set {helper}")
            if isinstance(entry.helper, Unknown) or entry.helper is None:
                machine.change(tracking=entry._replace(helper=helper))
        return CONTINUE
    if word in ("timeout", "expectation", "secmark"):
        machine.act(word, f"{word} {name}")
        return CONTINUE
    if word == "counter":
        return CONTINUE
    return machine.maybe(Doubt(UNKNOWN_WHY, f"an object of type {kind}"), (kind, name))


def _address(machine: Machine, at: int | None, six: bool) -> tuple[str | None, Doubt | None]:
    if at is None:
        return None, None
    value, known, doubt = machine.load(at, 16 if six else 4)
    return (inet_ntop(10 if six else 2, value), None) if known is None else (None, doubt)


def _port(machine: Machine, at: int | None) -> tuple[int | None, Doubt | None]:
    if at is None:
        return None, None
    value, known, doubt = machine.load(at, 2)
    return (int.from_bytes(value, "big"), None) if known is None else (None, doubt)


def _pair(first: Value | None, last: Value | None) -> tuple[Value, Value] | None:
    return None if first is None else (first, first if last is None else last)


def _registers(expression: Expression, *kinds: int) -> list[int | None]:
    return [register(expression.number(kind)) if kind in expression.layout else None for kind in kinds]


def translate(
    machine: Machine,
    kind: str,
    addresses: tuple[str, str] | None,
    ports: tuple[int, int] | None,
    flags: int,
    doubt: Doubt | None = None,
) -> int:
    """Notes a translation that the rule asks for; the verdict is accept (net/netfilter/nf_nat_core.c)."""
    to = ""
    if addresses is not None:
        to = addresses[0] if addresses[0] == addresses[1] else f"{addresses[0]}-{addresses[1]}"
    if ports is not None:
        to = f"[{to}]" if ":" in to else to
        to += f":{ports[0]}" if ports[0] == ports[1] else f":{ports[0]}-{ports[1]}"
    text = f"{kind} to {to}" if to else kind
    machine.act(kind, text, addresses=addresses, ports=ports, flags=flags, doubt=doubt)
    machine.verdict = _ACCEPT
    return VERDICT


def _nat(expression: Expression) -> Program:
    kind = "dnat" if expression.number(nft.NFTA_NAT_TYPE) else "snat"
    family = expression.number(nft.NFTA_NAT_FAMILY)
    six = family == 10
    places = _registers(
        expression,
        nft.NFTA_NAT_REG_ADDR_MIN,
        nft.NFTA_NAT_REG_ADDR_MAX,
        nft.NFTA_NAT_REG_PROTO_MIN,
        nft.NFTA_NAT_REG_PROTO_MAX,
    )
    flags = expression.number(nft.NFTA_NAT_FLAGS) or 0

    def act(machine: Machine) -> int:
        if machine.chain.family == "inet" and family in (2, 10) and six != (machine.family == "ip6"):
            return CONTINUE  # a packet of the other family passes by (net/netfilter/nft_nat.c: nft_nat_inet_eval)
        first, doubt = _address(machine, places[0], six)
        last, also = _address(machine, places[1], six)
        low, why = _port(machine, places[2])
        high, whence = _port(machine, places[3])
        name = "netmap" if flags & 64 else kind
        addresses, ports = _pair(first, last), _pair(low, high)
        return translate(machine, name, addresses, ports, flags, doubt or also or why or whence)

    return act


def _own_address(kind: str, flags_kind: int, first: int, last: int) -> Callable[[Expression], Program]:
    """Masquerade and redirect: the kernel takes the address of an interface."""

    def make(expression: Expression) -> Program:
        places = _registers(expression, first, last)
        flags = expression.number(flags_kind) or 0

        def act(machine: Machine) -> int:
            low, why = _port(machine, places[0])
            high, whence = _port(machine, places[1])
            return translate(machine, kind, None, _pair(low, high), flags, why or whence)

        return act

    return make


_ICMPX = ("no-route", "port-unreachable", "host-unreachable", "admin-prohibited")
_ICMP = {
    0: "net-unreachable",
    1: "host-unreachable",
    2: "prot-unreachable",
    3: "port-unreachable",
    9: "net-prohibited",
    10: "host-prohibited",
    13: "admin-prohibited",
}
_ICMPV6 = {
    0: "no-route",
    1: "admin-prohibited",
    3: "addr-unreachable",
    4: "port-unreachable",
    5: "policy-fail",
    6: "reject-route",
}


def reject_words(kind: int, code: int, six: bool) -> str:
    """How a packet is rejected, in nft(8)'s words."""
    if kind == nft.NFT_REJECT_TCP_RST:
        return "tcp reset"
    if kind == nft.NFT_REJECT_ICMPX_UNREACH:
        return f"icmpx {_ICMPX[code] if code < len(_ICMPX) else code}"
    return f"icmpv6 {_ICMPV6.get(code, code)}" if six else f"icmp {_ICMP.get(code, code)}"


def _reject(expression: Expression) -> Program:
    kind = expression.number(nft.NFTA_REJECT_TYPE) or 0
    code = expression.number(nft.NFTA_REJECT_ICMP_CODE) or 0

    def act(machine: Machine) -> int:
        words = reject_words(kind, code, machine.state.packet.family == "ip6")
        machine.act("reject", f"reject with {words}")
        machine.verdict = DROP
        return VERDICT

    return act


def _queue(expression: Expression) -> Program:
    first = expression.number(nft.NFTA_QUEUE_NUM) or 0
    total = expression.number(nft.NFTA_QUEUE_TOTAL) or 1
    bypass = bool((expression.number(nft.NFTA_QUEUE_FLAGS) or 0) & 1)
    by_register = nft.NFTA_QUEUE_SREG_QNUM in expression.layout

    def act(machine: Machine) -> int:
        number = f"{first}" if total <= 1 else f"{first}-{first + total - 1}"
        if by_register:
            value, _ = number_at(machine, register(expression.number(nft.NFTA_QUEUE_SREG_QNUM)), 2)
            number = "?" if value is None else f"{value}"
        machine.act("queue", f"queue to {number}{' bypass' if bypass else ''}", number=first)
        machine.verdict = Verdict("queue", "", number)
        return VERDICT

    return act


def _log(expression: Expression) -> Program:
    prefix = expression.text(nft.NFTA_LOG_PREFIX)

    def act(machine: Machine) -> int:
        machine.act("log", prefix)
        return CONTINUE

    return act


def _tproxy(expression: Expression) -> Program:
    six = expression.number(nft.NFTA_TPROXY_FAMILY) == 10
    places = _registers(expression, nft.NFTA_TPROXY_REG_ADDR, nft.NFTA_TPROXY_REG_PORT)

    def act(machine: Machine) -> int:
        packet = machine.state.packet
        if isinstance(packet.protocol, int) and packet.protocol not in (TCP, UDP):
            return BREAK
        if no_transport(packet) is True:
            return BREAK
        address, why = _address(machine, places[0], six or packet.family == "ip6")
        port, whence = _port(machine, places[1])
        found = machine.context.has_transparent_socket(packet, address, port)
        if found is False:
            return BREAK
        if isinstance(found, Unknown):
            doubt = why or whence or Doubt(UNKNOWN_WHY, "whether a transparent socket takes it")
            if machine.maybe(doubt, (address, port, "tproxy")):
                return BREAK
        machine.act("tproxy", "given to a transparent socket", addresses=_pair(address, None), ports=_pair(port, None))
        return CONTINUE

    return act


def _synproxy(expression: Expression) -> Program:
    return synproxied


def synproxied(machine: Machine) -> int:
    """What the SYN proxy does with a packet (net/netfilter/nf_synproxy_core.c)."""
    packet = machine.state.packet
    if isinstance(packet.protocol, int) and (packet.protocol != TCP or no_transport(packet)):
        return BREAK
    if isinstance(packet.tcp_flags, Unknown):
        if machine.choose(2, Doubt(UNKNOWN_WHY, "the flags of TCP"), "tcp flags"):
            return CONTINUE
    elif not packet.tcp_flags & (2 | 16):
        return CONTINUE
    # The proxy answers a SYN itself, and takes the ACK that carries its cookie; any other ACK is dropped.
    machine.act("synproxy", "answered by the SYN proxy")
    machine.verdict = STOLEN if isinstance(packet.tcp_flags, int) and packet.tcp_flags & 2 else DROP
    return VERDICT


def _dup(expression: Expression) -> Program:
    def act(machine: Machine) -> int:
        machine.act("dup", "a copy is sent elsewhere")
        return CONTINUE

    return act


def _fwd(expression: Expression) -> Program:
    def act(machine: Machine) -> int:
        at = _registers(expression, nft.NFTA_FWD_SREG_DEV)[0]
        index, doubt = number_at(machine, at) if at is not None else (None, None)
        machine.act("fwd", f"sent out by interface {'?' if index is None else index}", number=index, doubt=doubt)
        machine.verdict = STOLEN
        return VERDICT

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


SETTERS: dict[str, tuple[int, Callable[[Expression], Program]]] = {
    "meta": (nft.NFTA_META_SREG, _meta_set),
    "payload": (nft.NFTA_PAYLOAD_SREG, _payload_set),
    "exthdr": (nft.NFTA_EXTHDR_SREG, _exthdr_set),
}
"""Expressions that load, and set where they have this attribute."""

COMPILERS: dict[str, Callable[[Expression], Program]] = {
    "ct": _ct,
    "notrack": _notrack,
    "rt": _rt,
    "fib": _fib,
    "limit": _conditional("it depends on the packets before (limit)"),
    "connlimit": _conditional("it depends on how many connections there are (ct count)"),
    "quota": _quota,
    "dynset": _dynset,
    "objref": _objref,
    "nat": _nat,
    "masq": _own_address("masquerade", nft.NFTA_MASQ_FLAGS, nft.NFTA_MASQ_REG_PROTO_MIN, nft.NFTA_MASQ_REG_PROTO_MAX),
    "redir": _own_address("redirect", nft.NFTA_REDIR_FLAGS, nft.NFTA_REDIR_REG_PROTO_MIN, nft.NFTA_REDIR_REG_PROTO_MAX),
    "reject": _reject,
    "queue": _queue,
    "log": _log,
    "tproxy": _tproxy,
    "synproxy": _synproxy,
    "dup": _dup,
    "fwd": _fwd,
    "flow_offload": _offload,
}
