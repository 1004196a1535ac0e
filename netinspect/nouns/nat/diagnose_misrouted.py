"""Hosts on a link of this machine to which its routes do not lead by that link, and links on which IPv6 is off."""

from __future__ import annotations

from ..path.listing_stack import inside_of
from ..path.walk_path import incoming
from ..path.walk_routes import route_text
from ..path.walk_steps import FAILS, pasted, sysctl_set
from .diagnose_findings import ERROR, VERSIONS, WARNING, finding, passed_here
from .diagnose_untranslated import network_text
from .listing import is_global

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...records import Finding
    from ..path.listing_stack import Interface
    from ..path.walk_packet import Packet
    from ..path.walk_path import Path
    from .diagnose_situation import Situation


def way_in(situation: Situation, packet: Packet) -> tuple[str, Interface | None]:
    """Source and incoming interface of a packet: where its source was heard on its own link, that; else by routes.

    Raises UsageError.
    """
    source, iif = incoming(situation.home, packet.source or None, packet.destination, None, None)
    heard = [found for found in situation.hearing.heard_on(source) if networks_with(situation, found, source)]
    return source, iif if iif is None or not heard or iif in heard else heard[0]


def networks_with(situation: Situation, found: Interface, address: str) -> list[tuple[str, int]]:
    """The networks of an interface that an address is of."""
    return [
        (text, length)
        for text, length in situation.home.networks(found)
        if (":" in text) == (":" in address) and inside_of(address, f"{text}/{length}")
    ]


def misrouted(situation: Situation, path: Path, evidence: Sequence[str]) -> Finding | None:
    """A host on the link that its packets come in by, and answers to it leave by another."""
    home, iif, source = situation.home, path.iif, path.packet.source
    if path.back is None or path.verdict != FAILS or iif is None or not networks_with(situation, iif, source):
        return None
    passed = next((found for found in path.back.passed if found.stack is home), None)
    if passed is None or passed.oif is None or passed.oif is iif:
        return None
    oif = passed.oif
    answer = home.route(source, source=passed.leaving.source if passed.leaving else None, iif=passed.iif, matched=True)
    if answer.route is None or answer.route.interface != oif.name:
        answer = home.route(source, matched=True)
    entry = answer.entry
    text, length = networks_with(situation, iif, source)[0]
    network = network_text(text, length)
    six = ["-6"] if ":" in source else []
    fix, why = "", ""
    others = [f"address: {one}/{size} on {oif}" for one, size in home.networks(oif) if _same(network, one, size)]
    if others:
        why = f"the same network is on {iif} and on {oif}, and packets to it leave by {oif}"
        advice = "give one of the two networks other addresses"
    elif entry is None or entry.destination.endswith("/0"):
        why = f"no route leads to {network}, the network of {iif}, so that only the default route is left"
        fix = pasted(["ip", *six, "route", "add", network, "dev", iif.name, *([] if six else ["src", text])])
        advice = (
            "the kernel makes this route with the address, unless that has noprefixroute, and not again once it is "
            "deleted"
        )
    else:
        why = f"the route to {entry.destination} is more specific than the one to {network}, and leads elsewhere"
        gone = ["via", entry.gateway] if entry.gateway else ["dev", oif.name]
        place = [] if entry.table == "main" else ["table", str(entry.table)]
        advice = f"delete it, or narrow it: {pasted(['ip', *six, 'route', 'del', entry.destination, *gone, *place])}"
    return finding(
        situation,
        "return-route",
        ERROR,
        f"{source} on {iif}: answers leave by {oif}",
        [
            evidence[0],
            f"address: {text}/{length} on {iif}",
            *others,
            f"answers: {route_text(answer)}",
            *(
                f"packet heard on {found}: from {source}"
                for found in situation.hearing.heard_on(source)
                if found is iif
            ),
        ],
        f"{source} is on the link of {iif}, and answers to it leave by {oif}: {why}",
        fix,
        advice,
    )


