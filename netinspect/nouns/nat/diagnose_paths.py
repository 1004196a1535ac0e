"""What walking shows: the way of the flow that was asked for, of flows without an answer, and of those that rules mean.

A doubt about settings is none of its own: the way of a packet decides. Where a way leaves this namespace, what others
do with it is reported only for flows that are real.
"""

from __future__ import annotations

from ...errors import UsageError
from ..path.listing_stack import PROTOCOLS
from ..path.walk_packet import TCP, Packet
from ..path.walk_path import Path, incoming, walked
from ..path.walk_steps import ARRIVES, FAILS, LEAVES
from .diagnose_findings import ERROR, NOTE, families, finding, flow_text, passed_here
from .diagnose_misrouted import of_nowhere, way_in
from .diagnose_sender import of_sender
from .diagnose_untranslated import source_rules, untranslated
from .listing import is_global

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...records import Finding, Flow
    from ..path.filter_words import FlowWords
    from ..path.listing_stack import Interface
    from ..path.walk import Passed
    from .diagnose_situation import Network, Situation

_OWN_POLICY = frozenset(("rule", "policy", "no-socket"))
"""Causes that are another machine's own business where they are not here."""
_CHECKS = {
    "forwarding": "forwarding",
    "link-down": "link",
    "no-carrier": "link",
    "rp-filter": "rp-filter",
    "rule": "rule",
    "policy": "rule",
    "no-route": "route",
    "blackhole": "route",
    "prohibit": "route",
    "unreachable": "route",
    "loop": "route",
    "ttl": "ttl",
    "neighbour": "next-hop",
    "neighbour-wrong": "next-hop",
    "no-socket": "no-socket",
    "zones": "zones",
    "notrack": "notrack",
    "hairpin": "hairpin",
    "asymmetric": "asymmetric",
    "stray": "stray",
    "ports": "ports",
    "route-localnet": "route-localnet",
    "martian": "martian",
    "martian-source": "martian",
    "duplicate": "duplicate",
    "other-uplink": "other-uplink",
}
_TRIED = 12
"""Kinds of flows heard that are looked at."""
_OUTSIDE = {"inet": "192.0.2.1", "inet6": "2001:db8:ffff::1"}
"""An example host on the Internet (RFC 5737, RFC 3849), if no flow shows one."""


def walk_flow(
    situation: Situation,
    packet: Packet,
    iif: Interface | None,
    *,
    home_only: bool = False,
    invented: bool = False,
) -> list[Path]:
    """The ways of a packet, one for each way in which chance may fall."""
    return walked(situation.stacks, situation.home, packet, iif, home_only=home_only, invented=invented)


def of_flow(situation: Situation, words: FlowWords) -> Iterator[Finding]:
    """The way of the flow that was asked for, there and back."""
    asked = _asked(situation, words)
    if not asked:
        yield finding(
            situation,
            "flow",
            ERROR,
            str(words),
            [f"conntrack: no entry of {situation.count.entries} is of this flow"],
            "its packets do not come here, are dropped before they are tracked, or the entry has expired",
            "",
            "name the destination as well, and its way is followed without an entry",
        )
    for packet, source_of in asked:
        try:
            source, iif = way_in(situation, packet)
        except UsageError as error:
            yield _no_way_in(situation, packet, str(error))
            continue
        packet = packet.but(source=source)
        paths = walk_flow(situation, packet, iif)
        found = list(of_nowhere(situation, paths[0], source_of)) or [
            *of_sender(situation, packet, iif),
            *found_on(situation, paths, source_of, asked=True),
            *aside(situation, paths, source_of),
        ]
        yield from found
        if not any(single.severity != NOTE for single in found):
            yield _clear(situation, paths, words, source_of)


