"""A rule in nft(8)'s own words, as `nft list ruleset` has it, as far as its expressions are known here.

The kernel keeps registers and operations, not words: each is followed as nft(8) does, and conditions that nft(8) adds
by itself and does not list again, such as the protocol before a port, are left out again.
"""

from __future__ import annotations

from _socket import inet_ntop
from sys import byteorder

from ..engine.text import printable
from ..uapi import nf_tables as nft
from . import text_values as values
from .expressions_ending import reject_words
from .machine import register, verdict_of
from .text_values import Field, identifier, quoted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .decode import Element, Expression, Rule, Set
    from .ruleset import Ruleset

_OPERATORS = ("", "!= ", "< ", "<= ", "> ", ">= ")
_FAMILY_NAMES = {2: "ip", 10: "ip6"}
_UNITS = {1: "second", 60: "minute", 3600: "hour", 86400: "day", 604800: "week"}
_SHOWN = 16
"""Elements of a set within a rule that are shown."""
_NAT_FLAGS = ((4, "random"), (8, "persistent"), (16, "fully-random"))
"""linux/netfilter/nf_nat.h: NF_NAT_RANGE_*; 4 is PROTO_RANDOM, 16 PROTO_RANDOM_FULLY."""


class _Term:
    """What a register holds: a field, or a value that a rule computes."""

    __slots__ = ("base", "field", "flip", "literal", "mask", "place", "swapped")

    def __init__(self, field: Field, literal: bytes | None = None, place: tuple[int, int, int] | None = None) -> None:
        self.field = field
        self.literal = literal
        self.place = place
        """Header, offset and size, of bytes of the packet."""
        self.mask: bytes | None = None
        self.flip: bytes | None = None
        self.swapped = False
        self.base = field

    def value(self, value: bytes) -> bytes:
        """A value beside this term, as the field has it."""
        return value[::-1] if self.swapped else value


class _Writer:
    """Writes the statements of one rule."""

    def __init__(self, ruleset: Ruleset, rule: Rule) -> None:
        self.ruleset = ruleset
        self.rule = rule
        self.terms: dict[int, _Term] = {}
        self.words: list[str] = []
        self.network: str | None = rule.family if rule.family in ("ip", "ip6", "arp") else None
        self.protocol: int | None = None
        self.implied: dict[str, int] = {}
        """Where conditions stand that nft(8) adds by itself: by what they are about."""
        self.bound: tuple[int, _Term, bytes] | None = None
        """A lower bound that has just been written, which may be the first half of a range."""

    def text(self) -> str:
        for expression in self.rule.expressions:
            write = _WRITERS.get(expression.name)
            if write is None:
                self.words.append(f"({expression.name})")
                values.EXACTNESS.lost = True
            else:
                write(self, expression)
        comment = self.rule.comment
        if comment is not None:
            self.words.append(f"comment {quoted(comment)}")
        return printable(" ".join([word for word in self.words if word]))

    def load(self, expression: Expression, kind: int, term: _Term) -> None:
        self.terms[register(expression.number(kind))] = term

    def term(self, at: int) -> _Term:
        return self.terms.get(at) or _Term(Field(f"reg {at // 4}", "integer_hex", 4))

    def uses(self, term: _Term) -> None:
        """Takes back the condition that this field implies."""
        field = term.field
        if field.protocol is not None and "protocol" in self.implied:
            self.words[self.implied.pop("protocol")] = ""
        if field.family is not None and "network" in self.implied:
            self.words[self.implied.pop("network")] = ""
        if field.name.startswith("ether ") and "link" in self.implied:
            self.words[self.implied.pop("link")] = ""

    def parts(self, at: int, length: int) -> list[_Term]:
        """The terms of a key: one, or those of a concatenation, each at a multiple of four bytes."""
        found = []
        end = at + length
        while at < end:
            term = self.term(at)
            found.append(term)
            self.uses(term)
            size = term.field.size
            at += max(size + 3 & ~3, 4)
        return found

    def written(self, term: _Term) -> str:
        """A term in words."""
        self.uses(term)
        if term.literal is not None:
            return self.shown(term.literal, term.field.type)
        name = term.field.name
        if term.mask is None:
            return name
        kind = term.field.type
        size = len(term.mask)
        mask, flip = int.from_bytes(term.mask, "big"), int.from_bytes(term.flip or b"", "big")
        full = (1 << 8 * size) - 1

        def shown(number: int) -> str:
            return self.shown(number.to_bytes(size, "big"), kind)

        if mask == full:
            return f"{name} ^ {shown(flip)}" if flip else name
        if not flip:
            return f"{name} & {shown(mask)}"
        if flip == full ^ mask:
            return f"{name} | {shown(flip)}"
        if not flip & mask:
            return f"{name} & {shown(mask | flip)} | {shown(flip)}"
        return f"{name} & {shown(mask)} ^ {shown(flip)}"

    def assigned(self, at: int, kind: str) -> str:
        """What a register holds, as something of type ``kind`` is set to it."""
        term = self.term(at)
        if term.literal is not None:
            return self.shown(term.literal, kind)
        return self.written(term)

    def shown(self, value: bytes, kind: str) -> str:
        """One value: an interface's index by its name."""
        if kind == "iface_index":
            index = int.from_bytes(value, byteorder)
            return quoted(self.ruleset.interface_name(index)) if index else "0"
        return values.value_text(value, kind)


