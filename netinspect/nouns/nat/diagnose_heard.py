"""Packets that were heard coming in, and got no entry: what keeps them is decided by walking each kind.

Rules that drop are mostly meant to. So only what nobody means counts: a cause that is no rule, a limit that most of
what is sent goes over, a policy that bridged frames come under, a service that kube-proxy knows no backend of.
"""

from __future__ import annotations

from ..path.listing_segment import Segment
from ..path.walk_packet import TCP, Packet, endpoint
from ..path.walk_steps import FAILS, sysctl_set
from .diagnose_dropped import UNSERVED
from .diagnose_findings import ERROR, NOTE, WARNING, families, finding, passed_here
from .diagnose_paths import found_on, reported, targeted, walk_flow, world_of
from .diagnose_redirected import not_redirected
from .diagnose_sender import of_sender
from .listing import is_global

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding
    from ..path.listing_stack import Interface
    from ..path.walk_path import Path
    from .diagnose_capture import Asked
    from .diagnose_hearing import Hearing
    from .diagnose_situation import Network, Situation

_KINDS, _PACKETS = 12, 64
"""Kinds of flows that are walked, and packets whose entries are looked up, at most."""
_FEW = 3
"""First packets that a limit drops which are no accident any more."""
_SENDERS = 16
"""Senders of each network that are asked for their routes, at most."""
_NEVER = 8
"""arp_ignore: no answer for any address."""
_ROUTE_TYPES = ("blackhole", "prohibit", "unreachable", "no-route")


class Kind:
    """First packets of one kind that were heard, and got no entry."""

    __slots__ = ("bridged", "iif", "number", "packet")

    def __init__(self, packet: Packet, iif: Interface, *, bridged: bool) -> None:
        self.packet = packet
        self.iif = iif
        self.bridged = bridged
        """Whether both ends are on the same bridge."""
        self.number = 0


def of_heard(situation: Situation) -> Iterator[Finding]:
    """First packets from inside that got no entry, and those that a bridge should pass on."""
    kinds, all_of_them = _lost(situation)
    for kind in kinds:
        paths = walk_flow(situation, kind.packet, kind.iif, home_only=not kind.bridged)
        known_by = f"packet heard on {kind.iif}: {kind.packet}, {kind.number} without an entry"
        failing = [path for path in paths if path.cause is not None and path.where is situation.home]
        if not failing:
            if not kind.bridged and situation.home_tracks:
                yield from found_on(situation, paths, known_by, asked=False)
            continue
        ruled = [path for path in failing if path.cause in ("rule", "policy")]
        if kind.bridged:
            yield from _of_bridged(situation, ruled, known_by)
        elif not ruled:
            yield from _of_ways(situation, paths, failing, known_by)
        elif len(paths) > len(ruled):
            if _most_lost(situation, kind, all_of_them):
                yield from _over_limit(situation, ruled[0], known_by, all_of_them)
        elif _unserved(situation, ruled[0]):
            yield from reported(situation, ruled[0], known_by)


def _lost(situation: Situation) -> tuple[list[Kind], int]:
    """The kinds of first packets without an entry, and how many first packets there were in all."""
    hearing: Hearing = situation.hearing
    kinds: dict[tuple[object, ...], Kind] = {}
    number = 0
    found = [(packet, False) for packet in hearing.attempts()] + [(packet, True) for packet in hearing.bridged()]
    for heard, bridged in found[:_PACKETS]:
        iif = hearing.interface(heard)
        if iif is None:
            continue
        number += 1
        source_port, port = heard.ports
        key = heard.protocol, heard.source, heard.destination, port
        if key not in kinds and len(kinds) >= _KINDS:
            continue
        if hearing.has_entry(heard):
            continue
        if key not in kinds:
            packet = Packet(heard.protocol, heard.source, heard.destination, source_port, port)
            kinds[key] = Kind(packet, iif, bridged=bridged)
        kinds[key].number += 1
    return list(kinds.values()), number


def _of_bridged(situation: Situation, ruled: list[Path], known_by: str) -> Iterator[Finding]:
    """Frames from port to port: a policy is made for what is routed; a rule may be meant for them."""
    for path in ruled[:1]:
        if path.cause == "policy" and path.failed is not None and path.failed.facts.get("bridge") is not None:
            yield from reported(situation, path, known_by)


