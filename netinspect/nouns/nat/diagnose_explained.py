"""Ways that fail, for what people know gateways' troubles by; and what a way shows beside whether it gets through."""

from __future__ import annotations

from itertools import chain as chained
from itertools import count

from ...netfilter.packet import Tracking
from ..path.walk_opening import opening, uses_iptables
from ..path.walk_packet import ICMP, ICMPV6, TCP, Packet, Tracked, endpoint
from ..path.walk_reasons import holds, why_not
from ..path.walk_rules import CONNTRACK, Rules
from ..path.walk_steps import iptables_interface, nft_interface, nft_name, pasted, sysctl_set
from .diagnose_findings import ERROR, WARNING, finding
from .diagnose_policy import missed
from .diagnose_untranslated import delete_fix, network_text
from .listing import is_global

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from typing import Any

    from ...netfilter.decode import Chain, Rule
    from ...netfilter.evaluate import Outcome
    from ...records import Finding
    from ..path.walk import Passed
    from ..path.walk_path import Path
    from .diagnose_situation import Situation

_DESTINATION = (b"DNAT\0", b"REDIRECT\0", b"redir\0", b"NETMAP\0")


def explained(situation: Situation, path: Path, evidence: Sequence[str], *, asked: bool) -> Finding | None:
    """What is known of a way that fails; None where its step says it all."""
    here = path.where is situation.home
    step = path.failed.failure if path.failed else None
    facts: dict[str, Any] = path.failed.facts if path.failed else {}
    settled = here and path.cause in ("rule", "policy", "forwarding", "zones", "notrack")
    if not settled and (by_policy := missed(situation, path, evidence)):
        return by_policy
    if path.cause in ("rule", "policy") and here and step is not None and "chain" in facts:
        return _dropped(situation, path, evidence, facts, asked=asked)
    if path.cause == "no-socket" and here:
        return not_redirected(situation, path, evidence, asked=asked)
    if path.cause == "ttl" and here:
        return _ttl(situation, path, evidence, facts)
    if path.cause == "hairpin":
        return _hairpin(situation, path, path.where, evidence, path.why)
    if path.cause == "martian-source" and not here and path.back is None and _sent_back(situation, path):
        why = (
            "a host asks for a service that is itself (hairpin): the packet comes back to it with its own address as "
            "the source, and is dropped there as a martian"
        )
        return _hairpin(situation, path, situation.home, evidence, why)
    if path.cause == "forwarding" and here:
        return _forwarding(situation, path, evidence, facts)
    if path.cause == "rp-filter" and here:
        return finding(
            situation, "rp-filter", ERROR, facts["interface"].name, evidence, path.why, path.fix, path.advice
        )
    if path.cause == "stray":
        return _duplicate(situation, path, evidence)
    if path.cause in ("no-route", "unreachable") and here and not facts.get("entry"):
        return _no_route(situation, path, evidence)
    if path.cause in ("neighbour", "neighbour-wrong", "no-carrier", "link-down") and here:
        return _next_hop(situation, path, evidence, facts)
    if path.cause == "no-route" and not here and path.back is not None:
        return _no_way_back(situation, path, evidence)
    return None


def _home(situation: Situation, path: Path) -> Passed | None:
    return next((passed for passed in path.there.passed if passed.stack is situation.home), None)


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
    passed = _home(situation, path)
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


# Rules that drop.