def rule_text(ruleset: Ruleset, rule: Rule) -> str:
    """The rule in one line, without its handle. Raises NetlinkError where the elements of a set cannot be read."""
    try:
        return _Writer(ruleset, rule).text()
    except (LookupError, ValueError, OSError):
        # Registers and values that do not match, which the kernel does not allow.
        names = " ".join([expression.name for expression in rule.expressions])
        values.EXACTNESS.lost = True
        return printable(f"({names})")


def _meta(writer: _Writer, expression: Expression) -> None:
    key = expression.number(nft.NFTA_META_KEY) or 0
    name, kind, size = values.META.get(key, (f"meta key {key}", "host_integer", 4))
    if nft.NFTA_META_SREG in expression.layout:
        writer.words.append(f"{name} set {writer.assigned(register(expression.number(nft.NFTA_META_SREG)), kind)}")
    else:
        writer.load(expression, nft.NFTA_META_DREG, _Term(Field(name, kind, size)))


def _ct(writer: _Writer, expression: Expression) -> None:
    key = expression.number(nft.NFTA_CT_KEY) or 0
    name, kind, size = values.CT.get(key, (f"key {key}", "host_integer", 4))
    direction = expression.raw(nft.NFTA_CT_DIRECTION)
    words = f"ct {('original', 'reply')[direction[0] & 1]} {name}" if direction else f"ct {name}"
    if nft.NFTA_CT_SREG in expression.layout:
        writer.words.append(f"{words} set {writer.assigned(register(expression.number(nft.NFTA_CT_SREG)), kind)}")
    else:
        writer.load(expression, nft.NFTA_CT_DREG, _Term(Field(words, kind, size)))


def _payload(writer: _Writer, expression: Expression) -> None:
    base = expression.number(nft.NFTA_PAYLOAD_BASE) or 0
    offset = expression.number(nft.NFTA_PAYLOAD_OFFSET) or 0
    size = expression.size(nft.NFTA_PAYLOAD_LEN)
    field = values.header_field(base, offset, size, writer.network, writer.protocol)
    term = _Term(field, place=(base, offset, size))
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


def _immediate(writer: _Writer, expression: Expression) -> None:
    found = expression.verdict(nft.NFTA_IMMEDIATE_DATA)
    if found is not None:
        writer.words.append(_verdict_text(found))
        return
    value = expression.value(nft.NFTA_IMMEDIATE_DATA) or b""
    writer.load(expression, nft.NFTA_IMMEDIATE_DREG, _Term(Field("", "integer", len(value)), value))


def _verdict_text(found: tuple[int, str]) -> str:
    verdict = verdict_of(*found)
    if verdict.chain:
        return f"{verdict.name} {identifier(verdict.chain)}"
    return verdict.name


def _cmp(writer: _Writer, expression: Expression) -> None:
    value = expression.value(nft.NFTA_CMP_DATA) or b""
    operator = min(expression.number(nft.NFTA_CMP_OP) or 0, len(_OPERATORS) - 1)
    at = register(expression.number(nft.NFTA_CMP_SREG))
    terms = writer.parts(at, max(len(value), 1))
    if len(terms) > 1:
        shown = []
        where = 0
        for term in terms:
            shown.append(writer.shown(value[where : where + term.field.size], term.field.type))
            where += max(term.field.size + 3 & ~3, 4)
        names = " . ".join([term.field.name for term in terms])
        writer.words.append(f"{names} {_OPERATORS[operator]}{' . '.join(shown)}")
        return
    term = terms[0]
    if operator == nft.NFT_CMP_LTE and writer.bound is not None:
        position, lower, first = writer.bound
        if lower is term and position == len(writer.words) - 1:
            writer.words[-1] = f"{writer.written(term)} {_interval(writer, term, first, value, prefix=False)}"
            writer.bound = None
            return
    writer.bound = None
    position = len(writer.words)
    writer.words.append(_comparison(writer, term, operator, value))
    if operator == nft.NFT_CMP_GTE:
        writer.bound = position, term, value
    if operator == nft.NFT_CMP_EQ:
        _implies(writer, term, value, position)


def _interval(writer: _Writer, term: _Term, first: bytes, last: bytes, *, prefix: bool) -> str:
    first, last, kind = term.value(first), term.value(last), term.field.type
    if kind == "hour":
        return f"{writer.shown(first, kind)}-{writer.shown(last, kind)}"
    low, high = int.from_bytes(first, "big"), int.from_bytes(last, "big")
    span = low ^ high
    if prefix and kind in ("ipv4_addr", "ipv6_addr") and not span & (span + 1) and not low & span:
        return (
            f"{writer.shown(first, kind)}/{8 * len(first) - span.bit_length()}" if span else writer.shown(first, kind)
        )
    one, other = writer.shown(first, kind), writer.shown(last, kind)
    return one if one == other else f"{one}-{other}"


