"""Packets that connection tracking takes for invalid: of whom they are, and so whether that is a fault of this gateway.

The counter alone does not tell: what was heard meanwhile does, held against the entries of the table.
"""

from __future__ import annotations

from struct import unpack_from

from ...errors import NetlinkError
from ..path.walk_packet import ICMP, ICMPV6, TCP, endpoint
from ..path.walk_steps import pasted
from .diagnose_findings import ERROR, NOTE, WARNING, finding

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...records import Finding, Flow
    from .diagnose_capture import Heard
    from .diagnose_situation import Situation

_SYN, _ACK = 0x02, 0x10
_LIBERAL = "net.netfilter.nf_conntrack_tcp_be_liberal"
_LOOKED_UP = 200
"""Flows that are looked up, at most."""
_TIMEOUTS = (
    *("established", "unacknowledged", "max_retrans", "syn_sent", "syn_recv", "fin_wait", "close_wait", "last_ack"),
    *("time_wait", "close"),
)
_AGE = 3
"""Seconds that may be over since a segment that was heard."""
_ERRORS = {ICMP: frozenset((3, 4, 5, 11, 12)), ICMPV6: frozenset((1, 2, 3, 4))}


def _not_refreshed(situation: Situation, entry: Flow) -> bool:
    """Whether an entry stands at none of the timeouts that a segment sets it to (nf_conntrack_proto_tcp.c).

    The segment was heard a moment ago: had it been valid, hardly anything of the timeout would be over.
    """
    if entry.timeout is None or not {"OFFLOAD", "HW_OFFLOAD"}.isdisjoint(entry.status):
        return False
    settings = (situation.setting(f"net.netfilter.nf_conntrack_tcp_timeout_{name}") for name in _TIMEOUTS)
    return not any(seconds is not None and 0 <= seconds - entry.timeout <= _AGE for seconds in settings)


class Invalid:
    """What was heard and may have been invalid."""

    def __init__(self, situation: Situation) -> None:
        self.known: list[Heard] = []
        """Segments of TCP connections that are in the table, and did not refresh their entry."""
        self.strays: list[Heard] = []
        """Segments in the middle of connections that are not in it, and ICMP errors."""
        seen: set[tuple[object, ...]] = set()
        for packet in situation.hearing.packets:
            payload = packet.payload
            if packet.protocol in _ERRORS and payload and payload[0] in _ERRORS[packet.protocol]:
                self.strays.append(packet)
            if packet.protocol != TCP or len(payload) < 20 or len(seen) >= _LOOKED_UP:
                continue
            ports = unpack_from(">HH", payload)
            key = packet.source, packet.destination, *ports
            if key in seen or payload[13] & (_SYN | _ACK) == _SYN:
                continue
            seen.add(key)
            try:
                entry = situation.home.tracked(TCP, packet.source, packet.destination, ports, 0)
            except NetlinkError:
                return
            if entry is None:
                self.strays.append(packet)
            elif _not_refreshed(situation, entry):
                self.known.append(packet)


def _zones(situation: Situation) -> bool:
    """Whether rules choose zones: then an entry of one is unknown in another."""
    from ..path.walk import Walk

    rules = Walk(situation.stacks, situation.home).rules_of(situation.home)
    return any(
        "zone" in rules.text(rule)
        for found in rules.ruleset.rules.values()
        for rule in found
        if b"ct\0" in rule.data or b"CT\0" in rule.data
    )


def invalid(situation: Situation, number: int, why: str, advice: str) -> Finding:
    """What to say of ``number`` packets that were invalid."""
    found = Invalid(situation)
    evidence = [f"ctnetlink counter invalid: {number} more in {situation.sample:g} s"]
    if found.known and not situation.setting(_LIBERAL) and not _zones(situation):
        first = found.known[0]
        ports = unpack_from(">HH", first.payload)
        flow = f"tcp {endpoint(first.source, ports[0])} > {endpoint(first.destination, ports[1])}"
        return finding(
            situation,
            "window",
            ERROR,
            f"TCP segments outside of their window, of {len(found.known)} connections",
            [
                *evidence,
                f"packet heard on {first.interface}: {flow}, of a connection that is in the table, and it did not "
                "refresh the entry",
                f"{_LIBERAL} = 0",
            ],
            "their connections are known, and still they are invalid: connection tracking takes them to be outside of "
            "the TCP window, as behind a router that changes sequence numbers or the window scale, or where it does "
            "not see all packets. They are not translated, and rules that drop what is invalid drop them",
            pasted(["sysctl", "-w", f"{_LIBERAL}=1"]),
            "with it only resets outside of the window are invalid: forged segments pass more easily",
        )
    noise = [packet for packet in found.strays if situation.home.is_local(packet.destination)]
    if noise and len(noise) == len(found.strays):
        named = {packet.source for packet in noise}
        return finding(
            situation,
            "counters",
            NOTE,
            "invalid",
            [
                *evidence,
                f"packets heard of no connection known: from {', '.join(sorted(named)[:3])}, all to this machine",
            ],
            "packets to this machine itself are of no connection that is known: late ones, scans or what is sent with "
            "a forged source. Nothing of it is to be translated",
        )
    examples = [
        f"packet heard on {packet.interface}: {packet.source} > {packet.destination}, of no connection known"
        for packet in found.strays[:3]
    ]
    return finding(situation, "counters", WARNING, "invalid", [*evidence, *examples], why, "", advice)
