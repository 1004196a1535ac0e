"""Sources that a rule gives and nobody outside answers to."""

from __future__ import annotations

from ..path.walk_steps import ARRIVES, iptables_chain, iptables_interface, nft_interface, nft_name, pasted
from .diagnose_findings import ERROR, finding, passed_here
from .listing import is_global

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding
    from ..path.listing_stack import Interface
    from ..path.walk_path import Path
    from .diagnose_situation import Situation


def private_primary(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """masquerade takes a private address, though the interface has one that the world knows."""
    passed = passed_here(situation, path)
    if passed is None or passed.tracked is None or passed.oif is None or "snat" not in passed.tracked.status:
        return
    outside = passed.tracked.translated.source
    rules = path.there.rules_of(situation.home)
    outcome = path.there.outcome_of(situation.home, "postrouting")
    translation = outcome.translation if outcome is not None else None
    if (
        translation is None
        or translation.kind != "masquerade"
        or is_global(outside)
        or not is_global(path.packet.destination)
    ):
        return
    six = ":" in outside
    public = [text for text, _ in situation.home.networks(passed.oif) if (":" in text) == six and is_global(text)]
    if not public:
        return
    program = ""
    chain = rules.ruleset.chains.get((translation.rule.family, translation.rule.table, translation.rule.chain))
    known = rules.ruleset.iptables(chain) if chain is not None else None
    if chain is not None and known is not None:
        program = pasted(
            [
                known[0],
                "-t",
                "nat",
                "-I",
                iptables_chain(chain.name),
                "-o",
                iptables_interface(passed.oif.name),
                "-j",
                "SNAT",
                "--to-source",
                public[0],
            ]
        )
    elif chain is not None:
        version = f"{'ip6' if six else 'ip'} " if chain.family == "inet" else ""
        nfproto = f"meta nfproto {'ipv6' if six else 'ipv4'} " if chain.family == "inet" else ""
        program = pasted(
            [
                "nft",
                f"insert rule {chain.family} {nft_name(chain.table)} {nft_name(chain.name)} {nfproto}oifname "
                f"{nft_interface(passed.oif.name)} snat {version}to {public[0]}",
            ]
        )
    yield finding(
        situation,
        "masquerade-private",
        ERROR,
        f"masquerade out of {passed.oif}",
        [
            known_by,
            f"address: {outside} (private) is what masquerade takes on {passed.oif}",
            f"address: {', '.join(public)} on {passed.oif} as well",
        ],
        f"masquerade takes the first address of {passed.oif} that fits the next hop, {outside}, which is private: "
        "nobody "
        f"outside answers to it. The interface also has {public[0]}",
        program,
        "" if program else f"translate to {public[0]} by a snat rule",
    )


def _answered_by(situation: Situation, outside: str, oif: Interface) -> bool:
    """Whether somebody who is reached by an interface answers to an outside address."""
    return any(situation.home.route_to(reached) is oif for reached in situation.traffic.reached.get(outside, ()))


def other_uplinks_source(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """A rule translates to the address of another way out than the packet leaves by."""
    passed = passed_here(situation, path)
    if passed is None or passed.tracked is None or passed.oif is None or passed.tracked.direction == "reply":
        return
    made = passed.tracked.translated.source
    owner = situation.home.owner(made)
    exits = {found.index for found in situation.exits[path.packet.family]}
    if made == passed.tracked.original.source or owner is None or owner.index == passed.oif.index or owner.loopback:
        return
    if passed.tracked.entry is not None or _answered_by(situation, made, passed.oif):
        return  # it is an old entry, of which another check tells, or it works
    hops = [route.gateway for route in situation.defaults if route.interface == owner.name]
    out = passed.oif.index in exits or (
        # By a router beyond, though by no default route.
        path.verdict != ARRIVES and passed.next_hop != path.packet.destination and is_global(path.packet.destination)
    )
    if not out or not (owner.index in exits or hops or made in situation.traffic.unanswered):
        return
    rules = path.there.rules_of(situation.home)
    outcome = path.there.outcome_of(situation.home, "postrouting")
    action = outcome.translation if outcome is not None else None
    yield finding(
        situation,
        "other-uplink",
        ERROR,
        f"{made} out of {passed.oif}",
        [
            known_by,
            *([f"nftables: {rules.text(action.rule)}"] if action is not None else []),
            f"address: {made} is on {owner}; the packet leaves by {passed.oif}",
            f"no answer to {made} from beyond {passed.oif} was seen",
        ],
        f"the source becomes {made}, an address of the other way out {owner}, and the packet leaves by {passed.oif}: "
        "the provider there drops sources that are not its own, or answers come in by the other link",
        "",
        f"translate to the address of {passed.oif} there: masquerade, or a rule for each way out (oifname)",
    )
