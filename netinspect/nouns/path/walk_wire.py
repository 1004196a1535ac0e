"""From one interface to the next: the state of links, neighbours, and the wires, veth pairs and bridges between."""

from __future__ import annotations

from ...engine.prefixes import is_group
from .listing_segment import Crossing, End, Segment, Wire, state_of
from .walk_bridges import filtered, over_bridge
from .walk_steps import LEAVES, UNKNOWN
from .walk_tunnels import encapsulated, is_tunnel, keeps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...records import Neighbour, Route
    from .listing_stack import Interface, Stack
    from .walk import Walk
    from .walk_packet import Packet

    Arrival = tuple[Stack, Interface, Packet]
    """Where a packet comes in: a namespace, an interface that has addresses (no port of a bridge), and the packet."""

_NO_ADDRESSES = frozenset(("tun", "wireguard", "ipip", "gre", "sit", "ip6tnl", "ppp", "vti", "xfrm"))
"""Kinds of links without link-layer address resolution."""
_ETHERNET = frozenset(("veth", "bridge", "bond", "team", "vlan", "macvlan"))
"""Kinds of Ethernet links whose neighbours must be asked for; others, such as ipvlan and modems, do without."""


def link_works(walk: Walk, stack: Stack, interface: Interface, packet: Packet, how: str) -> bool:
    """Whether a link lets a packet in or out."""
    evidence = f"link: {interface} is {'up' if interface.works else state_of(interface)}, mtu {interface.mtu}"
    if interface.works:
        walk.passes(stack, "link", f"{how} {interface}", packet, evidence)
        return True
    if interface.up:
        why = f"{interface} has no carrier: the other end is down, or the cable is out"
        walk.dropped(
            stack,
            "link",
            f"{interface} is {state_of(interface)}",
            packet,
            "no-carrier",
            [evidence],
            why,
            advice=f"look at the other end of {interface}",
            interface=interface,
        )
    else:
        why = f"{interface} is switched off"
        walk.dropped(
            stack,
            "link",
            f"{interface} is {state_of(interface)}",
            packet,
            "link-down",
            [evidence],
            why,
            ["ip", "link", "set", "dev", interface.name, "up"],
            interface=interface,
        )
    return False


def transmitted(walk: Walk, stack: Stack, oif: Interface, next_hop: str, packet: Packet) -> Arrival | None:
    """From an interface to the next machine; None where the packet's way ends, or leaves what can be looked at."""
    walk.last, walk.end = packet, (stack, oif)
    group = group_of(stack, oif, packet.destination)
    if group:
        walk.to_many = True
        walk.ends(
            stack, "wire", f"leaves by {oif}", LEAVES, packet, f"{group}: everybody on the link of {oif} may hear it"
        )
        return None
    if _keeps_silent(walk, stack, oif, next_hop, packet):
        return None
    if walk.home_only and stack is walk.home:
        if oif.kind == "bridge":
            crossing = Crossing(stack, oif, None, _port_to(stack, oif, next_hop))
            if crossing.exit is not None:
                crossing.filtered(None)
                if filtered(walk, crossing, packet):
                    return None
            on = walk.rules_of(stack).bridged(walk, crossing, packet)
            if on is None:
                return None
        if walk.before is not None or not _known_dead(walk, stack, oif, next_hop, packet):
            walk.ends(stack, "wire", f"leaves by {oif}", LEAVES, packet)
        return None
    segment = Segment(walk.stacks, stack, oif)
    neighbour = stack.neighbour(oif, next_hop) if _asks(oif) else None
    evidence = [_neighbour_text(oif, next_hop, neighbour)]
    known = _known(neighbour)
    tunnel = End(stack, oif, ()) if is_tunnel(oif) else _tunnel_of(segment, known)
    asked = tunnel is not None and known is None and _asks(oif) and not any(segment.with_address(next_hop))
    if tunnel is not None and asked and keeps(walk, tunnel.stack, tunnel.interface, packet, next_hop, None):
        return None
    if known is None and _asks(oif) and (oif.name, next_hop) in stack.unresolved:
        owner = next(iter(segment.with_address(next_hop)), None)
        there = f"link: {next_hop} is on {owner.interface} of {owner.stack.label}" if owner is not None else ""
        _unanswering(walk, stack, oif, next_hop, packet, there)
        return None
    end = _receiver(walk, segment, oif, next_hop, known)
    if (end is None or not end.stack.is_local(next_hop)) and segment.look_further():
        end = _receiver(walk, segment, oif, next_hop, known)
    if end is None and (
        not segment.beyond or (known is None and neighbour is not None and neighbour.state == "failed")
    ):
        _nobody(walk, segment, stack, oif, next_hop, packet, known, evidence)
        return None
    if not _asks(oif):
        evidence = []
    if end is None:
        if neighbour is not None and neighbour.state == "incomplete":
            walk.unknown.append(f"{next_hop} has not answered on {oif} yet")
        if tunnel is not None:
            if tunnel.via:
                walk.passes(stack, "neighbour", next_hop, packet, *evidence)
            at = _along(walk, tunnel, known, packet, oif.address)
            return None if at is None else _tunnelled(walk, *at, next_hop, known, oif.address)
        beyond = f"beyond: {'; '.join(segment.beyond)}"
        walk.ends(stack, "wire", f"leaves by {oif}", LEAVES, packet, *evidence, beyond)
        return None
    if known is None and _asks(oif):
        from .walk_resolving import kept_away

        own = next((text for text, _ in stack.networks(oif) if (":" in text) == (":" in next_hop)), None)
        away = kept_away(walk, stack, oif, own, next_hop, end)
        if away:
            _unasked(walk, stack, oif, next_hop, packet, [*evidence, *away])
            return None
    taken = f"link: {end.interface} of {end.stack.label} takes it"
    if end.interface.address:
        taken += f" ({end.interface.address})"
    walk.passes(stack, "neighbour", next_hop, packet, *evidence, taken)
    return _along(walk, end, known or end.interface.address, packet, oif.address)