def _clear(situation: Situation, paths: Sequence[Path], words: FlowWords, known_by: str) -> Finding:
    """What to say of a flow whose way shows nothing wrong."""
    silent = [flow for flow in situation.traffic.matching.examples if "SEEN_REPLY" not in flow.status]
    entries = [
        f"conntrack: {flow_text(flow)}" + (", without a reply" if flow in silent else "")
        for flow in situation.traffic.matching.examples
    ]
    first = paths[0]
    advice = f"netinspect path {words} shows every step"
    if all(path.verdict == ARRIVES for path in paths):
        return finding(situation, "flow", NOTE, str(words), entries or [known_by], first.why, "", advice)
    connecting = [flow for flow in silent if flow.state == "SYN_SENT"]
    if first.verdict == LEAVES and connecting and len(silent) == len(situation.traffic.matching.examples):
        why = "no answer to it has been seen. " + first.why
        return finding(situation, "flow", ERROR, str(words), entries, why, "", f"look beyond; {advice}")
    why = first.why if first.verdict == LEAVES else f"cannot determine whether it gets through: {first.why}"
    return finding(situation, "flow", NOTE, str(words), entries or [known_by], why, "", advice)


def _asked(situation: Situation, words: FlowWords) -> list[tuple[Packet, str]]:
    """The packets that the words mean: with a destination one; else those of live flows that fit."""
    protocols = (
        [words.protocol]
        if words.protocol is not None
        else sorted({flow.protocol_number for flow in situation.traffic.matching.examples}) or [TCP]
    )
    if words.destination is not None:
        return [
            (
                Packet(
                    protocol,
                    words.source or "",
                    words.destination,
                    0 if protocol == TCP else words.source_port or 0,
                    words.destination_port or 0,
                ),
                f"asked for: {words}",
            )
            for protocol in protocols[:2]
        ]
    return [(packet_of(flow), f"conntrack: {flow_text(flow)}") for flow in situation.traffic.matching.examples]


def packet_of(flow: Flow, *, new: bool = True) -> Packet:
    """The first packet of a flow like one in the table; with its own port where ``new`` is false."""
    return Packet(
        flow.protocol_number,
        flow.source_address or "",
        flow.destination_address or "",
        0 if new else flow.source_port or 0,
        flow.destination_port or 0,
    )


def _no_way_in(situation: Situation, packet: Packet, error: str) -> Finding:
    answer = situation.home.route(packet.source, matched=True) if packet.source else None
    evidence, why = [f"route: {error}"], "answers to them find no way"
    if answer is not None and answer.refused and answer.entry is not None:
        entry = answer.entry
        evidence = [f"route: {answer.refused} {entry.destination} in table {entry.table}"]
        why = f"answers to them are refused by a route of type {answer.refused}: no other to {packet.source} is left"
    return finding(
        situation,
        "route",
        ERROR,
        f"no way from {packet.source or 'anybody'}",
        evidence,
        f"packets of this flow cannot come to this machine, and {why}",
        "",
        f"add a route to {packet.source}",
    )


def of_live(situation: Situation) -> Iterator[Finding]:
    """Flows that get no answer now: each kind's way is walked."""
    for flow in situation.traffic.silent:
        if flow.protocol_number not in PROTOCOLS.values() or not flow.source_address or not flow.destination_address:
            continue
        packet = packet_of(flow)
        try:
            source, iif = way_in(situation, packet)
        except UsageError:
            continue
        paths = walk_flow(situation, packet.but(source=source), iif)
        if all(left_over(situation, path, flow) for path in paths):
            continue  # what would stop a new flow does not stop this one
        how = "never completed" if "SEEN_REPLY" in flow.status else "without a reply"
        known_by = f"conntrack: {flow_text(flow)}, {how}"
        yield from found_on(situation, paths, known_by, asked=False)
        yield from aside(situation, paths, known_by)


