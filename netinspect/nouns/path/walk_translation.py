"""NAT of a packet on its way: what rules decided for its flow, and the answer translated back."""

from __future__ import annotations

from .listing_stack import WITH_PORTS, inside_of
from .walk_packet import endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .listing_stack import Interface, Stack
    from .walk import Walk
    from .walk_packet import Packet, Tracked
    from .walk_rules import Translation


def translated(
    walk: Walk,
    stack: Stack,
    packet: Packet,
    tracked: Tracked | None,
    what: str,
    iif: Interface | None,
    oif: Interface | None,
) -> Packet | None:
    """The packet behind a hook that translates its ``what`` (source or destination).

    The first packet of a flow decides: by what the rules that have just been passed want, or that nothing is changed.
    None where it is dropped, since no port is free, or there is no address to take.
    """
    if tracked is None or tracked.state in ("untracked", "invalid"):
        return packet
    if tracked.direction == "reply":
        return restored(walk, stack, packet, tracked, what)
    if what not in tracked.nat_done:
        wanted = walk.rules_of(stack).translation
        if wanted is not None:
            if not _decide(walk, stack, iif, oif, tracked, wanted, packet):
                return None
            if what == "source" and not _has_free_port(walk, stack, tracked, wanted, packet):
                return None
        tracked.nat_done.add(what)
    return _changed(walk, stack, packet, tracked, what)


def restored(walk: Walk, stack: Stack, packet: Packet, tracked: Tracked, what: str) -> Packet:
    """An answer gets back what its flow had changed."""
    if what == "destination":
        to = packet.but(
            destination=tracked.original.source,
            destination_port=tracked.original.source_port or packet.destination_port,
        )
        changed = to.destination != packet.destination or (to.destination_port != packet.destination_port)
    else:
        to = packet.but(
            source=tracked.original.destination, source_port=tracked.original.destination_port or packet.source_port
        )
        changed = to.source != packet.source or to.source_port != packet.source_port
    if changed:
        walk.passes(stack, "nat", f"{what} translated back", to, f"conntrack: {packet} becomes {to}")
    return to


def _changed(walk: Walk, stack: Stack, packet: Packet, tracked: Tracked, what: str) -> Packet:
    """A packet of the flow's first direction is translated as was decided."""
    made = tracked.translated
    if what == "destination":
        to = packet.but(destination=made.destination, destination_port=made.destination_port or packet.destination_port)
    else:
        to = packet.but(source=made.source, source_port=made.source_port or packet.source_port)
    if (to.source, to.source_port, to.destination, to.destination_port) != (
        packet.source,
        packet.source_port,
        packet.destination,
        packet.destination_port,
    ):
        line = f"conntrack: {packet} becomes {to}"
        walk.passes(stack, "nat", f"{what} translated", to, line)
    return to


def _decide(
    walk: Walk,
    stack: Stack,
    iif: Interface | None,
    oif: Interface | None,
    tracked: Tracked,
    wanted: Translation,
    packet: Packet,
) -> bool:
    """Takes a translation that rules decided on into the flow. False where it finds no address: dropped.

    dnat and snat without an address change ports only.
    """
    made = tracked.translated
    if wanted.destination:
        address = wanted.address
        if address is None and wanted.kind != "dnat":
            # redirect: to the interface's own address, or loopback for what is sent here
            address = (
                own_address(stack, iif, packet.family) if iif else ("::1" if packet.family == "inet6" else "127.0.0.1")
            )
            if address is None:
                return _no_address(walk, stack, wanted, packet, "redirect", iif)
        tracked.translated = made.but(
            destination=address or made.destination, destination_port=wanted.port or made.destination_port
        )
        if not tracked.translated.same_flow(made):
            tracked.status.add("dnat")  # what stays as it is counts as not translated (nf_nat_setup_info)
        return True
    address = wanted.address
    if address is None and oif is not None and wanted.kind != "snat":
        address = masquerade_address(stack, oif, packet, walk.next_hop)
        if address is None:
            return _no_address(walk, stack, wanted, packet, "masquerade", oif)
    tracked.translated = made.but(source=address or made.source, source_port=wanted.source_port(made.source_port))
    if not tracked.translated.same_flow(made):
        tracked.status.add("snat")
    return True


