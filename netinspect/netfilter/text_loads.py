"""In nft(8)'s words: expressions that load a field of the packet, or facts beside it, into a register."""

from __future__ import annotations

from sys import byteorder

from ..uapi import nf_tables as nft
from . import text_values as values
from .machine import register
from .text_sets import key_name
from .text_values import Field
from .text_writer import Term, Writer, verdict_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .decode import Expression
    from .text_writer import Statement


def _meta(writer: Writer, expression: Expression) -> None:
    key = expression.number(nft.NFTA_META_KEY) or 0
    name, kind, size = values.META.get(key, (f"meta key {key}", "host_integer", 4))
    if nft.NFTA_META_SREG in expression.layout:
        writer.words.append(f"{name} set {writer.assigned(register(expression.number(nft.NFTA_META_SREG)), kind)}")
    else:
        writer.load(expression, nft.NFTA_META_DREG, Term(Field(name, kind, size)))


def _ct(writer: Writer, expression: Expression) -> None:
    key = expression.number(nft.NFTA_CT_KEY) or 0
    name, kind, size = values.CT.get(key, (f"key {key}", "host_integer", 4))
    direction = expression.raw(nft.NFTA_CT_DIRECTION)
    words = f"ct {('original', 'reply')[direction[0] & 1]} {name}" if direction else f"ct {name}"
    if nft.NFTA_CT_SREG in expression.layout:
        writer.words.append(f"{words} set {writer.assigned(register(expression.number(nft.NFTA_CT_SREG)), kind)}")
    else:
        writer.load(expression, nft.NFTA_CT_DREG, Term(Field(words, kind, size)))


def _payload(writer: Writer, expression: Expression) -> None:
    base = expression.number(nft.NFTA_PAYLOAD_BASE) or 0
    offset = expression.number(nft.NFTA_PAYLOAD_OFFSET) or 0
    size = expression.size(nft.NFTA_PAYLOAD_LEN)
    field = values.header_field(base, offset, size, writer.network, writer.protocol)
    term = Term(field, place=(base, offset, size))
    if nft.NFTA_PAYLOAD_SREG not in expression.layout:
        writer.load(expression, nft.NFTA_PAYLOAD_DREG, term)
        return
    at = register(expression.number(nft.NFTA_PAYLOAD_SREG))
    new = writer.term(at)
    part = None
    if new.mask is not None and new.flip is not None:
        keep = int.from_bytes(new.mask, "big")
        part = values.part_of(base, offset, size, (1 << 8 * size) - 1 ^ keep, writer.network, writer.protocol)
    writer.uses(term)
    if part is not None and new.flip is not None:
        name, shift, kind = part
        number = int.from_bytes(new.flip, "big") >> shift
        writer.words.append(f"{name} set {writer.shown(number.to_bytes(2, 'big'), kind)}")
        return
    if new.mask is not None and new.flip is not None and new.literal is None:
        # Of two bytes, which a checksum is made of, one is written, and the other as it was.
        kept = new.mask
        start = next((place for place, byte in enumerate(kept) if not byte), 0)
        count = kept.count(0)
        if kept == b"\xff" * start + bytes(count) + b"\xff" * (len(kept) - start - count) and count < len(kept):
            single = values.header_field(base, offset + start, count, writer.network, writer.protocol)
            writer.words.append(f"{single.name} set {writer.shown(new.flip[start : start + count], single.type)}")
            return
    writer.words.append(f"{field.name} set {writer.assigned(at, field.type)}")


def _immediate(writer: Writer, expression: Expression) -> None:
    found = expression.verdict(nft.NFTA_IMMEDIATE_DATA)
    if found is not None:
        writer.words.append(verdict_text(found))
        return
    value = expression.value(nft.NFTA_IMMEDIATE_DATA) or b""
    writer.load(expression, nft.NFTA_IMMEDIATE_DREG, Term(Field("", "integer", len(value)), value))


