"""Expressions that depend on chance or on other packets (nft_numgen.c, nft_hash.c, nft_limit.c, nft_quota.c)."""

from __future__ import annotations

from struct import unpack
from sys import byteorder

from ..uapi import nf_tables as nft
from .expressions import MANY
from .machine import BREAK, CONTINUE, MAY, Doubt, Machine, register
from .packet import Tracking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .decode import Expression
    from .machine import Program


def chance(at: int, offset: int, modulus: int, reason: str) -> Program:
    """Loads a number that depends on chance or on other packets: ``offset`` and up to ``modulus`` above it."""
    doubt = Doubt(MAY, reason)

    def load(machine: Machine) -> int:
        if modulus <= MANY:
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
    return chance(at, expression.number(nft.NFTA_NG_OFFSET) or 0, expression.number(nft.NFTA_NG_MODULUS) or 1, reason)


def _hash(expression: Expression) -> Program:
    target = register(expression.number(nft.NFTA_HASH_DREG))
    modulus = expression.number(nft.NFTA_HASH_MODULUS) or 1
    offset = expression.number(nft.NFTA_HASH_OFFSET) or 0
    if expression.number(nft.NFTA_HASH_TYPE) == nft.NFT_HASH_SYM:
        return chance(target, offset, modulus, "it depends on the kernel's hash of the flow (symhash)")
    source = register(expression.number(nft.NFTA_HASH_SREG))
    size = expression.size(nft.NFTA_HASH_LEN)
    seed = expression.number(nft.NFTA_HASH_SEED)
    if seed is None:
        return chance(target, offset, modulus, "it depends on a hash with a random seed (jhash)")

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


def _conditional(reason: str) -> Callable[[Expression], Program]:
    doubt = Doubt(MAY, reason)
    return lambda expression: lambda machine: machine.maybe(doubt)


def quota(expression: Expression) -> Program:
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


def connlimit(expression: Expression) -> Program:
    limit = expression.number(nft.NFTA_CONNLIMIT_COUNT) or 0
    over = bool((expression.number(nft.NFTA_CONNLIMIT_FLAGS) or 0) & 1)
    return counted_connections(limit, over, "it depends on how many connections there are (ct count)")


def counted_connections(limit: int, over: bool, why: str) -> Program:
    """Whether there are more connections than that, or no more; a new one counts too (net/netfilter/nf_conncount.c)."""
    doubt = Doubt(MAY, why)

    def check(machine: Machine) -> int:
        tracking = machine.state.packet.tracking
        if limit == 0 and isinstance(tracking, Tracking) and tracking.state == "new":
            return CONTINUE if over else BREAK
        return machine.maybe(doubt)

    return check


COMPILERS: dict[str, Callable[[Expression], Program]] = {
    "numgen": _numgen,
    "hash": _hash,
    "limit": _conditional("it depends on the packets before (limit)"),
    "connlimit": connlimit,
    "quota": quota,
}