def sent_astray(situation: Situation, path: Path, evidence: Sequence[str]) -> Finding | None:
    """It fails beyond this machine, to which it should not have gone: its destination is on another link here, or it
    went back to where it came from.
    """
    home, passed = situation.home, passed_here(situation, path)
    if path.failed is not path.there or path.where is home or passed is None or passed.iif is None:
        return None
    oif, leaving = passed.oif, passed.leaving
    if oif is None or leaving is None or path.cause not in _ASTRAY:
        return None
    to = leaving.destination
    answer = home.route(
        to, source=leaving.source, iif=passed.iif, mark=leaving.mark, protocol=leaving.protocol, matched=True
    )
    if answer.route is None or answer.route.interface != oif.name:
        return None  # a rule or a translation has changed what it is routed by
    own = home.on_link(to)
    if own is not None and own is not oif and own.works:
        text, length = networks_with(situation, own, to)[0]
        return finding(
            situation,
            "route",
            ERROR,
            f"{to} is on {own}: packets for it leave by {oif}",
            [evidence[0], f"address: {text}/{length} on {own}", route_text(answer), *evidence[1:]],
            f"{to} is on the link of {own}, and the route and policy rule that decide send packets from {passed.iif} "
            f"for it out of {oif}",
            "",
            f"a route to {network_text(text, length)} in that table too, or a policy rule before it that looks into "
            "main for all but the default route: ip rule add lookup main suppress_prefixlength 0 pref NUMBER",
        )
    if oif is not passed.iif or own is not None or (passed.tracked is not None and "dnat" in passed.tracked.status):
        return None
    if (
        oif not in situation.exits[leaving.family]
        or answer.entry is None
        or not answer.entry.destination.endswith("/0")
    ):
        return None  # to another router of this link, by a route that is meant for it
    return finding(
        situation,
        "route",
        ERROR,
        f"{to}: it leaves by {oif} again, which it came in by",
        [
            evidence[0],
            route_text(answer),
            *(f"nftables: {rule}" for rule in situation.source_rules(leaving.family)[:2]),
            *evidence[1:],
        ],
        f"no rule translates the destination {to} (dnat, prefix), and no route to a network inside is for it: the "
        "packet goes back to where it came from",
        "",
        f"a dnat rule for {to}, if it is an address of somebody inside; else a route to its network",
    )


_ASTRAY = frozenset(("forwarding", "loop", "ttl", "no-route", "unreachable", "blackhole", "prohibit", "neighbour"))
"""What becomes of a packet that comes to a machine that does not expect it."""


def _same(network: str, text: str, length: int) -> bool:
    return (":" in text) == (":" in network) and network_text(text, length) == network


def of_nowhere(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """A private source of which only the default route is known: nobody inside has it, as far as is known here."""
    packet, iif = path.packet, path.iif
    if iif is None or is_global(packet.source) or situation.home.on_link(packet.source) is not None:
        return
    way = situation.beyond(packet.source)
    if way is None or iif not in situation.exits[packet.family] or situation.home.is_local(packet.destination):
        return
    version = VERSIONS[packet.family]
    off = list(_switched_off(situation)) if packet.family == "inet6" else []
    yield finding(
        situation,
        "return-route",
        ERROR,
        f"{packet.source}: no network here",
        [
            known_by,
            f"route: {packet.source} is reached by {way.destination} alone, dev {iif}",
            *(f"net.ipv6.conf.{found}.disable_ipv6 = 1" for found in off),
        ],
        f"no interface here has a network with the private address {packet.source}, and no route but the default one "
        f"leads to it: answers leave by {iif} again"
        + (f". {version} is switched off on {', '.join(map(str, off))}" if off else ""),
        _switch_on(off),
        _CONFIGURED if off else f"add the address of the network, or a route to {packet.source}",
    )


_CONFIGURED = "its addresses went when it was switched off: have what configures the interface add them again"


def _switched_off(situation: Situation) -> Iterator[Interface]:
    """Interfaces that are up, and on which IPv6 is off."""
    for found in situation.interfaces.values():
        if found.up and not found.loopback and found.master is None and situation.own("disable_ipv6", found, "ipv6"):
            yield found


def _switch_on(off: Sequence[Interface]) -> str:
    return "; ".join(sysctl_set(f"net/ipv6/conf/{found.name}/disable_ipv6", 0) for found in off)


def ipv6_off(situation: Situation) -> Iterator[Finding]:
    """Rules translate IPv6, and no network inside has it since it is switched off there."""
    if not situation.source_rules("inet6") or any(network.family == "inet6" for network in situation.inside):
        return
    if not any(rule.family() == 6 for rule in situation.rules):
        return  # a table of both families may be meant for IPv4 alone
    exits = situation.exits["inet6"]
    off = [found for found in _switched_off(situation) if found not in exits]
    if not exits or not off or not situation.setting("net.ipv6.conf.all.forwarding"):
        return
    yield finding(
        situation,
        "ipv6-off",
        WARNING,
        f"IPv6 is switched off on {', '.join(map(str, off))}",
        [
            *(f"net.ipv6.conf.{found}.disable_ipv6 = 1" for found in off),
            f"way out for IPv6: {', '.join(map(str, exits))}",
            *(f"nftables: {rule}" for rule in situation.source_rules("inet6")[:2]),
        ],
        "rules translate IPv6 on the way out, IPv6 is forwarded, and no network inside has it: what hosts there send "
        "is dropped where it comes in",
        _switch_on(off),
        _CONFIGURED,
    )