def _of_ways(situation: Situation, paths: list[Path], failing: list[Path], known_by: str) -> Iterator[Finding]:
    """What stops them is no rule. Routes that throw away single networks are mostly meant to."""
    first = failing[0]
    meant = first.cause in _ROUTE_TYPES and first.failed is not None
    if meant and first.failed is not None:
        entry = first.failed.facts.get("entry")
        everything = entry is not None and str(getattr(entry, "destination", "")).endswith("/0")
        meant = not everything and (entry is not None or not is_global(first.packet.destination))
    for found in found_on(situation, paths, known_by, asked=False):
        yield found._replace(severity=NOTE) if meant and found.check == "route" else found


def _most_lost(situation: Situation, kind: Kind, number: int) -> bool:
    return kind.number >= _FEW and 2 * kind.number > number


def _over_limit(situation: Situation, path: Path, known_by: str, number: int) -> Iterator[Finding]:
    """Most of what inside hosts send is over a limit, or under one that lets too little pass."""
    for found in reported(situation, path, known_by):
        yield found._replace(
            severity=WARNING,
            evidence=(*found.evidence, f"{number} first packets were heard from inside meanwhile"),
            why=f"{found.why}. It is a limit that decides, and it drops most of what inside hosts send now",
            fix="",
            advice="let more pass, if hosts are to send that much: a limit is for all of them together unless it "
            "counts by address",
        )


def _unserved(situation: Situation, path: Path) -> bool:
    """Whether a rule of kube-proxy refuses the packet: it makes one for each service that has no backend."""
    step = path.failed.failure if path.failed is not None else None
    return step is not None and any(UNSERVED.search(text) for text in (path.why or "", step.subject, *path.evidence))


def of_wanted(situation: Situation) -> Iterator[Finding]:
    """First packets for this machine, or for what rules send on, that got no entry: is what they want there?

    A port that nobody offers is no fault, since others knock at every port: a rule must be for it.
    """
    hearing: Hearing = situation.hearing
    home = situation.home
    seen: dict[tuple[object, ...], int] = {}
    for heard in hearing.begun():
        source_port, port = heard.ports
        key = heard.protocol, heard.interface, heard.destination, port
        iif = hearing.interface(heard)
        if iif is None or seen.get(key, 0) >= _FEW or (key not in seen and len(seen) >= _KINDS):
            continue
        if not home.is_local(heard.destination) and heard.destination not in situation.traffic.aimed:
            continue
        seen[key] = seen.get(key, 0) + 1
        if hearing.has_entry(heard):
            continue
        packet = Packet(heard.protocol, heard.source, heard.destination, source_port, port)
        known_by = f"packet heard on {iif}: {packet}, without an entry now"
        seen[key] = _FEW
        for path in walk_flow(situation, packet, iif)[:1]:
            yield from _unavailable(situation, path, known_by)