def left_over(situation: Situation, path: Path, flow: Flow) -> bool:
    """Whether the entry of a flow without answers takes it to a backend to which no rule takes a new flow any more."""
    passed = passed_here(situation, path)
    if "SEEN_REPLY" in flow.status or passed is None or passed.tracked is None:
        return False
    asked = flow.destination_address, flow.destination_port
    made = passed.tracked.translated
    return asked == (made.destination, made.destination_port) != (flow.reply_source_address, flow.reply_source_port)


def of_networks(situation: Situation) -> Iterator[Finding]:
    """From each inside network to the world: what is meant to be translated, and is not."""
    for family, networks, exits in families(situation):
        if family == "inet6" and not situation.source_rules("inet6") and not situation.traffic.untranslated:
            continue  # IPv6 networks commonly have global addresses beside their private ones
        kept: list[Finding] = []
        passes = False
        for network in networks:
            if network.length >= (127 if family == "inet6" else 31):
                continue
            iif = situation.home.interfaces.get(network.interface.index)
            for packet in _to_the_world(situation, network, exits):
                paths = walk_flow(situation, packet, iif, home_only=True)
                stopped = paths[0].there.failure
                known_by = f"a packet as from the network {network}: {packet}"
                if stopped is not None and stopped.cause in (*_OWN_POLICY, "no-route"):
                    # A network that is kept inside, or a machine that is not online: no fault, but worth knowing.
                    found = _finding(situation, paths[0], known_by, asked=False)
                    if found is not None and stopped.cause in ("rule", "policy"):
                        kept.append(
                            found._replace(severity=NOTE, fix="", advice="right, if this network is to stay inside")
                        )
                    continue
                passes = True
                leaks = private_leak(situation, paths[0]) is not None
                for found in found_on(situation, paths, known_by, asked=False):
                    # A router that translates nothing at all, and of which nobody wants anything now.
                    idle = (
                        leaks
                        and found.check == "no-rule"
                        and not situation.home_tracks
                        and situation.sample > 0
                        and not situation.hearing.attempts()
                    )
                    yield found._replace(severity=NOTE) if idle else found
                yield from aside(situation, paths, known_by)
        shut = None if passes or not kept else _shut(situation, family)
        yield from kept if shut is None else [shut]


def _shut(situation: Situation, family: str) -> Finding | None:
    """Nobody inside gets out, though rules translate for them, and hosts try right now: not meant to be so.

    Decided by what is heard: each first packet must be dropped by rules here, and none may have got an entry; and what
    got out before must be dropped today.
    """
    from .diagnose_opening import through_fix

    for flow in situation.traffic.went_out:
        if flow.family == family and not _stopped(situation, packet_of(flow)):
            return None
    found: Finding | None = None
    stopped: list[Path] = []
    tried: set[tuple[str, str, int, int]] = set()
    for heard in situation.hearing.attempts():
        if (":" in heard.source) != (family == "inet6") or len(tried) >= _TRIED:
            continue
        _, port = heard.ports
        kind = heard.source, heard.destination, heard.protocol, port
        if kind in tried:
            continue
        tried.add(kind)
        if situation.hearing.has_entry(heard):
            return None
        packet = Packet(heard.protocol, heard.source, heard.destination, 0, port)
        stopped = _stopped(situation, packet)
        if not stopped or not _meant_out(situation, stopped[0], family):
            return None
        if found is None and is_global(heard.destination):
            known_by = f"packet heard on {heard.interface}: {packet}"
            found = _finding(situation, stopped[0], known_by, asked=False)
    if found is None:
        return None
    fix, advice = "", found.advice
    if stopped and stopped[0].failed is not None and "chain" in stopped[0].failed.facts:
        fix, advice = through_fix(situation, stopped[0])
    evidence = (*found.evidence, f"{len(tried)} kinds of flows from inside tried to get out meanwhile, and none did")
    return found._replace(evidence=evidence, fix=fix, advice=advice)


def _meant_out(situation: Situation, path: Path, family: str) -> bool:
    """Whether there are rules that translate sources of a family."""
    wanted = ("ip6", "inet") if family == "inet6" else ("ip", "inet")
    return any(rule.family in wanted for rule in source_rules(path.there.rules_of(situation.home)))


