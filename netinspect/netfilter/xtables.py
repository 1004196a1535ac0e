"""Matches and targets of iptables in rules of iptables-nft (linux/netfilter/nf_tables_compat.h)."""

from __future__ import annotations

from ..uapi import nf_tables as nft
from .machine import UNKNOWN_WHY, Doubt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .decode import Expression
    from .machine import Program


def match(expression: Expression) -> Program:
    """A match."""
    return _unknown(f"iptables' match {expression.text(nft.NFTA_MATCH_NAME)}")


def target(expression: Expression) -> Program:
    """A target."""
    return _unknown(f"iptables' target {expression.text(nft.NFTA_TARGET_NAME)}")


def _unknown(what: str) -> Program:
    doubt = Doubt(UNKNOWN_WHY, what)
    return lambda machine: machine.maybe(doubt, what)
