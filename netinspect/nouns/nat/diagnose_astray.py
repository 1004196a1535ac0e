"""Answers that go astray: hairpins, and addresses that two machines have."""

from __future__ import annotations

from ..path.walk_steps import iptables_chain, nft_name, pasted
from .diagnose_findings import ERROR, WARNING, finding, passed_here
from .diagnose_untranslated import network_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...records import Finding
    from ..path.listing_segment import End
    from ..path.walk_path import Path
    from .diagnose_situation import Situation


def sent_back(situation: Situation, path: Path) -> bool:
    """Whether a rule here translates the destination to who asks."""
    passed = passed_here(situation, path)
    if passed is None or passed.tracked is None or "dnat" not in passed.tracked.status:
        return False
    return passed.tracked.translated.destination == passed.tracked.translated.source


def hairpin(situation: Situation, path: Path, where: object, evidence: Sequence[str], why: str) -> Finding | None:
    """A host asks for a service of its own network by the gateway; None where that is not this gateway's doing."""
    passed = next((found for found in path.there.passed if found.stack is where), None)
    if passed is None or passed.stack is not situation.home or passed.iif is None:
        return None
    rules = path.there.rules_of(situation.home)
    family = "ip6" if path.packet.family == "inet6" else "ip"
    networks = [
        network_text(text, length)
        for text, length in situation.home.networks(passed.iif)
        if (":" in text) == (family == "ip6") and not text.startswith("fe80:")
    ]
    fix = ""
    chains = [chain for chain in rules.ruleset.base_chains(family, "postrouting") if chain.kind == "nat"]
    if networks and chains:
        chain = chains[0]
        network = networks[0]
        if (known := rules.ruleset.iptables(chain)) is not None:
            fix = pasted(
                [
                    known[0],
                    "-t",
                    "nat",
                    "-I",
                    iptables_chain(chain.name),
                    "-s",
                    network,
                    "-d",
                    network,
                    "-m",
                    "conntrack",
                    "--ctstate",
                    "DNAT",
                    "-j",
                    "MASQUERADE",
                ]
            )
        else:
            words = f"{family} saddr {network} {family} daddr {network} ct status dnat masquerade"
            fix = pasted(["nft", f"insert rule {chain.family} {nft_name(chain.table)} {nft_name(chain.name)} {words}"])
    return finding(
        situation,
        "hairpin",
        ERROR,
        str(path.packet),
        evidence,
        why,
        fix,
        "" if fix else "translate the source of such flows as well (masquerade), so that the answer comes back here",
    )


def astray_duplicate(situation: Situation, path: Path, evidence: Sequence[str]) -> Finding | None:
    """The answer went to another machine that has the same address."""
    back = path.back
    if back is None or back.end is None or back.last is None:
        return None
    stack = back.end[0]
    address = back.last.destination
    if stack is situation.home or not stack.is_local(address) or not situation.home.is_local(address):
        return None
    owner = stack.owner(address)
    mine = situation.home.owner(address)
    return finding(
        situation,
        "duplicate",
        ERROR,
        f"duplicate address {address}",
        [
            *evidence,
            f"address: {address} on {mine} here, {mine.address if mine else ''}",
            f"address: {address} on {owner} of {stack.label}, {owner.address if owner else ''}",
        ],
        f"another machine also has the address {address}, and answers are sent to that one",
        "",
        f"give one of the two another address; then, on the machines beside: ip neigh flush to {address}",
    )


def duplicates(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """Addresses that two machines on one link have."""
    for walk in (path.there, path.back):
        for address, ends in walk.duplicates if walk else ():
            if path.cause == "stray":
                return
            yield duplicate(situation, address, ends, known_by)


def duplicate(situation: Situation, address: str, ends: Sequence[End], known_by: str) -> Finding:
    """An address that several machines on one link have."""
    names = ", ".join(f"{end.interface} of {end.stack.label} ({end.interface.address})" for end in ends)
    return finding(
        situation,
        "duplicate",
        WARNING,
        f"duplicate address {address}",
        [known_by, f"link: {address} is on {names}"],
        f"several machines on the link have the address {address}: which of them gets the packets is chance",
        "",
        "give one of them another address",
    )
