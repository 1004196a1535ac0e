"""A path for people: one line a step, its evidence below, and how it ends."""

from __future__ import annotations

from ...engine.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...records import PathPacket, PathStep

_HEADINGS = {"there": "There:", "back": "Back:"}


def packet_text(packet: PathPacket) -> str:
    """``tcp 10.0.0.1:1 > 192.0.2.1:443``"""
    text = f"{packet.protocol} {_end(packet.source_address, packet.source_port)}"
    text += f" > {_end(packet.destination_address, packet.destination_port)}"
    return text + (f" mark {packet.mark:#x}" if packet.mark else "")


def _end(address: str, port: int | None) -> str:
    if port is None:
        return address
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def lines(steps: Sequence[PathStep]) -> Iterator[str]:
    """The steps as lines."""
    direction = netns = packet = None
    for step in steps:
        if step.stage == "end":
            yield ""
            yield printable(f"{step.verdict}: {step.why}")
            if step.fix:
                yield printable(f"    fix:    {step.fix}")
            if step.advice:
                yield printable(f"    advice: {step.advice}")
            continue
        now = packet_text(step.packet)
        if step.direction != direction:
            direction, netns = step.direction, None
            yield _HEADINGS[direction]
        if step.netns != netns or now != packet:
            netns, packet = step.netns, now
            yield printable(f"  {netns}: {now}")
        yield printable(f"    {step.stage:12} {step.verdict:9} {step.subject}")
        for text in step.evidence:
            yield printable(f"        seen: {text}")
        if step.why:
            yield printable(f"        why:  {step.why}")
