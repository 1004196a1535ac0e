"""What rules drop of a flow that gets through: its later packets, and ICMP errors about it."""

from __future__ import annotations

import re

from ..path.walk_packet import ICMP, ICMPV6, TCP, Packet, Tracked
from ..path.walk_rules import CONNTRACK, Rules
from ..path.walk_steps import iptables_interface, nft_interface
from ..path.walk_translation import own_address
from .diagnose_findings import ERROR, WARNING, finding, passed_here
from .diagnose_opening import accept_fix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...netfilter.decode import Chain
    from ...netfilter.evaluate import Outcome
    from ...records import Finding
    from ..path.walk import Passed
    from ..path.walk_path import Path
    from .diagnose_situation import Situation


_SIZE = re.compile(r"maxseg size set (\d+)")


def one_way(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """Only one direction passes here: connection tracking takes what follows for invalid, and a rule drops that."""
    passed = passed_here(situation, path)
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
    stopped = tried(situation, path, rules, passed, tracked, passed.leaving or path.packet)
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


def tried(
    situation: Situation, path: Path, rules: Rules, passed: Passed, tracked: Tracked, packet: Packet
) -> tuple[Chain, list[str]] | None:
    """The chain that drops a packet in forward, and the rules that apply."""
    from ...netfilter.evaluate import run_hook

    family = "ip6" if packet.family == "inet6" else "ip"
    seen = rules.packet_of(packet, passed.iif, passed.oif, tracked)
    outcomes = run_hook(rules.ruleset, family, "forward", seen, rules.facts).outcomes
    if not all(outcome.verdict.name == "drop" for outcome in outcomes):
        return None
    return last_drop(rules, outcomes[0])


def before_routing(rules: Rules, passed: Passed, tracked: Tracked, packet: Packet) -> tuple[Chain, list[str]] | None:
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
            return last_drop(rules, outcomes[0])
    return None


def last_drop(rules: Rules, outcome: Outcome) -> tuple[Chain, list[str]] | None:
    last = outcome.drop
    if last is None:
        return None
    texts = [f"nftables: {rules.text(step.rule)}" for step in outcome.steps if step.rule is not None]
    return last.chain, texts or [f"chain: {last.chain}, policy drop"]


def errors_dropped(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """ICMP errors about a flow (related) must come back: without them paths of smaller packets fail in silence."""
    passed = passed_here(situation, path)
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
    stopped = before_routing(rules, turned, tracked, outside) or tried(situation, path, rules, turned, tracked, error)
    if stopped is None:
        return
    established = Tracked(passed.tracked.original)
    established.translated, established.state, established.direction = passed.tracked.translated, "established", "reply"
    answer = passed.tracked.translated.answer()
    inward = answer.but(destination=original.source, destination_port=original.source_port)
    if before_routing(rules, turned, established, answer) or tried(situation, path, rules, turned, established, inward):
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


def own_errors_dropped(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """What this machine notifies senders of, where packets are too large for the way out, must leave it."""
    from ...netfilter.evaluate import run_hook

    passed = passed_here(situation, path)
    if passed is None or passed.iif is None or passed.oif is None or passed.tracked is None:
        return
    mtu = _narrow(situation, path, passed)
    own = own_address(situation.home, passed.iif, path.packet.family)
    if mtu is None or passed.iif.mtu <= mtu or own is None:
        return
    rules = path.there.rules_of(situation.home)
    original = passed.tracked.original
    six = original.family == "inet6"
    error = Packet(ICMPV6 if six else ICMP, own, original.source, reply=True)
    error.icmp = 2 if six else 3
    tracked = Tracked(original)
    tracked.translated, tracked.state, tracked.direction = passed.tracked.translated, "related", "reply"
    seen = rules.packet_of(error, None, passed.iif, tracked)
    outcomes = run_hook(rules.ruleset, "ip6" if six else "ip", "output", seen, rules.facts).outcomes
    stopped = last_drop(rules, outcomes[0]) if all(found.verdict.name == "drop" for found in outcomes) else None
    if stopped is None:
        return
    chain, texts = stopped
    kind = "icmpv6 type packet-too-big" if six else "icmp type destination-unreachable"
    option = ("-p", "ipv6-icmp", "--icmpv6-type", "2") if six else ("-p", "icmp", "--icmp-type", "3")
    yield finding(
        situation,
        "related",
        WARNING,
        str(chain),
        [
            known_by,
            f"mtu: {mtu} on {passed.oif}, {passed.iif.mtu} on {passed.iif}",
            f"an ICMP error about it (packet too big) from {own}, sent here",
            *texts,
        ],
        "packets that are too large for the way out are dropped here, and the ICMP error that says so is dropped too: "
        "senders do not learn the path MTU, and connections hang once they send much",
        accept_fix(rules, chain, option, kind),
        "it lets this machine notify senders, and nothing else",
    )


def clamped_too_large(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """A rule that gives TCP a segment size that does not fit the way out."""
    passed = passed_here(situation, path)
    mtu = _narrow(situation, path, passed) if passed is not None else None
    if passed is None or mtu is None:
        return
    headers = 60 if path.packet.family == "inet6" else 40
    rules = path.there.rules_of(situation.home)
    sizes = [(action.number, rules.text(action.rule)) for where, action in path.there.clamped if where is passed.stack]
    # A size that no segment of the usual kind exceeds changes nothing, and is no action.
    for rule in situation.rules if not sizes else ():
        text = rules.text(rule.rule) if rule.kind == "clamp" else ""
        sizes += [(int(found), text) for found in _SIZE.findall(text)]
    for size, text in sizes[:1]:
        if size is None or size + headers <= mtu:
            continue
        yield finding(
            situation,
            "mtu",
            WARNING,
            f"segments of TCP by {passed.oif}",
            [known_by, f"nftables: {text}", f"mtu: {mtu} on {passed.oif}"],
            f"the rule allows segments of {size} bytes: with {headers} bytes of headers they do not fit {mtu} bytes on "
            "the way out, and connections hang once they send much, where ICMP is filtered",
            "",
            f"clamp to {mtu - headers}, or to the path (tcp option maxseg size set rt mtu; iptables: "
            "--clamp-mss-to-pmtu)",
        )


def _narrow(situation: Situation, path: Path, passed: Passed) -> int | None:
    """The MTU of the way out of this machine, where that is where it is smallest."""
    narrow = path.there.narrow
    return narrow[0] if narrow is not None and narrow[1] is situation.home and narrow[2] is passed.oif else None


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