def _implies(writer: _Writer, term: _Term, value: bytes, position: int) -> None:
    """What a condition says of the fields that follow."""
    name = term.field.name
    if name in ("meta l4proto", "ip protocol", "ip6 nexthdr") and term.mask is None:
        writer.protocol = value[0]
        if name == "meta l4proto":
            writer.implied["protocol"] = position
    elif name == "meta nfproto":
        writer.network = _FAMILY_NAMES.get(value[0])
        writer.implied["network"] = position
    elif name in ("meta protocol", "ether type", "vlan type"):
        writer.network = {0x0800: "ip", 0x86DD: "ip6", 0x0806: "arp"}.get(int.from_bytes(value, "big"))
        writer.implied["network"] = position
    elif name == "meta iiftype" and value[:2] == (1).to_bytes(2, byteorder):
        writer.implied["link"] = position


def _comparison(writer: _Writer, term: _Term, operator: int, value: bytes) -> str:
    """One condition."""
    value = term.value(value)
    kind, name = term.field.type, term.field.name
    sign = _OPERATORS[operator]
    if name == "ip version" and term.mask is None:
        # Both halves of the first byte, which nft(8) asks for at once.
        return f"ip version {value[0] >> 4} ip hdrlength {value[0] & 15}"
    if kind.endswith(" prefix"):
        size = 4 if kind.startswith("ipv4") else 16
        bits = 8 * len(value)
        if term.mask is not None:
            bits = int.from_bytes(term.mask, "big").bit_count()
        return f"{name} {sign}{inet_ntop(2 if size == 4 else 10, value.ljust(size, bytes(1)))}/{bits}"
    if kind in ("ipv4_addr", "ipv6_addr") and len(value) < (4 if kind == "ipv4_addr" else 16) and term.mask is None:
        size = 4 if kind == "ipv4_addr" else 16
        return f"{name} {sign}{inet_ntop(2 if size == 4 else 10, value.ljust(size, bytes(1)))}/{8 * len(value)}"
    if kind == "ifname" and len(value) < 16 and not value.endswith(b"\0"):
        return f"{name} {sign}{quoted(value.decode('utf-8', 'backslashreplace') + '*')}"
    if term.mask is None:
        return f"{name} {sign}{writer.shown(value, kind)}"
    mask = int.from_bytes(term.mask, "big")
    if not int.from_bytes(term.flip or b"", "big"):
        if term.place is not None:
            part = values.part_of(*term.place, mask, writer.network, writer.protocol)
            if part is not None:
                words, shift, of = part
                if words.startswith("vlan ") and "network" in writer.implied:
                    writer.words[writer.implied.pop("network")] = ""
                number = int.from_bytes(value, "big") >> shift
                return f"{words} {sign}{writer.shown(number.to_bytes(max(len(value), 1), 'big'), of)}"
        if kind in ("ipv4_addr", "ipv6_addr"):
            hole = (1 << 8 * len(value)) - 1 ^ mask
            if not hole & (hole + 1):
                return f"{name} {sign}{writer.shown(value, kind)}/{mask.bit_count()}"
        host = int.from_bytes(term.mask, byteorder) if kind in values.FLAGS and kind != "tcp_flag" else mask
        if kind in values.FLAGS and not any(value):
            words = values.flags_text(host, kind)
            if operator == nft.NFT_CMP_NEQ:
                return f"{name} {words}"
            return f"{name} ! {words}"
        if kind == "tcp_flag":
            return f"{name} {sign}{writer.shown(value, kind)} / {values.flags_text(mask, kind)}"
    sign = "== " if operator == nft.NFT_CMP_EQ else sign
    return f"{writer.written(term)} {sign}{writer.shown(value, kind)}"


def _range(writer: _Writer, expression: Expression) -> None:
    first = expression.value(nft.NFTA_RANGE_FROM_DATA) or b""
    last = expression.value(nft.NFTA_RANGE_TO_DATA) or b""
    (term, *_) = writer.parts(register(expression.number(nft.NFTA_RANGE_SREG)), 1)
    sign = "!= " if expression.number(nft.NFTA_RANGE_OP) else ""
    writer.words.append(f"{writer.written(term)} {sign}{_interval(writer, term, first, last, prefix=False)}")


def _bitwise(writer: _Writer, expression: Expression) -> None:
    source = writer.term(register(expression.number(nft.NFTA_BITWISE_SREG)))
    operation = expression.number(nft.NFTA_BITWISE_OP) or 0
    made = _Term(source.field, place=source.place)
    made.swapped = source.swapped
    if operation == nft.NFT_BITWISE_MASK_XOR:
        made.mask = expression.value(nft.NFTA_BITWISE_MASK)
        made.flip = expression.value(nft.NFTA_BITWISE_XOR)
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


