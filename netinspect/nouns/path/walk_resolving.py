"""Whether a neighbour's link-layer address can be found: the question and its answer on the way through rules."""

from __future__ import annotations

from _socket import inet_ntop

from ...engine.prefixes import packed
from ...errors import NetlinkError
from ...netfilter import packet as nf
from ...netfilter.evaluate import run_hook
from .listing_segment import Crossing
from .walk_facts import interface_of, packet_seen
from .walk_packet import ICMPV6, Packet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .listing_segment import End
    from .listing_stack import Interface, Stack
    from .walk import Walk

_EVERYBODY = b"\xff" * 6


def kept_away(walk: Walk, stack: Stack, oif: Interface, own: str | None, wanted: str, end: End) -> list[str]:
    """What drops the question for an address to who has it, or the answer: rules, or a bridge's port; empty if none.

    Asked where nothing is known of the neighbour yet.
    """
    if own is None or not oif.address or not end.interface.address:
        return []
    try:
        asked = _question(stack, oif, own, wanted)
        answered = _answer(end, oif, own, wanted)
        return (
            _hook(walk, stack, "output", asked, None, oif)
            or _device(walk, stack, "egress", asked, oif)
            or _across(walk, end, asked, forth=True)
            or _device(walk, end.stack, "ingress", asked, end.interface)
            or _hook(walk, end.stack, "input", asked, end.interface, None)
            or _hook(walk, end.stack, "output", answered, None, end.interface)
            or _across(walk, end, answered, forth=False)
            or _device(walk, stack, "ingress", answered, oif)
            or _hook(walk, stack, "input", answered, oif, None)
        )
    except (NetlinkError, ValueError):
        return []  # the walk reports what cannot be read of rules


def _question(stack: Stack, oif: Interface, own: str, wanted: str) -> nf.Packet:
    mac = _mac(oif)
    if ":" not in wanted:
        body = bytes((0, 1, 8, 0, 6, 4, 0, 1)) + mac + packed(own) + bytes(6) + packed(wanted)
        made = nf.of_headers(body, b"", _EVERYBODY + mac + b"\x08\x06")
        return made.replace(length=len(body), type=nf.PACKET_BROADCAST)
    group = packed("ff02::1:ff00:0")[:13] + packed(wanted)[13:]
    return _discovery(stack, own, inet_ntop(10, group), 135, nf.PACKET_MULTICAST)


def _answer(end: End, oif: Interface, own: str, wanted: str) -> nf.Packet:
    theirs, mine = _mac(end.interface), _mac(oif)
    if ":" not in wanted:
        body = bytes((0, 1, 8, 0, 6, 4, 0, 2)) + theirs + packed(wanted) + mine + packed(own)
        made = nf.of_headers(body, b"", mine + theirs + b"\x08\x06")
        return made.replace(length=len(body), type=nf.PACKET_HOST)
    return _discovery(end.stack, wanted, own, 136, nf.PACKET_HOST)


def _discovery(stack: Stack, source: str, destination: str, kind: int, frame: int) -> nf.Packet:
    sent = Packet(ICMPV6, source, destination)
    sent.icmp, sent.ttl = kind, 255
    return packet_seen(stack, sent, None, None, None).replace(tracking=nf.UNTRACKED, type=frame)


def _mac(interface: Interface) -> bytes:
    return bytes.fromhex((interface.address or "").replace(":", ""))


def _hook(
    walk: Walk, stack: Stack, hook: str, packet: nf.Packet, iif: Interface | None, oif: Interface | None
) -> list[str]:
    """What drops it at a hook of ARP, or of IPv6's neighbour discovery."""
    family = "arp" if packet.ethertype == nf.ETH_P_ARP else "ip6"
    hooks = [hook] if family == "arp" else ["prerouting", "input"] if hook == "input" else ["output", "postrouting"]
    return next(filter(None, (_passed(walk, stack, family, one, packet, iif, oif) for one in hooks)), [])


def _device(walk: Walk, stack: Stack, hook: str, packet: nf.Packet, interface: Interface) -> list[str]:
    iif, oif = (interface, None) if hook == "ingress" else (None, interface)
    return _passed(walk, stack, "netdev", hook, packet, iif, oif, interface.name)


def _across(walk: Walk, end: End, packet: nf.Packet, *, forth: bool) -> list[str]:
    """What drops it on the bridges between."""
    for part in end.via if forth else reversed(end.via):
        if not isinstance(part, Crossing):
            continue
        entry, exit_ = (part.entry, part.exit) if forth else (part.exit, part.entry)
        hooks = ["prerouting", "input"] if exit_ is None else ["prerouting", "forward", "postrouting"]
        hooks = ["output", "postrouting"] if entry is None else hooks
        found = _device(walk, part.stack, "ingress", packet, entry) if entry is not None else []
        for hook in hooks:
            found = found or _passed(walk, part.stack, "bridge", hook, packet, entry, exit_)
        port = part.stack.bridge_port(exit_) if exit_ is not None else None
        if not found and port is not None and _is_group(packet):
            flood = port.broadcast_flood if packet.ethertype == nf.ETH_P_ARP else port.multicast_flood
            if flood is False:
                found = [f"bridge port: {exit_} gets no broadcasts (flood off)"]
        if not found and exit_ is not None:
            found = _device(walk, part.stack, "egress", packet, exit_)
        if found:
            return found
    return []


def _is_group(packet: nf.Packet) -> bool:
    return packet.type in (nf.PACKET_BROADCAST, nf.PACKET_MULTICAST)


def _passed(
    walk: Walk,
    stack: Stack,
    family: str,
    hook: str,
    packet: nf.Packet,
    iif: Interface | None,
    oif: Interface | None,
    device: str | None = None,
) -> list[str]:
    """The rule or policy that surely drops it at a hook."""
    rules = walk.rules_of(stack)
    chains = rules.ruleset.base_chains(family, hook, device)
    if not chains:
        return []
    seen = packet.replace(incoming=interface_of(stack, iif), outgoing=interface_of(stack, oif))
    outcomes = run_hook(rules.ruleset, family, hook, seen, rules.facts, device=device, chains=chains).outcomes
    if any(outcome.verdict.name != "drop" for outcome in outcomes):
        return []
    last = outcomes[0].drop
    if last is None:
        return [f"nftables: a rule of {family} {hook}"]
    return [f"nftables: {rules.text(last.rule) if last.rule else f'{last.chain}, hook {hook}, policy drop'}"]
