"""Makes programs of expressions."""

from __future__ import annotations

from _socket import ntohl
from struct import Struct

from ..uapi import nf_tables as nft
from . import (
    decode,
    expressions,
    expressions_chance,
    expressions_comparing,
    expressions_ending,
    expressions_header,
    expressions_meta,
    expressions_objects,
    expressions_routing,
    expressions_sets,
    expressions_tracking,
    expressions_translating,
    xtables_matches,
    xtables_targets,
)
from .machine import register

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .decode import Expression
    from .machine import Program


_COMPILERS = {
    **expressions_meta.COMPILERS,
    **expressions_header.COMPILERS,
    **expressions_comparing.COMPILERS,
    **expressions_sets.COMPILERS,
    **expressions_chance.COMPILERS,
    **expressions_tracking.COMPILERS,
    **expressions_routing.COMPILERS,
    **expressions_translating.COMPILERS,
    **expressions_ending.COMPILERS,
    **expressions_objects.COMPILERS,
    "match": xtables_matches.match,
    "target": xtables_targets.target,
}
"""By the kernel's name of an expression what makes its program."""
_SETTERS = {**expressions_meta.SETTERS, **expressions_header.SETTERS}
"""Expressions that load, and set where they have this attribute."""
_COMPARISON = Struct("=HH4sHHHHIHHIHHHH")
"""How the kernel lays out a comparison, which most expressions of a large ruleset are, each with its own value."""
_SHAPE = (8, nft.NFTA_EXPR_NAME, b"cmp\0"), (8, nft.NFTA_CMP_SREG), (8, nft.NFTA_CMP_OP)


def compiled(data: bytes) -> Program:
    """The program of an expression, by the bytes inside its NFTA_LIST_ELEM. Raises NetlinkError."""
    if data[4:8] == b"cmp\0" and len(data) > _COMPARISON.size:
        found = _COMPARISON.unpack_from(data)
        size, operator = found[13] - 4, ntohl(found[10])
        if (
            (found[:3], found[5:7], found[8:10]) == _SHAPE
            and found[12] & 0x3FFF == nft.NFTA_CMP_DATA
            and found[14] == nft.NFTA_DATA_VALUE
            and operator <= nft.NFT_CMP_NEQ
            and 0 < size <= len(data) - _COMPARISON.size
        ):
            value = data[_COMPARISON.size : _COMPARISON.size + size]
            negated = operator == nft.NFT_CMP_NEQ
            return expressions_comparing.equality(register(ntohl(found[7])), value, negated=negated)
    return program_of(decode.expression(data))


def program_of(expression: Expression) -> Program:
    """The program of an expression; of one that is not known here, a condition that is open."""
    name = expression.name
    if name in _SETTERS:
        kind, make = _SETTERS[name]
        # An option is also taken out: then there is no register at all.
        if kind in expression.layout or (name == "exthdr" and nft.NFTA_EXTHDR_DREG not in expression.layout):
            return make(expression)
    if name in _COMPILERS:
        return _COMPILERS[name](expression)
    return expressions.unknown(f"the expression {name}")