def _bitwise(writer: Writer, expression: Expression) -> None:
    source = writer.term(register(expression.number(nft.NFTA_BITWISE_SREG)))
    operation = expression.number(nft.NFTA_BITWISE_OP) or 0
    made = Term(source.field, place=source.place)
    made.swapped = source.swapped
    if operation == nft.NFT_BITWISE_MASK_XOR:
        size = expression.size(nft.NFTA_BITWISE_LEN)
        made.mask = expression.sized(nft.NFTA_BITWISE_MASK, size)
        made.flip = expression.sized(nft.NFTA_BITWISE_XOR, size)
        if source.mask is not None:
            made.field = source.field._replace(name=f"({writer.written(source)})")
    else:
        sign = {1: "<<", 2: ">>", 3: "&", 4: "|", 5: "^"}.get(operation, "?")
        if operation in (nft.NFT_BITWISE_LSHIFT, nft.NFT_BITWISE_RSHIFT):
            other = str(int.from_bytes(expression.value(nft.NFTA_BITWISE_DATA) or b"", byteorder))
        else:
            other = writer.written(writer.term(register(expression.number(nft.NFTA_BITWISE_SREG2))))
        made.field = source.field._replace(name=f"{writer.written(source)} {sign} {other}")
        made.place = None
    writer.load(expression, nft.NFTA_BITWISE_DREG, made)


def _byteorder(writer: Writer, expression: Expression) -> None:
    source = writer.term(register(expression.number(nft.NFTA_BYTEORDER_SREG)))
    made = Term(source.field, source.literal, source.place)
    made.mask, made.flip = source.mask, source.flip
    made.swapped = not source.swapped and byteorder == "little"
    writer.load(expression, nft.NFTA_BYTEORDER_DREG, made)


def _exthdr(writer: Writer, expression: Expression) -> None:
    kind = (expression.raw(nft.NFTA_EXTHDR_TYPE) or b"\0")[0]
    offset, size = expression.number(nft.NFTA_EXTHDR_OFFSET) or 0, expression.size(nft.NFTA_EXTHDR_LEN)
    present = bool((expression.number(nft.NFTA_EXTHDR_FLAGS) or 0) & 1)
    operation = expression.number(nft.NFTA_EXTHDR_OP) or 0
    if operation == nft.NFT_EXTHDR_OP_TCPOPT:
        option = {2: "maxseg", 3: "window", 4: "sack-perm", 5: "sack", 8: "timestamp", 30: "mptcp"}.get(kind, str(kind))
        field = {(2, 2): " size", (3, 2): " count", (8, 2): " tsval", (8, 6): " tsecr"}.get((kind, offset), "")
        name = f"tcp option {option}{'' if present else field or f' @{8 * offset},{8 * size}'}"
    elif operation == nft.NFT_EXTHDR_OP_IPV6:
        header = {0: "hbh", 43: "rt", 44: "frag", 51: "ah", 60: "dst", 135: "mh"}.get(kind, str(kind))
        name = f"exthdr {header}" if present else f"{header} @{8 * offset},{8 * size}"
    else:
        word = {2: "ip option", 3: "sctp chunk", 4: "dccp option"}.get(operation, "exthdr")
        name = f"{word} {kind}{'' if present else f' @{8 * offset},{8 * size}'}"
    if nft.NFTA_EXTHDR_SREG in expression.layout:
        at = register(expression.number(nft.NFTA_EXTHDR_SREG))
        if "protocol" in writer.implied and operation == nft.NFT_EXTHDR_OP_TCPOPT:
            writer.words[writer.implied.pop("protocol")] = ""
        writer.words.append(f"{name} set {writer.assigned(at, 'integer')}")
    elif nft.NFTA_EXTHDR_DREG not in expression.layout:
        writer.words.append(f"reset {name}")
    else:
        protocol = 6 if operation == nft.NFT_EXTHDR_OP_TCPOPT else None
        of = "boolean" if present else "integer"
        writer.load(expression, nft.NFTA_EXTHDR_DREG, Term(Field(name, of, 1 if present else size, protocol)))


def _numgen(writer: Writer, expression: Expression) -> None:
    how = "random" if expression.number(nft.NFTA_NG_TYPE) == nft.NFT_NG_RANDOM else "inc"
    offset = expression.number(nft.NFTA_NG_OFFSET) or 0
    name = f"numgen {how} mod {expression.number(nft.NFTA_NG_MODULUS) or 0}" + (f" offset {offset}" if offset else "")
    writer.load(expression, nft.NFTA_NG_DREG, Term(Field(name, "host_integer", 4)))


