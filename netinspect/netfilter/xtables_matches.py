"""Matches of iptables in rules of iptables-nft (linux/netfilter/nf_tables_compat.h).

What is not known here is a condition that is open, by its name.
"""

from __future__ import annotations

from struct import Struct

from ..uapi import nf_tables as nft
from . import xtables_addresses, xtables_packet, xtables_tracking, xtables_transport
from .expressions import unknown
from .expressions_chance import counted_connections
from .machine import BREAK, CONTINUE, MAY, UNKNOWN_WHY, Doubt, Machine
from .packet import Unknown
from .xtables import SHORTEST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .decode import Expression
    from .machine import Program
    from .xtables import Condition, Matcher


def match(expression: Expression) -> Program:
    """A match."""
    name = expression.text(nft.NFTA_MATCH_NAME)
    revision = expression.number(nft.NFTA_MATCH_REV) or 0
    info = expression.raw(nft.NFTA_MATCH_INFO) or b""
    if name in _CHANCE:
        why = f"it depends on {_CHANCE[name]} (iptables' match {name})"
        if name == "connlimit" and len(info) >= _CONNLIMIT.size:
            limit, flags = _CONNLIMIT.unpack_from(info)
            return counted_connections(limit, not flags & 1, why)
        doubt = Doubt(MAY, why)
        return lambda machine: machine.maybe(doubt)
    if name not in _MATCHES:
        return unknown(f"iptables' match {name}")
    try:
        conditions = _MATCHES[name](info.ljust(SHORTEST, b"\0"), revision)
    except LookupError:
        return unknown(f"iptables' match {name}, revision {revision}")

    def check(machine: Machine) -> int:
        open_on = []
        for holds, what in conditions(machine):
            if holds is False:
                return BREAK
            if isinstance(holds, Unknown):
                open_on.append(what)
        if not open_on:
            return CONTINUE
        what = " and ".join(open_on)
        return machine.maybe(Doubt(UNKNOWN_WHY, f"{what} (iptables' match {name})"), (name, info))

    return check


def _always(info: bytes, revision: int) -> Callable[[Machine], Iterable[Condition]]:
    return lambda machine: []


_CONNLIMIT = Struct("=16xII")
"""struct xt_connlimit_info: behind a mask the limit, and flags: 1 is --connlimit-upto."""

_MATCHES: dict[str, Matcher] = {
    **xtables_transport.MATCHES,
    **xtables_tracking.MATCHES,
    **xtables_addresses.MATCHES,
    **xtables_packet.MATCHES,
    "comment": _always,
}
_CHANCE = {
    "limit": "the packets before",
    "hashlimit": "the packets before",
    "statistic": "chance or the packets before",
    "recent": "the packets before",
    "connlimit": "how many connections there are",
    "connbytes": "how much has been sent",
    "quota": "the packets before",
    "rateest": "rates of the time",
    "nfacct": "an account's quota",
    "cpu": "the processor that it is handled on",
    "cluster": "a hash",
}
