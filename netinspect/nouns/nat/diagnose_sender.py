"""Who sends a packet, where its namespace can be looked at: does it send it to this gateway at all?"""

from __future__ import annotations

from ..path.listing_segment import Segment
from ..path.walk_routes import route_text
from .diagnose_findings import ERROR, NOTE, finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding
    from ..path.listing_segment import End
    from ..path.listing_stack import Answer, Interface
    from ..path.walk_packet import Packet
    from .diagnose_situation import Situation


def of_sender(situation: Situation, packet: Packet, iif: Interface | None, *, asked: bool = True) -> Iterator[Finding]:
    """Whether who sends it, where that can be looked at, sends it here at all.

    Where it is not ``asked`` for, it need not have a route: some hosts are to stay inside.
    """
    home = situation.home
    if iif is None or home.on_link(packet.source) is not iif or home.on_link(packet.destination) is iif:
        return
    segment = Segment(situation.stacks, home, iif)
    sender = next(iter(segment.with_address(packet.source)), None)
    if sender is None:
        return
    answer = sender.stack.route(packet.destination, source=packet.source)
    hop = (answer.route.gateway or packet.destination) if answer.route is not None else None
    there = f"{packet.source} in namespace {sender.stack.label}"
    if hop is not None and (
        answer.route is None or answer.route.interface != sender.interface.name or home.is_local(hop) or segment.beyond
    ):
        return
    other = next(iter(segment.with_address(hop)), None) if hop is not None else None
    if other is not None:
        if asked and hop != packet.destination and not _comes_here(situation, packet, iif):
            yield _by_another(situation, packet, sender, other, answer)
        return
    if hop is None and not asked:
        return
    networks = [f"{text}/{length}" for text, length in sender.stack.networks(sender.interface)]
    if hop is None:
        subject, why = f"{there}: no route", "it has no route to this destination: its packets do not come here"
    elif hop == packet.destination:
        subject = f"{hop} on the link of {there}"
        why = (
            f"it takes {hop} for a host on its own link, and asks for it there: the prefix of its address is too "
            "short, or a route has no gateway. Nobody on the link answers, and its packets do not come here"
        )
    else:
        subject = f"gateway {hop} of {there}"
        why = f"it sends to the gateway {hop}, which nobody on the link has: its packets do not come here"
    yield finding(
        situation,
        "sender",
        ERROR,
        subject,
        [
            f"asked for: {packet}" if asked else f"a packet as from {packet.source}: {packet}",
            f"address: {', '.join(networks)} on {sender.interface} of {sender.stack.label}",
            f"route: {route_text(answer)}",
            f"address: {', '.join(f'{text}/{length}' for text, length in home.networks(iif))} on {iif} here",
        ],
        why,
        "",
        "put its address, prefix length or gateway right"
        + (f"; or have this gateway answer for {hop} (proxy_arp)" if hop == packet.destination else ""),
    )


def _comes_here(situation: Situation, packet: Packet, iif: Interface) -> bool:
    """Whether packets of that source are heard on their own link, for this machine to pass on."""
    return any(
        heard.source == packet.source
        and heard.destination == packet.destination
        and situation.hearing.interface(heard) is iif
        and heard.interface == iif.name
        for heard in situation.hearing.packets
    )


def _by_another(situation: Situation, packet: Packet, sender: End, other: End, answer: Answer) -> Finding:
    """It sends by another machine of the link: right if that passes on what it gets."""
    version = packet.version
    forwards = other.stack.own(version, other.interface.name, "forwarding")
    gateway = answer.route.gateway if answer.route is not None else None
    where = f"{other.interface} of {other.stack.label}"
    return finding(
        situation,
        "sender",
        ERROR if forwards == 0 else NOTE,
        f"gateway {gateway} of {packet.source} in namespace {sender.stack.label}",
        [
            f"asked for: {packet}",
            f"route: {route_text(answer)}",
            f"link: {gateway} is on {where}",
            f"net.{version}.conf.{other.interface}.forwarding = {'?' if forwards is None else forwards} there",
        ],
        f"it sends to the gateway {gateway}, which is another machine: its packets do not pass here"
        + (", and that one does not forward" if forwards == 0 else ""),
        "",
        "have it send to an address of this gateway" if forwards == 0 else "right, if it is to take that way",
    )
