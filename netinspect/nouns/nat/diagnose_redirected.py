"""A packet arrives at this machine: why the dnat rule that should send it on does not apply."""

from __future__ import annotations

import re
from itertools import chain as chained
from itertools import count

from ...netfilter.packet import Tracking
from ..path.walk_packet import Tracked, endpoint
from ..path.walk_reasons import holds, why_not
from ..path.walk_rules import Rules
from ..path.walk_steps import nft_name, pasted
from .diagnose_findings import ERROR, finding, passed_here
from .diagnose_untranslated import destination_rules, notrack

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from ...netfilter.decode import Rule
    from ...records import Finding
    from ..path.listing_stack import Interface
    from ..path.walk_path import Path
    from .diagnose_situation import Situation

_DESTINED = re.compile(r"\bip6? daddr [0-9a-f.:]+(?= |$)")
"""One address, not a set, a range or a prefix."""
_FROM = {"prerouting": "from outside", "output": "of programs here"}


def not_redirected(
    situation: Situation, path: Path, evidence: Sequence[str], *, asked: bool, never: bool = False
) -> Finding | None:
    """It arrives at this machine and no socket takes it: should a rule have forwarded it?

    ``never``: only rules count that can apply to no packet from outside, or that one from inside is kept from by its
    interface alone.
    """
    passed = passed_here(situation, path)
    if passed is None or path.failed is not path.there or (path.there.to_many and not asked):
        return None
    if passed.tracked is not None and "dnat" in passed.tracked.status:
        return None  # a rule did apply: its target is here, and no socket takes it
    rules = path.there.rules_of(situation.home)
    if passed.tracked is not None and passed.tracked.state == "untracked":
        fresh = rules.packet_of(path.packet, passed.iif, None, Tracked(path.packet))
        if any(holds(rules, "prerouting", fresh, rule) for rule in destination_rules(rules)):
            return notrack(situation, rules, str(passed.tracked.entry), evidence)
    seen = rules.packet_of(path.packet, passed.iif, None, passed.tracked)
    if isinstance(seen.tracking, Tracking):
        seen = seen.replace(tracking=seen.tracking._replace(status=0))
    hook = "prerouting" if passed.iif is not None else "output"
    outcome = path.there.outcome_of(situation.home, hook)
    reasons = []
    for rule in destination_rules(rules):
        if rule.family in ("ip", "ip6") and (rule.family == "ip6") != (path.packet.family == "inet6"):
            continue
        reason = why_not(rules, hook, seen, rule, outcome)
        if reason is None:
            continue
        port = reason.kind in ("destination port", "protocol")
        if port and not asked:
            continue
        reasons.append(reason)
    hooks = [reason for reason in reasons if reason.kind in ("hook", "unreached")]
    near = [reason for reason in reasons if reason.kind not in ("destination port", "protocol", "destination")]
    if never:
        hooks = [reason for reason in hooks if holds(rules, "prerouting", seen, reason.rule)]
        near = [
            reason
            for reason in near
            if reason.kind == "incoming interface"
            and (_names_none(situation, reason.rule) or _from_inside(situation, path, passed.iif, reason.rule))
        ]
    chosen = hooks or near
    if asked and not chosen:
        chosen = [reason for reason in reasons if reason.kind == "destination"] or reasons
    if not chosen:
        return None
    first = chosen[0]
    fix = ""
    if first.kind == "hook":
        fix = _moved(rules, first.rule, hook)
    elif first.kind == "destination" and asked and situation.home.is_local(path.packet.destination):
        fix = _readdressed(rules, first.rule, path.packet.destination)
    return finding(
        situation,
        "dnat",
        ERROR,
        str(path.packet),
        [*evidence, *(f"nftables: {rules.text(reason.rule)}: {reason.text}" for reason in chosen[:4])],
        "nobody here takes it, and the dnat rule that should send it on does not apply: "
        + (
            f"it stands in another hook, where packets {_FROM[hook]} do not pass"
            if first.kind == "hook"
            else first.text
        ),
        fix,
        "" if fix else "put the condition right, or the rule before the one that has the last word",
    )


