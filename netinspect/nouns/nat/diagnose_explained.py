"""Ways that fail, as findings: the causes by which administrators know gateway faults."""

from __future__ import annotations

from ..path.walk_packet import endpoint
from ..path.walk_steps import pasted, sysctl_set
from .diagnose_astray import astray_duplicate, hairpin, sent_back
from .diagnose_dropped import dropped
from .diagnose_findings import ERROR, finding, passed_here
from .diagnose_misrouted import misrouted, sent_astray
from .diagnose_policy import missed
from .diagnose_redirected import not_redirected
from .diagnose_untranslated import delete_fix
from .listing import is_global

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ...netfilter.decode import Rule
    from ...records import Finding
    from ..path.walk_path import Path
    from .diagnose_situation import Situation


def explained(situation: Situation, path: Path, evidence: Sequence[str], *, asked: bool) -> Finding | None:
    """What is known of a way that fails; None where its step says it all."""
    here = path.where is situation.home
    step = path.failed.failure if path.failed else None
    facts: dict[str, Any] = path.failed.facts if path.failed else {}
    if (by_route := misrouted(situation, path, evidence)) is not None:
        return by_route
    if (astray := sent_astray(situation, path, evidence)) is not None:
        return astray
    settled = here and path.cause in ("rule", "policy", "forwarding", "zones", "notrack")
    if not settled and (by_policy := missed(situation, path, evidence)):
        return by_policy
    if path.cause in ("rule", "policy") and here and step is not None and "chain" in facts:
        return dropped(situation, path, evidence, facts, asked=asked)
    if path.cause == "no-socket" and here:
        return not_redirected(situation, path, evidence, asked=asked)
    if path.cause == "ttl" and here:
        return _ttl(situation, path, evidence, facts)
    if path.cause == "hairpin":
        return hairpin(situation, path, path.where, evidence, path.why)
    if path.cause == "martian-source" and not here and path.back is None and sent_back(situation, path):
        why = (
            "a host asks for a service that is itself (hairpin): the packet comes back to it with its own address as "
            "the source, and is dropped there as a martian"
        )
        return hairpin(situation, path, situation.home, evidence, why)
    if path.cause == "forwarding" and here:
        return _forwarding(situation, path, evidence, facts)
    if path.cause == "rp-filter" and here:
        return finding(
            situation, "rp-filter", ERROR, facts["interface"].name, evidence, path.why, path.fix, path.advice
        )
    if path.cause == "stray":
        return astray_duplicate(situation, path, evidence)
    if path.cause in ("no-route", "unreachable") and here and not facts.get("entry"):
        return _no_route(situation, path, evidence)
    if path.cause in ("neighbour", "neighbour-wrong", "no-carrier", "link-down") and here:
        return _next_hop(situation, path, evidence, facts)
    if path.cause == "no-route" and not here and path.back is not None:
        return _no_way_back(situation, path, evidence)
    return None


def _forwarding(situation: Situation, path: Path, evidence: Sequence[str], facts: dict[str, Any]) -> Finding:
    version = "IPv6" if path.packet.family == "inet6" else "IPv4"
    subject = f"{version} on {facts['interface'].name}"
    return finding(situation, "forwarding", ERROR, subject, evidence, path.why, path.fix)


def _ttl(situation: Situation, path: Path, evidence: Sequence[str], facts: dict[str, Any]) -> Finding:
    """A rule makes the packet too short-lived to be forwarded."""
    made: list[Rule] = facts["made"]
    rules = path.failed.rules_of(situation.home) if path.failed else None
    subject = f"{'IPv6' if path.packet.family == 'inet6' else 'IPv4'} on {facts['interface'].name}"
    fix = delete_fix(rules, made[-1]) if made and rules is not None else ""
    return finding(situation, "ttl", ERROR, subject, evidence, path.why, fix, "" if fix else path.advice)


def _no_route(situation: Situation, path: Path, evidence: Sequence[str]) -> Finding:
    family = path.packet.family
    more = list(evidence)
    advice = path.advice
    down = [found for found in situation.interfaces.values() if not found.up and not found.loopback]
    named = situation.named_outside()
    for found in down:
        if found.name in named or any(network.interface is found for network in situation.networks):
            more.append(f"link: {found.name} is down; the routes over it went with it")
    if not any(route.family == family for route in situation.defaults):
        more.append(f"route: there is no default route for {'IPv6' if family == 'inet6' else 'IPv4'}")
    rules = situation.home.rules(family)
    if rules and not any(rule.table == "main" and rule.action == "lookup" for rule in rules):
        version = ["-6"] if family == "inet6" else []
        more.append("rule: none leads to table main, in which routes are made: `ip rule flush` deletes that one too")
        return finding(
            situation,
            "rule-missing",
            ERROR,
            "no rule for table main",
            more,
            f"{path.why}: the policy rule that sends packets to table main is gone",
            pasted(["ip", *version, "rule", "add", "lookup", "main", "pref", "32766"]),
            "that is the rule which the kernel begins with; the table default has one too, at 32767",
        )
    if family == "inet6" and situation.setting("net.ipv6.conf.all.forwarding"):
        for found in situation.interfaces.values():
            accepts = situation.own("accept_ra", found, "ipv6")
            if (
                accepts == 1
                and found.up
                and not found.loopback
                and (found.name in named or _has_global(situation, found))
            ):
                more.append(
                    f"net.ipv6.conf.{found.name}.accept_ra = 1, with forwarding on: router advertisements are ignored"
                )
                advice = (
                    "if the route comes from router advertisements: "
                    f"{sysctl_set(f'net/ipv6/conf/{found.name}/accept_ra', 2)}; else add it by hand"
                )
    subject = path.failed.failure.subject if path.failed and path.failed.failure else "no route"
    return finding(situation, "route", ERROR, subject, more, path.why, path.fix, advice)


def _has_global(situation: Situation, found: object) -> bool:
    return any(network.interface is found and is_global(network.address) for network in situation.networks)


def _next_hop(situation: Situation, path: Path, evidence: Sequence[str], facts: dict[str, Any]) -> Finding | None:
    """Who should get the packet next is not there: a router, or whom a rule translates to."""
    passed = passed_here(situation, path)
    translated = (
        passed is not None
        and path.back is None
        and passed.tracked is not None
        and passed.tracked.translated.destination != passed.tracked.original.destination
    )
    step = path.failed.failure if path.failed else None
    if not translated or step is None:
        return None
    assert passed is not None
    assert passed.tracked is not None
    target = passed.tracked.translated
    where = endpoint(target.destination, target.destination_port)
    return finding(
        situation,
        "dnat-target",
        ERROR,
        where,
        [*evidence, f"rule: {passed.tracked.original} is translated to {where}"],
        f"{where}, which a rule translates to, does not answer: {step.why}",
        path.fix if path.cause == "link-down" else "",
        path.advice or "bring it up again, or take it out of the rules",
    )


def _no_way_back(situation: Situation, path: Path, evidence: Sequence[str]) -> Finding:
    got = path.back.last if path.back and path.back.last else path.packet.answer()
    return finding(
        situation,
        "return-route",
        ERROR,
        f"{got.source}: no route back to {got.destination}",
        evidence,
        f"the packet gets there, and the answer has no way back: {path.where.label} has no route back to "
        f"{got.destination}. "
        "It is not translated on its way, so whoever answers must know where that address is",
        "",
        path.advice
        or f"a return route on the far side to {got.destination}, or a rule that translates the source here",
    )
