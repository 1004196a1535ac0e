"""Whom rules translate destinations to: whether that is there, by what the kernel knows already, and whether it is let
through. Nothing is sent.
"""

from __future__ import annotations

import re

from ..path.walk_packet import TCP, UDP, Packet, endpoint
from ..path.walk_path import host_of
from ..path.walk_reasons import why_not
from .diagnose_findings import ERROR, NOTE, finding, passed_here
from .diagnose_paths import found_on, reported, walk_flow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding
    from ..path.listing_stack import Interface
    from ..path.walk_path import Path
    from .decode_rules import NatRule
    from .diagnose_situation import Situation

_SOURCE = re.compile(r"\bsaddr\b| -s |\bsrc\b|\b(src-range|mac-source|set|geoip|recent)\b|meter| @")
"""What a rule has that looks at who sends a packet, or remembers it."""
_PORTS = re.compile(r"\bdports? ([^{\s]\S*|\{[^}]*\})")
_MOST_RULES = 200
"""Rules of a chain that are looked at for what they lack."""
_PROBED, _WALKED = 256, 12
"""Targets that are looked up, and rules whose packets are walked, at most."""


def targets(situation: Situation) -> Iterator[Finding]:
    """Targets of dnat rules: their neighbour entry, or the socket where they are here."""
    reported: set[tuple[str, int]] = set()
    for rule in situation.rules:
        found = target_of(rule)
        if found is None or len(reported) >= _PROBED or not rule.hooks & {"prerouting", "output"}:
            continue
        address, port = found
        if found in reported:
            continue
        reported.add(found)
        yield from _target(situation, rule, address, port)


def target_of(rule: NatRule) -> tuple[str, int] | None:
    """The one address that a dnat rule names, and its port or 0."""
    from _socket import inet_ntop

    if rule.kind != "dnat" or rule.addresses is None or rule.addresses[0] != rule.addresses[1]:
        return None
    packed = rule.addresses[0]
    return inet_ntop(2 if len(packed) == 4 else 10, packed), rule.ports[0] if rule.ports else 0


def _target(situation: Situation, rule: NatRule, address: str, port: int) -> Iterator[Finding]:
    home = situation.home
    if home.is_local(address) or address.startswith("127."):
        return  # walking its packets shows whether a socket takes them
    answer = home.route(address)
    if answer.route is None:
        yield finding(
            situation,
            "dnat-target",
            ERROR,
            endpoint(address, port),
            [f"nftables: {rule}", f"route: none leads to {address}"],
            f"a rule translates to {endpoint(address, port)}, and no route leads there",
            "",
            f"put the rule right, or add a route to {address}",
        )
        return
    interface = home.named(answer.route.interface)
    next_hop = answer.route.gateway or address
    if interface is None:
        return
    neighbour = home.neighbour(interface, next_hop)
    if neighbour is not None and neighbour.state == "failed":
        yield finding(
            situation,
            "dnat-target",
            ERROR,
            endpoint(address, port),
            [f"nftables: {rule}", f"neighbour: {next_hop} dev {interface} failed"],
            f"a rule translates to {endpoint(address, port)}, and {next_hop} does not answer on {interface}: the "
            "machine is down or gone, or has another address",
            "",
            "bring it up again, or take it out of the rules",
        )


def let_through(situation: Situation) -> Iterator[Finding]:
    """A packet as each dnat rule wants it, from where it would come."""
    number = 0
    for rule in situation.rules:
        if rule.kind not in ("dnat", "redirect") or "prerouting" not in rule.hooks or number >= _WALKED:
            continue
        made = _packet(situation, rule)
        if made is None:
            continue
        number += 1
        packet, iif = made
        paths = walk_flow(situation, packet, iif, invented=True)
        translated = [
            path
            for path in paths
            if any("dnat" in passed.tracked.status for passed in path.there.passed if passed.tracked is not None)
        ]
        known_by = f"a packet as the {rule} wants it: {packet}"
        if not translated and len(paths) == 1 and _before_it(situation, paths[0]):
            yield from reported(situation, paths[0], known_by)
        for found in found_on(situation, translated, known_by, asked=False):
            if _for_some(situation, translated):
                found = found._replace(severity=NOTE, fix="", advice="right, if only some may use it")
            # A program that is not running, or a host that is off, is not a fault until a client wants it.
            unwanted = found.check == "dnat-target" and all(_unwanted(situation, path) for path in translated)
            if unwanted and all(path.cause == "no-socket" and path.where is situation.home for path in translated):
                continue  # a program here that is not running now: nobody wants it
            yield found._replace(severity=NOTE) if unwanted else found


def _before_it(situation: Situation, path: Path) -> bool:
    """Whether a rule drops a packet, whoever sends it, before one that translates sees it."""
    return path.cause in ("rule", "policy") and path.where is situation.home and not _for_some(situation, [path])