def _unavailable(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """Why a client does not get what it wants, by rules that translate."""
    if path.cause == "no-socket":
        if targeted(path):
            yield from reported(situation, path, known_by)
        elif path.where is situation.home:
            found = not_redirected(situation, path, [known_by, *path.evidence], asked=False, never=True)
            if found is not None:
                yield found
        return
    if path.cause == "hairpin-mode" or (
        path.cause == "rule" and path.where is situation.home and _unserved(situation, path)
    ):
        yield from reported(situation, path, known_by)
    if path.verdict == FAILS or not targeted(path):
        return
    passed = passed_here(situation, path)
    if passed is None or passed.tracked is None:
        return
    target, port = passed.tracked.translated.destination, passed.tracked.translated.destination_port
    resets = [packet for packet in situation.hearing.packets if packet.refuses and packet.source == target]
    if not port or not any(packet.ports[0] == port for packet in resets):
        return
    where = endpoint(target, port)
    yield finding(
        situation,
        "dnat-target",
        ERROR,
        where,
        [known_by, f"rule: {passed.tracked.original} is translated to {where}", f"packet heard: a reset from {where}"],
        f"{where}, which a rule translates to, refuses connections: nothing listens there, or rules there reject them",
        "",
        "start the service there, or put the port of the rule right",
    )


def of_senders(situation: Situation) -> Iterator[Finding]:
    """Hosts of inside networks that can be looked at: whether they have a way to the world that is there."""
    for family, networks, _ in families(situation):
        for network in networks:
            iif = situation.home.interfaces.get(network.interface.index)
            if iif is None or not iif.works:
                continue
            segment = Segment(situation.stacks, situation.home, iif)
            for end in segment.with_address(network.address):
                if end.stack is not situation.home:
                    where = f"{end.interface} of {end.stack.label} ({end.interface.address})"
                    yield _taken(situation, network, f"link: {network.address} is on {where}", WARNING)
            if segment.beyond or segment.dead:
                continue
            for end in segment.ends[:_SENDERS]:
                if end.stack is situation.home:
                    continue
                for text, length in end.stack.networks(end.interface):
                    if (":" in text) == (family == "inet6") and situation.home.on_link(text) is iif and length < 127:
                        packet = Packet(TCP, text, world_of(situation, family), 0, 443)
                        yield from of_sender(situation, packet, iif, asked=False)
                        break


def _taken(situation: Situation, network: Network, seen: str, severity: str) -> Finding:
    """Another machine has the address that hosts of a network know this one by."""
    found = network.interface
    return finding(
        situation,
        "duplicate",
        severity,
        f"duplicate address {network.address}",
        [f"address: {network} on {found} here ({found.address})", seen],
        f"another machine on the link also has the address {network.address}: which of the two gets the packets of "
        "its hosts is chance",
        "",
        "give one of the two another address; then, on the machines beside: ip neigh flush to " + network.address,
    )


def of_requests(situation: Situation) -> Iterator[Finding]:
    """Requests (ARP) for what is on another link: who asks takes it for a neighbour."""
    home = situation.home
    from .diagnose_claims import answers_for
    from .diagnose_links import filtered, not_proxied

    reported_of = set()
    for request in situation.hearing.asked:
        heard_on = home.named(request.interface)
        heard_on = heard_on if heard_on is None else home.bridge_of(heard_on) or heard_on
        if ":" in request.wanted:
            unproxied = not_proxied(situation, heard_on, request) if heard_on is not None else None
            if unproxied is not None and request.wanted not in reported_of:
                reported_of.add(request.wanted)
                yield unproxied
            continue
        iif = home.on_link(request.source)
        if iif is not None and iif is not heard_on and heard_on is not None and request.source not in reported_of:
            kept_back = filtered(situation, heard_on, request)
            if kept_back is not None:
                reported_of.add(request.source)
                yield kept_back
        if iif is None or heard_on is None or iif is not heard_on:
            continue
        for network in situation.networks:
            if network.interface is heard_on and network.address == request.source:
                seen = f"ARP heard on {request.interface}: {request.sender} asks as {request.source}"
                yield _taken(situation, network, seen, ERROR)
        if home.owner(request.wanted) is iif and request.source not in reported_of and not _answers(situation, iif):
            reported_of.add(request.source)
            yield _unanswered(situation, iif, request)
        if not situation.is_inside(iif):
            unproxied = not_proxied(situation, iif, request)
            if unproxied is not None and request.wanted not in reported_of:
                reported_of.add(request.wanted)
                yield unproxied
            continue
        if request.source in reported_of or home.is_local(request.wanted) or home.on_link(request.wanted) is iif:
            continue
        way = home.route_to(request.wanted)
        if way is None or way is iif or answers_for(situation, iif, request.wanted):
            continue
        reported_of.add(request.source)
        seen = f"ARP request heard on {request.interface}: {request.source} asks who has {request.wanted}"
        packet = Packet(TCP, request.source, request.wanted, 0, 443)
        found = [found._replace(evidence=(seen, *found.evidence[1:])) for found in of_sender(situation, packet, iif)]
        yield from found or [
            finding(
                situation,
                "sender",
                ERROR,
                f"{request.wanted} on the link of {request.source}",
                [seen, f"route: {request.wanted} is reached by {way}"],
                f"{request.source} takes {request.wanted} for a host on its own link, and asks for it there: the "
                "prefix of its address is too short, or a route has no gateway. Its packets do not come here",
                "",
                f"put its prefix length or route right; or have this gateway answer for {request.wanted} (proxy_arp)",
            )
        ]


def _answers(situation: Situation, iif: Interface) -> bool:
    """Whether ARP is answered on an interface at all (ip-sysctl: 8 never answers; the larger of all's and its own)."""
    return max(situation.home.own("ipv4", name, "arp_ignore") or 0 for name in ("all", iif.name)) != _NEVER


def _unanswered(situation: Situation, iif: Interface, request: Asked) -> Finding:
    settings = {name: situation.home.own("ipv4", name, "arp_ignore") for name in ("all", iif.name)}
    wrong = [name for name, value in settings.items() if value == _NEVER]
    return finding(
        situation,
        "neighbour-discovery",
        ERROR,
        f"arp_ignore on {iif}",
        [
            f"ARP request heard on {request.interface}: {request.source} asks who has {request.wanted}",
            *(f"net.ipv4.conf.{name}.arp_ignore = {value}" for name, value in settings.items()),
        ],
        f"{request.wanted} is an address of this machine, and it answers for none: nobody on the link finds it, once "
        "what they know of it is forgotten",
        "; ".join(sysctl_set(f"net/ipv4/conf/{name}/arp_ignore", 0) for name in wrong),
    )