def _tunnel_of(segment: Segment, known: str | None) -> End | None:
    """The tunnel by which a frame leaves a wire of bridges, where it is that alone; ``known`` is its receiver."""
    ends = [
        end
        for end in segment.leaving
        for last in end.via[-1:]
        if isinstance(last, Crossing) and (not known or last.stack.port_for(last.bridge, known) in (None, last.exit))
    ]
    return ends[0] if len(ends) == 1 and is_tunnel(ends[0].interface) else None


def _tunnelled(
    walk: Walk,
    stack: Stack,
    tunnel: Interface,
    packet: Packet,
    next_hop: str,
    known: str | None,
    sender: str | None,
) -> Arrival | None:
    """Through a tunnel, and on over the bridge that its other end is a port of."""
    arrival = encapsulated(walk, stack, tunnel, packet, next_hop, known)
    if arrival is None or arrival[0].bridge_of(arrival[1]) is None:
        return arrival
    there, taking, packet = arrival
    segment = Segment(walk.stacks, there, taking, coming=True)
    end = _receiver(walk, segment, taking, next_hop, known)
    if end is None:
        why = f"who takes it behind {taking} in {there.label} is not known"
        walk.unknown.append(why)
        walk.ends(there, "tunnel", str(taking), UNKNOWN, packet, why=why)
        return None
    return _along(walk, end, known or end.interface.address, packet, sender)


def _unasked(walk: Walk, stack: Stack, oif: Interface, next_hop: str, packet: Packet, evidence: list[str]) -> None:
    """Nothing is known of a neighbour, and what it would be asked by does not pass."""
    asked = _question(next_hop)
    why = f"{asked} for {next_hop} does not pass: its link-layer address cannot be found"
    _unreached(walk, stack, oif, next_hop, packet, evidence, why, f"have {asked} pass there")


def _question(next_hop: str) -> str:
    return "neighbour discovery" if ":" in next_hop else "ARP"


def _unreached(
    walk: Walk,
    stack: Stack,
    oif: Interface,
    next_hop: str,
    packet: Packet,
    evidence: list[str],
    why: str,
    advice: str = "",
) -> None:
    """Dropped, since the link-layer address of a neighbour cannot be found."""
    walk.dropped(
        stack,
        "neighbour",
        f"{next_hop} on {oif}",
        packet,
        "neighbour",
        evidence,
        why,
        advice=advice or f"look whether {next_hop} is up, and whether it is on the link of {oif}",
        next_hop=next_hop,
        interface=oif,
    )


