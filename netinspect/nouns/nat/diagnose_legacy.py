"""Policies of legacy iptables, which drop packets in addition to nftables and are easily overlooked."""

from __future__ import annotations

from _functools import partial

from ...engine.namespaces import inside
from ...errors import NetinspectError
from ...netfilter import legacy
from ..path.walk_steps import pasted
from .diagnose_findings import ERROR, finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding
    from .diagnose_situation import Situation

_HOOKS = ("FORWARD", "PREROUTING", "POSTROUTING")


def policies(situation: Situation) -> Iterator[Finding]:
    """Base chains of legacy iptables without a rule whose policy drops, and what they have dropped."""
    for table in situation.legacy:
        family, _, name = table.partition(" ")
        if name not in ("filter", "mangle", "raw", "security"):
            continue
        try:
            found = inside(situation.place.descriptor, partial(legacy.read, family, name))
        except NetinspectError:
            continue  # that it is unknown is said where a way is walked
        filled = {rule.chain for rule in found.rules}
        for chain in found.chains:
            if chain.policy != "drop" or chain.name not in _HOOKS or chain.name in filled:
                continue  # its rules may accept what is meant to pass
            program = "ip6tables-legacy" if family == "ip6" else "iptables-legacy"
            packets = found.dropped[chain.name]
            yield finding(
                situation,
                "legacy-policy",
                ERROR,
                legacy_subject(family, chain.name),
                [f"{program}: table {name}, policy of {chain.name} is DROP, {packets} packets dropped by it so far"],
                f"old rules of legacy iptables stand beside nftables: the policy of {chain.name} drops what none of "
                "them accepts, whatever nftables says",
                pasted([program, "-t", name, "-P", chain.name, "ACCEPT"]) if packets else "",
                f"it no longer drops anything: be sure that nftables filters {chain.name}; see {program}-save first",
            )


def legacy_subject(family: str, chain: str) -> str:
    """A built-in chain of legacy iptables as the subject of a finding."""
    return f"legacy {'ip6tables' if family == 'ip6' else 'iptables'} {chain}"