def _no_address(
    walk: Walk, stack: Stack, wanted: Translation, packet: Packet, action: str, interface: Interface | None
) -> bool:
    """Neither masquerade nor redirect passes a packet for which there is no address (nf_nat_masquerade.c)."""
    version = "IPv6" if packet.family == "inet6" else "IPv4"
    walk.dropped(
        stack,
        "nat",
        f"no {version} address for {action}",
        packet,
        "no-address",
        [f"rule: {walk.rules_of(stack).text(wanted.rule)}", f"address: {interface} has none of {version} to take"],
        f"{action} takes an address of {interface}, which has none: such packets are dropped",
        advice=f"give {interface} an address of {version}",
        interface=interface,
        rule=wanted.rule,
    )
    return False


def _has_free_port(walk: Walk, stack: Stack, tracked: Tracked, wanted: Translation, packet: Packet) -> bool:
    """Whether there is a port left among those that a rule allows."""
    if wanted.ports is None or packet.protocol not in WITH_PORTS or not packet.destination_port:
        return True
    from .listing_entries import ports_in_use

    first, last = wanted.ports
    outside = tracked.translated.source
    used = ports_in_use(stack.place, packet.protocol, packet.destination, packet.destination_port, outside, first, last)
    total = last - first + 1
    text = (
        f"conntrack: {len(used)} of {total} ports {first}-{last} of {outside} in use towards "
        f"{endpoint(packet.destination, packet.destination_port)}"
    )
    if len(used) < total:
        walk.passes(stack, "nat", f"{total - len(used)} of {total} ports free", packet, text)
        return True
    walk.dropped(
        stack,
        "nat",
        f"no free port of {outside}",
        packet,
        "ports",
        [text, f"rule: {walk.rules_of(stack).text(wanted.rule)}"],
        f"the snat rule allows {total} port{'s' if total > 1 else ''}, and each is taken by a flow to the same "
        "destination: the first packet of a further one finds no free port and is dropped (insert_failed)",
        advice="a wider range of ports in the rule, or more outside addresses",
        outside=outside,
        used=len(used),
        total=total,
        rule=wanted.rule,
    )
    return False


def own_address(stack: Stack, interface: Interface | None, family: str) -> str | None:
    """The first address of an interface in a family."""
    if interface is None:
        return None
    return next(
        (
            text
            for text, _ in stack.networks(interface)
            if (":" in text) == (family == "inet6") and not text.startswith("fe80:")
        ),
        None,
    )


def masquerade_address(stack: Stack, oif: Interface, packet: Packet, next_hop: str | None) -> str | None:
    """What masquerade takes (net/ipv4/devinet.c: inet_select_addr; net/ipv6/addrconf.c: ipv6_dev_get_saddr).

    None where the kernel finds none, and drops the packet (nf_nat_masquerade.c).
    """
    if packet.family == "inet6":
        from .walk_sources import ipv6_source

        return ipv6_source(stack, oif, *_domain(stack, oif), packet.destination)
    primary = stack.primary_addresses()
    candidates = [(text, length) for text, length, scope in primary.get(oif.name, ()) if scope == "global"]
    hop = next_hop or packet.destination
    for text, length in candidates:
        if ":" not in hop and inside_of(hop, f"{text}/{length}"):
            return text
    if candidates:
        return candidates[0][0]
    # An interface without one borrows: from the VRF that it is a port of, then from the first that has one, lo first.
    vrf, others = _domain(stack, oif)
    for other in sorted(others, key=lambda other: (other is not vrf, other.index)):
        for text, _, scope in primary.get(other.name, ()):
            if scope == "global":
                return text
    return None


def _domain(stack: Stack, interface: Interface) -> tuple[Interface | None, list[Interface]]:
    """The VRF that an interface belongs to, and all that belong to it, or to none as well."""
    master = _routed_by(stack, interface)
    return stack.named(master), [other for other in stack.interfaces.values() if _routed_by(stack, other) == master]


def _routed_by(stack: Stack, interface: Interface) -> str | None:
    """The VRF that an interface is a port of, or is itself."""
    if interface.kind == "vrf":
        return interface.name
    master = stack.named(interface.master) if interface.master else None
    return master.name if master is not None and master.kind == "vrf" else None