def _keeps_silent(walk: Walk, stack: Stack, oif: Interface, next_hop: str, packet: Packet) -> bool:
    """Whether ARP is off on a link that needs it: frames bear its own address (net/ipv4/arp.c: arp_constructor)."""
    if "noarp" not in oif.flags or oif.type_number != 1 or oif.kind not in _ETHERNET or "pointopoint" in oif.flags:
        return False
    neighbour = stack.neighbour(oif, next_hop)
    if neighbour is not None and neighbour.state not in ("noarp", "failed", "incomplete"):
        return False  # an entry that somebody made
    walk.dropped(
        stack,
        "neighbour",
        f"ARP is switched off on {oif}",
        packet,
        "arp-off",
        [f"link: {oif} has the flag noarp", _neighbour_text(oif, next_hop, neighbour)],
        f"no neighbour is asked for on {oif}, and none is answered: frames for {next_hop} bear the MAC address of "
        f"{oif} itself, and nobody takes them",
        ["ip", "link", "set", "dev", oif.name, "arp", "on"],
        interface=oif,
        next_hop=next_hop,
    )
    return True


def group_of(stack: Stack, oif: Interface, destination: str) -> str:
    """What kind of address for many it is, for which no neighbour is asked (RFC 1112, RFC 4291); empty for others."""
    if is_group(destination):
        return "multicast"
    if ":" in destination:
        return ""
    from _socket import inet_aton

    number = int.from_bytes(inet_aton(destination), "big")
    for text, length in stack.networks(oif):
        if ":" not in text and length < 31:
            hosts = (1 << 32 - length) - 1
            if number == int.from_bytes(inet_aton(text), "big") | hosts:
                return "broadcast"
    return "broadcast" if destination == "255.255.255.255" else ""


def from_port(walk: Walk, stack: Stack, bridge: Interface, packet: Packet) -> Packet | None:
    """What comes in by a bridge has passed the bridge's own rules, from the port that its sender is behind."""
    if bridge.kind != "bridge":
        return packet
    rules = walk.rules_of(stack)
    chains = rules.ruleset.base_chains
    own = any(chains("bridge", hook) for hook in ("prerouting", "input"))
    own = own or any(chains("netdev", "ingress", port.name) for port in stack.ports(bridge))
    if not own and not stack.tags(bridge):
        return packet
    port = _sender_port(walk, stack, bridge, packet)
    if port is None:
        why = f"by which port of {bridge} it comes in is not known, and the bridge has rules, or filters"
        walk.unknowable(stack, "bridge", bridge.name, packet, why=why)
        return packet
    on = rules.ingress(walk, stack, port, packet)
    if on is None:
        return None
    crossing = Crossing(stack, bridge, port, None)
    crossing.filtered(None)
    if filtered(walk, crossing, on):
        return None
    walk.passes(stack, "bridge", crossing, on)
    return rules.bridged(walk, crossing, on)


def turned_back(
    walk: Walk, stack: Stack, bridge: Interface, before: Packet, packet: Packet, route: Route | None
) -> bool:
    """Whether a bridge keeps back what br_netfilter translated to a machine behind the port that it came in by.

    Such a frame is bridged and not routed (net/bridge/br_netfilter_hooks.c: br_nf_pre_routing_finish).
    """
    if bridge.kind != "bridge" or before.destination == packet.destination or route is None:
        return False
    if route.interface != bridge.name or (setting := stack.filtering_bridged(packet.family)) is None:
        return False
    hop = route.gateway or packet.destination
    port = _port_behind(walk, stack, bridge, hop)
    known = stack.bridge_port(port) if port is not None else None
    if port is None or known is None or known.hairpin is not False:
        return False
    if _sender_port(walk, stack, bridge, before) is not port:
        return False
    part = Crossing(stack, bridge, port, port)
    walk.dropped(
        stack,
        "bridge",
        part,
        packet,
        "hairpin-mode",
        [
            f"conntrack: {before} becomes {packet}",
            f"fdb: {hop} is behind {port}",
            f"bridge port: {port} has hairpin off",
            f"{setting} = 1: what is translated there is bridged, not routed",
        ],
        f"it is translated to a machine behind the port that it came in by (hairpin): the bridge {bridge} sends "
        f"nothing back out of {port}",
        ["bridge", "link", "set", "dev", port.name, "hairpin", "on"],
        interface=port,
    )
    return True


