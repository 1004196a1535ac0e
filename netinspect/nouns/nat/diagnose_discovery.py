"""Neighbour discovery: rules of IPv6 that drop what its link needs, so that nobody finds this machine, or it nobody."""

from __future__ import annotations

from ..path.walk import Walk
from .diagnose_findings import ERROR, families, finding
from .diagnose_opening import accept_fix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding
    from .diagnose_situation import Situation

_KINDS = {135: "solicitations (who has this address?)", 136: "advertisements (answers to that)"}
_LINK_LOCAL = "fe80::2"


def discovery(situation: Situation) -> Iterator[Finding]:
    """Chains that drop neighbour discovery on an interface with IPv6, of a machine that forwards it."""
    if not any(family == "inet6" for family, _, _ in families(situation)):
        return
    rules = Walk(situation.stacks, situation.home).rules_of(situation.home)
    reported = set()
    for network in situation.networks:
        found = network.interface
        if network.family != "inet6" or network.address.startswith("fe80:") or found.loopback or not found.works:
            continue
        for kind, what in _KINDS.items():
            for chain, text in rules.against_discovery(found, _LINK_LOCAL, kind):
                if chain.key in reported:
                    continue
                reported.add(chain.key)
                option = ("-p", "ipv6-icmp", "--icmpv6-type")
                each = [accept_fix(rules, chain, (*option, str(number)), f"icmpv6 type {number}") for number in _KINDS]
                both = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert }"
                native = rules.ruleset.iptables(chain) is None
                yield finding(
                    situation,
                    "neighbour-discovery",
                    ERROR,
                    str(chain),
                    [f"a packet as from a neighbour on {found}: ICMPv6 type {kind}", text],
                    f"neighbour discovery is dropped: {what}. It is never established to connection tracking: once "
                    "what is known of neighbours is forgotten, hosts on the link do not find this machine, or it them",
                    accept_fix(rules, chain, (), both) if native else "; ".join(each),
                    "it lets through what a link needs, which no router passes on; routers are found by types 133 and "
                    "134",
                )
