"""The checks of a gateway: each looks at the facts, and shows what breaks address translation, and why.

What they rest on: ip-sysctl and nf_conntrack-sysctl (Documentation/networking), nft(8), RFC 2663, RFC 4787, RFC 5382.
"""

from __future__ import annotations

from ..conntrack.filter import prefix_of
from .diagnose_discovery import discovery
from .diagnose_entries import entries, local_ports
from .diagnose_findings import ERROR, NOTE, families, finding
from .diagnose_flows import (
    accounting,
    counters,
    path_mtu,
    port_exhaustion,
    queues,
    reverse_path,
    stale,
    table_size,
    unanswered,
)
from .diagnose_fragments import fragments
from .diagnose_heard import of_heard, of_requests, of_senders, of_wanted
from .diagnose_links import hardware, tunnels
from .diagnose_misrouted import ipv6_off
from .diagnose_own import own
from .diagnose_paths import of_flow, of_live, of_networks
from .diagnose_rules import addresses, forwarding, links, rules_read, tables, untranslated
from .diagnose_settings import helpers, picked_up, timeouts
from .diagnose_situation import Situation
from .diagnose_taken import shared_targets, taken_ports
from .diagnose_targets import let_through, targets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...engine.places import Place
    from ...records import Finding
    from ..conntrack.filter import FlowFilter
    from ..path.filter_words import FlowWords


def diagnose(situation: Situation, words: FlowWords | None = None) -> list[Finding]:
    """What every check finds; with ``words`` the way of that flow first. One fault is reported once."""
    found: list[Finding] = list(of_flow(situation, words)) if words is not None else []
    for check in CHECKS:
        found += check(situation)
    return once(found)


def diagnosed(place: Place, words: FlowWords | None, wanted: FlowFilter, sample: float) -> list[Finding]:
    """What every check finds in a place, which is open; with ``words`` the way of that flow first.

    ``wanted`` selects the flows that count. Raises NetinspectError.
    """
    situation = Situation(place, wanted if words is None else narrowed(wanted, words), sample, asked=words is not None)
    try:
        return diagnose(situation, words)
    finally:
        situation.stacks.close()


def narrowed(wanted: FlowFilter, words: FlowWords) -> FlowFilter:
    """The filter with what was reported of one flow. Raises UsageError."""
    if words.protocol is not None:
        wanted.protocols.add(words.protocol)
    elif len(wanted.protocols) == 1:
        [words.protocol] = wanted.protocols  # the one that is selected is the flow's
    for side in ("source", "destination"):
        address, port = getattr(words, side), getattr(words, f"{side}_port")
        if address is not None:
            wanted.addresses.setdefault(f"{side}_address", []).append(prefix_of(address))
        if port is not None:
            wanted.ports.setdefault(f"{side}_port", set()).add(port)
    return wanted


_UNTRANSLATED = frozenset(
    (
        *("no-rule", "other-interface", "other-source", "other-destination", "other-state", "mark", "shadowed"),
        *("condition", "notrack", "mark-late"),
    )
)
"""Checks that explain untranslated flows: the first of each outgoing interface is enough, also for its flows."""


def once(findings: list[Finding]) -> list[Finding]:
    """The findings without duplicates: those of the same check and subject, or with the same fix."""
    kept: list[Finding] = []
    for found in findings:
        explained = [other for other in kept if other.check in _UNTRANSLATED]
        if explained and found.check == "untranslated":
            continue
        if found.check == "unanswered" and any(other.severity != NOTE for other in kept):
            continue
        if found.check in _UNTRANSLATED and any(other.subject == found.subject for other in explained):
            continue
        if found.check == "zones" and any(other.check == "zones" for other in kept):
            continue
        if any(
            other.check == found.check and (other.subject == found.subject or (found.fix and other.fix == found.fix))
            for other in kept
        ):
            continue
        kept.append(found)
    # That another machine, which got the packet by mistake, does not forward it is no cause.
    by_mistake = [found for found in kept if found.check == "forwarding" and found.subject.startswith("forwarding on ")]
    if any(found.severity == ERROR and found not in by_mistake for found in kept):
        return [found._replace(severity=NOTE) if found in by_mistake else found for found in kept]
    return kept


def not_a_gateway(situation: Situation) -> Iterator[Finding]:
    """Nothing inside, or no way out: there is nothing to translate."""
    if not any(True for _ in families(situation)) and not situation.rules:
        up = sorted(found.name for found in situation.interfaces.values() if found.up)
        yield finding(
            situation,
            "gateway",
            NOTE,
            "this network namespace",
            [f"interfaces that are up: {', '.join(up) or 'none'}"],
            "it does not forward from a private network on one interface to a way out by another, and has no rule that "
            "translates: it is not a gateway, or not set up yet",
            "ip address; ip route",
        )


CHECKS: tuple[Callable[[Situation], Iterator[Finding]], ...] = (
    not_a_gateway,
    rules_read,
    forwarding,
    discovery,
    ipv6_off,
    of_live,
    of_networks,
    of_heard,
    of_wanted,
    own,
    of_requests,
    of_senders,
    hardware,
    tunnels,
    fragments,
    let_through,
    targets,
    links,
    tables,
    addresses,
    reverse_path,
    untranslated,
    table_size,
    counters,
    port_exhaustion,
    queues,
    picked_up,
    timeouts,
    helpers,
    unanswered,
    path_mtu,
    stale,
    entries,
    local_ports,
    taken_ports,
    shared_targets,
    accounting,
)
"""All checks, in the order in which one would look."""
