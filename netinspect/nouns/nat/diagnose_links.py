"""What goes wrong on the links of a gateway: who answers for whom, MAC addresses that two have, tunnels."""

from __future__ import annotations

from ...engine.prefixes import is_group
from ..path.walk_routes import route_text
from ..path.walk_steps import pasted, sysctl_set
from .diagnose_claims import answers_for
from .diagnose_findings import ERROR, finding
from .diagnose_misrouted import networks_with

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding
    from ..path.listing_stack import Interface
    from .diagnose_capture import Asked
    from .diagnose_situation import Situation

_TURNS = 4
"""Turns of a MAC address from port to port and back that no move explains."""
_BY_TURNS = (bytes((0, 0, 0x5E, 0, 1)), bytes((0, 0, 0x5E, 0, 2)))
"""RFC 9568: MAC addresses of VRRP, which routers have by turns."""


def filtered(situation: Situation, iif: Interface, request: Asked) -> Finding | None:
    """arp_filter keeps an answer back, since packets to who asks would leave by another interface."""
    home = situation.home
    settings = {name: home.own("ipv4", name, "arp_filter") or 0 for name in ("all", iif.name)}
    if home.owner(request.wanted) is not iif or not any(settings.values()):
        return None
    if not networks_with(situation, iif, request.source):
        return None
    answer = home.route(request.source, source=request.wanted)
    way = home.named(answer.route.interface) if answer.route is not None else None
    if way is None or way is iif:
        return None
    if any(other is not iif for other in situation.hearing.heard_on(request.source)):
        return None  # one link with two interfaces: the other one answers
    return finding(
        situation,
        "neighbour-discovery",
        ERROR,
        f"arp_filter on {iif}",
        [
            f"ARP request heard on {request.interface}: {request.source} asks who has {request.wanted}",
            *(f"net.ipv4.conf.{name}.arp_filter = {value}" for name, value in settings.items()),
            route_text(answer),
        ],
        f"{request.wanted} is an address of {iif}, and arp_filter has ARP answered where packets to who asks leave; "
        f"those to {request.source} leave by {way}, another link. It is not answered, and would not get its packets",
        "",
        f"give the links of {iif} and {way} networks of their own, or have answers to {request.source} leave by {iif}",
    )


def not_proxied(situation: Situation, iif: Interface, request: Asked) -> Finding | None:
    """Who asks on the way out takes an address for one on its link, which a route of its own leads to elsewhere."""
    home, wanted = situation.home, request.wanted
    if home.is_local(wanted) or wanted.startswith("fe80:") or situation.is_inside(iif):
        return None
    answer = home.route(wanted, matched=True)
    way = home.named(answer.route.interface) if answer.route is not None else None
    entry = answer.entry
    if way is None or way is iif or way.loopback or entry is None or entry.destination.endswith("/0"):
        return None
    if answers_for(situation, iif, wanted) or not networks_with(situation, iif, wanted):
        return None
    six = ":" in wanted
    how = "neighbour solicitation" if six else "ARP request"
    name = "proxy_ndp" if six else "proxy_arp"
    setting = f"net/{'ipv6' if six else 'ipv4'}/conf/{iif.name}/{name}"
    version = ["-6"] if six else []
    commands = [sysctl_set(setting, 1)] if six else []
    commands.append(pasted(["ip", *version, "neigh", "add", "proxy", wanted, "dev", iif.name]))
    return finding(
        situation,
        "proxy",
        ERROR,
        f"{wanted} on {iif}: nobody answers",
        [f"{how} heard on {request.interface}: {request.source} asks who has {wanted}", route_text(answer)],
        f"who asks takes {wanted} for a neighbour; it is behind {way} here, and this machine does not answer for it "
        f"({name}): packets for it do not come",
        "; ".join(commands),
        f"or have the router beyond {iif} send what is for {wanted} here by a route",
    )


