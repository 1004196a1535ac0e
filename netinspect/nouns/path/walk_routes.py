"""Routes on a packet's way: in words, and why there is none."""

from __future__ import annotations

from errno import EACCES

from ...engine.prefixes import is_group
from ..routing.render_rules import rule_text
from .listing_stack import family_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...records import Route
    from .listing_stack import Answer, Interface, Stack
    from .walk import Walk
    from .walk_packet import Packet


def hop_of(stack: Stack, route: Route, packet: Packet) -> tuple[Interface | None, str]:
    """The interface and the next hop of a route that was given for one packet."""
    return stack.named(route.interface), route.gateway or packet.destination


def route_interfaces(route: Route | None) -> list[str | None]:
    """The interfaces of a route, of each of its next hops."""
    if route is None:
        return []
    return [route.interface, *(hop.interface for hop in route.next_hops or ())]


def route_text(answer: Answer) -> str:
    """The answer of the routing tables in a line."""
    route, entry = answer.route, answer.entry
    if route is None:
        return "route: none"
    what = entry.destination if entry else route.destination
    text = f"route: {route.type if route.type != 'unicast' else ''} {what}".replace("  ", " ")
    if route.gateway:
        text += f" via {route.gateway}"
    text += f" dev {route.interface} table {(entry or route).table}"
    return text + (f" (rule {rule_text(answer.rule)})" if answer.rule else "")


def doubted(walk: Walk, stack: Stack, packet: Packet, answer: Answer) -> None:
    """Says of which rules it is not known whether they send the packet elsewhere."""
    for rule, reason in answer.doubts:
        text = rule_text(rule)
        why = f"it is not known whether the policy rule {text} is for it: {reason}"
        walk.unknowable(stack, "route", f"rule {rule.priority}", packet, f"rule: {text}", why=why)


def refused(walk: Walk, stack: Stack, packet: Packet, answer: Answer, iif: Interface | None) -> None:
    """There is no route, or one that refuses."""
    entry = answer.entry
    rule = f" (rule {rule_text(answer.rule)})" if answer.rule else ""
    doubted(walk, stack, packet, answer)
    if answer.refused:
        # ip-rule(8) deletes the first that has the priority.
        same = [one for one in stack.rules(packet.family) if answer.rule and one.priority == answer.rule.priority]
        where = (
            f"route: {answer.refused} {entry.destination} in table {entry.table}{rule}"
            if entry
            else f"rule: {rule_text(answer.rule)}"
            if answer.rule
            else ""
        )
        fix: list[str] | str = ""
        if entry is not None and entry.next_hop_id is not None:
            where += f", of next-hop object {entry.next_hop_id}"
        elif entry is not None:
            fix = [
                "ip",
                *(["-6"] if packet.family == "inet6" else []),
                "route",
                "del",
                answer.refused,
                entry.destination,
                "table",
                entry.table,
            ]
            if entry.metric:
                fix += ["metric", str(entry.metric)]
        elif answer.rule is not None and len(same) == 1:
            fix = [
                "ip",
                *(["-6"] if packet.family == "inet6" else []),
                "rule",
                "del",
                "pref",
                str(answer.rule.priority),
            ]
        walk.dropped(
            stack,
            "route",
            f"{answer.refused} {entry.destination if entry else packet.destination}",
            packet,
            answer.refused,
            [where],
            f"a {'route' if entry else 'rule'} of type {answer.refused} is for {packet.destination}: its packets "
            "are dropped"
            + {
                "blackhole": " silently",
                "prohibit": ", and the sender is notified (administratively prohibited)",
            }.get(answer.refused, ", and the sender is notified that the host is unreachable"),
            fix,
            advice="it may be there on purpose: see who made it (protocol) before it is removed"
            if fix
            else "give the next-hop object a gateway: "
            + walk.run_in(stack, f"ip nexthop replace id {entry.next_hop_id} via NEXT-HOP dev LINK")
            if entry is not None
            else f"several rules have the priority {answer.rule.priority}: delete this one by all its conditions"
            if answer.rule
            else "",
            entry=entry,
        )
        return
    if answer.errno == EACCES:
        cause, why = "prohibit", "a rule or route of type prohibit is for it"
    elif iif is not None and is_group(packet.destination):
        cause, why = (
            "no-route",
            f"{packet.destination} is a group (multicast): it is for who joined it on {iif}, which nothing here did, "
            "and only multicast routing passes it on",
        )
    else:
        cause, why = (
            "no-route",
            f"no route leads to {packet.destination}: there is no entry for it, and no default route",
        )
    evidence = [
        f"route: the kernel knows no route to {packet.destination}"
        + (f" with mark {packet.mark:#x}" if packet.mark else "")
    ]
    walk.dropped(
        stack,
        "route",
        f"no route to {packet.destination}",
        packet,
        cause,
        evidence,
        why,
        advice=_advice(walk, stack, packet),
        address=packet.destination,
        iif=iif,
    )


def _advice(walk: Walk, stack: Stack, packet: Packet) -> str:
    version = "-6 " if packet.family == "inet6" else ""
    if walk.before is not None:
        for passed in reversed(walk.before.passed):
            # Who forwarded the packet here can take the answer.
            if passed.stack is stack or passed.oif is None:
                continue
            for address, _ in passed.stack.networks(passed.oif):
                if family_of(address) == packet.family and stack.on_link(address) is not None:
                    return walk.run_in(stack, f"ip {version}route add {packet.destination} via {address}")
            break
    return f"add a route: {walk.run_in(stack, f'ip {version}route add default via NEXT-HOP')}"