def _byteorder(writer: _Writer, expression: Expression) -> None:
    source = writer.term(register(expression.number(nft.NFTA_BYTEORDER_SREG)))
    made = _Term(source.field, source.literal, source.place)
    made.mask, made.flip = source.mask, source.flip
    made.swapped = not source.swapped and byteorder == "little"
    writer.load(expression, nft.NFTA_BYTEORDER_DREG, made)


def _lookup(writer: _Writer, expression: Expression) -> None:
    name = expression.text(nft.NFTA_LOOKUP_SET)
    found = writer.ruleset.sets.get((writer.rule.family, writer.rule.table, name))
    at = register(expression.number(nft.NFTA_LOOKUP_SREG))
    terms = writer.parts(at, found.key_length if found is not None else 1)
    key = " . ".join([_key_name(writer, term) for term in terms])
    inverted = "!= " if (expression.number(nft.NFTA_LOOKUP_FLAGS) or 0) & 1 else ""
    shown = f"@{identifier(name)}"
    if found is not None and found.anonymous:
        shown = _elements(writer, found, terms)
    if nft.NFTA_LOOKUP_DREG not in expression.layout:
        writer.words.append(f"{key} {inverted}{shown}")
        return
    target = register(expression.number(nft.NFTA_LOOKUP_DREG))
    if target < 0:
        writer.words.append(f"{key} vmap {shown}")
        return
    kind = values.type_names(found.data_type)[0] if found is not None else "integer"
    size = found.data_length if found is not None else 4
    writer.terms[target] = _Term(Field(f"{key} map {shown}", kind, size))


def _key_name(writer: _Writer, term: _Term) -> str:
    if term.mask is not None and term.place is not None and not int.from_bytes(term.flip or b"", "big"):
        mask = int.from_bytes(term.mask, "big")
        part = values.part_of(*term.place, mask, writer.network, writer.protocol)
        if part is not None:
            return part[0]
    return writer.written(term)


def _elements(writer: _Writer, found: Set, terms: list[_Term]) -> str:
    """The elements of a set within a rule."""
    elements = writer.ruleset.elements(found)
    if elements is None:
        return f"@{identifier(found.name)}"
    shown = []
    ordered = elements.ordered
    for at, element in enumerate(ordered):
        if element.flags & nft.NFT_SET_ELEM_INTERVAL_END:
            continue
        after = ordered[at + 1].key if at + 1 < len(ordered) else None
        size = len(element.key)
        end = int.from_bytes(after, "big") - 1 if after is not None else (1 << 8 * size) - 1
        text = _name_interval(writer, terms[0], element.key, end.to_bytes(size, "big"))
        shown.append(text + _mapped(writer, found, element))
    others = [element for element in elements.all if not element.flags and element not in ordered]
    if len(terms) == 1:
        # As nft(8) lists them; those of a concatenation in the kernel's order.
        host = terms[0].field.type in values.HOST_ORDER and byteorder == "little"
        others.sort(key=lambda element: element.key[::-1] if host else element.key)
    for element in others:
        if element.key:
            shown.append(_key_text(writer, element, terms) + _mapped(writer, found, element))
    if elements.default is not None:
        shown.append("*" + _mapped(writer, found, elements.default))
    if len(shown) > _SHOWN:
        shown = [*shown[:_SHOWN], f"… {len(shown) - _SHOWN} more"]
    return "{ " + ", ".join(shown) + " }"


def _name_interval(writer: _Writer, term: _Term, first: bytes, last: bytes) -> str:
    if term.field.type == "ifname":
        name = first.rstrip(b"\0")
        if first == last or last == name.ljust(len(last), b"\xff"):
            return quoted(name.decode("utf-8", "backslashreplace") + ("" if first == last else "*"))
        return f"{first.hex()}-{last.hex()}"
    if term.field.type in ("mark", "iface_index", "devgroup", "uid", "gid", "host_integer", "hour"):
        first, last = first[::-1] if not term.swapped else first, last[::-1] if not term.swapped else last
    return _interval(writer, term, first, last, prefix=True)


def _key_text(writer: _Writer, element: Element, terms: list[_Term]) -> str:
    parts = []
    at = 0
    for term in terms:
        size = term.field.size
        first = element.key[at : at + size]
        last = element.end[at : at + size] if element.end is not None else first
        parts.append(
            _interval(writer, term, first, last, prefix=True) if first != last else _single(writer, term, first)
        )
        at += max(size + 3 & ~3, 4)
    return " . ".join(parts)


def _single(writer: _Writer, term: _Term, value: bytes) -> str:
    if term.mask is not None and term.place is not None:
        part = values.part_of(*term.place, int.from_bytes(term.mask, "big"), writer.network, writer.protocol)
        if part is not None:
            return writer.shown((int.from_bytes(value, "big") >> part[1]).to_bytes(len(value), "big"), part[2])
    return writer.shown(term.value(value), term.field.type)


