"""Expressions that load, compare and look up: what each does on the machine (net/netfilter/nft_*.c)."""

from __future__ import annotations

from struct import pack, unpack
from sys import byteorder

from ..uapi import nf_tables as nft
from . import decode
from .machine import BREAK, CONTINUE, MAY, UNKNOWN_WHY, VERDICT, Doubt, Machine, register, verdict_of
from .packet import ETH_P_IP, ETH_P_IPV6, TCP, UNKNOWN, Interface, Packet, Unknown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .decode import Element, Expression, Set
    from .machine import Program
    from .packet import Bits

_IFNAMSIZ = 16
_MANY = 16
"""In how many ways an open decision may fall before what it depends on is left open instead."""
_FAMILY_NUMBERS = {"ip": 2, "ip6": 10, "arp": 3, "bridge": 7, "netdev": 5}


def unknown(what: str) -> Program:
    """A condition that cannot be evaluated."""
    doubt = Doubt(UNKNOWN_WHY, what)
    return lambda machine: machine.maybe(doubt, what)


def loading(
    at: int, size: int, order: str, get: Callable[[Machine], int | bytes | bool | Unknown | None], what: str
) -> Program:
    """Loads what ``get`` returns: None ends the rule, UNKNOWN leaves the register open."""
    doubt = Doubt(UNKNOWN_WHY, what, what)

    def load(machine: Machine) -> int:
        value = get(machine)
        if isinstance(value, int):
            machine.store(at, value.to_bytes(size, "little" if order == "little" else "big"))
        elif isinstance(value, bytes):
            machine.store(at, value)
        elif value is None:
            return BREAK
        else:
            machine.store_unknown(at, size, doubt)
        return CONTINUE

    return load


def number_at(machine: Machine, at: int, size: int = 4) -> tuple[int | None, Doubt | None]:
    """A number of the machine's in a register; None and why where it is not known."""
    value, known, doubt = machine.load(at, size)
    if known is not None:
        return None, doubt
    return int.from_bytes(value, byteorder), None


def _meta(expression: Expression) -> Program:
    key = expression.number(nft.NFTA_META_KEY) or 0
    at = register(expression.number(nft.NFTA_META_DREG))
    if key not in _META:
        what = f"meta key {key}"
        doubt = Doubt(UNKNOWN_WHY, what)

        def leave_open(machine: Machine) -> int:
            machine.store_unknown(at, 4, doubt)
            return CONTINUE

        return leave_open
    size, order, get, what = _META[key]
    if what == "random":
        return _chance(at, 0, 1 << 32, "it is random (meta random)")
    return loading(at, size, order, get, what)


def _name(interface: Interface | Unknown | None) -> bytes | Unknown:
    if isinstance(interface, Unknown):
        return interface
    return (interface.name if interface is not None else "").encode("utf-8", "surrogateescape")[:15].ljust(16, b"\0")


def _of(name: str, field: str) -> Callable[[Machine], int | Unknown | None]:
    """A field of an interface; None where there is none."""

    def get(machine: Machine) -> int | Unknown | None:
        interface = getattr(machine.state.packet, name)
        value: int | Unknown | None = getattr(interface, field) if interface is not None else None
        return value

    return get


def _kind(name: str) -> Callable[[Machine], bytes | Unknown | None]:
    def get(machine: Machine) -> bytes | Unknown | None:
        interface = getattr(machine.state.packet, name)
        if interface is None:
            return None
        kind = interface.kind
        return kind.encode()[:15].ljust(16, b"\0") if isinstance(kind, str) else kind

    return get


def _bridge(name: str) -> Callable[[Machine], bytes | Unknown | None]:
    def get(machine: Machine) -> bytes | Unknown | None:
        interface = getattr(machine.state.packet, name)
        if interface is None or interface.bridge is None:
            return None
        bridge = interface.bridge
        return bridge.encode()[:15].ljust(16, b"\0") if isinstance(bridge, str) else bridge

    return get


def _index(name: str) -> Callable[[Machine], int]:
    def get(machine: Machine) -> int:
        interface = getattr(machine.state.packet, name)
        return interface.index if interface is not None else 0

    return get


def _field(name: str) -> Callable[[Machine], int | Unknown | None]:
    def get(machine: Machine) -> int | Unknown | None:
        value: int | Unknown | None = getattr(machine.state.packet, name)
        return value

    return get


