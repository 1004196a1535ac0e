"""What leaves a namespace: forwarded (forward), or sent by a program there (output); then both by postrouting."""

from __future__ import annotations

from .walk_policies import comes_in, goes_out
from .walk_routes import doubted, hop_of, refused, route_text
from .walk_steps import SPREAD, UNKNOWN, pasted
from .walk_tracking import track
from .walk_translation import translated

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...records import Route
    from .listing_stack import Answer, Interface, Stack
    from .walk import Passed, Walk
    from .walk_packet import Packet

_TOO_LARGE = (
    "larger packets that may not be fragmented are dropped here, and the sender is notified by ICMP: where that is "
    "filtered, connections hang once they send much"
)


class Leaving:
    """A packet that has a route, perhaps to an own address."""

    __slots__ = ("answer", "next_hop", "oif", "packet", "route", "spread")

    def __init__(self, stack: Stack, packet: Packet, answer: Answer) -> None:
        assert answer.route is not None
        self.packet = packet
        self.answer = answer
        self.route: Route = answer.route
        self.oif, self.next_hop = hop_of(stack, answer.route, packet)
        self.spread: list[str] = []
        """The next hops that flows are spread over, in words, where there are several."""


def forwarded(walk: Walk, passed: Passed, packet: Packet, answer: Answer) -> Leaving | None:
    """A forwarded packet, after the forward hook."""
    leaving = _routed(walk, passed.stack, packet, answer)
    if not _has_interface(walk, passed.stack, leaving):
        return None
    if not comes_in(walk, passed.stack, passed.iif, packet, forwarded=True):
        return None
    if not _lives(walk, passed.stack, passed.iif, packet) or _has_socket(walk, passed.stack, packet, leaving):
        return None
    aged = packet if packet.ttl is None else packet.but(ttl=packet.ttl - 1)
    if not goes_out(walk, passed.stack, leaving.oif, packet):
        return None
    rules = walk.rules_of(passed.stack)
    on = rules.late(walk, passed.stack, "forward", aged, passed.iif, leaving.oif, passed.tracked)
    if on is None:
        return None
    leaving.packet = on
    return leaving


def _has_socket(walk: Walk, stack: Stack, packet: Packet, leaving: Leaving) -> bool:
    """Whether tproxy gave it to a socket: such a packet is for this machine, or dropped (net/ipv4/ip_forward.c)."""
    outcome = walk.outcome_of(stack, "prerouting")
    action = outcome.action("tproxy") if outcome is not None else None
    if action is None:
        return False
    known = next((rule for rule in stack.rules(packet.family) if rule.mark and rule.mark == packet.mark), None)
    six = ["-6"] if packet.family == "inet6" else []
    mark = f"{packet.mark:#x}" if packet.mark else "MARK"
    table = str(known.table) if known is not None else "TABLE"
    steps = [pasted(["ip", *six, "route", "add", "local", "default", "dev", "lo", "table", table])]
    if known is None:
        steps.insert(0, pasted(["ip", *six, "rule", "add", "fwmark", mark, "lookup", table]))
    walk.dropped(
        stack,
        "forward",
        f"tproxy without a route of type local, mark {packet.mark:#x}",
        packet,
        "tproxy",
        [f"rule: {walk.rules_of(stack).text(action.rule)}", f"route: {route_text(leaving.answer)}"],
        "a tproxy rule gave it to a socket of this machine, and the routes send it on: such a packet is dropped. What "
        f"has the mark {packet.mark:#x} needs a policy rule to a table with a route of type local",
        advice=walk.run_in(stack, "; ".join(steps)),
    )
    return True


def _lives(walk: Walk, stack: Stack, iif: Interface | None, packet: Packet) -> bool:
    """Whether its time to live allows one more router (net/ipv4/ip_forward.c, net/ipv6/ip6_output.c)."""
    if packet.ttl is None or packet.ttl > 1:
        return True
    made = [
        (where, action.rule) for where, outcome in walk.lived for action in outcome.actions if action.kind == "header"
    ]
    walk.dropped(
        stack,
        "forward",
        f"time to live (TTL) on {iif}",
        packet,
        "ttl",
        [
            f"packet: its time to live (TTL) is {packet.ttl} where it is to be forwarded",
            *(f"rule: {walk.rules_of(where).text(rule)}" for where, rule in made),
        ],
        "its time to live (TTL, hop limit) is over: a router drops a packet that arrives with 1, and notifies the "
        "sender (time exceeded)" + ("; a rule set it" if made else ""),
        advice="delete the rule that sets it, or have it set a larger one" if made else "",
        interface=iif,
        made=[rule for where, rule in made if where is stack],
    )
    return False