def _mapped(writer: _Writer, found: Set, element: Element) -> str:
    if element.verdict is not None:
        return f" : {_verdict_text(element.verdict)}"
    if element.object:
        return f" : {quoted(element.object)}"
    if element.data is None or not found.flags & nft.NFT_SET_MAP:
        return ""
    kinds = values.type_names(found.data_type)
    if len(kinds) == 1:
        return f" : {writer.shown(element.data, kinds[0])}"
    sizes = {"ipv4_addr": 4, "ipv6_addr": 16, "inet_service": 2, "inet_proto": 1, "mark": 4}
    parts, at = [], 0
    for kind in kinds:
        parts.append(writer.shown(element.data[at : at + sizes.get(kind, 4)], kind))
        at += sizes.get(kind, 4) + 3 & ~3
    return f" : {' . '.join(parts)}"


def _exthdr(writer: _Writer, expression: Expression) -> None:
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
        writer.load(expression, nft.NFTA_EXTHDR_DREG, _Term(Field(name, of, 1 if present else size, protocol)))


def _numgen(writer: _Writer, expression: Expression) -> None:
    how = "random" if expression.number(nft.NFTA_NG_TYPE) == nft.NFT_NG_RANDOM else "inc"
    offset = expression.number(nft.NFTA_NG_OFFSET) or 0
    name = f"numgen {how} mod {expression.number(nft.NFTA_NG_MODULUS) or 0}" + (f" offset {offset}" if offset else "")
    writer.load(expression, nft.NFTA_NG_DREG, _Term(Field(name, "host_integer", 4)))


def _hash(writer: _Writer, expression: Expression) -> None:
    modulus = expression.number(nft.NFTA_HASH_MODULUS) or 0
    offset = expression.number(nft.NFTA_HASH_OFFSET) or 0
    tail = f" offset {offset}" if offset else ""
    if expression.number(nft.NFTA_HASH_TYPE) == nft.NFT_HASH_SYM:
        name = f"symhash mod {modulus}{tail}"
    else:
        at, size = register(expression.number(nft.NFTA_HASH_SREG)), expression.size(nft.NFTA_HASH_LEN)
        keys = " . ".join([_key_name(writer, term) for term in writer.parts(at, size)])
        seed = expression.number(nft.NFTA_HASH_SEED)
        name = f"jhash {keys} mod {modulus}{f' seed 0x{seed:x}' if seed is not None else ''}{tail}"
    writer.load(expression, nft.NFTA_HASH_DREG, _Term(Field(name, "host_integer", 4)))


def _fib(writer: _Writer, expression: Expression) -> None:
    flags = expression.number(nft.NFTA_FIB_FLAGS) or 0
    names = ((1, "saddr"), (2, "daddr"), (4, "mark"), (8, "iif"), (16, "oif"))
    keys = " . ".join([name for bit, name in names if flags & bit])
    result = expression.number(nft.NFTA_FIB_RESULT) or 0
    word, kind, size = {1: ("oif", "iface_index", 4), 2: ("oifname", "ifname", 16)}.get(
        result, ("type", "fib_addrtype", 4)
    )
    if flags & nft.NFTA_FIB_F_PRESENT:
        kind, size = "boolean", 1
    writer.load(expression, nft.NFTA_FIB_DREG, _Term(Field(f"fib {keys} {word}", kind, size)))


def _rt(writer: _Writer, expression: Expression) -> None:
    key = expression.number(nft.NFTA_RT_KEY) or 0
    found = {0: ("classid", "realm", 4), 1: ("ip nexthop", "ipv4_addr", 4), 2: ("ip6 nexthop", "ipv6_addr", 16)}
    found.update({3: ("mtu", "host_integer", 2), 4: ("ipsec", "boolean", 1)})
    name, kind, size = found.get(key, (f"key {key}", "host_integer", 4))
    writer.load(expression, nft.NFTA_RT_DREG, _Term(Field(f"rt {name}", kind, size)))


def _socket(writer: _Writer, expression: Expression) -> None:
    key = expression.number(nft.NFTA_SOCKET_KEY) or 0
    found = {0: ("transparent", "integer", 1), 1: ("mark", "mark", 4), 2: ("wildcard", "integer", 1)}
    level = expression.number(nft.NFTA_SOCKET_LEVEL) or 0
    name, kind, size = found.get(key, (f"cgroupv2 level {level}", "cgroupsv2", 8))
    writer.load(expression, nft.NFTA_SOCKET_DREG, _Term(Field(f"socket {name}", kind, size)))


def _plain(words: str, dreg: int, kind: str = "integer", size: int = 4) -> Callable[[_Writer, Expression], None]:
    def write(writer: _Writer, expression: Expression) -> None:
        writer.load(expression, dreg, _Term(Field(words, kind, size)))

    return write


