"""The commands that open a chain for what it drops, and no more than that."""

from __future__ import annotations

from ..path.walk_rules import Rules
from ..path.walk_steps import iptables_chain, iptables_interface, nft_interface, nft_name, pasted
from .diagnose_findings import passed_here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...netfilter.decode import Chain
    from ..path.walk_path import Path
    from .diagnose_situation import Situation


def accept_fix(rules: Rules, chain: Chain, iptables: Sequence[str], words: str) -> str:
    """The command that has a chain accept something first."""
    if (known := rules.ruleset.iptables(chain)) is not None:
        program, name = known
        table = [] if name == "filter" else ["-t", name]
        return pasted([program, *table, "-I", iptables_chain(chain.name), *iptables, "-j", "ACCEPT"])
    return pasted(["nft", f"insert rule {chain.family} {nft_name(chain.table)} {nft_name(chain.name)} {words} accept"])


def through_fix(situation: Situation, path: Path) -> tuple[str, str]:
    """The command that lets pass a chain what comes from an inside interface and leaves by the way out."""
    walk = path.failed
    passed = passed_here(situation, path)
    assert walk is not None
    chain: Chain = walk.facts["chain"]
    exits = situation.exits[path.packet.family]
    if passed is None or passed.iif is None or not exits or walk.facts["hook"] != "forward":
        return "", path.advice
    oif = passed.oif or exits[0]
    words = f"iifname {nft_interface(passed.iif.name)} oifname {nft_interface(oif.name)}"
    iptables = ("-i", iptables_interface(passed.iif.name), "-o", iptables_interface(oif.name))
    fix = accept_fix(walk.rules_of(situation.home), chain, iptables, words)
    return fix, f"it opens the way from {passed.iif} to {oif}, which rules translate already, to all of {passed.iif}"