def _names_none(situation: Situation, rule: Rule) -> bool:
    """Whether the interface that packets must come in by for a rule is none of this machine."""
    for found in situation.rules:
        if str(found.rule) == str(rule):
            names = [
                match.value.rstrip(b"\0").decode("utf-8", "backslashreplace")
                for match in found.interfaces("in")
                if match.what == "in" and match.equal and match.value.endswith(b"\0")
            ]
            return bool(names) and not any(map(situation.home.named, names))
    return False


def _from_inside(situation: Situation, path: Path, iif: Interface | None, rule: Rule) -> bool:
    """Whether a host inside asks for an outside address of this machine, and for the port that a rule is for."""
    owner = situation.home.owner(path.packet.destination)
    if iif is None or owner is None or owner is iif or owner not in situation.exits[path.packet.family]:
        return False
    if not situation.is_inside(iif):
        return False
    for found in situation.rules:
        if str(found.rule) == str(rule):
            ports = [match.value for match in found.matches if match.what == "destination_port" and match.equal]
            return path.packet.destination_port.to_bytes(2, "big") in [value[:2] for value in ports]
    return False


def _readdressed(rules: Rules, rule: Rule, address: str) -> str:
    """The same rule for another address of this machine."""
    words = rules.exact(rule)
    found = _DESTINED.findall(words)
    if len(found) != 1:
        return ""
    made = _DESTINED.sub(f"{'ip6' if ':' in address else 'ip'} daddr {address}", words)
    place = f"{rule.family} {nft_name(rule.table)} {nft_name(rule.chain)} handle {rule.handle}"
    return pasted(["nft", f"replace rule {place} {made}"])


def _moved(rules: Rules, rule: Rule, hook: str) -> str:
    """The same rule in the hook that packets pass: prerouting those from outside, output those of programs here."""
    words = rules.exact(rule)
    if "dnat" not in words and "redirect" not in words:
        return ""
    family = rule.family
    table = nft_name(rule.table)
    # What a rule names, such as sets, is of its own table.
    chains = [
        chain
        for chain in rules.ruleset.base_chains("ip6" if family == "ip6" else "ip", hook)
        if chain.kind == "nat" and (chain.family, chain.table) == (family, rule.table)
    ]
    if chains:
        return pasted(["nft", f"add rule {family} {nft_name(chains[0].table)} {nft_name(chains[0].name)} {words}"])
    names = {
        chain.name for chain in rules.ruleset.chains.values() if (chain.family, chain.table) == (family, rule.table)
    }
    name = free_name(names, hook, "dstnat" if hook == "prerouting" else "dstnat_output", "netinspect_dstnat")
    priority = "dstnat" if hook == "prerouting" else "-100"
    return pasted(
        [
            "nft",
            f"add chain {family} {table} {name} {{ type nat hook {hook} priority {priority}; }}; "
            f"add rule {family} {table} {name} {words}",
        ]
    )


def free_name(taken: Collection[str], *names: str) -> str:
    return next(name for name in chained(names, map(f"{names[-1]}_{{}}".format, count())) if name not in taken)


def sent_out_again(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """A rule sends what comes from the world to a private address, and no route but the default one leads there."""
    passed = passed_here(situation, path)
    if passed is None or passed.tracked is None or passed.iif is None or passed.iif is not passed.oif:
        return
    target = passed.tracked.translated.destination
    default = None if target == passed.tracked.original.destination else situation.beyond(target)
    if default is None:
        return
    outcome = path.there.outcome_of(situation.home, "prerouting")
    action = outcome.translation if outcome is not None else None
    rules = path.there.rules_of(situation.home)
    yield finding(
        situation,
        "dnat-target",
        ERROR,
        endpoint(target, passed.tracked.translated.destination_port),
        [
            known_by,
            *([f"nftables: {rules.text(action.rule)}"] if action is not None else []),
            f"route: {target} is reached by {default.destination} alone, dev {passed.oif}",
        ],
        f"a rule translates to {target}, a private address that no network here has: it is sent out by {passed.oif} "
        "again, where it came from",
        "",
        f"put the rule right, or add a route to {target}",
    )
