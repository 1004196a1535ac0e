"""Policy routing that does not do what it is there for: marks that nobody sets, rules that are never asked."""

from __future__ import annotations

import re

from ..path.walk_reasons import holds, why_not
from ..path.walk_steps import pasted
from ..routing.render_rules import action_text, rule_text, selector_text
from .diagnose_findings import ERROR, WARNING, finding, passed_here

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...netfilter.decode import Rule as NftRule
    from ...records import Finding, Rule
    from ..path.walk import Passed
    from ..path.walk_path import Path
    from ..path.walk_reasons import Reason
    from ..path.walk_rules import Rules
    from .diagnose_situation import Situation

_SET = re.compile(r"(?:mark set|MARK\b.*?)\D*?(0x[0-9a-f]+|\d+)", re.IGNORECASE)
_EVERYBODY = (
    *("source", "destination", "input_interface", "output_interface", "mark", "tos", "dscp", "ip_protocol"),
    *("source_ports", "destination_ports", "uids", "tunnel_id", "suppress_prefix_length", "suppress_interface_group"),
    "flow_label",
)
"""What a policy rule for every packet does not have."""


def missed(situation: Situation, path: Path, evidence: Sequence[str]) -> Finding | None:
    """A policy rule that was meant for a packet which fails elsewhere, and does not get it."""
    passed = passed_here(situation, path)
    if passed is None or passed.iif is None:
        return None
    return (
        _mark_missing(situation, path, passed, evidence)
        or _mark_unasked(situation, path, evidence)
        or _shadowed_for(situation, path, passed, evidence)
    )


def _mark_missing(situation: Situation, path: Path, passed: Passed, evidence: Sequence[str]) -> Finding | None:
    """A rule sets a mark that chooses another route, but not on this packet, though it is for its destination."""
    by_mark = {
        rule.mark: rule
        for rule in situation.home.rules(path.packet.family)
        if rule.mark and rule.action == "lookup" and not rule.inverted and rule.table not in situation.empty_tables
    }
    if not by_mark or any(stack is situation.home for stack, _, _, _ in path.there.marked):
        return None
    rules = path.there.rules_of(situation.home)
    seen = rules.packet_of(path.packet, passed.iif, None, passed.tracked)
    for marking in _marking(rules):
        text = rules.text(marking)
        found = _SET.search(text)
        mark = int(found[1], 0) if found else None
        if mark not in by_mark:
            continue
        reason = why_not(rules, "prerouting", seen, marking, path.there.outcome_of(situation.home, "prerouting"))
        if reason is None or not _only_by_place(rules, reason, marking, seen):
            continue
        rule = by_mark[mark]
        return finding(
            situation,
            "mark",
            ERROR,
            f"mark {mark:#x}",
            [
                *evidence,
                f"nftables: {text}: {reason.text}",
                marked_text(rule),
            ],
            "the rule that should set the mark does not apply to what comes in and is forwarded: the packet has no "
            f"mark, the rule for table {rule.table} does not see it, and it goes by the routes without a mark",
            "",
            "have the mark set in prerouting (mangle), for the interface that the packets come in by",
        )
    return None


def marked_text(rule: Rule) -> str:
    """The rule that looks for a mark, as evidence."""
    return f"rule: {selector_text(rule).removeprefix('from all ')} {action_text(rule)} (priority {rule.priority})"


def _mark_unasked(situation: Situation, path: Path, evidence: Sequence[str]) -> Finding | None:
    """The packet gets a mark that no policy rule asks for, and a policy rule asks for one that nobody sets."""
    marks = [mark for stack, hook, mark, _ in path.there.marked if stack is situation.home and hook == "prerouting"]
    asking = [rule for rule in situation.home.rules(path.packet.family) if rule.mark and not rule.inverted]
    if not marks or not marks[-1] or any(_asks_for(rule, marks[-1]) for rule in asking):
        return None
    rules = path.there.rules_of(situation.home)
    texts = [rules.text(rule) for rule in _marking(rules)]
    made = {int(found[1], 0) for text in texts if (found := _SET.search(text))}
    orphans = [
        rule
        for rule in asking
        if rule.action == "lookup"
        and rule.table not in situation.empty_tables
        and not any(_asks_for(rule, mark) for mark in made)
    ]
    if not orphans:
        return None
    mark, rule = marks[-1], orphans[0]
    mask = f"/{rule.mask:#x}" if rule.mask not in (None, 0xFFFFFFFF) else ""
    return finding(
        situation,
        "mark",
        ERROR,
        f"mark {mark:#x}",
        [
            *evidence,
            *(f"nftables: {text}" for text in texts[:3]),
            marked_text(rule),
        ],
        f"the packet gets the mark {mark:#x}, and no policy rule asks for it; the rule for table {rule.table} asks for "
        f"{rule.mark:#x}{mask}, which nobody sets: the packet goes by the routes without a mark",
        "",
        "have the rule and the mark agree",
    )


