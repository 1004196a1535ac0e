"""Marks that are set too late to choose a route, and rules that lead to empty tables."""

from __future__ import annotations

from ..path.walk_rules import Rules
from ..path.walk_steps import iptables_interface, nft_name, pasted
from ..routing.render_rules import rule_text
from .diagnose_findings import ERROR, finding, passed_here
from .diagnose_policy import marked_text
from .diagnose_redirected import free_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from ...netfilter.decode import Rule
    from ...records import Finding
    from ..path.walk import Passed
    from ..path.walk_path import Path
    from .diagnose_situation import Situation


def marks_late(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """Marks that would choose another route, set when the route is chosen already."""
    passed = passed_here(situation, path)
    if passed is None:
        return
    rules = path.there.rules_of(situation.home)
    family = path.packet.family
    by_mark = [rule for rule in situation.home.rules(family) if rule.mark is not None]
    for stack, hook, mark, outcome in path.there.marked:
        if stack is not situation.home or hook not in ("forward", "postrouting", "input"):
            continue
        if outcome.action("ct mark") is not None:
            continue  # kept for the rest of the flow
        chosen = [
            rule
            for rule in by_mark
            if (mark ^ (rule.mark or 0)) & (0xFFFFFFFF if rule.mask is None else rule.mask) == 0
        ]
        if not chosen:
            continue
        action = outcome.action("mark")
        rule = action.rule if action is not None else None
        yield finding(
            situation,
            "mark-late",
            ERROR,
            f"mark {mark:#x}",
            [
                known_by,
                *([f"nftables: {rules.text(rule)}, hook {hook}"] if rule is not None else []),
                *map(marked_text, chosen),
            ],
            f"the mark is set in {hook}, after the routing decision: the rule that looks for it never sees it, and the "
            "packet goes by the routes without a mark",
            _earlier(rules, rule, passed, path, mark) if rule is not None else "",
            "move the rule to where marks choose routes (mangle in prerouting); the late one is not needed then",
        )
        return
    yield from _empty_table(situation, path, known_by)


def _earlier(rules: Rules, rule: Rule, passed: Passed, path: Path, mark: int) -> str:
    """The same rule in prerouting, where marks choose routes; for iptables one for this destination."""
    chain = rules.ruleset.chains.get((rule.family, rule.table, rule.chain))
    known = rules.ruleset.iptables(chain) if chain is not None else None
    if known is not None:
        where = ["-i", iptables_interface(passed.iif.name)] if passed.iif is not None else []
        words = ["-d", path.packet.destination, "-j", "MARK", "--set-mark", hex(mark)]
        return pasted([known[0], "-t", "mangle", "-A", "PREROUTING", *where, *words])
    words_of = rules.exact(rule)
    if "mark set" not in words_of or "oif" in words_of:
        return ""
    family, table = rule.family, nft_name(rule.table)
    for other in rules.ruleset.chains.values():
        if (other.family, other.table, other.hook) == (
            rule.family,
            rule.table,
            "prerouting",
        ) and other.kind == "filter":
            return pasted(["nft", f"add rule {family} {table} {nft_name(other.name)} {words_of}"])
    names = {
        other.name for other in rules.ruleset.chains.values() if (other.family, other.table) == (family, rule.table)
    }
    name = free_name(names, "prerouting", "mark_early", "netinspect_mark")
    return pasted(
        [
            "nft",
            f"add chain {family} {table} {name} {{ type filter hook prerouting priority mangle; }}; "
            f"add rule {family} {table} {name} {words_of}",
        ]
    )


def _empty_table(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """A rule for the packet's mark leads to a table without routes, and it falls through to the next."""
    from ..routing.listing_matching import Flow, matches

    passed = passed_here(situation, path)
    if passed is None or not situation.empty_tables:
        return
    packet = passed.leaving or (path.there.last if path.there.last is not None else path.packet)
    marks = [mark for stack, hook, mark, _ in path.there.marked if stack is situation.home and hook == "prerouting"]
    flow = Flow(packet.destination)
    flow.source = path.packet.source
    flow.input_interface = passed.iif.name if passed.iif else None
    flow.mark = marks[-1] if marks else path.packet.mark
    flow.ip_protocol = packet.protocol
    flow.source_port, flow.destination_port = packet.ports
    for rule in situation.home.rules(packet.family):
        if rule.table in situation.empty_tables and rule.action == "lookup" and matches(rule, flow):
            yield empty_table(situation, rule, [known_by], ERROR)


def empty_table(situation: Situation, rule: Any, evidence: Sequence[str], severity: str) -> Finding:
    """A policy rule that leads nowhere."""
    return finding(
        situation,
        "empty-table",
        severity,
        f"table {rule.table}",
        [
            *evidence,
            f"rule: {rule_text(rule)}",
            f"route: table {rule.table} is empty",
        ],
        f"the rule sends packets to table {rule.table}, in which there is no route: they fall through to the next "
        "rule, and "
        "take another way than is meant, past a VPN for example",
        "",
        "add the route again "
        f"({pasted(['ip', 'route', 'add', 'default', 'via', 'NEXT-HOP', 'table', str(rule.table)])}), and below it one "
        "of type unreachable with a higher metric, so that nothing leaks when it is gone",
    )
