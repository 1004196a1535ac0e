"""In nft(8)'s words: comparisons of a register with a value or a range."""

from __future__ import annotations

from _socket import inet_ntop
from sys import byteorder

from ..uapi import nf_tables as nft
from . import text_values as values
from .machine import register
from .text_values import quoted
from .text_writer import FAMILY_NAMES, Term, Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .decode import Expression
    from .text_writer import Statement

_OPERATORS = ("", "!= ", "< ", "<= ", "> ", ">= ")


def _cmp(writer: Writer, expression: Expression) -> None:
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
            writer.words[-1] = f"{writer.written(term)} {interval(writer, term, first, value, prefix=False)}"
            writer.bound = None
            return
    writer.bound = None
    position = len(writer.words)
    writer.words.append(_comparison(writer, term, operator, value))
    if operator == nft.NFT_CMP_GTE:
        writer.bound = position, term, value
    if operator == nft.NFT_CMP_EQ:
        _implies(writer, term, value, position)


def interval(writer: Writer, term: Term, first: bytes, last: bytes, *, prefix: bool) -> str:
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


def _implies(writer: Writer, term: Term, value: bytes, position: int) -> None:
    """What a condition says of the fields that follow."""
    name = term.field.name
    if name in ("meta l4proto", "ip protocol", "ip6 nexthdr") and term.mask is None:
        writer.protocol = value[0]
        if name == "meta l4proto":
            writer.implied["protocol"] = position
    elif name == "meta nfproto":
        writer.network = FAMILY_NAMES.get(value[0])
        writer.implied["network"] = position
    elif name in ("meta protocol", "ether type", "vlan type"):
        writer.network = {0x0800: "ip", 0x86DD: "ip6", 0x0806: "arp"}.get(int.from_bytes(value, "big"))
        writer.implied["network"] = position
    elif name == "meta iiftype" and value[:2] == (1).to_bytes(2, byteorder):
        writer.implied["link"] = position


def _comparison(writer: Writer, term: Term, operator: int, value: bytes) -> str:
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


def _range(writer: Writer, expression: Expression) -> None:
    first = expression.value(nft.NFTA_RANGE_FROM_DATA) or b""
    last = expression.value(nft.NFTA_RANGE_TO_DATA) or b""
    (term, *_) = writer.parts(register(expression.number(nft.NFTA_RANGE_SREG)), 1)
    sign = "!= " if expression.number(nft.NFTA_RANGE_OP) else ""
    writer.words.append(f"{writer.written(term)} {sign}{interval(writer, term, first, last, prefix=False)}")


STATEMENTS: dict[str, Statement] = {"cmp": _cmp, "range": _range}