def _dropped(
    situation: Situation, path: Path, evidence: Sequence[str], facts: dict[str, Any], *, asked: bool
) -> Finding:
    walk = path.failed
    assert walk is not None
    rules = walk.rules_of(situation.home)
    chain: Chain = facts["chain"]
    packet: Packet = facts["seen"]
    hook: str = facts["hook"]
    passed = next((found for found in reversed(walk.passed) if found.stack is situation.home), None)
    tracked = passed.tracked if passed is not None else None
    bridged = any("bridge-nf-call" in text for text in path.evidence)
    subject = str(chain)
    if bridged:
        return _bridged(situation, path, evidence, chain, rules)
    if walk.before is not None and tracked is not None and tracked.state == "established":
        words = ("-m", "conntrack", "--ctstate", "ESTABLISHED,RELATED"), "ct state established,related"
        return finding(
            situation,
            "established",
            ERROR,
            subject,
            evidence,
            f"{path.why}. The flow is let through in one direction only: nothing accepts its answers (ct state "
            "established)",
            accept_fix(rules, chain, *words),
            "it lets through answers to flows that were let through before, and nothing else",
        )
    if tracked is not None and "dnat" in tracked.status and walk.before is None and hook in ("forward", "input"):
        words_nft = f"ct status dnat {_selector(packet)}"
        words_ipt = ("-m", "conntrack", "--ctstate", "DNAT", *_iptables_selector(packet))
        return finding(
            situation,
            "dnat-dropped",
            ERROR,
            subject,
            evidence,
            f"{path.why}: a dnat rule sends packets to {endpoint(packet.destination, packet.destination_port)}, and "
            "the "
            f"{hook} chain does not let them pass",
            accept_fix(rules, chain, words_ipt, words_nft),
            f"it opens {endpoint(packet.destination, packet.destination_port)} to whom the dnat rule is for, and "
            "nothing else",
        )
    step = facts["step"]
    what = "rule" if step.rule is not None else "policy"
    fix = opening(chain, hook, packet, walk) if asked else ""
    return finding(
        situation,
        "rule",
        ERROR,
        subject,
        evidence,
        f"{path.why} ({what} of {chain}, hook {hook}: dropped by it)",
        fix,
        "it opens this chain for exactly such packets, and nothing else: paste it only if they are meant to pass"
        if fix
        else path.advice,
    )


def _selector(packet: Packet) -> str:
    version = "ip6" if packet.family == "inet6" else "ip"
    protocol = {6: "tcp", 17: "udp", 132: "sctp", 33: "dccp"}.get(packet.protocol)
    port = f" {protocol} dport {packet.destination_port}" if protocol and packet.destination_port else ""
    return f"{version} daddr {packet.destination}{port}"


def _iptables_selector(packet: Packet) -> list[str]:
    protocol = {6: "tcp", 17: "udp", 132: "sctp", 33: "dccp"}.get(packet.protocol)
    port = ["-p", protocol, "--dport", str(packet.destination_port)] if protocol and packet.destination_port else []
    return ["-d", packet.destination, *port]


def accept_fix(rules: Rules, chain: Chain, iptables: Sequence[str], words: str) -> str:
    """The command that has a chain accept something first."""
    if uses_iptables(rules.ruleset, chain):
        program = "ip6tables" if chain.family == "ip6" else "iptables"
        table = [] if chain.table == "filter" else ["-t", chain.table]
        return pasted([program, *table, "-I", chain.name, *iptables, "-j", "ACCEPT"])
    return pasted(["nft", f"insert rule {chain.family} {nft_name(chain.table)} {nft_name(chain.name)} {words} accept"])


def through_fix(situation: Situation, path: Path) -> tuple[str, str]:
    """The command that lets pass a chain what comes from an inside interface and leaves by the way out."""
    walk = path.failed
    passed = _home(situation, path)
    assert walk is not None
    chain: Chain = walk.facts["chain"]
    exits = situation.exits[path.packet.family]
    if passed is None or passed.iif is None or not exits or walk.facts["hook"] != "forward":
        return "", path.advice
    oif = passed.oif or exits[0]
    words = f"iifname {nft_interface(passed.iif.name)} oifname {nft_interface(oif.name)}"
    iptables = ("-i", iptables_interface(passed.iif.name), "-o", iptables_interface(oif.name))
    fix = accept_fix(walk.rules_of(situation.home), chain, iptables, words)
    return fix, f"it opens the way from {passed.iif} to {oif}, which rules translate already, to all of {passed.iif}"