def hardware(situation: Situation) -> Iterator[Finding]:
    """MAC addresses that two machines have: heard by turns on two ports of a bridge, or an own one from outside."""
    home = situation.home
    for address, names in situation.hearing.moves.items():
        if address[:5] in _BY_TURNS or not any(address) or address[0] & 1:
            continue
        text = address.hex(":")
        ports = [found for name in dict.fromkeys(names) if (found := home.named(name)) is not None]
        for port in ports:
            on = home.bridge_of(port) or port
            own = next((one for one in (port, on) if one.address == text and not one.loopback), None)
            if own is not None and (port.master is None or on is not port):  # the links of a bond have one address
                yield _duplicate(
                    situation,
                    text,
                    [f"link: {own} has {text}", f"frame heard on {port}: from {text}"],
                    f"frames come in by {port} with the MAC address of {own} itself: another machine on the link has "
                    "it too (a copied machine), or the link is a loop. Answers to it are taken for this one's",
                )
                break
        bridges = {found.index: found for found in map(home.bridge_of, ports) if found is not None}
        for bridge in bridges.values():
            turns = [name for name in names if (one := home.named(name)) and home.bridge_of(one) is bridge]
            if len(turns) >= _TURNS and len(set(turns)) > 1:
                yield _duplicate(
                    situation,
                    text,
                    [f"frames heard on {bridge}: from {text} by {', '.join(turns)}, one after another"],
                    f"the MAC address {text} is behind several ports of {bridge}: two machines have it (one is a copy "
                    "of the other), or the ports are a loop. Frames for it go to the port that was heard last",
                )


def _duplicate(situation: Situation, address: str, evidence: list[str], why: str) -> Finding:
    subject, advice = f"duplicate MAC address {address}", "give one of the two another MAC address, or find the loop"
    return finding(situation, "duplicate", ERROR, subject, evidence, why, "", advice)


def tunnels(situation: Situation) -> Iterator[Finding]:
    """Tunnels whose own end is no address of this machine, or whose other end is reached through themselves."""
    from ..links.listing import LinkListing

    kinds = {found.kind for found in situation.interfaces.values()}
    if kinds.isdisjoint(_TUNNELS):
        return
    for batch in LinkListing(places=[situation.again()]).batches():
        for link in batch:
            details = link.vxlan or link.tunnel
            found = situation.home.named(link.name)
            if details is None or found is None or not found.up:
                continue
            local, remote = getattr(details, "local", None), getattr(details, "remote", None)
            yield from _ends(situation, found, local, remote)


_TUNNELS = frozenset(
    ("vxlan", "geneve", "gre", "gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan", "ipip", "ip6tnl", "sit", "vti")
)


def _ends(situation: Situation, tunnel: Interface, local: str | None, remote: str | None) -> Iterator[Finding]:
    home = situation.home
    if local is not None and local not in ("0.0.0.0", "::") and not home.is_local(local):
        yield finding(
            situation,
            "tunnel",
            ERROR,
            f"{tunnel}: own end {local}",
            [
                f"link: {tunnel} ({tunnel.kind}) has the local address {local}",
                f"address: {local} is none of this machine",
            ],
            f"the tunnel {tunnel} sends from {local}, an address that this machine does not have (any more): nothing "
            "leaves by it, or no answer comes back",
            "",
            f"make {tunnel} anew with the address of today, or give {local} back",
        )
        return
    if remote is None or remote in ("0.0.0.0", "::") or is_group(remote):
        return
    answer = home.route(remote, matched=True)
    if answer.route is None:
        how, advice = "no route leads there: nothing leaves by it", f"add a route to {remote}"
    elif answer.route.interface == tunnel.name:
        how = "the route to it leads into the tunnel itself: what it sends would have to pass it first, and is dropped"
        advice = f"add a route to {remote} by the link below: ip route add {remote} via ROUTER dev LINK"
    else:
        return
    yield finding(
        situation,
        "tunnel",
        ERROR,
        f"{tunnel}: other end {remote}",
        [f"link: {tunnel} ({tunnel.kind}) has the remote address {remote}", route_text(answer)],
        f"the other end of the tunnel {tunnel} is {remote}, and {how}",
        "",
        advice,
    )