def _type(machine: Machine) -> int | Unknown | None:
    # Not that of the incoming interface, but of the one that the packet is at (skb->dev).
    packet = machine.state.packet
    if machine.hook == "output":
        return UNKNOWN
    interface = packet.outgoing if machine.hook in ("postrouting", "egress") else packet.incoming
    return interface.type if interface is not None else None


def _length(machine: Machine) -> int | Unknown:
    # At egress the frame's header is a part of it already.
    length = machine.state.packet.length
    return length + 14 if machine.hook == "egress" and isinstance(length, int) else length


def _protocol(machine: Machine) -> int | Unknown | None:
    if machine.state.packet.family is None and not isinstance(machine.state.packet.ethertype, Unknown):
        return None
    return machine.state.packet.protocol


def _nfproto(machine: Machine) -> int:
    # Chains of inet at ingress are reported the packet's own family (net/netfilter/nft_chain_filter.c).
    family = machine.family
    if machine.chain.family == "inet" and family == "netdev":
        family = machine.state.packet.family or family
    return _FAMILY_NUMBERS[family]


def _local_time(machine: Machine) -> float:
    return machine.context.now()


def _day(machine: Machine) -> int:
    # The kernel counts in UTC, from Sunday: 1 January 1970 was a Thursday.
    return (int(machine.context.now()) // 86400 + 4) % 7


_META: dict[int, tuple[int, str, Callable[[Machine], int | bytes | bool | Unknown | None], str]] = {
    nft.NFT_META_LEN: (4, byteorder, _length, "the packet's length"),
    nft.NFT_META_PROTOCOL: (2, "big", _field("ethertype"), "the frame's type"),
    nft.NFT_META_PRIORITY: (4, byteorder, _field("priority"), "the packet's priority"),
    nft.NFT_META_MARK: (4, byteorder, _field("mark"), "the packet's mark"),
    nft.NFT_META_IIF: (4, byteorder, _index("incoming"), ""),
    nft.NFT_META_OIF: (4, byteorder, _index("outgoing"), ""),
    nft.NFT_META_IIFNAME: (16, "", lambda machine: _name(machine.state.packet.incoming), ""),
    nft.NFT_META_OIFNAME: (16, "", lambda machine: _name(machine.state.packet.outgoing), ""),
    nft.NFT_META_IFTYPE: (2, byteorder, _type, "the type of the packet's interface"),
    nft.NFT_META_OIFTYPE: (2, byteorder, _of("outgoing", "type"), "the type of the outgoing interface"),
    nft.NFT_META_SKUID: (4, byteorder, _field("uid"), "the user of the packet's socket"),
    nft.NFT_META_SKGID: (4, byteorder, _field("gid"), "the group of the packet's socket"),
    nft.NFT_META_RTCLASSID: (4, byteorder, _field("realm"), "the realm of the packet's route"),
    nft.NFT_META_NFPROTO: (1, "big", _nfproto, ""),
    nft.NFT_META_L4PROTO: (1, "big", _protocol, "the packet's protocol"),
    nft.NFT_META_BRI_IIFNAME: (16, "", _bridge("incoming"), "the bridge of the incoming interface"),
    nft.NFT_META_BRI_OIFNAME: (16, "", _bridge("outgoing"), "the bridge of the outgoing interface"),
    nft.NFT_META_PKTTYPE: (1, "big", _field("type"), "whether the frame is for this host, broadcast or multicast"),
    nft.NFT_META_IIFGROUP: (4, byteorder, _of("incoming", "group"), "the group of the incoming interface"),
    nft.NFT_META_OIFGROUP: (4, byteorder, _of("outgoing", "group"), "the group of the outgoing interface"),
    nft.NFT_META_CGROUP: (4, byteorder, _field("cgroup"), "the control group of the packet's socket"),
    nft.NFT_META_PRANDOM: (4, byteorder, lambda machine: 0, "random"),
    nft.NFT_META_SECPATH: (1, "big", _field("ipsec"), "whether it came by IPsec"),
    nft.NFT_META_IIFKIND: (16, "", _kind("incoming"), "the kind of the incoming interface"),
    nft.NFT_META_OIFKIND: (16, "", _kind("outgoing"), "the kind of the outgoing interface"),
    nft.NFT_META_TIME_NS: (8, byteorder, lambda machine: int(machine.context.now() * 1e9), "the time"),
    nft.NFT_META_TIME_DAY: (1, "big", _day, "the day"),
    nft.NFT_META_TIME_HOUR: (4, byteorder, lambda machine: int(machine.context.now()) % 86400, "the hour"),
}
"""Bytes, their order, what is loaded, and what it is called where it is not known."""

_BASES = ("the frame's header", "the network header", "the transport header or the data behind it", "the inner packet")


def _payload(expression: Expression) -> Program:
    base = expression.number(nft.NFTA_PAYLOAD_BASE) or 0
    offset = expression.number(nft.NFTA_PAYLOAD_OFFSET) or 0
    size = expression.size(nft.NFTA_PAYLOAD_LEN)
    at = register(expression.number(nft.NFTA_PAYLOAD_DREG))
    what = f"{field_name(base, offset, size)} of {_BASES[min(base, 3)]}"
    doubt = Doubt(UNKNOWN_WHY, what, what)
    shorter = Doubt(UNKNOWN_WHY, f"whether the packet is long enough to have {what}")

    def load(machine: Machine) -> int:
        header = machine.header(base) if base < 3 else None
        if base == 3:
            machine.store_unknown(at, size, doubt)
            return machine.maybe(shorter, what)
        if base == 2 and no_transport(machine.state.packet):
            return BREAK
        if header is None:
            return BREAK if base == 0 else _leave_open(machine, at, size, doubt)
        return _load_bits(machine, header, at, offset, size, doubt, shorter)

    return load


def _leave_open(machine: Machine, at: int, size: int, doubt: Doubt) -> int:
    machine.store_unknown(at, size, doubt)
    return CONTINUE


def _load_bits(machine: Machine, header: Bits, at: int, offset: int, size: int, doubt: Doubt, shorter: Doubt) -> int:
    end = offset + size
    if end <= len(header.data):
        if header.known is None:
            machine.store(at, header.data[offset:end])
        else:
            machine.store_bits(at, header.data[offset:end], header.known[offset:end], doubt)
        return CONTINUE
    if not header.open:
        return BREAK
    missing = end - max(len(header.data), offset)
    known = header.known[offset:] if header.known is not None else b"\xff" * max(len(header.data) - offset, 0)
    machine.store_bits(at, header.data[offset:] + bytes(missing), known + bytes(missing), doubt)
    return machine.maybe(shorter, shorter.reason)


def no_transport(packet: Packet) -> bool:
    """Whether the packet has no transport header to look at: later fragments have none."""
    if packet.ethertype == ETH_P_IP:
        if isinstance(packet.fragment, int):
            return bool(packet.fragment & 0x1FFF)
        return False  # packets that are sent to be followed are whole
    if packet.ethertype == ETH_P_IPV6:
        return False
    return not isinstance(packet.ethertype, Unknown)


def field_name(base: int, offset: int, size: int) -> str:
    """What bytes of a header are called where they are not known."""
    return f"bytes {offset} to {offset + size - 1}"


def _immediate(expression: Expression) -> Program:
    at = register(expression.number(nft.NFTA_IMMEDIATE_DREG))
    found = expression.verdict(nft.NFTA_IMMEDIATE_DATA)
    if at < 0 or found is not None:
        verdict = verdict_of(*(found or (nft.NFT_CONTINUE, "")))

        def judge(machine: Machine) -> int:
            machine.verdict = verdict
            return VERDICT if verdict.name != "continue" else CONTINUE

        return judge
    value = expression.value(nft.NFTA_IMMEDIATE_DATA) or b""

    def load(machine: Machine) -> int:
        machine.store(at, value)
        return CONTINUE

    return load


def equality(at: int, wanted: bytes, *, negated: bool) -> Program:
    """Compares registers with a value."""
    end = at + len(wanted)
    equal, different = (BREAK, CONTINUE) if negated else (CONTINUE, BREAK)

    def compare(machine: Machine) -> int:
        if not machine.doubted:
            return equal if machine.data[at:end] == wanted else different
        value, known, doubt = machine.load(at, len(wanted))
        if doubt is None or known is None:
            return equal if value == wanted else different
        if _masked(value, known) != _masked(wanted, known):
            return different
        key = (doubt.field, _masked(wanted, known), known) if doubt.field else None
        return equal if machine.choose(2, doubt, key) == 0 else different

    return compare


def _cmp(expression: Expression) -> Program:
    at = register(expression.number(nft.NFTA_CMP_SREG))
    wanted = expression.value(nft.NFTA_CMP_DATA) or b""
    operator = expression.number(nft.NFTA_CMP_OP) or 0
    if operator in (nft.NFT_CMP_EQ, nft.NFT_CMP_NEQ):
        return equality(at, wanted, negated=operator == nft.NFT_CMP_NEQ)

    def holds(low: bytes) -> bool:
        if operator == nft.NFT_CMP_LT:
            return low < wanted
        if operator == nft.NFT_CMP_LTE:
            return low <= wanted
        return low > wanted if operator == nft.NFT_CMP_GT else low >= wanted

    def order(machine: Machine) -> int:
        value, known, doubt = machine.load(at, len(wanted))
        if doubt is None or known is None:
            return CONTINUE if holds(value) else BREAK
        low, high = possible(value, known)
        if holds(low) == holds(high):
            return CONTINUE if holds(low) else BREAK
        return machine.maybe(doubt, (doubt.field, operator, wanted, known) if doubt.field else None)

    return order


def _masked(value: bytes, mask: bytes) -> int:
    return int.from_bytes(value, "big") & int.from_bytes(mask, "big")


def possible(value: bytes, known: bytes) -> tuple[bytes, bytes]:
    """The least and the greatest that a value may be."""
    least = _masked(value, known)
    full = (1 << 8 * len(value)) - 1
    greatest = least | full ^ int.from_bytes(known, "big")
    return least.to_bytes(len(value), "big"), greatest.to_bytes(len(value), "big")


def _range(expression: Expression) -> Program:
    at = register(expression.number(nft.NFTA_RANGE_SREG))
    first = expression.value(nft.NFTA_RANGE_FROM_DATA) or b""
    last = expression.value(nft.NFTA_RANGE_TO_DATA) or b""
    inside, outside = (BREAK, CONTINUE) if expression.number(nft.NFTA_RANGE_OP) else (CONTINUE, BREAK)

    def compare(machine: Machine) -> int:
        value, known, doubt = machine.load(at, len(first))
        if doubt is None or known is None:
            return inside if first <= value <= last else outside
        low, high = possible(value, known)
        if first <= low and high <= last:
            return inside
        if high < first or low > last:
            return outside
        key = (doubt.field, first, last, known) if doubt.field else None
        return inside if machine.choose(2, doubt, key) == 0 else outside

    return compare


def _bitwise(expression: Expression) -> Program:
    source = register(expression.number(nft.NFTA_BITWISE_SREG))
    target = register(expression.number(nft.NFTA_BITWISE_DREG))
    size = expression.size(nft.NFTA_BITWISE_LEN)
    operation = expression.number(nft.NFTA_BITWISE_OP) or 0
    if operation == nft.NFT_BITWISE_MASK_XOR:
        mask = int.from_bytes(expression.value(nft.NFTA_BITWISE_MASK) or bytes(size), "big")
        flip = int.from_bytes(expression.value(nft.NFTA_BITWISE_XOR) or bytes(size), "big")
        full = (1 << 8 * size) - 1

        def mix(machine: Machine) -> int:
            value, known, doubt = machine.load(source, size)
            made = (int.from_bytes(value, "big") & mask ^ flip).to_bytes(size, "big")
            if doubt is None or known is None:
                machine.store(target, made)
            else:
                # A bit that the mask clears is known whatever it was.
                seen = (int.from_bytes(known, "big") | full ^ mask).to_bytes(size, "big")
                machine.store_bits(target, made, seen, doubt._replace(field=None) if flip else doubt)
            return CONTINUE

        return mix
    if operation in (nft.NFT_BITWISE_LSHIFT, nft.NFT_BITWISE_RSHIFT):
        bits = int.from_bytes(expression.value(nft.NFTA_BITWISE_DATA) or b"", byteorder)
        left = operation == nft.NFT_BITWISE_LSHIFT

        def shift(machine: Machine) -> int:
            value, known, doubt = machine.load(source, size)
            machine.store(target, _shifted(value, bits, left))
            if doubt is not None and known is not None:
                machine.store_unknown(target, size, doubt._replace(field=None))
            return CONTINUE

        return shift
    second = register(expression.number(nft.NFTA_BITWISE_SREG2))

    def combine(machine: Machine) -> int:
        one, known, doubt = machine.load(source, size)
        other, also_known, also = machine.load(second, size)
        if known is not None or also_known is not None:
            why = doubt or also or Doubt(UNKNOWN_WHY, "bits")
            machine.store_unknown(target, size, why._replace(field=None))
            return CONTINUE
        a, b = int.from_bytes(one, "big"), int.from_bytes(other, "big")
        made = a & b if operation == nft.NFT_BITWISE_AND else a | b if operation == nft.NFT_BITWISE_OR else a ^ b
        machine.store(target, made.to_bytes(size, "big"))
        return CONTINUE

    return combine


def _shifted(value: bytes, bits: int, left: bool) -> bytes:
    """Words of the machine's, the first being the most significant one (net/netfilter/nft_bitwise.c)."""
    size = len(value)
    words = unpack(f"={(size + 3) // 4}I", value + bytes(-size % 4))
    made = []
    carry = 0
    for word in reversed(words) if left else words:
        if left:
            made.append((word << bits | carry) & 0xFFFFFFFF)
            carry = word >> 32 - bits
        else:
            made.append(word >> bits | carry)
            carry = word << 32 - bits & 0xFFFFFFFF
    if left:
        made.reverse()
    return pack(f"={len(made)}I", *made)[:size]


def _byteorder(expression: Expression) -> Program:
    source = register(expression.number(nft.NFTA_BYTEORDER_SREG))
    target = register(expression.number(nft.NFTA_BYTEORDER_DREG))
    length = expression.size(nft.NFTA_BYTEORDER_LEN)
    size = expression.number(nft.NFTA_BYTEORDER_SIZE) or 1

    def swapped(value: bytes) -> bytes:
        if byteorder == "big":
            return value
        return b"".join([value[at : at + size][::-1] for at in range(0, len(value), size)])

    def swap(machine: Machine) -> int:
        value, known, doubt = machine.load(source, length)
        if doubt is None or known is None:
            machine.store(target, swapped(value))
        else:
            machine.store_bits(target, swapped(value), swapped(known), doubt._replace(field=None))
        return CONTINUE

    return swap


def _lookup(expression: Expression) -> Program:
    name = expression.text(nft.NFTA_LOOKUP_SET)
    source = register(expression.number(nft.NFTA_LOOKUP_SREG))
    target = register(expression.number(nft.NFTA_LOOKUP_DREG)) if nft.NFTA_LOOKUP_DREG in expression.layout else None
    inverted = bool((expression.number(nft.NFTA_LOOKUP_FLAGS) or 0) & 1)

    def look_up(machine: Machine) -> int:
        found = find_set(machine, name)
        if found is None:
            return machine.maybe(Doubt(UNKNOWN_WHY, f"the set {name} is not there"), name)
        element = matching(machine, found, source)
        if isinstance(element, int):
            # The map gives something, but it is not known what.
            if target is not None and target >= 0:
                doubt = Doubt(UNKNOWN_WHY, f"what map {name} gives")
                machine.store_unknown(target, found.data_length, doubt)
            return CONTINUE if element != inverted else BREAK
        if (element is None) != inverted:
            return BREAK
        if element is None or target is None:
            return CONTINUE
        return take(machine, element, target)

    return look_up


def take(machine: Machine, element: Element, target: int) -> int:
    """Puts what a map maps to into registers, or makes it the verdict."""
    if target < 0:
        machine.verdict = verdict_of(*(element.verdict or (nft.NFT_CONTINUE, "")))
        return VERDICT if machine.verdict.name != "continue" else CONTINUE
    machine.store(target, element.data or b"")
    return CONTINUE


def find_set(machine: Machine, name: str) -> Set | None:
    """A set or map of the table of the rule that is running."""
    return machine.ruleset.sets.get((machine.chain.family, machine.chain.table, name))


_CONDITIONAL = frozenset(("limit", "quota", "connlimit"))


def matching(machine: Machine, found: Set, at: int) -> Element | int | None:
    """The element that the registers' key is in; None: in none; 1: in some one, but which is not known."""
    key, known, doubt = machine.load(at, found.key_length)
    for where, stored, data in reversed(machine.state.stored):
        if where == found.key and stored == key and known is None:
            if data is None:
                return None
            return decode.Element(key, None, 0, data, None, "", ())
    if doubt is None or known is None:
        element = machine.ruleset.find(found, key)
        if element is not None and not _CONDITIONAL.isdisjoint(element.expressions):
            what = f"it depends on the {' and '.join(element.expressions)} of an element of set {found.name}"
            if machine.maybe(Doubt(MAY, what)):
                return None
        return element
    elements = machine.ruleset.elements(found)
    if elements is None:
        return (
            1 if machine.choose(2, Doubt(UNKNOWN_WHY, f"{doubt.reason}, looked up in set {found.name}")) == 0 else None
        )
    candidates, certain = _candidates(found, elements.ordered, elements.all, key, known)
    if elements.default is not None and not certain:
        candidates.append(elements.default)
        certain = True
    if not candidates:
        return None
    if certain and len(candidates) == 1:
        return candidates[0]
    is_map = bool(found.flags & nft.NFT_SET_MAP)
    if is_map:
        distinct = {(element.data, element.verdict, element.object): element for element in candidates}
        candidates = list(distinct.values())
    else:
        if certain:
            return candidates[0]
        candidates = candidates[:1]
    why = Doubt(doubt.kind, f"{doubt.reason}, looked up in {'map' if is_map else 'set'} {found.name}")
    ways = len(candidates) + (not certain)
    if len(candidates) > _MANY:
        if found.data_type == 0xFFFFFF00:
            why = Doubt(UNKNOWN_WHY, why.reason)
        return 1 if certain or machine.choose(2, why) == 0 else None
    key_of = (doubt.field, found.key, key, known) if doubt.field else None
    fell = machine.choose(ways, why, key_of) if ways > 1 else 0
    return candidates[fell] if fell < len(candidates) else None


def _candidates(
    found: Set, ordered: Sequence[Element], every: Sequence[Element], key: bytes, known: bytes
) -> tuple[list[Element], bool]:
    """The elements that a key may be in of which not every bit is known, and whether it is in one of them surely."""
    candidates = []
    low, high = possible(key, known)
    for at, element in enumerate(ordered):
        if element.flags & nft.NFT_SET_ELEM_INTERVAL_END:
            continue
        after = ordered[at + 1].key if at + 1 < len(ordered) else None
        if high >= element.key and (after is None or low < after):
            candidates.append(element)
            if low >= element.key and (after is None or high < after):
                return [element], True
    seen = int.from_bytes(known, "big")
    value = int.from_bytes(key, "big") & seen
    exact = 0
    for element in every:
        if element.flags or element in candidates:
            continue
        if element.end is not None:
            parts = list(decode.fields(found, low, high))
            ranges = list(decode.fields(found, element.key, element.end))
            if all(most >= first and least <= last for (least, most), (first, last) in zip(parts, ranges, strict=True)):
                candidates.append(element)
                if all(
                    least >= first and most <= last for (least, most), (first, last) in zip(parts, ranges, strict=True)
                ):
                    return [element], True
        elif not found.flags & nft.NFT_SET_INTERVAL and int.from_bytes(element.key, "big") & seen == value:
            candidates.append(element)
            exact += 1
    open_bits = 8 * len(key) - seen.bit_count()
    # Where every value of a few open bits is in the set, the key surely is.
    return candidates, bool(exact) and open_bits <= 20 and exact == 1 << open_bits


def _exthdr(expression: Expression) -> Program:
    operation = expression.number(nft.NFTA_EXTHDR_OP) or 0
    at = register(expression.number(nft.NFTA_EXTHDR_DREG))
    kind = expression.number(nft.NFTA_EXTHDR_TYPE) or 0
    offset, size = expression.number(nft.NFTA_EXTHDR_OFFSET) or 0, expression.size(nft.NFTA_EXTHDR_LEN)
    present = bool((expression.number(nft.NFTA_EXTHDR_FLAGS) or 0) & 1)
    if operation == nft.NFT_EXTHDR_OP_TCPOPT:
        doubt = Doubt(UNKNOWN_WHY, f"TCP option {kind}")

        def load_option(machine: Machine) -> int:
            packet = machine.state.packet
            if isinstance(packet.protocol, Unknown):
                machine.store_unknown(at, size, doubt)
                return CONTINUE if present else machine.maybe(doubt, doubt.reason)
            if packet.protocol != TCP or no_transport(packet):
                return _absent(machine)
            if isinstance(packet.tcp_options, Unknown):
                machine.store_unknown(at, 1 if present else size, doubt)
                return CONTINUE if present else machine.maybe(doubt, doubt.reason)
            option = tcp_option(packet.tcp_options, kind)
            if option is None or offset + size > len(option):
                return _absent(machine)
            machine.store(at, b"\1" if present else option[offset : offset + size])
            return CONTINUE

        def _absent(machine: Machine) -> int:
            if not present:
                return BREAK
            machine.store(at, b"\0")
            return CONTINUE

        return load_option
    if operation in (nft.NFT_EXTHDR_OP_IPV6, nft.NFT_EXTHDR_OP_IPV4):
        ethertype = ETH_P_IPV6 if operation == nft.NFT_EXTHDR_OP_IPV6 else ETH_P_IP
        what = f"IPv6 extension header {kind}" if ethertype == ETH_P_IPV6 else f"IPv4 option {kind}"
        lacking = Doubt(UNKNOWN_WHY, what)

        def load_extension(machine: Machine) -> int:
            packet = machine.state.packet
            if packet.ethertype != ethertype:
                return BREAK
            if isinstance(packet.extensions, Unknown):
                machine.store_unknown(at, 1 if present else size, lacking)
                return CONTINUE if present else machine.maybe(lacking, what)
            if present:
                machine.store(at, b"\1" if kind in packet.extensions else b"\0")
                return CONTINUE
            if kind not in packet.extensions:
                return BREAK
            machine.store_unknown(at, size, lacking)
            return CONTINUE

        return load_extension
    what = f"an extension (exthdr operation {operation})"
    chunk = Doubt(UNKNOWN_WHY, what)

    def leave_open(machine: Machine) -> int:
        machine.store_unknown(at, size, chunk)
        return CONTINUE if present else machine.maybe(chunk, what)

    return leave_open


def tcp_option(options: bytes, kind: int) -> bytes | None:
    """An option of TCP with its type and length; None where there is none (RFC 9293, 3.1)."""
    at = 0
    while at < len(options):
        if options[at] == kind:
            length = options[at + 1] if kind > 1 and at + 1 < len(options) else 1
            return options[at : at + length] if at + length <= len(options) else None
        if options[at] <= 1:
            at += 1
            continue
        at += max(options[at + 1], 2) if at + 1 < len(options) else 1
    return None


def _chance(at: int, offset: int, modulus: int, reason: str) -> Program:
    """Loads a number that depends on chance or on other packets: ``offset`` and up to ``modulus`` above it."""
    doubt = Doubt(MAY, reason)

    def load(machine: Machine) -> int:
        if modulus <= _MANY:
            fell = machine.choose(modulus, doubt) if modulus > 1 else 0
            machine.store(at, (offset + fell).to_bytes(4, byteorder))
        else:
            machine.store_unknown(at, 4, doubt)
        return CONTINUE

    return load


def _numgen(expression: Expression) -> Program:
    at = register(expression.number(nft.NFTA_NG_DREG))
    random = expression.number(nft.NFTA_NG_TYPE) == nft.NFT_NG_RANDOM
    reason = "it is random (numgen random)" if random else "it depends on the packets before (numgen inc)"
    return _chance(at, expression.number(nft.NFTA_NG_OFFSET) or 0, expression.number(nft.NFTA_NG_MODULUS) or 1, reason)


def _hash(expression: Expression) -> Program:
    target = register(expression.number(nft.NFTA_HASH_DREG))
    modulus = expression.number(nft.NFTA_HASH_MODULUS) or 1
    offset = expression.number(nft.NFTA_HASH_OFFSET) or 0
    if expression.number(nft.NFTA_HASH_TYPE) == nft.NFT_HASH_SYM:
        return _chance(target, offset, modulus, "it depends on the kernel's hash of the flow (symhash)")
    source = register(expression.number(nft.NFTA_HASH_SREG))
    size = expression.size(nft.NFTA_HASH_LEN)
    seed = expression.number(nft.NFTA_HASH_SEED)
    if seed is None:
        return _chance(target, offset, modulus, "it depends on a hash with a random seed (jhash)")

    def load(machine: Machine) -> int:
        value, known, doubt = machine.load(source, size)
        if doubt is not None and known is not None:
            machine.store_unknown(target, 4, doubt._replace(field=None))
        else:
            scaled = jenkins(value, seed) * modulus >> 32
            machine.store(target, (scaled + offset).to_bytes(4, byteorder))
        return CONTINUE

    return load


def jenkins(key: bytes, seed: int) -> int:
    """Bob Jenkins's lookup3 hash, in the kernel's arrangement (linux/jhash.h)."""
    mask = 0xFFFFFFFF

    def rotated(word: int, by: int) -> int:
        return (word << by | word >> 32 - by) & mask

    length = len(key)
    a = b = c = 0xDEADBEEF + length + seed & mask
    at = 0
    while length > 12:
        one, two, three = unpack("=III", key[at : at + 12])
        a, b, c = a + one & mask, b + two & mask, c + three & mask
        for by in (4, 6, 8, 16, 19, 4):
            a = (a - c & mask) ^ rotated(c, by)
            c = c + b & mask
            a, b, c = b, c, a
        length -= 12
        at += 12
    if length:
        tail = key[at:].ljust(12, b"\0")
        one, two, three = unpack("<III", tail)
        a, b, c = a + one & mask, b + two & mask, c + three & mask
        c = (c ^ b) - rotated(b, 14) & mask
        a = (a ^ c) - rotated(c, 11) & mask
        b = (b ^ a) - rotated(a, 25) & mask
        c = (c ^ b) - rotated(b, 16) & mask
        a = (a ^ c) - rotated(c, 4) & mask
        b = (b ^ a) - rotated(a, 14) & mask
        c = (c ^ b) - rotated(b, 24) & mask
    return c


def _socket(expression: Expression) -> Program:
    key = expression.number(nft.NFTA_SOCKET_KEY) or 0
    at = register(expression.number(nft.NFTA_SOCKET_DREG))
    what = ("whether a transparent socket takes it", "the mark of its socket", "whether its socket is bound to any")
    doubt = Doubt(UNKNOWN_WHY, what[key] if key < 3 else "the control group of its socket")
    size = {nft.NFT_SOCKET_MARK: 4, nft.NFT_SOCKET_CGROUPV2: 8}.get(key, 1)

    def load(machine: Machine) -> int:
        level = expression.number(nft.NFTA_SOCKET_LEVEL)
        if key == nft.NFT_SOCKET_TRANSPARENT:
            found = machine.context.has_transparent_socket(machine.state.packet, None, None)
            if not isinstance(found, Unknown):
                machine.store(at, bytes((found,)))
                return CONTINUE
        if key == nft.NFT_SOCKET_CGROUPV2 and machine.state.packet.cgroup2 is None:
            return BREAK
        machine.store_unknown(at, size, doubt)
        return machine.maybe(doubt, (doubt.reason, level))

    return load


def _osf(expression: Expression) -> Program:
    at = register(expression.number(nft.NFTA_OSF_DREG))
    doubt = Doubt(UNKNOWN_WHY, "the fingerprint of the sender's operating system (osf)")

    def load(machine: Machine) -> int:
        packet = machine.state.packet
        if isinstance(packet.protocol, int) and packet.protocol != TCP:
            return BREAK
        if isinstance(packet.tcp_flags, int) and not packet.tcp_flags & 2:
            return BREAK
        machine.store_unknown(at, _IFNAMSIZ, doubt)
        return CONTINUE

    return load


def _xfrm(expression: Expression) -> Program:
    at = register(expression.number(nft.NFTA_XFRM_DREG))
    outwards = bool((expression.raw(nft.NFTA_XFRM_DIR) or b"\0")[0])
    doubt = Doubt(UNKNOWN_WHY, "the state of IPsec that it came by or goes out by")

    def load(machine: Machine) -> int:
        if not outwards and machine.state.packet.ipsec is False:
            return BREAK
        machine.store_unknown(at, 16, doubt)
        return machine.maybe(doubt, (doubt.reason, outwards))

    return load


def _tunnel(expression: Expression) -> Program:
    at = register(expression.number(nft.NFTA_TUNNEL_DREG))
    doubt = Doubt(UNKNOWN_WHY, "the tunnel that it came by or goes out by")

    def load(machine: Machine) -> int:
        machine.store_unknown(at, 4, doubt)
        return machine.maybe(doubt, doubt.reason)

    return load


def _inner(expression: Expression) -> Program:
    kinds = {1: (17,), 2: (47,), 3: (17,), 4: (4, 41)}
    kind = expression.number(nft.NFTA_INNER_TYPE) or 0
    inner = expression.nested(nft.NFTA_INNER_EXPR)
    doubt = Doubt(UNKNOWN_WHY, "the packet inside a tunnel's packet")

    def look(machine: Machine) -> int:
        packet = machine.state.packet
        if isinstance(packet.protocol, int) and packet.protocol not in kinds.get(kind, (packet.protocol,)):
            return BREAK
        if inner is not None:
            for dreg in (nft.NFTA_PAYLOAD_DREG, nft.NFTA_META_DREG):
                nested = inner.nested(nft.NFTA_EXPR_DATA)
                at = register(nested.number(dreg)) if nested is not None else -1
                if at >= 0:
                    machine.store_unknown(at, 16, doubt)
                    break
        return machine.maybe(doubt, doubt.reason)

    return look


def _nothing(expression: Expression) -> Program:
    return lambda machine: CONTINUE


COMPILERS: dict[str, Callable[[Expression], Program]] = {
    "meta": _meta,
    "payload": _payload,
    "immediate": _immediate,
    "cmp": _cmp,
    "range": _range,
    "bitwise": _bitwise,
    "byteorder": _byteorder,
    "lookup": _lookup,
    "exthdr": _exthdr,
    "numgen": _numgen,
    "hash": _hash,
    "socket": _socket,
    "osf": _osf,
    "xfrm": _xfrm,
    "tunnel": _tunnel,
    "inner": _inner,
    "counter": _nothing,
    "last": _nothing,
}