def _counter(writer: _Writer, expression: Expression) -> None:
    packets, size = expression.number(nft.NFTA_COUNTER_PACKETS) or 0, expression.number(nft.NFTA_COUNTER_BYTES) or 0
    writer.words.append(f"counter packets {packets} bytes {size}")


def _limit(writer: _Writer, expression: Expression) -> None:
    rate, unit = expression.number(nft.NFTA_LIMIT_RATE) or 0, expression.number(nft.NFTA_LIMIT_UNIT) or 1
    burst = expression.number(nft.NFTA_LIMIT_BURST) or 0
    over = "over " if (expression.number(nft.NFTA_LIMIT_FLAGS) or 0) & 1 else ""
    per = _UNITS.get(unit, f"{unit} s")
    if expression.number(nft.NFTA_LIMIT_TYPE):
        tail = f" burst {burst} bytes" if burst else ""
        number, size = rate, "bytes"
        for larger in ("kbytes", "mbytes"):
            if number and number % 1024 == 0:
                number, size = number // 1024, larger
        writer.words.append(f"limit rate {over}{number} {size}/{per}{tail}")
    else:
        tail = f" burst {burst} packets" if burst != 5 else ""  # what nft(8) takes by itself
        writer.words.append(f"limit rate {over}{rate}/{per}{tail}")


def _quota(writer: _Writer, expression: Expression) -> None:
    over = "over " if (expression.number(nft.NFTA_QUOTA_FLAGS) or 0) & 1 else ""
    used = expression.number(nft.NFTA_QUOTA_CONSUMED) or 0
    total = expression.number(nft.NFTA_QUOTA_BYTES) or 0
    writer.words.append(f"quota {over}{total} bytes" + (f" used {used} bytes" if used else ""))


def _connlimit(writer: _Writer, expression: Expression) -> None:
    over = "over " if (expression.number(nft.NFTA_CONNLIMIT_FLAGS) or 0) & 1 else ""
    writer.words.append(f"ct count {over}{expression.number(nft.NFTA_CONNLIMIT_COUNT) or 0}")


def _log(writer: _Writer, expression: Expression) -> None:
    words = "log"
    if nft.NFTA_LOG_PREFIX in expression.layout:
        words += f" prefix {quoted(expression.text(nft.NFTA_LOG_PREFIX))}"
    group = expression.number(nft.NFTA_LOG_GROUP)
    if nft.NFTA_LOG_GROUP in expression.layout:
        words += f" group {group or 0}"
    level = expression.number(nft.NFTA_LOG_LEVEL)
    if level is not None and level != 4 and nft.NFTA_LOG_GROUP not in expression.layout:
        names = ("emerg", "alert", "crit", "err", "warn", "notice", "info", "debug", "audit")
        words += f" level {names[level] if level < len(names) else level}"
    writer.words.append(words)


def _reject(writer: _Writer, expression: Expression) -> None:
    kind = expression.number(nft.NFTA_REJECT_TYPE) or 0
    code = expression.number(nft.NFTA_REJECT_ICMP_CODE) or 0
    # Left out if it is nft(8)'s default.
    if (kind, code) == (nft.NFT_REJECT_ICMPX_UNREACH, 1):
        writer.words.append("reject")
        return
    six = writer.network == "ip6"
    if kind == nft.NFT_REJECT_ICMP_UNREACH and writer.rule.family in ("ip", "ip6") and code == (4 if six else 3):
        writer.words.append("reject")
        return
    writer.words.append(f"reject with {reject_words(kind, code, six)}")


def _to(writer: _Writer, at: int | None, end: int | None, kind: str) -> str:
    """An address or port, or a range of them, that something is sent to."""
    if at is None:
        return ""
    first = writer.assigned(at, kind)
    if end is None or end == at:
        return first
    last = writer.assigned(end, kind)
    return first if first == last else f"{first}-{last}"


def _reg(expression: Expression, kind: int) -> int | None:
    return register(expression.number(kind)) if kind in expression.layout else None


def _port(writer: _Writer, at: int | None, end: int | None) -> str:
    """Ports, which an immediate holds in two of its bytes."""
    for place in (at, end):
        term = writer.terms.get(place) if place is not None else None
        if term is not None and term.literal is not None and len(term.literal) > 2:
            term.literal = term.literal[:2]
    return _to(writer, at, end, "inet_service")