def _bridged(situation: Situation, path: Path, evidence: Sequence[str], chain: Chain, rules: Rules) -> Finding:
    walk = path.failed
    assert walk is not None
    step = walk.failure
    bridge = situation.home.on_link(path.packet.source)
    name = bridge.name if bridge is not None else "br0"
    iptables = ("-i", iptables_interface(name), "-o", iptables_interface(name))
    return finding(
        situation,
        "br-netfilter",
        ERROR,
        f"bridged frames on {name}",
        evidence,
        "br_netfilter (bridge-nf-call) has frames that are only bridged pass the rules for routed packets: "
        f"{step.why if step else path.why}",
        accept_fix(rules, chain, iptables, f"iifname {nft_interface(name)} oifname {nft_interface(name)}"),
        "it lets pass what is bridged from port to port, as without br_netfilter; where no rules are meant for bridged "
        "frames: sysctl -w net.bridge.bridge-nf-call-iptables=0",
    )


# Destinations that are not translated.


def destination_rules(rules: Rules) -> list[Rule]:
    """The rules that translate destinations, wherever they stand."""
    from .decode_rules import kind_of

    return [
        rule
        for found in rules.ruleset.rules.values()
        for rule in found
        if (any(name in rule.data for name in _DESTINATION) or b"nat\0" in rule.data)
        and kind_of(rule) in ("dnat", "redirect")
    ]


def not_redirected(
    situation: Situation, path: Path, evidence: Sequence[str], *, asked: bool, never: bool = False
) -> Finding | None:
    """It arrives at this machine and no socket takes it: should a rule have forwarded it?

    ``never``: only rules count that can apply to no packet from outside.
    """
    passed = _home(situation, path)
    if passed is None or path.failed is not path.there:
        return None
    if passed.tracked is not None and "dnat" in passed.tracked.status:
        return None  # a rule did apply: its target is here, and no socket takes it
    rules = path.there.rules_of(situation.home)
    seen = rules.packet_of(path.packet, passed.iif, None, passed.tracked)
    if isinstance(seen.tracking, Tracking):
        seen = seen.replace(tracking=seen.tracking._replace(status=0))
    outcome = path.there.outcome_of(situation.home, "prerouting")
    reasons = []
    for rule in destination_rules(rules):
        if rule.family in ("ip", "ip6") and (rule.family == "ip6") != (path.packet.family == "inet6"):
            continue
        reason = why_not(rules, "prerouting" if passed.iif is not None else "output", seen, rule, outcome)
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
            reason for reason in near if reason.kind == "incoming interface" and _names_none(situation, reason.rule)
        ]
    chosen = hooks or near
    if asked and not chosen:
        chosen = [reason for reason in reasons if reason.kind == "destination"] or reasons
    if not chosen:
        return None
    first = chosen[0]
    fix = ""
    if first.kind == "hook":
        fix = _moved(rules, first.rule)
    return finding(
        situation,
        "dnat",
        ERROR,
        str(path.packet),
        [*evidence, *(f"nftables: {rules.text(reason.rule)}: {reason.text}" for reason in chosen[:4])],
        "nobody here takes it, and the dnat rule that should send it on does not apply: "
        + ("it stands in another hook, where packets from outside do not pass" if first.kind == "hook" else first.text),
        fix,
        "" if fix else "put the condition right, or the rule before the one that has the last word",
    )


def _names_none(situation: Situation, rule: Rule) -> bool:
    """Whether the interface that packets must come in by for a rule is none of this machine."""
    for found in situation.rules:
        if (found.rule.family, found.rule.table, found.rule.handle) == (rule.family, rule.table, rule.handle):
            names = [
                match.value.rstrip(b"\0").decode("utf-8", "backslashreplace")
                for match in found.interfaces("in")
                if match.what == "in" and match.equal and match.value.endswith(b"\0")
            ]
            return bool(names) and not any(map(situation.home.named, names))
    return False


def _moved(rules: Rules, rule: Rule) -> str:
    """The same rule in the hook that packets from outside pass."""
    words = rules.exact(rule)
    if "dnat" not in words and "redirect" not in words:
        return ""
    family = rule.family
    table = nft_name(rule.table)
    # What a rule names, such as sets, is of its own table.
    chains = [
        chain
        for chain in rules.ruleset.base_chains("ip6" if family == "ip6" else "ip", "prerouting")
        if chain.kind == "nat" and (chain.family, chain.table) == (family, rule.table)
    ]
    if chains:
        return pasted(["nft", f"add rule {family} {nft_name(chains[0].table)} {nft_name(chains[0].name)} {words}"])
    names = {
        chain.name for chain in rules.ruleset.chains.values() if (chain.family, chain.table) == (family, rule.table)
    }
    name = _free_name(names, "prerouting", "dstnat", "netinspect_dstnat")
    return pasted(
        [
            "nft",
            f"add chain {family} {table} {name} {{ type nat hook prerouting priority dstnat; }}; "
            f"add rule {family} {table} {name} {words}",
        ]
    )