def _stopped(situation: Situation, packet: Packet) -> list[Path]:
    """The ways of a packet from inside where rules here stop it on all of them; else none."""
    try:
        source, iif = incoming(situation.home, packet.source, packet.destination, None, None)
    except UsageError:
        return []
    paths = walk_flow(situation, packet.but(source=source), iif, home_only=True)
    for path in paths:
        failure = path.there.failure
        if failure is None or failure.cause not in ("rule", "policy") or path.where is not situation.home:
            return []
    return paths


def world_of(situation: Situation, family: str) -> str:
    """An address of the world that inside hosts talk to, else an example of one."""
    return situation.traffic.talked_to.get(family) or _OUTSIDE[family]


def _to_the_world(situation: Situation, network: Network, exits: Sequence[Interface]) -> Iterator[Packet]:
    """Packets from a network to its destinations, as flows show them, else to a host beyond each outgoing interface."""
    from ..path.walk_path import host_of

    family = network.family
    source = host_of(situation.home, f"{network.address}/{network.length}")
    known = situation.traffic.talked_to.get(family)
    if known is not None or any(route.family == family for route in situation.defaults):
        yield Packet(TCP, source, known or _OUTSIDE[family], 0, 443)
        return
    for found in exits:
        for other in situation.networks:
            if other.interface is found and other.family == family and not other.address.startswith("fe80:"):
                yield Packet(TCP, source, host_of(situation.home, f"{other.address}/{other.length}"), 0, 443)
                break


def found_on(situation: Situation, paths: Sequence[Path], known_by: str, *, asked: bool) -> Iterator[Finding]:
    """What ways say: the first that does not get through, and why."""
    failing = [path for path in paths if path.verdict == FAILS]
    chance = len(paths) > len(failing)
    for path in failing:
        if chance and path.there.failure is None and _over_a_limit(path):
            continue  # answers: what passes a limit on them is known to come back
        if chance and path.cause in ("rule", "policy") and path.there.failure is not None:
            # Limits and chance let others pass: only what is seen to be lost tells.
            lost = situation.hearing.lost(path.packet) if asked and path.where is situation.home else 0
            if lost:
                found = _finding(situation, path, known_by, asked=asked)
                if found is not None:
                    seen = f"{lost} first packets of this flow heard meanwhile, and none got an entry"
                    yield found._replace(
                        evidence=(*found.evidence, seen),
                        why=f"{found.why}. It is a limit, or chance, that decides: {_fork(path)}",
                    )
                return
            continue
        found = _finding(situation, path, known_by, asked=asked)
        if found is not None:
            if chance:
                found = found._replace(
                    evidence=(*found.evidence, f"one of {len(paths)} ways, by chance: {_fork(path)}")
                )
            yield found
    for path in paths:
        if path.verdict != FAILS:
            yield from _leaves_private(situation, path, known_by)
            break