def _hash(writer: Writer, expression: Expression) -> None:
    modulus = expression.number(nft.NFTA_HASH_MODULUS) or 0
    offset = expression.number(nft.NFTA_HASH_OFFSET) or 0
    tail = f" offset {offset}" if offset else ""
    if expression.number(nft.NFTA_HASH_TYPE) == nft.NFT_HASH_SYM:
        name = f"symhash mod {modulus}{tail}"
    else:
        at, size = register(expression.number(nft.NFTA_HASH_SREG)), expression.size(nft.NFTA_HASH_LEN)
        keys = " . ".join([key_name(writer, term) for term in writer.parts(at, size)])
        seed = expression.number(nft.NFTA_HASH_SEED)
        name = f"jhash {keys} mod {modulus}{f' seed 0x{seed:x}' if seed is not None else ''}{tail}"
    writer.load(expression, nft.NFTA_HASH_DREG, Term(Field(name, "host_integer", 4)))


def _fib(writer: Writer, expression: Expression) -> None:
    flags = expression.number(nft.NFTA_FIB_FLAGS) or 0
    names = ((1, "saddr"), (2, "daddr"), (4, "mark"), (8, "iif"), (16, "oif"))
    keys = " . ".join([name for bit, name in names if flags & bit])
    result = expression.number(nft.NFTA_FIB_RESULT) or 0
    word, kind, size = {1: ("oif", "iface_index", 4), 2: ("oifname", "ifname", 16)}.get(
        result, ("type", "fib_addrtype", 4)
    )
    if flags & nft.NFTA_FIB_F_PRESENT:
        kind, size = "boolean", 1
    writer.load(expression, nft.NFTA_FIB_DREG, Term(Field(f"fib {keys} {word}", kind, size)))


def _rt(writer: Writer, expression: Expression) -> None:
    key = expression.number(nft.NFTA_RT_KEY) or 0
    found = {0: ("classid", "realm", 4), 1: ("ip nexthop", "ipv4_addr", 4), 2: ("ip6 nexthop", "ipv6_addr", 16)}
    found.update({3: ("mtu", "host_integer", 2), 4: ("ipsec", "boolean", 1)})
    name, kind, size = found.get(key, (f"key {key}", "host_integer", 4))
    writer.load(expression, nft.NFTA_RT_DREG, Term(Field(f"rt {name}", kind, size)))


def _socket(writer: Writer, expression: Expression) -> None:
    key = expression.number(nft.NFTA_SOCKET_KEY) or 0
    found = {0: ("transparent", "integer", 1), 1: ("mark", "mark", 4), 2: ("wildcard", "integer", 1)}
    level = expression.number(nft.NFTA_SOCKET_LEVEL) or 0
    name, kind, size = found.get(key, (f"cgroupv2 level {level}", "cgroupsv2", 8))
    writer.load(expression, nft.NFTA_SOCKET_DREG, Term(Field(f"socket {name}", kind, size)))


def _plain(words: str, dreg: int, kind: str = "integer", size: int = 4) -> Statement:
    def write(writer: Writer, expression: Expression) -> None:
        writer.load(expression, dreg, Term(Field(words, kind, size)))

    return write


STATEMENTS: dict[str, Statement] = {
    "meta": _meta,
    "ct": _ct,
    "payload": _payload,
    "immediate": _immediate,
    "bitwise": _bitwise,
    "byteorder": _byteorder,
    "exthdr": _exthdr,
    "numgen": _numgen,
    "hash": _hash,
    "fib": _fib,
    "rt": _rt,
    "socket": _socket,
    "osf": _plain("osf name", nft.NFTA_OSF_DREG, "string", 16),
    "xfrm": _plain("ipsec", nft.NFTA_XFRM_DREG, "integer_hex", 16),
    "tunnel": _plain("tunnel", nft.NFTA_TUNNEL_DREG),
}