def sent(walk: Walk, passed: Passed, packet: Packet) -> Leaving | None:
    """A packet that a program, or the kernel, sends, behind the output hook."""
    stack, rules = passed.stack, walk.rules_of(passed.stack)
    answer = _look_up(stack, packet)
    if answer.route is None:
        refused(walk, stack, packet, answer, None)
        return None
    if not packet.source and answer.route.preferred_source:
        packet = packet.but(source=answer.route.preferred_source)
    leaving = _routed(walk, stack, packet, answer)
    if not goes_out(walk, stack, leaving.oif, packet):
        return None
    rules.rerouted = False
    on = rules.early(walk, stack, "output", packet, None, leaving.oif)
    if on is None:
        return None
    passed.tracked = track(walk, stack, on)
    on = rules.late(walk, stack, "output", on, None, leaving.oif, passed.tracked)
    if on is None:
        return None
    on = translated(walk, stack, on, passed.tracked, "destination", None, leaving.oif)
    if on is not None:
        on = walk.rules_of(stack).behind(walk, "output", on, None, leaving.oif, passed.tracked)
    if on is None:
        return None
    if (on.mark, on.tos) != (packet.mark, packet.tos) and not rules.rerouted and on.destination == packet.destination:
        why = (
            "its mark or type of service was set by a chain of type filter: it has been routed by what it had before "
            "(a chain of type route has it routed again)"
        )
        walk.passes(stack, "route", f"still dev {leaving.oif}", on, why=why)
    elif (on.destination, on.mark, on.tos) != (packet.destination, packet.mark, packet.tos):
        again = _look_up(stack, on)  # net/netfilter: ip_route_me_harder
        if again.route is None:
            refused(walk, stack, on, again, None)
            return None
        leaving = _chosen(walk, stack, on, again)
        doubted(walk, stack, on, again)
        walk.passes(stack, "route", f"again: dev {leaving.oif}", on, route_text(again), *leaving.spread)
    leaving.packet = on
    return leaving


def may_leave(walk: Walk, passed: Passed, leaving: Leaving) -> bool:
    """Whether it is known by what it leaves; notes that and the MTU there."""
    if not _has_interface(walk, passed.stack, leaving):
        return False
    assert leaving.oif is not None
    _note_mtu(walk, passed.stack, leaving.oif, leaving.route, leaving.packet)
    passed.oif = leaving.oif
    return True


def postrouted(walk: Walk, passed: Passed, leaving: Leaving) -> Packet | None:
    """The packet behind the postrouting hook."""
    stack, oif, packet = passed.stack, leaving.oif, leaving.packet
    walk.next_hop = passed.next_hop = leaving.next_hop
    passed.leaving = packet
    rules = walk.rules_of(stack)
    on = rules.late(walk, stack, "postrouting", packet, passed.iif, oif, passed.tracked)
    before = on
    if on is not None:
        on = translated(walk, stack, on, passed.tracked, "source", passed.iif, oif)
    if on is not None and on is not before and not goes_out(walk, stack, oif, on):
        return None  # what is translated is looked up again (net/netfilter/nf_nat_core.c: nf_xfrm_me_harder)
    return None if on is None else rules.behind(walk, "postrouting", on, passed.iif, oif, passed.tracked)


def _look_up(stack: Stack, packet: Packet) -> Answer:
    return stack.route(
        packet.destination,
        source=packet.source if stack.is_local(packet.source) else None,
        oif=packet.zone,
        mark=packet.mark,
        tos=packet.routed_by,
        protocol=packet.protocol,
        ports=packet.ports,
        matched=True,
    )


def _routed(walk: Walk, stack: Stack, packet: Packet, answer: Answer) -> Leaving:
    doubted(walk, stack, packet, answer)
    leaving = _chosen(walk, stack, packet, answer)
    via = f"via {leaving.next_hop} " if leaving.next_hop != packet.destination else ""
    walk.passes(stack, "route", f"{via}dev {leaving.oif}", packet, route_text(answer), *leaving.spread)
    return leaving


def _chosen(walk: Walk, stack: Stack, packet: Packet, answer: Answer) -> Leaving:
    """By one of the route's next hops: that of the kernel's answer, or another where the walk is to take that.

    The hash that chooses may be of the card, of the socket or of inner headers: a look-up tells one of the ways only.
    """
    leaving = Leaving(stack, packet, answer)
    entry = answer.entry
    hops = [hop for hop in (entry.next_hops if entry else None) or () if "dead" not in hop.flags]
    if leaving.oif is None or len(hops) < 2:
        return leaving
    ways = sorted(
        ((stack.named(hop.interface), hop.gateway or packet.destination) for hop in hops),
        key=lambda way: way != (leaving.oif, leaving.next_hop),
    )
    leaving.oif, leaving.next_hop = ways[walk.forked(stack, len(ways), SPREAD)]
    named = ", ".join(f"via {hop.gateway or 'the link'} dev {hop.interface} weight {hop.weight}" for hop in hops)
    leaving.spread = [f"next hops: {named}: a hash of the flow chooses"]
    return leaving


def _has_interface(walk: Walk, stack: Stack, leaving: Leaving) -> bool:
    if leaving.oif is not None:
        return True
    why = "the interface of the route is not known"
    walk.ends(stack, "route", route_text(leaving.answer), UNKNOWN, leaving.packet, why=why)
    walk.unknown.append("the interface of the route")
    return False


def _note_mtu(walk: Walk, stack: Stack, oif: Interface, route: Route, packet: Packet) -> None:
    learned = route.pmtu or (route.metrics.mtu if route.metrics else None)
    mtu = min(oif.mtu, learned) if learned else oif.mtu
    if walk.narrow is not None and mtu >= walk.narrow[0]:
        return
    iif = walk.passed[-1].iif if walk.passed else None
    if walk.narrow is not None or (iif is not None and iif.mtu > mtu):
        evidence = f"mtu of {oif}: {oif.mtu}" + (f", learned: {learned}" if learned else "")
        walk.passes(stack, "mtu", f"{mtu} bytes on {oif}", packet, evidence, why=_TOO_LARGE)
    walk.narrow = (mtu, stack, oif)