def _sender_port(walk: Walk, stack: Stack, bridge: Interface, packet: Packet) -> Interface | None:
    """The port of a bridge that a packet comes in by, where that is known."""
    back = stack.route(packet.source).route
    return _port_behind(walk, stack, bridge, (back.gateway if back is not None else None) or packet.source)


def _port_behind(walk: Walk, stack: Stack, bridge: Interface, address: str) -> Interface | None:
    """The port of a bridge behind which an address is, as its table has it or as the wire is seen."""
    port = _port_to(stack, bridge, address)
    return port or _port(next(Segment(walk.stacks, stack, bridge).with_address(address), None))


def _port_to(stack: Stack, bridge: Interface, address: str) -> Interface | None:
    """The port of a bridge behind which an address is, where that is known."""
    known = _known(stack.neighbour(bridge, address))
    if known is not None:
        port = stack.port_for(bridge, known)
        return None if port is bridge else port
    ports = stack.ports(bridge)
    return ports[0] if len(ports) == 1 else None


def _asks(oif: Interface) -> bool:
    """Whether neighbours are asked for their link-layer addresses on it."""
    return not ("noarp" in oif.flags or "pointopoint" in oif.flags or oif.kind in _NO_ADDRESSES or oif.loopback)


def _known(neighbour: Neighbour | None) -> str | None:
    return neighbour.link_address if neighbour and neighbour.state not in ("failed", "incomplete") else None


def _neighbour_text(oif: Interface, next_hop: str, neighbour: Neighbour | None) -> str:
    if neighbour is None:
        return f"neighbour: {next_hop} dev {oif} is not known yet"
    return f"neighbour: {next_hop} dev {oif} {_known(neighbour) or ''} {neighbour.state}".replace("  ", " ")


def _receiver(walk: Walk, segment: Segment, oif: Interface, next_hop: str, known: str | None) -> End | None:
    """Who takes it on the link: by the MAC address where that is known, else who has the address of the next hop."""
    owners = list(segment.with_address(next_hop))
    if len(owners) > 1:
        walk.duplicates.append((next_hop, owners))
    if known is not None:
        return segment.with_link_address(known, next_hop)
    if owners:
        return owners[0]
    if not segment.beyond and not _asks(oif) and segment.ends:
        return segment.ends[0]
    return None


def _nobody(
    walk: Walk,
    segment: Segment,
    stack: Stack,
    oif: Interface,
    next_hop: str,
    packet: Packet,
    known: str | None,
    evidence: list[str],
) -> None:
    """Dropped, because no host on the link accepts it."""
    if known is not None:
        walk.dropped(
            stack,
            "neighbour",
            f"{next_hop} on {oif}",
            packet,
            "neighbour-wrong",
            [*evidence, *segment.dead],
            f"nobody on that link has the MAC address {known}: the entry is wrong, or the machine is gone",
            ["ip", "neigh", "del", next_hop, "dev", oif.name],
            next_hop=next_hop,
            interface=oif,
        )
        return
    silent = [
        f"{found.stack.label} has it, and does not answer on {found.interface}: {found.silent(next_hop)}"
        for found in segment.ends
        if found.stack.is_local(next_hop) and found.silent(next_hop)
    ]
    others = {
        f"{text} on {found.interface} of {found.stack.label}"
        for found in segment.ends
        for text, _ in found.stack.networks(found.interface)
    }
    there = f"on the link of {oif}: {', '.join(sorted(others)) or 'nobody'}"
    why = f"nobody on the link of {oif} answers for {next_hop}: the machine is down or gone, or has another address"
    _unreached(walk, stack, oif, next_hop, packet, [*evidence, *segment.dead, *silent, there], why)


