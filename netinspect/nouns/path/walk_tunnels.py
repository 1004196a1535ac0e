"""Tunnels: the packet that carries another is walked to the tunnel's other end, and the inner one goes on there."""

from __future__ import annotations

from ...engine.prefixes import is_group
from .walk_packet import Packet
from .walk_steps import DELIVERED, DROPPED, LEAVES, UNKNOWN, pasted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .listing_stack import Interface, Stack
    from .walk import Walk
    from .walk_wire import Arrival

_GRE, _IPIP, _IPV6, _UDP = 47, 4, 41, 17
_PROTOCOLS = {
    **dict.fromkeys(("gre", "gretap", "erspan", "ip6gre", "ip6gretap", "ip6erspan"), _GRE),
    **dict.fromkeys(("vxlan", "geneve"), _UDP),
    "ipip": _IPIP,
    "sit": _IPV6,
    "ip6tnl": _IPV6,
}
"""Kinds of tunnels, and the protocol that carries their packets."""
_ANY = ("0.0.0.0", "::")
_GENEVE_PORT = 6081
_OTHERS = "00:00:00:00:00:00"
"""The entry of a VXLAN's forwarding table for all addresses that have none."""
_DEEPEST = 4
"""Tunnels in tunnels that are followed."""


def encapsulated(
    walk: Walk, stack: Stack, interface: Interface, packet: Packet, next_hop: str, link_address: str | None
) -> Arrival | None:
    """From a tunnel's interface to the one at its other end, maybe a bridge's port; None where the packet's way ends.

    ``link_address`` is the next hop's, where it is known.
    """
    behind = _behind(stack, interface, link_address)
    if keeps(walk, stack, interface, packet, next_hop, link_address):
        return None
    found = _outer(stack, interface, packet, behind)
    if found is None:
        walk.ends(stack, "wire", f"leaves by {interface}", LEAVES, packet, f"beyond: {interface} ({interface.kind})")
        return None
    outer, number = found
    if walk.depth >= _DEEPEST:
        why = f"the packets of {interface} go by {interface} again, or by a tunnel in a tunnel without end"
        walk.dropped(stack, "tunnel", interface.name, packet, "loop", [f"tunnel: {outer}"], why)
        return None
    what = f"{interface}: {interface.kind}{f' {number}' if number is not None else ''} to {outer.destination}"
    walk.passes(stack, "tunnel", what, outer, f"tunnel: {packet} in {outer}")
    carrying = type(walk)(walk.stacks, walk.home)
    carrying.direction, carrying.carries, carrying.depth = walk.direction, True, walk.depth + 1
    carrying.choices = walk.choices[len(walk.forks) :]
    carrying.send(stack, outer)
    walk.list += [step._replace(number=len(walk.list) + at) for at, step in enumerate(carrying.list, 1)]
    walk.forks += carrying.forks
    walk.unknown += carrying.unknown
    walk.reported |= carrying.reported
    if carrying.outcome != DELIVERED or carrying.end is None:
        walk.outcome, walk.stopped_in, walk.facts = carrying.outcome, carrying.stopped_in, carrying.facts
        if carrying.outcome == DROPPED:
            walk.last = packet
        return None
    there = carrying.end[0]
    taking = next((one for one in there.interfaces.values() if _takes(there, one, interface, outer, number)), None)
    if taking is None:
        why = f"no tunnel of {there.label} is known to take it"
        walk.unknown.append(why)
        walk.ends(there, "tunnel", there.label, UNKNOWN, packet, why=why)
        return None
    walk.passes(there, "tunnel", f"out of {taking}", packet)
    return there, taking, packet


def _behind(stack: Stack, interface: Interface, link_address: str | None) -> str | None:
    """The remote that a VXLAN's table has for a frame (vxlan_core.c: vxlan_xmit), empty where it is no single one.

    Where it has none for its address, the entry for all the others counts.
    """
    vxlan = stack.tunnel(interface)[1]
    if vxlan is None or vxlan.external is True:
        return None
    behind = stack.behind_vxlan(interface, link_address) if link_address else None
    return stack.behind_vxlan(interface, _OTHERS) if behind is None and not vxlan.remote else behind


def keeps(
    walk: Walk, stack: Stack, interface: Interface, packet: Packet, next_hop: str, link_address: str | None
) -> bool:
    """Whether it is a VXLAN whose table has no entry for a frame: that is dropped."""
    vxlan = stack.tunnel(interface)[1]
    if vxlan is None or vxlan.external is True or vxlan.remote or _behind(stack, interface, link_address) is not None:
        return False
    whom = f"frames for {link_address}" if link_address else f"the question for the link-layer address of {next_hop}"
    walk.dropped(
        stack,
        "tunnel",
        f"{interface}: no remote for {link_address or next_hop}",
        packet,
        "fdb",
        [f"fdb: {link_address or 'broadcast'} is not known on {interface}, and no entry is for unknown addresses"],
        f"{interface} sends where its forwarding table says, and that has no remote for {whom}: dropped",
        advice="look why whatever fills the table has not: "
        + walk.run_in(
            stack, pasted(["bridge", "fdb", "add", link_address or _OTHERS, "dev", interface.name, "dst", "REMOTE"])
        ),
        interface=interface,
        next_hop=next_hop,
    )
    return True


def _outer(stack: Stack, interface: Interface, packet: Packet, behind: str | None) -> tuple[Packet, int | None] | None:
    """The packet that carries it, and the tunnel's number; None where the other end is not a single known address.

    ``behind``: the remote that the forwarding table of a VXLAN has for it, or empty where it is no single one.
    """
    protocol = _PROTOCOLS.get(interface.kind or "")
    vni, vxlan, tunnel = stack.tunnel(interface)
    ends = vxlan or tunnel
    remote = behind if behind is not None else ends.remote if ends is not None else None
    if protocol is None or not remote or remote in _ANY or is_group(remote):
        return None
    source = ends.local if ends is not None and ends.local not in (None, *_ANY) else None
    if source is None:
        answer = stack.route(remote)
        source = answer.route.preferred_source if answer.route is not None else None
    port = 0
    if protocol == _UDP:
        port = (vxlan.port or 0) if vxlan is not None else _GENEVE_PORT
    number = vni if vxlan is not None else (tunnel.id if tunnel is not None else None)
    outer = Packet(protocol, source or "", remote, 0, port, size=packet.size + 50)
    # VXLAN and GENEVE route by the mark of what they carry (udp_tunnel_core.c: udp_tunnel_dst_lookup).
    return outer.but(mark=packet.mark) if protocol == _UDP else outer, number


def _takes(stack: Stack, one: Interface, sent: Interface, outer: Packet, number: int | None) -> bool:
    """Whether an interface is the other end."""
    if one.kind != sent.kind or not one.up:
        return False
    vni, vxlan, tunnel = stack.tunnel(one)
    ends = vxlan or tunnel
    if ends is None or (tunnel.id if tunnel is not None else vni) != number:
        return False
    return ends.local in (None, *_ANY, outer.destination) and (
        vxlan is not None or ends.remote in (None, *_ANY, outer.source)
    )


def is_tunnel(interface: Interface) -> bool:
    """Whether packets go on in others from it."""
    return interface.kind in _PROTOCOLS
