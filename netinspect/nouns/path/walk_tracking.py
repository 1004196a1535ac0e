"""What connection tracking of a namespace makes of a packet, before any rule that looks at states."""

from __future__ import annotations

from .listing_stack import WITH_PORTS
from .walk_packet import UDP, Packet, Tracked, endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .listing_stack import Stack
    from .walk import Walk


def track(walk: Walk, stack: Stack, packet: Packet) -> Tracked | None:
    """What connection tracking makes of it, before any rule that looks at states."""
    rules = walk.rules_of(stack)
    if not rules.tracks:
        return None
    zone, zone_only, untracked = rules.template
    tracked = Tracked(packet)
    tracked.zone, tracked.zone_only = zone, zone_only
    if untracked is not None:
        tracked.state = "untracked"
        tracked.entry = untracked
        _unexpected(walk, stack, packet, "notrack", (untracked,))
        return tracked
    if _answers_earlier(walk, stack, packet, tracked) or _has_entry(walk, stack, packet, tracked):
        return tracked
    if packet.reply and packet.protocol != UDP:
        tracked.state = "invalid"
        walk.passes(
            stack,
            "conntrack",
            "invalid",
            packet,
            f"conntrack: no entry in zone {zone} has {packet}",
            why="an answer of no flow known here: it is invalid to connection tracking, and not translated",
        )
    return tracked


def _answers_earlier(walk: Walk, stack: Stack, packet: Packet, tracked: Tracked) -> bool:
    """Whether it answers a packet whose way was walked before."""
    if walk.before is None:
        return False
    for passed in walk.before.passed:
        known = passed.tracked
        if passed.stack is not stack or known is None or known.state in ("untracked", "invalid"):
            continue
        if not known.translated.answer().same_flow(packet):
            continue
        expected = 0 if known.zone_only == "original" else known.zone
        zone = 0 if tracked.zone_only == "original" else tracked.zone
        if zone != expected:
            _unexpected(
                walk,
                stack,
                packet,
                "zones",
                (
                    f"rules put the flow into conntrack zone {known.zone}: {known.original}",
                    f"rules look for its answers in zone {zone}: {packet}",
                ),
            )
            continue
        _as_answer(tracked, known.original, known.translated)
        walk.passes(stack, "conntrack", "answer", packet, f"conntrack: it answers {known.original}")
        tracked.status, tracked.mark = known.status, known.mark
        return True
    return False


def _as_answer(tracked: Tracked, original: Packet, translated: Packet) -> None:
    tracked.state, tracked.direction = "established", "reply"
    tracked.original = original
    tracked.translated = translated


def _has_entry(walk: Walk, stack: Stack, packet: Packet, tracked: Tracked) -> bool:
    """Whether the table has an entry for it."""
    known = _entry(walk, stack, packet, tracked.zone)
    if known is None:
        return False
    tracked.entry = known
    original = Packet(
        packet.protocol,
        known.source_address,
        known.destination_address,
        known.source_port or 0,
        known.destination_port or 0,
    )
    translated = original.but(
        source=known.reply_destination_address,
        source_port=known.reply_destination_port or 0,
        destination=known.reply_source_address,
        destination_port=known.reply_source_port or 0,
    )
    tracked.mark = known.mark or 0
    tracked.status = {{"SRC_NAT": "snat", "DST_NAT": "dnat"}.get(bit, bit) for bit in known.status}
    tracked.helper = known.helper
    if original.same_flow(packet):
        tracked.original, tracked.translated = original, translated
        tracked.nat_done = {"source", "destination"}
        if "SEEN_REPLY" in known.status:
            tracked.state = "established"
    else:
        _as_answer(tracked, original, translated)
    walk.passes(
        stack,
        "conntrack",
        "entry",
        packet,
        f"conntrack: {known_text(known)}",
        why="its flow is known: its first packet decided on translation, and rules for it are not asked again",
    )
    return True


def _entry(walk: Walk, stack: Stack, packet: Packet, zone: int) -> Any:
    from ...errors import NetlinkError

    if packet.protocol not in WITH_PORTS or not (packet.source_port and packet.destination_port):
        return None
    try:
        return stack.tracked(packet.protocol, packet.source, packet.destination, packet.ports, zone)
    except NetlinkError:
        return None  # no privilege, or no ctnetlink: the walk reports it with the rules


def _unexpected(walk: Walk, stack: Stack, packet: Packet, cause: str, evidence: tuple[str, ...]) -> None:
    """In a namespace that should know the answer, it does not."""
    if walk.before is not None and any(passed.stack is stack for passed in walk.before.passed):
        walk.strangers.append((stack, cause, evidence))
        walk.passes(
            stack,
            "conntrack",
            cause,
            packet,
            *evidence,
            why="it is not known as the answer, and not translated back",
        )


def known_text(known: Any) -> str:
    """An entry of the table in a line."""
    state = f" {known.state}" if known.state else ""
    replies = f"replies to {endpoint(known.reply_destination_address, known.reply_destination_port or 0)}"
    return (
        f"{known.protocol} {endpoint(known.source_address, known.source_port or 0)} > "
        f"{endpoint(known.destination_address, known.destination_port or 0)} ({replies}){state} "
        f"[{' '.join(known.status)}]" + (f" zone {known.zone}" if known.zone else "")
    )
