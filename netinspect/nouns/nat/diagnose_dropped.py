"""A rule or a policy drops the packet: which fault of a gateway is that?"""

from __future__ import annotations

import re

from ..path.walk_opening import opening
from ..path.walk_packet import Packet, endpoint
from ..path.walk_reasons import why_not
from ..path.walk_rules import Rules
from ..path.walk_steps import iptables_interface, nft_interface
from .diagnose_findings import ERROR, finding, passed_here
from .diagnose_legacy import legacy_subject
from .diagnose_opening import accept_fix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from ...netfilter.decode import Chain
    from ...records import Finding
    from ..path.walk_path import Path
    from .diagnose_situation import Situation


UNSERVED = re.compile(r"has no (local |active |ready )?endpoints|kube-proxy|\bKUBE-(EXTERNAL-)?SERVICES\b")
"""What kube-proxy's rules for a service without a backend have."""
_MOST_RULES = 200
"""Rules of a chain that are looked at for what they lack."""


def dropped(
    situation: Situation, path: Path, evidence: Sequence[str], facts: dict[str, Any], *, asked: bool
) -> Finding:
    """The finding for a packet that ``facts["chain"]`` of this machine drops."""
    walk = path.failed
    assert walk is not None
    rules = walk.rules_of(situation.home)
    chain: Chain = facts["chain"]
    packet: Packet = facts["seen"]
    hook: str = facts["hook"]
    passed = next((found for found in reversed(walk.passed) if found.stack is situation.home), None)
    tracked = passed.tracked if passed is not None else None
    subject = str(chain)
    if facts["bridge"] is not None:
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
    if step.rule is None:
        evidence = [*evidence, *_near(situation, path, chain, hook)]
    known = rules.ruleset.iptables(chain)
    if known is not None and known[0].endswith("-legacy"):
        evidence = [*evidence, f"{known[0]}: table {known[1]}; nft list ruleset does not show it"]
        if step.rule is None:
            subject = legacy_subject(chain.family, chain.name)
    what = "rule" if step.rule is not None else "policy"
    fix = opening(chain, hook, packet, walk) if asked else ""
    advice = path.advice
    if step.rule is not None and any(map(UNSERVED.search, (subject, *path.evidence))):
        fix = ""
        advice = "the service has no backend here that is ready: start one, or ask where there is one"
    elif fix and walk.before is None and hook == "forward" and situation.beyond(packet.destination):
        fix = ""
        advice = (
            f"no network here has {packet.destination}, so letting it pass does not help: if it is the address of a "
            "service, no rule translates it to a backend (a service without endpoints)"
        )
    return finding(
        situation,
        "rule" if subject == str(chain) else "legacy-policy",
        ERROR,
        subject,
        evidence,
        f"{path.why} ({what} of {chain}, hook {hook}: dropped by it)",
        fix,
        "it opens this chain for exactly such packets, and nothing else: paste it only if they are meant to pass"
        if fix
        else advice,
    )


def _near(situation: Situation, path: Path, chain: Chain, hook: str) -> Iterator[str]:
    """The rules of a chain that come nearest to accepting what its policy drops, and what they lack."""
    walk = path.failed
    passed = passed_here(situation, path)
    if walk is None or walk.before is not None or passed is None:
        return
    rules = walk.rules_of(situation.home)
    oif = passed.oif or situation.home.route_to(path.packet.destination) if hook == "forward" else None
    seen = rules.packet_of(walk.facts["seen"], passed.iif, oif, passed.tracked)
    reasons = []
    for rule in rules.ruleset.rules.get(chain.key, ())[:_MOST_RULES]:
        if rules.text(rule).endswith((" accept", "ACCEPT")):
            reason = why_not(rules, hook, seen, rule, walk.outcome_of(situation.home, hook))
            if reason is not None and reason.held:
                reasons.append(reason)
    reasons.sort(key=lambda reason: -reason.held)
    for reason in reasons[:2]:
        yield f"nftables: {rules.text(reason.rule)}: {reason.text}"


def _selector(packet: Packet) -> str:
    version = "ip6" if packet.family == "inet6" else "ip"
    protocol = {6: "tcp", 17: "udp", 132: "sctp", 33: "dccp"}.get(packet.protocol)
    port = f" {protocol} dport {packet.destination_port}" if protocol and packet.destination_port else ""
    return f"{version} daddr {packet.destination}{port}"


def _iptables_selector(packet: Packet) -> list[str]:
    protocol = {6: "tcp", 17: "udp", 132: "sctp", 33: "dccp"}.get(packet.protocol)
    port = ["-p", protocol, "--dport", str(packet.destination_port)] if protocol and packet.destination_port else []
    return ["-d", packet.destination, *port]


def _bridged(situation: Situation, path: Path, evidence: Sequence[str], chain: Chain, rules: Rules) -> Finding:
    walk = path.failed
    assert walk is not None
    step = walk.failure
    # In prerouting it has no way out yet, and in postrouting the way in is not known to rules of iptables.
    name = walk.facts["bridge"].name
    sides = {"prerouting": ("iif",), "postrouting": ("oif",)}.get(walk.facts["hook"], ("iif", "oif"))
    iptables = [word for side in sides for word in (f"-{side[0]}", iptables_interface(name))]
    return finding(
        situation,
        "br-netfilter",
        ERROR,
        f"bridged frames on {name}",
        evidence,
        "br_netfilter (bridge-nf-call) has frames that are only bridged pass the rules for routed packets: "
        f"{step.why if step else path.why}",
        accept_fix(rules, chain, iptables, " ".join(f"{side}name {nft_interface(name)}" for side in sides)),
        "it lets pass what is bridged from port to port, as without br_netfilter; where no rules are meant for bridged "
        "frames: sysctl -w net.bridge.bridge-nf-call-iptables=0",
    )
