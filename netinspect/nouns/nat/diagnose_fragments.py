"""Fragments of IP that do not become packets again: rules that drop them before, and too little memory for them."""

from __future__ import annotations

from struct import unpack_from

from ..path.walk import Walk
from ..path.walk_packet import Packet
from ..path.walk_steps import pasted
from .diagnose_findings import ERROR, WARNING, finding
from .diagnose_related import last_drop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...netfilter.decode import Chain
    from ...records import Finding
    from ..path.listing_stack import Interface
    from ..path.walk_rules import Rules
    from .diagnose_capture import Heard
    from .diagnose_situation import Situation

_MEMORY = "net.ipv4.ipfrag_high_thresh"
_DEFAULT, _LARGEST = 4 << 20, 1 << 16
"""Bytes: the kernel's default, and the largest packet."""
_PUT_TOGETHER = -400
"""linux/netfilter_ipv4.h: NF_IP_PRI_CONNTRACK_DEFRAG"""
_MORE, _OFFSET = 0x2000, 0x1FFF
_KINDS = 8
"""Kinds of fragments that are held against rules, at most."""


def fragments(situation: Situation) -> Iterator[Finding]:
    """Fragments that were heard: whether they are put together again, as connection tracking needs it."""
    if not situation.home_tracks:
        return
    heard: dict[tuple[str, str, bool], tuple[Heard, int]] = {}
    for packet in situation.hearing.packets:
        if packet.data[0] >> 4 == 4 and (field := unpack_from(">H", packet.data, 6)[0]) & (_MORE | _OFFSET):
            heard.setdefault((packet.source, packet.destination, bool(field & _OFFSET)), (packet, field))
    if not heard:
        return
    memory = situation.setting(_MEMORY)
    first, _ = next(iter(heard.values()))
    if memory is not None and memory < _LARGEST:
        yield finding(
            situation,
            "fragments",
            ERROR,
            _MEMORY,
            [f"{_MEMORY} = {memory} (the kernel's default is {_DEFAULT})", _text(first)],
            f"connection tracking puts fragments together before anything else, and {memory} bytes of memory do not "
            "hold one large packet: packets that come in fragments are dropped",
            pasted(["sysctl", "-w", f"{_MEMORY}={_DEFAULT}"]),
        )
    rules = Walk(situation.stacks, situation.home).rules_of(situation.home)
    reported = set()
    for packet, field in list(heard.values())[:_KINDS]:
        iif = situation.hearing.interface(packet)
        if iif is None or not _of_somebody_here(situation, packet, iif):
            continue
        stopped = _dropped(rules, packet, field, iif)
        if stopped is None or stopped[0].key in reported:
            continue
        chain, texts = stopped
        reported.add(chain.key)
        yield finding(
            situation,
            "fragments",
            WARNING,
            str(chain),
            [_text(packet), *texts],
            f"{chain} drops fragments before they are put together: packets that come in fragments (large answers of "
            "DNS, tunnels, NFS) do not get through, and small ones do",
            "",
            "connection tracking puts fragments together itself, and rules behind see whole packets: the rule is not "
            "needed for that",
        )


def _text(packet: Heard) -> str:
    return f"fragment heard on {packet.interface}: {packet.source} > {packet.destination}"


def _of_somebody_here(situation: Situation, packet: Heard, iif: Interface) -> bool:
    """Whether it is of a host inside, or of one that those talk to: what others send may rightly be dropped."""
    if situation.is_inside(iif):
        return True
    traffic = situation.traffic
    return any(packet.source in found for found in traffic.reached.values()) or any(
        flow.destination_address == packet.source for flow in traffic.silent
    )


def _dropped(rules: Rules, packet: Heard, field: int, iif: Interface) -> tuple[Chain, list[str]] | None:
    """The chain that drops a fragment, and the rules that apply."""
    from ...netfilter.evaluate import run_hook
    from ...netfilter.ruleset import place_of

    early = [chain for chain in rules.ruleset.base_chains("ip", "prerouting") if place_of(chain) < _PUT_TOGETHER]
    parts = (
        ("netdev", "ingress", rules.ruleset.base_chains("netdev", "ingress", packet.interface)),
        ("ip", "prerouting", early),
    )
    length = unpack_from(">H", packet.data, 2)[0]
    walked = Packet(packet.protocol, packet.source, packet.destination, *packet.ports, size=length)
    seen = rules.packet_of(walked, iif, None, None)._replace(fragment=field)
    if field & _OFFSET:
        seen = seen._replace(source_port=None, destination_port=None)
    for family, hook, chains in parts:
        if not chains:
            continue
        device = packet.interface if family == "netdev" else None
        outcomes = run_hook(rules.ruleset, family, hook, seen, rules.facts, device=device, chains=chains).outcomes
        if all(outcome.verdict.name == "drop" for outcome in outcomes):
            return last_drop(rules, outcomes[0])
    return None
