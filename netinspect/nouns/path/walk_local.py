"""Local delivery: the input hook, and the socket that takes the packet."""

from __future__ import annotations

from ...errors import NetlinkError
from .walk_packet import ICMP, ICMPV6, TCP, UDP, endpoint
from .walk_policies import comes_in
from .walk_steps import DELIVERED
from .walk_translation import restored

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .listing_stack import Interface, Stack
    from .walk import Passed, Walk
    from .walk_packet import Packet


def delivered(walk: Walk, passed: Passed, iif: Interface, packet: Packet) -> None:
    """The packet is for this namespace itself."""
    stack, tracked = passed.stack, passed.tracked
    on = walk.rules_of(stack).late(walk, stack, "input", packet, iif, None, tracked)
    if on is None:
        return
    if not comes_in(walk, stack, iif, on):
        return
    if tracked is not None and tracked.direction == "reply" and tracked.state == "established":
        on = restored(walk, stack, on, tracked, "source")
    outcome = walk.outcome_of(stack, "prerouting")
    action = outcome.action("tproxy") if outcome is not None else None
    if action is not None and walk.before is None:
        walk.last, walk.end = on, (stack, iif)
        evidence = f"rule: {walk.rules_of(stack).text(action.rule)}"
        walk.ends(stack, "socket", f"{stack.label}: the socket that tproxy chose", DELIVERED, on, evidence)
        return
    taken(walk, stack, iif, on)


def taken(walk: Walk, stack: Stack, iif: Interface | None, packet: Packet) -> None:
    """Who takes it: of an answer that is found out later, by who asked."""
    walk.last, walk.end = packet, (stack, iif)
    if walk.before is not None or walk.carries:
        walk.ends(stack, "socket", f"arrives in {stack.label}", DELIVERED, packet)
        return
    if packet.protocol in (ICMP, ICMPV6):
        walk.ends(stack, "socket", f"{stack.label}: answered by its kernel", DELIVERED, packet)
        return
    if packet.protocol not in (TCP, UDP, 136) or not packet.destination_port:
        walk.ends(
            stack,
            "socket",
            stack.label,
            DELIVERED,
            packet,
            why="the receiving program is unknown: no port was given, or it cannot be looked up",
        )
        return
    try:
        found = stack.receiver(
            packet.protocol,
            packet.source,
            packet.source_port or 1,
            packet.destination,
            packet.destination_port,
            iif,
        )
    except NetlinkError as error:
        walk.ends(stack, "socket", stack.label, DELIVERED, packet, why=f"the receiving socket is unknown: {error}")
        return
    if found is None:
        what = "the sender gets a reset" if packet.protocol == TCP else "the sender is notified by ICMP"
        walk.dropped(
            stack,
            "socket",
            f"nobody listens on {endpoint(packet.destination, packet.destination_port)}",
            packet,
            "no-socket",
            [f"sock_diag: no socket of {stack.label} takes {packet}"],
            f"it arrives, and no program has that port open: {what}",
            advice=f"start the program, or have it listen on {packet.destination}",
            address=packet.destination,
            port=packet.destination_port,
        )
        return
    walk.socket = found
    text = (
        f"sock_diag: {found.protocol} {found.state} {endpoint(found.local_address, found.local_port)}, inode "
        f"{found.inode}, uid {found.uid}"
    )
    walk.ends(
        stack, "socket", f"{found.state} {endpoint(found.local_address, found.local_port)}", DELIVERED, packet, text
    )