def _nat(writer: _Writer, expression: Expression) -> None:
    words = "dnat" if expression.number(nft.NFTA_NAT_TYPE) else "snat"
    family = _FAMILY_NAMES.get(expression.number(nft.NFTA_NAT_FAMILY) or 0, "ip")
    flags = expression.number(nft.NFTA_NAT_FLAGS) or 0
    if writer.rule.family == "inet":
        words += f" {family}"
    if flags & 64:
        words += " prefix"
    kind = "ipv4_addr" if family == "ip" else "ipv6_addr"
    low, high = _reg(expression, nft.NFTA_NAT_REG_ADDR_MIN), _reg(expression, nft.NFTA_NAT_REG_ADDR_MAX)
    first, last = _reg(expression, nft.NFTA_NAT_REG_PROTO_MIN), _reg(expression, nft.NFTA_NAT_REG_PROTO_MAX)
    ports = _port(writer, first, last)
    address = _to(writer, low, high, kind)
    if ports and address and " map " in address and address == ports:
        ports = ""  # a map gives both
    if ports and address and family == "ip6":
        address = f"[{address}]"
    writer.words.append(f"{words} to {address}{f':{ports}' if ports else ''}{_nat_flags(flags)}")


def _nat_flags(flags: int) -> str:
    names = [name for bit, name in _NAT_FLAGS if flags & bit]
    return f" {','.join(names)}" if names else ""


def _own_address(word: str, flags_kind: int, first: int, last: int) -> Callable[[_Writer, Expression], None]:
    def write(writer: _Writer, expression: Expression) -> None:
        ports = _port(writer, _reg(expression, first), _reg(expression, last))
        flags = expression.number(flags_kind) or 0
        writer.words.append(f"{word}{f' to :{ports}' if ports else ''}{_nat_flags(flags)}")

    return write


def _queue(writer: _Writer, expression: Expression) -> None:
    first, total = expression.number(nft.NFTA_QUEUE_NUM) or 0, expression.number(nft.NFTA_QUEUE_TOTAL) or 1
    flags = expression.number(nft.NFTA_QUEUE_FLAGS) or 0
    names = [name for bit, name in ((1, "bypass"), (2, "fanout")) if flags & bit]
    number = f"{first}" if total <= 1 else f"{first}-{first + total - 1}"
    if nft.NFTA_QUEUE_SREG_QNUM in expression.layout:
        number = writer.assigned(register(expression.number(nft.NFTA_QUEUE_SREG_QNUM)), "host_integer")
    writer.words.append(f"queue{f' flags {chr(44).join(names)}' if names else ''} to {number}")


def _dynset(writer: _Writer, expression: Expression) -> None:
    name = expression.text(nft.NFTA_DYNSET_SET_NAME)
    found = writer.ruleset.sets.get((writer.rule.family, writer.rule.table, name))
    word = ("add", "update", "delete")[min(expression.number(nft.NFTA_DYNSET_OP) or 0, 2)]
    at = register(expression.number(nft.NFTA_DYNSET_SREG_KEY))
    key = " . ".join([_key_name(writer, term) for term in writer.parts(at, found.key_length if found else 1)])
    timeout = expression.number(nft.NFTA_DYNSET_TIMEOUT)
    if timeout:
        key += f" timeout {_duration(timeout)}"
    inner = _Writer(writer.ruleset, writer.rule)
    parts = expression.expressions(nft.NFTA_DYNSET_EXPRESSIONS)
    single = expression.nested(nft.NFTA_DYNSET_EXPR)
    if single is not None and not parts:
        from .decode import Expression as Nest

        data = single.nested(nft.NFTA_EXPR_DATA)
        if data is not None:
            parts = [Nest(single.text(nft.NFTA_EXPR_NAME), data.data, data.layout)]
    for part in parts:
        if part.name in _WRITERS:
            _WRITERS[part.name](inner, part)
    key += "".join([f" {words}" for words in inner.words])
    data_at = _reg(expression, nft.NFTA_DYNSET_SREG_DATA)
    if data_at is not None and found is not None:
        key += f" : {writer.assigned(data_at, values.type_names(found.data_type)[0])}"
    writer.words.append(f"{word} @{identifier(name)} {{ {key} }}")


def _duration(milliseconds: int) -> str:
    words = ""
    for size, unit in ((86400000, "d"), (3600000, "h"), (60000, "m"), (1000, "s"), (1, "ms")):
        count, milliseconds = divmod(milliseconds, size)
        words += f"{count}{unit}" if count else ""
    return words


_OBJECTS = {1: "counter", 2: "quota", 3: "ct helper", 4: "limit", 5: "ct count", 7: "ct timeout"}
_OBJECTS.update({8: "meta secmark", 9: "ct expectation", 10: "synproxy"})


def _objref(writer: _Writer, expression: Expression) -> None:
    if nft.NFTA_OBJREF_SET_NAME in expression.layout:
        name = expression.text(nft.NFTA_OBJREF_SET_NAME)
        found = writer.ruleset.sets.get((writer.rule.family, writer.rule.table, name))
        at = register(expression.number(nft.NFTA_OBJREF_SET_SREG))
        terms = writer.parts(at, found.key_length if found else 1)
        shown = _elements(writer, found, terms) if found is not None and found.anonymous else f"@{identifier(name)}"
        kind = _OBJECTS.get(found.object_type or 0, "object") if found else "object"
        key = " . ".join([_key_name(writer, term) for term in terms])
        value = f"{key} map {shown}"
    else:
        kind = _OBJECTS.get(expression.number(nft.NFTA_OBJREF_IMM_TYPE) or 0, "object")
        value = quoted(expression.text(nft.NFTA_OBJREF_IMM_NAME))
    words = {"counter": "counter name", "quota": "quota name", "limit": "limit name", "synproxy": "synproxy name"}
    writer.words.append(f"{words.get(kind, f'{kind} set')} {value}")