def _for_some(situation: Situation, paths: list[Path]) -> bool:
    """Whether it is the source by which a packet is dropped: a rule looks at it, or one that accepts others does."""
    for path in paths:
        walk = path.failed
        if walk is None or path.cause not in ("rule", "policy") or path.where is not situation.home:
            continue
        step, chain, hook = (walk.facts.get(name) for name in ("step", "chain", "hook"))
        if step is None or chain is None or hook is None or walk.before is not None:
            continue
        rules = walk.rules_of(situation.home)
        if step.rule is not None:
            if _SOURCE.search(rules.text(step.rule)):
                return True
            continue
        passed = passed_here(situation, path)
        if passed is None:
            continue
        oif = passed.oif or situation.home.route_to(walk.facts["seen"].destination) if hook == "forward" else None
        seen = rules.packet_of(walk.facts["seen"], passed.iif, oif, passed.tracked)
        for rule in rules.ruleset.rules.get(chain.key, ())[:_MOST_RULES]:
            if rules.text(rule).endswith((" accept", "ACCEPT")):
                reason = why_not(rules, hook, seen, rule, walk.outcome_of(situation.home, hook))
                if reason is not None and reason.kind == "source" and reason.decider is rule:
                    ports = _PORTS.findall(rules.text(rule))
                    if not ports or any(str(walk.facts["seen"].destination_port) in words for words in ports):
                        return True
    return False


def _unwanted(situation: Situation, path: Path) -> bool:
    """Whether nothing shows that anybody wants what is not there: no neighbour is asked for in vain."""
    if path.cause != "neighbour" or path.failed is None:
        return path.cause in (None, "no-socket")
    facts = path.failed.facts
    asked_for = (facts["interface"].name, facts["next_hop"]) in situation.home.unresolved
    known = situation.home.neighbour(facts["interface"], facts["next_hop"])
    return not asked_for and (known is None or known.state != "failed")


def _packet(situation: Situation, rule: NatRule) -> tuple[Packet, Interface] | None:
    """A packet that a rule is for, as far as its conditions are plain; None where they are not."""
    from _socket import inet_ntop

    if rule.uncertain:
        return None
    values: dict[str, bytes] = {}
    for match in rule.matches:
        if not match.equal or match.what in values:
            return None
        if match.what not in ("in", "in_index", "source", "destination", "protocol", "destination_port", "family"):
            return None
        values[match.what] = match.value
    family = 6 if rule.family() == 6 else 4
    size = 16 if family == 6 else 4
    protocol = values.get("protocol", bytes((TCP,)))[0]
    if protocol not in (TCP, UDP):
        return None
    iif = comes_by(situation, values, "inet6" if family == 6 else "inet")
    if iif is None:
        return None
    port = int.from_bytes(values.get("destination_port", b"\0\0")[:2], "big")
    if "destination" in values and len(values["destination"]) == size:
        destination = inet_ntop(2 if family == 4 else 10, values["destination"])
    else:
        own = [
            text for text, _ in situation.home.networks(iif) if (":" in text) == (family == 6) and "fe80:" not in text
        ]
        if not own:
            return None
        destination = own[0]
    source = comes_from(situation, iif, values, family)
    if source is None or source == destination:
        return None
    return Packet(protocol, source, destination, 0, port), iif


def comes_by(situation: Situation, values: dict[str, bytes], family: str) -> Interface | None:
    """The interface that a rule names by what it compares (Match.what), else a way out."""
    if "in" in values:
        return situation.home.named(values["in"].rstrip(b"\0").decode("utf-8", "backslashreplace"))
    if "in_index" in values:
        from sys import byteorder

        return situation.home.interfaces.get(int.from_bytes(values["in_index"], byteorder))
    exits = [found for found in situation.exits[family] if found.works]
    return exits[0] if exits else None


def comes_from(situation: Situation, iif: Interface, values: dict[str, bytes], family: int) -> str | None:
    """Who would send it: whom the rule names, the next router of a way out, or a host of the network there."""
    from _socket import inet_ntop

    size = 16 if family == 6 else 4
    if "source" in values:
        if len(values["source"]) != size:
            return None
        return inet_ntop(2 if family == 4 else 10, values["source"])
    name = "inet6" if family == 6 else "inet"
    for route in situation.defaults:
        if (
            route.family == name
            and route.interface == iif.name
            and route.gateway
            and (":" in route.gateway) == (family == 6)
        ):
            return route.gateway
    for text, length in situation.home.networks(iif):
        if (":" in text) == (family == 6) and not text.startswith("fe80:") and length < 8 * size:
            return host_of(situation.home, f"{text}/{length}")
    return None
