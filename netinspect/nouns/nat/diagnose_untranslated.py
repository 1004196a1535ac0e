"""Why a flow is not translated: no rule, one that does not apply, or one before that has the last word."""

from __future__ import annotations

from itertools import chain as chained
from itertools import count

from ...netfilter.packet import Tracking
from ..path.walk_reasons import Reason, why_not
from ..path.walk_rules import Rules
from ..path.walk_steps import UNWRITABLE_ADVICE, iptables_chain, iptables_interface, nft_interface, nft_name, pasted
from .diagnose_findings import ERROR, VERSIONS, WARNING, finding
from .listing import is_global

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...netfilter.decode import Chain, Rule
    from ...netfilter.ruleset import Ruleset
    from ...records import Finding
    from ..path.walk import Passed
    from ..path.walk_path import Path
    from .diagnose_situation import Situation

_FAMILIES = {"inet": "ip", "inet6": "ip6"}
_CHECKS = (
    (
        "outgoing interface",
        "other-interface",
        "a rule translates, but for another interface than the one packets leave by",
    ),
    ("source", "other-source", "there are rules that translate what leaves this way, but none for this network"),
    (
        "mark",
        "mark",
        "the rules that translate want a mark, and the packet has another: the rule that should set it does not apply, "
        "or comes too late",
    ),
    (
        "destination",
        "other-destination",
        "there are rules that translate what leaves this way, but not towards this destination",
    ),
    (
        "ct state",
        "other-state",
        "the rules that translate want another state of connection tracking: translation is decided with the first "
        "packet of a flow, which is new",
    ),
)
"""What a condition is about, the check, and why that matters."""


def untranslated(situation: Situation, path: Path, passed: Passed, text: str) -> Finding:
    """Why a flow was not translated where it leaves for the world. ``text`` says how one knows of the flow."""
    rules = path.there.rules_of(passed.stack)
    tracked, oif = passed.tracked, passed.oif
    assert oif is not None
    packet = tracked.translated if tracked is not None else path.packet
    family = packet.family
    own = [n.address for n in situation.networks if n.interface.index == oif.index and n.family == family]
    severity = ERROR
    doubt = ""
    if own and not any(map(is_global, own)):
        severity = WARNING
        doubt = "; unless the next router knows the way to this network, and translates"
    subject = f"{VERSIONS[family]} out of {oif.name}"
    way = "default route" if situation.exits_by_route[family] else "interface with a public address"
    evidence = [f"way out for {VERSIONS[family]}: {oif.name} ({way})"]
    evidence += [
        f"inside network: {network} on {network.interface.name}"
        for network in situation.networks
        if passed.iif is not None and network.interface.index == passed.iif.index and network.family == family
    ]
    evidence.append(text)
    if tracked is not None and tracked.state == "untracked":
        return notrack(situation, rules, str(tracked.entry), evidence)
    reasons = _reasons(situation, path, passed, rules)
    fix = masquerade_fix(situation, path, passed, reasons)
    advice = "" if fix else f"translate the source of what leaves by {oif.name} (masquerade); {UNWRITABLE_ADVICE}"
    if not reasons:
        evidence.append("nftables: no masquerade or snat rule is reached from postrouting")
        why = "no rule translates the source of what leaves this way: answers cannot find back"
        return finding(situation, "no-rule", severity, subject, evidence, why + doubt, fix, advice)
    evidence += [f"nftables: {rules.text(reason.rule)}: {reason.text}" for reason in reasons[:5]]
    kinds = [reason.kind for reason in reasons]
    if all(kind in ("hook", "unreached") for kind in kinds):
        why = (
            "no rule translates the source of what leaves this way: the rules that would are not reached from "
            "postrouting, so answers cannot find back"
        )
        return finding(situation, "no-rule", severity, subject, evidence, why + doubt, fix, advice)
    before = next((reason for reason in reasons if reason.kind == "before"), None)
    if before is not None:
        why = (
            "a rule that translates is never reached: another rule before it has the last word (accept) on this "
            "packet, an exception that is too wide"
        )
        return finding(
            situation,
            "shadowed",
            severity,
            subject,
            evidence,
            why + doubt,
            fix,
            "or narrow the rule before it, which may be an exception for others",
        )
    for what, check, why in _CHECKS:
        if any(kind.startswith(what) for kind in kinds):
            more, by_mark = _marks(situation, path, passed, rules, reasons) if what == "mark" else ([], "")
            return finding(situation, check, severity, subject, [*evidence, *more], why + doubt, by_mark or fix, advice)
    why = f"the rules that translate have a condition that does not hold: {', '.join(dict.fromkeys(kinds))}"
    return finding(situation, "condition", severity, subject, evidence, why + doubt, fix, advice)


