"""Makes programs of expressions."""

from __future__ import annotations

from ..uapi import nf_tables as nft
from . import decode, expressions, expressions_acting, xtables_matches, xtables_targets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .decode import Expression
    from .machine import Program


def compiled(data: bytes) -> Program:
    """The program of an expression, by the bytes inside its NFTA_LIST_ELEM. Raises NetlinkError."""
    return program_of(decode.expression(data))


def program_of(expression: Expression) -> Program:
    """The program of an expression; of one that is not known here, a condition that is open."""
    name = expression.name
    if name in expressions_acting.SETTERS:
        kind, make = expressions_acting.SETTERS[name]
        # An option is also taken out: then there is no register at all.
        if kind in expression.layout or (name == "exthdr" and nft.NFTA_EXTHDR_DREG not in expression.layout):
            return make(expression)
    if name in expressions.COMPILERS:
        return expressions.COMPILERS[name](expression)
    if name in expressions_acting.COMPILERS:
        return expressions_acting.COMPILERS[name](expression)
    if name in ("match", "target"):
        return xtables_matches.match(expression) if name == "match" else xtables_targets.target(expression)
    return expressions.unknown(f"the expression {name}")