def _known_dead(walk: Walk, stack: Stack, oif: Interface, next_hop: str, packet: Packet) -> bool:
    """Whether it is known already that the next hop does not answer."""
    neighbour = stack.neighbour(oif, next_hop)
    if _known(neighbour) is None and (oif.name, next_hop) in stack.unresolved:
        _unanswering(walk, stack, oif, next_hop, packet, "")
        return True
    if neighbour is None or neighbour.state != "failed":
        return False
    why = f"{next_hop} does not answer on {oif}: the machine is down or gone, or has another address"
    _unreached(walk, stack, oif, next_hop, packet, [f"neighbour: {next_hop} dev {oif} failed"], why)
    return True


def _unanswering(walk: Walk, stack: Stack, oif: Interface, next_hop: str, packet: Packet, there: str) -> None:
    """A neighbour that was asked for all the time, and did not answer."""
    asked = _question(next_hop)
    blocking = walk.rules_of(stack).against_neighbours(oif, next_hop)
    state = f"neighbour: {next_hop} dev {oif} incomplete or failed all the time"
    doubt = "it is down or gone, has another address, or something drops the answers"
    _unreached(
        walk,
        stack,
        oif,
        next_hop,
        packet,
        [state, *([there] if there else []), *blocking],
        f"{next_hop} on {oif} is asked for all the time and does not answer ({asked}): "
        + ("rules here drop its answers" if blocking else doubt),
        f"have {asked} pass these rules" if blocking else "",
    )


def bridged(walk: Walk, stack: Stack, interface: Interface, packet: Packet) -> Arrival | None:
    """From one neighbour on a wire to another: by a bridge here, or past this machine."""
    walk.last, walk.end = packet, (stack, interface)
    segment = Segment(walk.stacks, stack, interface)
    segment.with_sharing(stack, interface)
    first, end = (next(iter(segment.with_address(text)), None) for text in (packet.source, packet.destination))
    if (first is None or end is None) and segment.look_further():
        first, end = (next(iter(segment.with_address(text)), None) for text in (packet.source, packet.destination))
    neighbour = stack.neighbour(interface, packet.destination)
    if end is None and not segment.beyond:
        evidence = [_neighbour_text(interface, packet.destination, neighbour)]
        _nobody(walk, segment, stack, interface, packet.destination, packet, _known(neighbour), evidence)
        return None
    if end is None:
        walk.unknown.append(f"where {packet.destination} is on the wire of {interface}")
        why = (
            f"{packet.source} and {packet.destination} are on one wire: they talk to each other directly, past the "
            "routing of this machine"
        )
        walk.ends(stack, "wire", f"on the wire of {interface}", UNKNOWN, packet, why=why)
        return None
    why = "they talk to each other directly: nothing is routed here"
    walk.passes(stack, "wire", f"both are on the wire of {interface}", packet, why=why)
    entry, exit_ = _port(first), _port(end)
    if exit_ is None:
        return end.stack, end.interface, packet
    crossing = Crossing(stack, interface, entry, exit_)
    crossing.filtered(first.interface.vlan_id if first else None)
    rest = type(end)(end.stack, end.interface, (crossing, *end.via[1:]))
    known = neighbour.link_address if neighbour else None
    return _along(walk, rest, known or end.interface.address, packet, first.interface.address if first else None)


def _port(end: End | None) -> Interface | None:
    """The port of the first bridge on the way to an end."""
    return end.via[0].exit if end and end.via and isinstance(end.via[0], Crossing) else None


def _along(walk: Walk, end: End, link_address: str | None, packet: Packet, sender: str | None) -> Arrival | None:
    """Through bridges and veth pairs to the interface at the end."""
    for part in end.via:
        if isinstance(part, Wire):
            if part.peer_stack is not part.stack:
                packet = packet.but(mark=0)  # no mark goes into another namespace (skbuff.c: skb_scrub_packet)
            walk.passes(
                part.peer_stack,
                "wire",
                f"{part.interface} of {part.stack.label} > {part.peer} of {part.peer_stack.label}",
                packet,
            )
        elif isinstance(part, Crossing):
            on = over_bridge(walk, part, link_address, packet, sender)
            if on is None:
                return None
            packet = on
    return end.stack, end.interface, packet