def _reasons(situation: Situation, path: Path, passed: Passed, rules: Rules) -> list[Reason]:
    """Why each rule that translates sources does not apply to the packet."""
    tracked, oif = passed.tracked, passed.oif
    outcome = path.there.outcome_of(situation.home, "postrouting")
    assert oif is not None
    packet = (passed.leaving or path.packet) if tracked is None else passed.leaving or tracked.translated
    seen = rules.packet_of(packet, passed.iif, oif, tracked)
    if isinstance(seen.tracking, Tracking):
        seen = seen.replace(tracking=seen.tracking._replace(status=0))
    reasons = []
    for rule in source_rules(rules):
        if rule.family in ("ip", "ip6") and rule.family != _FAMILIES[packet.family]:
            continue
        reason = why_not(rules, "postrouting", seen, rule, outcome)
        if reason is not None:
            reasons.append(reason)
    return reasons


def source_rules(rules: Rules) -> list[Rule]:
    """The rules that translate sources, wherever they stand."""
    return _translating(rules, (b"masq\0", b"MASQUERADE\0", b"SNAT\0"), ("masquerade", "snat"))


def destination_rules(rules: Rules) -> list[Rule]:
    """The rules that translate destinations, wherever they stand."""
    return _translating(rules, (b"DNAT\0", b"REDIRECT\0", b"redir\0"), ("dnat", "redirect"))


def _translating(rules: Rules, names: Sequence[bytes], kinds: Sequence[str]) -> list[Rule]:
    """The rules of these kinds: only those that have one of the names of what makes such are taken apart."""
    from .decode_rules import kind_of

    names = (*names, b"nat\0", b"NETMAP\0")
    return [
        rule
        for found in rules.ruleset.rules.values()
        for rule in found
        if any(name in rule.data for name in names) and kind_of(rule) in kinds
    ]


def _marks(
    situation: Situation, path: Path, passed: Passed, rules: Rules, reasons: Sequence[Reason]
) -> tuple[list[str], str]:
    """Who sets the marks that rules want, and why it was not done."""
    packet = path.packet
    evidence = []
    fix = ""
    for found in rules.ruleset.rules.values():
        for rule in found:
            if b"meta\0" not in rule.data and b"MARK\0" not in rule.data:
                continue
            text = rules.text(rule)
            if "mark set" not in text and "MARK" not in text:
                continue
            chain = rules.ruleset.chains.get((rule.family, rule.table, rule.chain))
            hook = chain.hook if chain is not None and chain.hook else "prerouting"
            seen = rules.packet_of(packet, passed.iif, None if hook == "prerouting" else passed.oif, passed.tracked)
            reason = why_not(rules, hook, seen, rule, None)
            if reason is not None:
                evidence.append(f"nftables: {rules.text(rule)}: {reason.text}")
    return evidence[:5], fix


def notrack(situation: Situation, rules: Rules, notice: str, evidence: Sequence[str]) -> Finding:
    """A rule that turns tracking off for what another would translate; ``notice`` names it."""
    rule = _named(rules, notice)
    fix = delete_fix(rules, rule) if rule is not None else ""
    return finding(
        situation,
        "notrack",
        ERROR,
        str(rule) if rule is not None else notice,
        [f"nftables: notrack: {notice}", *evidence],
        "packets that this rule applies to are not tracked: they are not translated, neither on the way out nor on the "
        "way back",
        fix,
        "" if fix else f"take the rule away, or narrow it; {UNWRITABLE_ADVICE}",
    )


def _named(rules: Rules, notice: str) -> Rule | None:
    for found in rules.ruleset.rules.values():
        for rule in found:
            if notice.startswith((f"rule: {rule}:", f"{rule}:")):
                return rule
    return None


