"""What shows only where every namespace beside is known: ports and addresses that rules name, and others have too.

The last of the checks: a look at every descriptor of the machine finds these namespaces.
"""

from __future__ import annotations

from ..path.listing_segment import Segment
from ..path.walk_packet import TCP, UDP, Packet, endpoint
from .diagnose_astray import duplicate
from .diagnose_findings import ERROR, NOTE, finding, passed_here
from .diagnose_paths import walk_flow
from .diagnose_targets import comes_by, comes_from, target_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding, Socket
    from ..path.walk_path import Path
    from .decode_rules import NatRule
    from .diagnose_situation import Situation

_RULES, _PORTS, _TARGETS = 4, 8, 64
"""At most: so many rules, each tried with so many ports."""


def taken_ports(situation: Situation) -> Iterator[Finding]:
    """Ports on which a program of this machine listens, and which a rule for a range or set of ports sends elsewhere.

    It is meant so where the target listens on that port as well, and it is the target's port: a fault where not.
    """
    rules = [rule for rule in situation.rules if _is_wide(situation, rule)][:_RULES]
    situation.stacks.closely = True
    listening = _listening(situation) if rules else []
    reported = set()
    for rule in rules:
        protocols = rule.protocols() or ("tcp", "udp")
        for found in [found for found in listening if found.protocol in protocols][:_PORTS]:
            path = _path_to(situation, rule, found)
            key = found.protocol, found.local_port
            if path is None or key in reported:
                continue
            passed = passed_here(situation, path)
            if passed is None or passed.tracked is None or not _applies(situation, path, rule):
                continue
            made = passed.tracked.translated
            reported.add(key)
            port = f"{found.protocol} port {found.local_port}"
            target = endpoint(made.destination, made.destination_port)
            yield finding(
                situation,
                "taken-port",
                ERROR if path.cause == "no-socket" and path.where is not situation.home else NOTE,
                port,
                [
                    f"nftables: {rule}",
                    f"sock_diag: a program of this machine listens on {port}",
                    f"a packet as from outside: {path.packet}, translated to {target}",
                    *path.evidence,
                ],
                f"the rule translates several ports, {found.local_port} among them: packets for the program of this "
                f"machine that listens there are sent to {made.destination}",
                "",
                f"leave {found.local_port} out of the rule's ports, or accept it in a rule before",
            )


def shared_targets(situation: Situation) -> Iterator[Finding]:
    """Targets of dnat rules whose address two machines on the link have."""
    situation.stacks.closely = True
    segments: dict[int, Segment] = {}
    home = situation.home
    for rule in situation.rules[:_TARGETS]:
        target = target_of(rule)
        route = home.route(target[0]).route if target is not None else None
        interface = home.named(route.interface) if route is not None else None
        if target is None or route is None or interface is None or route.gateway or home.is_local(target[0]):
            continue
        if interface.index not in segments:
            segments[interface.index] = Segment(situation.stacks, home, interface)
        owners = list(segments[interface.index].with_address(target[0]))
        if len(owners) > 1:
            yield duplicate(situation, target[0], owners, f"nftables: {rule}")


def _is_wide(situation: Situation, rule: NatRule) -> bool:
    """Whether it is for several ports, but not for all: who publishes a host as a whole wants that."""
    if rule.kind not in ("dnat", "redirect") or "prerouting" not in rule.hooks:
        return False
    if any(match.what == "destination_port" and match.equal for match in rule.matches):
        return False
    from ...netfilter.text import rule_text

    return "dport" in rule_text(situation.ruleset, rule.rule)


def _applies(situation: Situation, path: Path, rule: NatRule) -> bool:
    return any(
        step.rule is rule.rule
        for stack, _, outcome in path.there.asked
        for step in outcome.steps
        if stack is situation.home
    )


def _listening(situation: Situation) -> list[Socket]:
    from ..sockets.listing import LISTENING_STATES, Query, SocketListing

    return [
        found
        for batch in SocketListing(Query(("tcp", "udp"), states=LISTENING_STATES), [situation.again()]).batches()
        for found in batch
        if not (found.local_address or "").startswith(("127.", "::1"))
    ]


def _path_to(situation: Situation, rule: NatRule, listening: Socket) -> Path | None:
    """The way of a packet from outside to that port of an address of this machine."""
    family = "inet6" if rule.family() == 6 else "inet"
    values = {match.what: match.value for match in rule.matches if match.equal}
    iif = comes_by(situation, values, family)
    if iif is None:
        return None
    own = [text for text, _ in situation.home.networks(iif) if (":" in text) == (family == "inet6")]
    own = [text for text in own if not text.startswith("fe80:")]
    bound = listening.local_address
    if bound not in (None, "*", "0.0.0.0", "::"):
        own = [text for text in own if text == bound]
    source = comes_from(situation, iif, values, 6 if family == "inet6" else 4)
    if not own or source is None:
        return None
    number = TCP if listening.protocol == "tcp" else UDP
    packet = Packet(number, source, own[0], 0, listening.local_port or 0)
    return next(iter(walk_flow(situation, packet, iif, invented=True)), None)
