"""The way of a packet (netinspect path)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class PathPacket(NamedTuple):
    """A packet at one step of its path."""

    family: Annotated[str, "inet or inet6"]
    protocol: Annotated[str, "transport protocol; its number if unknown"]
    source_address: Annotated[str, "source address of the packet"]
    source_port: Annotated[int | None, "source port, or ICMP identifier; None: any"]
    destination_address: Annotated[str, "destination address"]
    destination_port: Annotated[int | None, "destination port; None: none or any"]
    mark: Annotated[int, "firewall mark"] = 0


class PathStep(NamedTuple):
    """One step of a packet's way through this machine, or of the answer's (`netinspect path`)."""

    number: Annotated[int, "steps are numbered from 1"]
    direction: Annotated[str, "there: the packet; back: the answer to it"]
    netns: Annotated[str, "network namespace; here: the selected one"]
    stage: Annotated[
        str,
        "link, rp_filter, prerouting, route, forward, input, output, postrouting, ingress, egress, bridge, conntrack, "
        "nat, ipsec, tunnel, mtu, neighbour, wire, socket, end",
    ]
    subject: Annotated[str, "what decides there: an interface, a setting, a chain, a route, a socket"]
    verdict: Annotated[
        str,
        "passes, dropped, delivered, leaves (this machine) or unknown; the end: arrives, leaves, fails or unknown",
    ]
    packet: Annotated[PathPacket, "the packet after this step"]
    evidence: Annotated[tuple[str, ...], "facts read from the kernel, each with its source"]
    cause: Annotated[str | None, "short name of what stops it: forwarding, rp-filter, rule, no-route …"] = None
    why: Annotated[str | None, "why it stops, or a remark"] = None
    fix: Annotated[str, "a command that fixes it; empty if none is safe"] = ""
    advice: Annotated[str, "what to do, if it is not a command to paste"] = ""


class PathEvent(NamedTuple):
    """What happened to a packet on its way, held against what was predicted (`netinspect path --probe`, `--watch`)."""

    time: Annotated[float, "seconds since the start; for a prediction that did not occur, the time of the end"]
    direction: Annotated[str, "there: the packet; back: the answer to it"]
    source: Annotated[
        str,
        "source: probe (this command), nftrace, conntrack, drop (the kernel's reason), socket, or prediction, if it "
        "did not occur",
    ]
    subject: Annotated[str, "a rule, a chain, an entry, a reason"]
    verdict: Annotated[str | None, "result: accept, drop, jump …"]
    evidence: Annotated[tuple[str, ...], "further facts"]
    predicted: Annotated[bool | None, "whether it was as predicted; None: not predicted"] = None


class Path(NamedTuple):
    """A packet's way through this machine, its answer's way back, and how that ends (`netinspect.path`)."""

    verdict: Annotated[
        str, "arrives; leaves: nothing here stops it, and the rest is beyond this machine; fails; or unknown"
    ]
    why: Annotated[str, "why it fails, is unknown, or gets through"]
    cause: Annotated[str | None, "short name of what stops it: forwarding, rp-filter, rule, no-route …"]
    evidence: Annotated[tuple[str, ...], "facts read from the kernel, each with its source"]
    fix: Annotated[str, "a command that fixes it; empty if none is safe"]
    advice: Annotated[str, "what to do, if it is not a command to paste"]
    packet: Annotated[PathPacket, "the packet that is asked for"]
    steps: Annotated[tuple[PathStep, ...], "every step there and back; the last one is the end"]
