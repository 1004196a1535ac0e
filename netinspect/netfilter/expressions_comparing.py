"""Expressions that compute and compare what registers hold (nft_cmp.c, nft_range.c, nft_bitwise.c, nft_byteorder.c)."""

from __future__ import annotations

from struct import pack, unpack
from sys import byteorder

from ..engine.netlink.messages import malformed
from ..uapi import nf_tables as nft
from .machine import BREAK, CONTINUE, UNKNOWN_WHY, VERDICT, Doubt, Machine, register, verdict_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .decode import Expression
    from .machine import Program


def _immediate(expression: Expression) -> Program:
    at = register(expression.number(nft.NFTA_IMMEDIATE_DREG))
    found = expression.verdict(nft.NFTA_IMMEDIATE_DATA)
    if at < 0 or found is not None:
        verdict = verdict_of(*(found or (nft.NFT_CONTINUE, "")))

        def end(machine: Machine) -> int:
            machine.verdict = verdict
            return VERDICT if verdict.name != "continue" else CONTINUE

        return end
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
        mask = int.from_bytes(expression.sized(nft.NFTA_BITWISE_MASK, size), "big")
        flip = int.from_bytes(expression.sized(nft.NFTA_BITWISE_XOR, size), "big")
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
        if bits >= 32:  # the kernel takes no such rule: nft_bitwise_init_shift
            raise malformed(f"a shift by {bits} bits", "reading nftables")
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


COMPILERS: dict[str, Callable[[Expression], Program]] = {
    "immediate": _immediate,
    "cmp": _cmp,
    "range": _range,
    "bitwise": _bitwise,
    "byteorder": _byteorder,
}