def _asks_for(rule: Rule, mark: int) -> bool:
    mask = 0xFFFFFFFF if rule.mask is None else rule.mask
    return rule.mark is not None and mark & mask == rule.mark & mask


def _only_by_place(rules: Rules, reason: Reason, rule: NftRule, seen: object) -> bool:
    """Whether a rule is for a packet, but for where it stands or the interface that it names."""
    from ...netfilter.packet import Packet

    assert isinstance(seen, Packet)
    if reason.kind in ("hook", "unreached"):
        return holds(rules, "prerouting", seen, rule)
    return reason.kind == "incoming interface"


def _marking(rules: Rules) -> Iterator[NftRule]:
    """The rules that set a mark of packets."""
    for found in rules.ruleset.rules.values():
        for rule in found:
            if b"meta\0" in rule.data or b"MARK\0" in rule.data:
                text = rules.text(rule)
                if "mark set" in text or "MARK" in text:
                    yield rule


def _catch_all(situation: Situation, family: str) -> Rule | None:
    """The first rule that sends every packet to a table with a default route: behind it nothing is asked."""
    with_default = {route.table for route in situation.defaults if route.family == family and route.type == "unicast"}
    for rule in sorted(situation.home.rules(family), key=lambda found: found.priority):
        if (
            rule.action == "lookup"
            and rule.table in with_default
            and not rule.inverted
            and not rule.l3mdev
            and not rule.unknown_attributes
            and all(getattr(rule, field) is None for field in _EVERYBODY)
        ):
            return rule
    return None


def _behind(situation: Situation, family: str) -> Iterator[tuple[Rule, Rule]]:
    """Rules that are never asked, each with the one before it."""
    first = _catch_all(situation, family)
    asked = {_wants(rule) for rule in situation.home.rules(family) if first and rule.priority < first.priority}
    for rule in situation.home.rules(family) if first is not None else ():
        if (
            first is not None
            and rule.priority > first.priority
            and rule.action == "lookup"
            and rule.table not in ("main", "local", "default", None)
            and rule.table not in situation.empty_tables
            and _wants(rule) not in asked  # it is there twice: the other one is used
        ):
            yield rule, first


def _wants(rule: Rule) -> tuple[object, ...]:
    """What a rule is for, and the table that it leads to."""
    return (
        *(rule.action, rule.table, rule.inverted, rule.l3mdev, rule.mask, rule.dscp_mask, rule.flow_label_mask),
        *(rule.source_port_mask, rule.destination_port_mask, rule.unknown_attributes),
        *(getattr(rule, field) for field in _EVERYBODY),
    )


def never_asked(situation: Situation) -> Iterator[Finding]:
    """Rules behind one that has a route for everybody."""
    for family in ("inet", "inet6"):
        for rule, first in _behind(situation, family):
            yield _never(situation, rule, first, [], WARNING)


def _shadowed_for(situation: Situation, path: Path, passed: Passed, evidence: Sequence[str]) -> Finding | None:
    from ..routing.listing_matching import Flow, matches

    family = path.packet.family
    flow = Flow(path.packet.destination)
    flow.source = path.packet.source
    flow.input_interface = passed.iif.name if passed.iif else None
    flow.ip_protocol = path.packet.protocol
    flow.source_port, flow.destination_port = path.packet.ports
    marks = [mark for stack, hook, mark, _ in path.there.marked if stack is situation.home and hook == "prerouting"]
    flow.mark = marks[-1] if marks else path.packet.mark
    for rule, first in _behind(situation, family):
        if matches(rule, flow):
            return _never(situation, rule, first, evidence, ERROR)
    return None


def _never(situation: Situation, rule: Rule, first: Rule, evidence: Sequence[str], severity: str) -> Finding:
    words = ["from", rule.source or "all"]
    if rule.destination is not None:
        words += ["to", rule.destination]
    if rule.mark is not None:
        mask = f"/{rule.mask:#x}" if rule.mask not in (None, 0xFFFFFFFF) else ""
        words += ["fwmark", f"{rule.mark:#x}{mask}"]
    if rule.input_interface is not None:
        words += ["iif", rule.input_interface]
    plain = (
        not rule.l3mdev
        and not rule.unknown_attributes
        and all(
            getattr(rule, field) is None
            for field in _EVERYBODY
            if field not in ("source", "destination", "mark", "input_interface")
        )
    )
    six = ["-6"] if rule.family == "inet6" else []
    fix = pasted(["ip", *six, "rule", "add", *words, "lookup", str(rule.table), "pref", str(_before(first))])
    return finding(
        situation,
        "rule-order",
        severity,
        f"rule {rule.priority}: table {rule.table}",
        [
            *evidence,
            f"rule: {rule_text(first)}, which has a default route",
            f"rule: {rule_text(rule)}",
        ],
        f"the rule stands behind one that has a route for every packet: it is never asked, and table {rule.table} is "
        "not used",
        fix if plain and not rule.inverted and first.priority > 0 else "",
        f"give it a priority below {first.priority}; the one that stands behind is not needed then",
    )


def _before(first: Rule) -> int:
    return max(1, first.priority - 1000)