def delete_fix(rules: Rules, rule: Rule) -> str:
    """The command that takes a rule away."""
    chain = rules.ruleset.chains.get((rule.family, rule.table, rule.chain))
    known = rules.ruleset.iptables(chain) if chain is not None else None
    if known is not None:
        program, table = known
        number = [other.handle for other in rules.ruleset.rules[rule.family, rule.table, rule.chain]].index(
            rule.handle
        ) + 1
        return pasted([program, "-t", table, "-D", iptables_chain(rule.chain), str(number)])
    words = (rule.family, nft_name(rule.table), nft_name(rule.chain))
    return pasted(["nft", "delete", "rule", *words, "handle", str(rule.handle)])


def masquerade_fix(situation: Situation, path: Path, passed: Passed, reasons: Sequence[Reason]) -> str:
    """The command that has what leaves this way translated, in the language that the rules are written in."""
    oif = passed.oif
    assert oif is not None
    rules = path.there.rules_of(passed.stack)
    family = passed.tracked.original.family if passed.tracked is not None else "inet"
    before = next((reason for reason in reasons if reason.kind == "before"), None)
    ruleset = rules.ruleset
    usable = [chain for chain in ruleset.base_chains(_FAMILIES[family], "postrouting") if chain.kind == "nat"]
    first = before is not None or _last_word(situation, path, usable)
    source = _network_of(situation, passed, family)
    if usable:
        chain = usable[0]
        if (known := ruleset.iptables(chain)) is not None:
            words = ["-s", source] if source and first else []
            return pasted(
                [
                    known[0],
                    "-t",
                    "nat",
                    "-I" if first else "-A",
                    iptables_chain(chain.name),
                    *words,
                    "-o",
                    iptables_interface(oif.name),
                    "-j",
                    "MASQUERADE",
                ]
            )
        version = "" if chain.family != "inet" else f"meta nfproto {'ipv6' if family == 'inet6' else 'ipv4'} "
        limit = f"{_FAMILIES[family]} saddr {source} " if source and first else ""
        word = "insert" if first else "add"
        script = (
            f"{word} rule {chain.family} {nft_name(chain.table)} {nft_name(chain.name)} {version}{limit}oifname "
            f"{nft_interface(oif.name)} masquerade"
        )
        return pasted(["nft", script])
    table = free_table(ruleset, _FAMILIES[family], "nat", "netinspect", "netinspect-nat")
    script = (
        f"add table {table}; add chain {table} postrouting {{ type nat hook postrouting priority srcnat; }}; "
        f"add rule {table} postrouting oifname {nft_interface(oif.name)} masquerade"
    )
    return pasted(["nft", script])


def _last_word(situation: Situation, path: Path, chains: Sequence[Chain]) -> bool:
    """Whether the way through the chain ended before its end: a rule added there would not be reached."""
    outcome = path.there.outcome_of(situation.home, "postrouting")
    if outcome is None:
        return False
    return any(
        step.rule is not None and step.verdict.name in ("accept", "return", "drop") and step.chain in chains
        for step in outcome.steps
    )


def _network_of(situation: Situation, passed: Passed, family: str) -> str:
    """The inside network that the packet comes from."""
    for network in situation.networks:
        if (
            passed.iif is not None
            and network.interface.index == passed.iif.index
            and network.family == family
            and not network.address.startswith("fe80:")
        ):
            return network_text(network.address, network.length)
    return ""


def network_text(address: str, length: int) -> str:
    """The network of an address: ``10.0.0.0/24``."""
    from _socket import inet_ntop, inet_pton

    kind = 10 if ":" in address else 2
    raw = inet_pton(kind, address)
    shift = 8 * len(raw) - length
    number = int.from_bytes(raw, "big") >> shift << shift
    return f"{inet_ntop(kind, number.to_bytes(len(raw), 'big'))}/{length}"


def free_table(ruleset: Ruleset, family: str, *names: str) -> str:
    """The first of some tables, as nft(8) names it, that nobody uses: what is in there would decide as well.

    A table that is there without a chain will do, but for one whose chains do nothing or end with their owner.
    """
    taken = {chain.table for chain in ruleset.chains.values() if chain.family == family}
    taken |= {table.name for table in ruleset.tables if table.family == family and (table.dormant or table.owned)}
    numbered = map(f"{names[-1]}-{{}}".format, count(2))
    return f"{family} {next(name for name in chained(names, numbered) if name not in taken)}"