def reported(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """What a way that fails says, whatever chance does to others."""
    found = _finding(situation, path, known_by, asked=False)
    if found is not None:
        yield found


def _over_a_limit(path: Path) -> bool:
    """Whether the rule that drops it does so over a limit, or by chance; a policy does where one is used up."""
    if path.cause != "rule" or path.failed is None:
        return False
    return any(doubt.kind == "may" for doubt in path.failed.facts.get("doubts", ()))


def _fork(path: Path) -> str:
    forks = [*path.there.forks, *(path.back.forks if path.back else ())]
    return "; ".join(dict.fromkeys(reason for _, _, reason in forks))


def private_leak(situation: Situation, path: Path) -> Passed | None:
    """The hop at which a packet leaves for the Internet with an untranslated private source."""
    passed = passed_here(situation, path)
    if passed is None or passed.oif is None or passed.iif is None or passed.leaving is None:
        return None
    exits = {found.index for found in situation.exits[path.packet.family]}
    leaving = passed.leaving
    translated = passed.tracked is not None and passed.tracked.translated.source != leaving.source
    if translated or is_global(leaving.source) or passed.oif.index not in exits or passed.iif is passed.oif:
        return None
    if path.there.failure is not None and path.there.stopped_in is situation.home:
        return None
    if passed.tracked is not None and passed.tracked.direction == "reply":
        return None
    return passed


def _leaves_private(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    passed = private_leak(situation, path)
    if passed is None or situation.rules_unread is not None:
        return
    if path.verdict == ARRIVES and path.there.outcome == "delivered":
        return  # it works without
    if (
        not is_global(path.packet.destination)
        and path.verdict != FAILS
        and situation.inside_only(path.packet.destination)
    ):
        return
    if path.verdict != FAILS and any(
        network.interface is passed.iif and situation.routed_back(network)
        for network in situation.inside
        if network.family == path.packet.family
    ):
        return
    yield untranslated(situation, path, passed, known_by)


def _finding(situation: Situation, path: Path, known_by: str, *, asked: bool) -> Finding | None:
    """One way that fails, as a finding."""
    elsewhere = path.where is not situation.home
    leak = private_leak(situation, path)
    readable = situation.rules_unread is None
    of_source = path.back is not None or path.cause in ("no-route", "rp-filter", "martian-source")
    if leak is not None and elsewhere and readable and of_source and is_global(path.packet.destination):
        return untranslated(situation, path, leak, known_by)
    evidence = [known_by, *path.evidence]
    check = _CHECKS.get(path.cause or "", path.cause or "path")
    severity, subject, why, fix, advice = ERROR, str(path.packet), path.why, path.fix, path.advice
    step = path.failed.failure if path.failed else None
    if step is not None:
        subject = step.subject
        if path.cause == "ports" and path.failed is not None:
            there = f"{path.packet.destination} port {path.packet.destination_port}"
            outside = path.failed.facts["outside"]
            subject = f"{step.packet.protocol} from {outside} to {there}"
    from .diagnose_explained import explained

    better = explained(situation, path, evidence, asked=asked)
    if better is not None:
        return better
    if elsewhere and path.cause in _OWN_POLICY:
        if not asked and not (path.cause == "no-socket" and targeted(path)):
            return None
        severity = NOTE
        if targeted(path) and (asked or path.cause == "no-socket"):
            severity, check = ERROR, "dnat-target"
    elif elsewhere and path.cause == "forwarding" and not asked and _others_arrive(situation, path):
        severity = NOTE
    elif path.cause == "no-socket" and not asked:
        if not targeted(path):
            return None
        check = "dnat-target"
    return finding(situation, check, severity, subject, evidence, why, fix, advice)


def _others_arrive(situation: Situation, path: Path) -> bool:
    """Whether other destinations answer by the same way out: then this one is not there, and the way to it is right."""
    passed = passed_here(situation, path)
    if passed is None or passed.oif is None or path.back is not None or targeted(path):
        return False
    reached = {text for found in situation.traffic.reached.values() for text in list(found)[:_TRIED]}
    reached.discard(path.packet.destination)
    return any(situation.home.route_to(text) is passed.oif for text in reached)


def targeted(path: Path) -> bool:
    """Whether a rule here translates the destination: who answers is then this gateway's choice."""
    return any(
        passed.tracked is not None
        and (
            "dnat" in passed.tracked.status
            or passed.tracked.translated.destination != passed.tracked.original.destination
        )
        for passed in path.there.passed
    )


def aside(situation: Situation, paths: Sequence[Path], known_by: str) -> Iterator[Finding]:
    """What ways show beside: marks that come too late, addresses that two have, sources that are private still."""
    from .diagnose_beside import beside

    for path in paths[:1]:
        yield from beside(situation, path, known_by)