def _tproxy(writer: _Writer, expression: Expression) -> None:
    family = _FAMILY_NAMES.get(expression.number(nft.NFTA_TPROXY_FAMILY) or 0, "")
    address = _to(
        writer, _reg(expression, nft.NFTA_TPROXY_REG_ADDR), None, "ipv6_addr" if family == "ip6" else "ipv4_addr"
    )
    port = _port(writer, _reg(expression, nft.NFTA_TPROXY_REG_PORT), None)
    if address and family == "ip6" and port:
        address = f"[{address}]"
    of = f" {family}" if family and writer.rule.family == "inet" else ""
    writer.words.append(f"tproxy{of} to {address}{f':{port}' if port else ''}")


def _synproxy(writer: _Writer, expression: Expression) -> None:
    flags = expression.number(nft.NFTA_SYNPROXY_FLAGS) or 0
    words = "synproxy"
    if flags & 1:
        words += f" mss {expression.number(nft.NFTA_SYNPROXY_MSS) or 0}"
    if flags & 2:
        words += f" wscale {expression.number(nft.NFTA_SYNPROXY_WSCALE) or 0}"
    words += (" timestamp" if flags & 8 else "") + (" sack-perm" if flags & 4 else "")
    writer.words.append(words)


def _dup(writer: _Writer, expression: Expression) -> None:
    address, device = _reg(expression, nft.NFTA_DUP_SREG_ADDR), _reg(expression, nft.NFTA_DUP_SREG_DEV)
    kind = "ipv6_addr" if writer.rule.family == "ip6" else "ipv4_addr"
    words = f"dup to {_to(writer, address, None, kind)}" if address is not None else "dup to"
    if device is not None:
        words += (
            f" device {writer.assigned(device, 'iface_index')}"
            if address is not None
            else (f" {writer.assigned(device, 'iface_index')}")
        )
    writer.words.append(words)


def _fwd(writer: _Writer, expression: Expression) -> None:
    device = _reg(expression, nft.NFTA_FWD_SREG_DEV)
    writer.words.append(f"fwd to {writer.assigned(device, 'iface_index') if device is not None else '?'}")


def exactly(ruleset: Ruleset, rule: Rule) -> str:
    """The same as nft(8) can read it; empty where it would make another rule of it, or none."""
    values.EXACTNESS.lost = False
    text = rule_text(ruleset, rule)
    return "" if values.EXACTNESS.lost else text


def _fixed(words: str) -> Callable[[_Writer, Expression], None]:
    return lambda writer, expression: writer.words.append(words)


def _flow(writer: _Writer, expression: Expression) -> None:
    writer.words.append(f"flow add @{identifier(expression.text(nft.NFTA_FLOW_TABLE_NAME))}")


def _extension(word: str) -> Callable[[_Writer, Expression], None]:
    """Matches and targets of iptables, which have no words in nft(8)'s language."""

    def write(writer: _Writer, expression: Expression) -> None:
        writer.words.append(f"xt {word} {quoted(expression.text(nft.NFTA_MATCH_NAME))}")
        values.EXACTNESS.lost = True

    return write


_WRITERS: dict[str, Callable[[_Writer, Expression], None]] = {
    "meta": _meta,
    "ct": _ct,
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
    "fib": _fib,
    "rt": _rt,
    "socket": _socket,
    "osf": _plain("osf name", nft.NFTA_OSF_DREG, "string", 16),
    "xfrm": _plain("ipsec", nft.NFTA_XFRM_DREG, "integer_hex", 16),
    "tunnel": _plain("tunnel", nft.NFTA_TUNNEL_DREG),
    "counter": _counter,
    "last": _fixed("last"),
    "limit": _limit,
    "quota": _quota,
    "connlimit": _connlimit,
    "log": _log,
    "reject": _reject,
    "nat": _nat,
    "masq": _own_address("masquerade", nft.NFTA_MASQ_FLAGS, nft.NFTA_MASQ_REG_PROTO_MIN, nft.NFTA_MASQ_REG_PROTO_MAX),
    "redir": _own_address("redirect", nft.NFTA_REDIR_FLAGS, nft.NFTA_REDIR_REG_PROTO_MIN, nft.NFTA_REDIR_REG_PROTO_MAX),
    "queue": _queue,
    "notrack": _fixed("notrack"),
    "dynset": _dynset,
    "objref": _objref,
    "tproxy": _tproxy,
    "synproxy": _synproxy,
    "dup": _dup,
    "fwd": _fwd,
    "flow_offload": _flow,
    "match": _extension("match"),
    "target": _extension("target"),
}