def _free_name(taken: Collection[str], *names: str) -> str:
    return next(name for name in chained(names, map(f"{names[-1]}_{{}}".format, count())) if name not in taken)


# Answers that go astray.


def _sent_back(situation: Situation, path: Path) -> bool:
    """Whether a rule here translates the destination to who asks."""
    passed = _home(situation, path)
    if passed is None or passed.tracked is None or "dnat" not in passed.tracked.status:
        return False
    return passed.tracked.translated.destination == passed.tracked.translated.source


def _hairpin(situation: Situation, path: Path, where: object, evidence: Sequence[str], why: str) -> Finding | None:
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
        if uses_iptables(rules.ruleset, chain):
            program = "ip6tables" if family == "ip6" else "iptables"
            fix = pasted(
                [
                    program,
                    "-t",
                    "nat",
                    "-I",
                    chain.name,
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


def _duplicate(situation: Situation, path: Path, evidence: Sequence[str]) -> Finding | None:
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


# What a way shows beside.


def beside(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """What is worth knowing of a way, whether it gets through or not."""
    yield from marks_late(situation, path, known_by)
    yield from duplicates(situation, path, known_by)
    yield from private_primary(situation, path, known_by)
    yield from other_uplinks_source(situation, path, known_by)
    yield from one_way(situation, path, known_by)
    yield from errors_dropped(situation, path, known_by)


def marks_late(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """Marks that would choose another route, set when the route is chosen already."""
    passed = _home(situation, path)
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
                *(f"rule: fwmark {found.mark:#x} lookup {found.table} (priority {found.priority})" for found in chosen),
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
    if chain is not None and uses_iptables(rules.ruleset, chain):
        program = "ip6tables" if rule.family == "ip6" else "iptables"
        where = ["-i", iptables_interface(passed.iif.name)] if passed.iif is not None else []
        words = ["-d", path.packet.destination, "-j", "MARK", "--set-mark", hex(mark)]
        return pasted([program, "-t", "mangle", "-A", "PREROUTING", *where, *words])
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
    name = _free_name(names, "prerouting", "mark_early", "netinspect_mark")
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

    passed = _home(situation, path)
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
    mark = f"fwmark {rule.mark:#x} " if rule.mark is not None else ""
    return finding(
        situation,
        "empty-table",
        severity,
        f"table {rule.table}",
        [
            *evidence,
            f"rule: {rule.priority}: from {rule.source or 'all'} {mark}lookup {rule.table}",
            f"route: table {rule.table} is empty",
        ],
        f"the rule sends packets to table {rule.table}, in which there is no route: they fall through to the next "
        "rule, and "
        "take another way than is meant, past a VPN for example",
        "",
        f"add the route again (ip route add default via NEXT-HOP table {rule.table}), and below it one of type "
        "unreachable with a higher metric, so that nothing leaks when it is gone",
    )


def duplicates(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """Addresses that two machines on one link have."""
    for walk in (path.there, path.back):
        for address, ends in walk.duplicates if walk else ():
            if path.cause == "stray":
                return
            names = ", ".join(f"{end.interface} of {end.stack.label} ({end.interface.address})" for end in ends)
            yield finding(
                situation,
                "duplicate",
                WARNING,
                f"duplicate address {address}",
                [known_by, f"link: {address} is on {names}"],
                f"several machines on the link have the address {address}: which of them gets the packets is chance",
                "",
                "give one of them another address",
            )


def private_primary(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """masquerade takes a private address, though the interface has one that the world knows."""
    passed = _home(situation, path)
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
    if chain is not None and uses_iptables(rules.ruleset, chain):
        program = pasted(
            [
                "ip6tables" if six else "iptables",
                "-t",
                "nat",
                "-I",
                chain.name,
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


def other_uplinks_source(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """A rule translates to the address of another way out than the packet leaves by."""
    passed = _home(situation, path)
    if passed is None or passed.tracked is None or passed.oif is None or passed.tracked.direction == "reply":
        return
    made = passed.tracked.translated.source
    owner = situation.home.owner(made)
    exits = {found.index for found in situation.exits[path.packet.family]}
    if made == passed.tracked.original.source or owner is None or owner.index == passed.oif.index or owner.loopback:
        return
    if made in situation.answered or passed.tracked.entry is not None:
        return  # it works, or it is an old entry, of which another check tells
    hops = [route.gateway for route in situation.defaults if route.interface == owner.name]
    if passed.oif.index not in exits or not (owner.index in exits or hops or made in situation.unanswered):
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
            f"no answer to {made} was seen",
        ],
        f"the source becomes {made}, an address of the other way out {owner}, and the packet leaves by {passed.oif}: "
        "the provider there drops sources that are not its own, or answers come in by the other link",
        "",
        f"translate to the address of {passed.oif} there: masquerade, or a rule for each way out (oifname)",
    )


def one_way(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """Only one direction passes here: connection tracking takes what follows for invalid, and a rule drops that."""
    passed = _home(situation, path)
    back = path.back
    if (
        path.packet.protocol != TCP
        or passed is None
        or passed.tracked is None
        or passed.iif is None
        or passed.oif is None
    ):
        return
    if back is None or path.verdict == "fails" or any(found.stack is situation.home for found in back.passed):
        return
    if path.there.outcome != "delivered" or passed.tracked.state in ("untracked",):
        return
    rules = path.there.rules_of(situation.home)
    tracked = Tracked(passed.leaving or path.packet)
    tracked.state = "invalid"
    stopped = _tried(situation, path, rules, passed, tracked, passed.leaving or path.packet)
    if stopped is None:
        return
    chain, texts = stopped
    yield finding(
        situation,
        "asymmetric",
        ERROR,
        str(chain),
        [
            known_by,
            f"the answer goes from {back.last.source if back.last else '?'} to {path.packet.source} past this machine",
            *texts,
        ],
        f"only one direction of the flow passes here: to connection tracking everything behind its first packet is "
        f"invalid, and a rule of {chain} drops what is invalid",
        accept_fix(
            rules,
            chain,
            (
                "-i",
                iptables_interface(passed.iif.name),
                "-o",
                iptables_interface(passed.oif.name),
                "-m",
                "conntrack",
                "--ctstate",
                "INVALID",
            ),
            f"iifname {nft_interface(passed.iif.name)} oifname {nft_interface(passed.oif.name)} ct state invalid",
        ),
        "it lets packets without a known connection pass from the one link to the other; better have both directions "
        "take one way",
    )


def _tried(
    situation: Situation, path: Path, rules: Rules, passed: Passed, tracked: Tracked, packet: Packet
) -> tuple[Chain, list[str]] | None:
    """The chain that drops a packet in forward, and the rules that apply."""
    from ...netfilter.evaluate import run_hook

    family = "ip6" if packet.family == "inet6" else "ip"
    seen = rules.packet_of(packet, passed.iif, passed.oif, tracked)
    outcomes = run_hook(rules.ruleset, family, "forward", seen, rules.facts).outcomes
    if not all(outcome.verdict.name == "drop" for outcome in outcomes):
        return None
    return _last_drop(rules, outcomes[0])


def _before_routing(rules: Rules, passed: Passed, tracked: Tracked, packet: Packet) -> tuple[Chain, list[str]] | None:
    """The chain that drops a packet from outside before it is routed, and the rules that apply."""
    from ...netfilter.evaluate import run_hook
    from ...netfilter.ruleset import place_of

    family = "ip6" if packet.family == "inet6" else "ip"
    assert passed.iif is not None
    chains = rules.ruleset.base_chains(family, "prerouting")
    parts = (
        ("netdev", "ingress", rules.ruleset.base_chains("netdev", "ingress", passed.iif.name), None),
        (family, "prerouting", [chain for chain in chains if place_of(chain) <= CONNTRACK], None),
        (family, "prerouting", [chain for chain in chains if place_of(chain) > CONNTRACK], tracked),
    )
    for of, hook, asked, known in parts:
        if not asked:
            continue
        seen = rules.packet_of(packet, passed.iif, None, known)
        device = passed.iif.name if of == "netdev" else None
        outcomes = run_hook(rules.ruleset, of, hook, seen, rules.facts, device=device, chains=asked).outcomes
        if all(outcome.verdict.name == "drop" for outcome in outcomes):
            return _last_drop(rules, outcomes[0])
    return None


def _last_drop(rules: Rules, outcome: Outcome) -> tuple[Chain, list[str]] | None:
    last = next((step for step in reversed(outcome.steps) if step.verdict.name == "drop"), None)
    if last is None:
        return None
    texts = [f"nftables: {rules.text(step.rule)}" for step in outcome.steps if step.rule is not None]
    return last.chain, texts or [f"chain: {last.chain}, policy drop"]


def errors_dropped(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """ICMP errors about a flow (related) must come back: without them paths of smaller packets fail in silence."""
    passed = _home(situation, path)
    if passed is None or passed.iif is None or passed.oif is None or passed.tracked is None:
        return
    if passed.tracked.state in ("untracked", "invalid") or (
        path.there.outcome == "dropped" and path.there.stopped_in is situation.home
    ):
        return
    rules = path.there.rules_of(situation.home)
    original = passed.tracked.original
    six = original.family == "inet6"
    error = Packet(ICMPV6 if six else ICMP, passed.tracked.translated.destination, original.source, reply=True)
    error.icmp = 2 if six else 3
    tracked = Tracked(passed.tracked.original)
    tracked.translated = passed.tracked.translated
    tracked.state, tracked.direction = "related", "reply"
    outside = error.but(destination=passed.tracked.translated.source)
    turned = type(passed)(passed.stack, passed.oif)
    turned.oif = passed.iif
    stopped = _before_routing(rules, turned, tracked, outside) or _tried(situation, path, rules, turned, tracked, error)
    if stopped is None:
        return
    established = Tracked(passed.tracked.original)
    established.translated, established.state, established.direction = passed.tracked.translated, "established", "reply"
    answer = passed.tracked.translated.answer()
    inward = answer.but(destination=original.source, destination_port=original.source_port)
    if _before_routing(rules, turned, established, answer) or _tried(
        situation, path, rules, turned, established, inward
    ):
        return  # answers do not pass either: that is another finding
    chain, texts = stopped
    yield finding(
        situation,
        "related",
        WARNING,
        str(chain),
        [known_by, f"an ICMP error about it (ct state related) from {error.source}", *texts],
        "answers pass, and ICMP errors about the flow (host unreachable, packet too big) are dropped: senders wait in "
        "vain, and path MTU discovery fails",
        *_related_fix(rules, chain, six),
    )


def _related_fix(rules: Rules, chain: Chain, six: bool) -> tuple[str, str]:
    """The command that lets errors about flows pass a chain, and what it opens."""
    if chain.hook in ("ingress", "prerouting") or _early(rules, chain):
        kind, program = ("icmpv6", "ipv6-icmp") if six else ("icmp", "icmp")
        words = (
            f"{kind} type {{ destination-unreachable, packet-too-big, time-exceeded, parameter-problem }}"
            if six
            else f"{kind} type {{ destination-unreachable, time-exceeded, parameter-problem }}"
        )
        option = "--icmpv6-type" if six else "--icmp-type"
        return (
            accept_fix(rules, chain, ("-p", program, option, "destination-unreachable" if not six else "2"), words),
            "it lets through ICMP errors, which are no requests; connection tracking sorts out those of no flow",
        )
    return (
        accept_fix(rules, chain, ("-m", "conntrack", "--ctstate", "RELATED"), "ct state related"),
        "it lets through what is about flows that were let through before (with helpers also the connections that they "
        "expect)",
    )


def _early(rules: Rules, chain: Chain) -> bool:
    """Whether a chain that is jumped to is in a table with a chain before connection tracking."""
    return chain.hook is None and any(
        other.hook in ("ingress", "prerouting")
        for other in rules.ruleset.chains.values()
        if (other.family, other.table) == (chain.family, chain.table)
    )
