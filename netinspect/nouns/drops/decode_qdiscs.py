"""What queueing disciplines dropped (linux/pkt_sched.h: RTM_GETQDISC; linux/gen_stats.h: struct gnet_stats_queue)."""

from __future__ import annotations

from struct import pack, unpack_from

from ...engine.netlink.attributes import ANY, Shape
from ...engine.netlink.messages import attribute, attributes, message
from ...engine.text import text
from ...uapi.netlink import NLM_F_DUMP
from ...uapi.pkt_sched import (
    RTM_GETQDISC,
    TC_H_INGRESS,
    TC_H_ROOT,
    TCA_DUMP_INVISIBLE,
    TCA_KIND,
    TCA_STATS2,
    TCA_STATS_BASIC,
    TCA_STATS_QUEUE,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Annotated, NamedTuple

    from ...engine.netlink.messages import Run
else:
    from ...startup import Annotated, NamedTuple

_BODY = 20
_SHAPE = Shape({TCA_KIND: ANY, TCA_STATS2: ANY})
_BASIC = 12
"""Bytes of struct gnet_stats_basic: bytes (64 bits), packets."""
_QUEUE_DROPS = 8
"""Offset of drops in struct gnet_stats_queue: behind qlen and backlog."""


class Qdisc(NamedTuple):
    """A queueing discipline."""

    interface: Annotated[int, "index of its interface"]
    kind: Annotated[str, "fq_codel, pfifo_fast, mq …"]
    handle: Annotated[str, "as tc(8) writes it: 8001:"]
    parent: Annotated[str, "root, ingress, or the class that it is below: 8001:1"]
    drops: Annotated[int, "packets that it dropped"]
    passed: Annotated[int | None, "packets that it passed on; None if it does not count them"] = None


def request() -> bytes:
    """A dump of all of them, the default ones too (struct tcmsg)."""
    return message(RTM_GETQDISC, NLM_F_DUMP, pack("=BxHiIII", 0, 0, 0, 0, 0, 0) + attribute(TCA_DUMP_INVISIBLE, b""))


def qdiscs(run: Run) -> Iterator[Qdisc]:
    """The qdiscs with drop counters. Raises NetlinkError for a malformed message."""
    for part, layout in run.by_layout(_BODY, _SHAPE):
        if TCA_KIND not in layout or TCA_STATS2 not in layout:
            continue
        for first in range(0, len(part.data), part.length):
            single = part.data[first : first + part.length]
            index, handle, parent = unpack_from("=iII", single, 4 + 16)
            at, size = layout[TCA_STATS2]
            found = attributes(single, at, at + size, "reading queueing disciplines")
            place, length = found.get(TCA_STATS_QUEUE, (0, 0))
            if length < _QUEUE_DROPS + 4:
                continue
            (drops,) = unpack_from("=I", single, place + _QUEUE_DROPS)
            basic, length = found.get(TCA_STATS_BASIC, (0, 0))
            passed = unpack_from("=I", single, basic + 8)[0] if length >= _BASIC else None
            at, size = layout[TCA_KIND]
            kind = text(single[at : at + size].split(b"\0", 1)[0])
            yield Qdisc(index, kind, f"{handle >> 16:x}:", _parent(parent), drops, passed)


def _parent(number: int) -> str:
    if number == TC_H_ROOT:
        return "root"
    return "ingress" if number == TC_H_INGRESS else f"{number >> 16:x}:{number & 0xFFFF:x}"
