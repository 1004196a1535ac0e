"""Interface names by index (linux/rtnetlink.h, linux/if_link.h)."""

from __future__ import annotations

from _struct import pack

from ...uapi.if_link import (
    IFLA_ALT_IFNAME,
    IFLA_EXT_MASK,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_INFO_SLAVE_DATA,
    IFLA_INFO_SLAVE_KIND,
)
from ...uapi.netlink import NLM_F_ACK, NLM_F_DUMP
from ...uapi.rtnetlink import RTM_GETLINK
from ..text import text
from .attributes import ANY, Shape
from .messages import message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .messages import Layout, Run

_RTEXT_FILTER_SKIP_STATS = 8
WITHOUT_STATISTICS = pack("=HHI", 8, IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)
"""The attribute that asks for links without their counters."""
BODY = 16
"""struct ifinfomsg."""
_INDEX = 20
_NAMED = Shape({IFLA_IFNAME: ANY})

_INFOS = (IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA)
INFO_SHAPE = Shape(dict.fromkeys(_INFOS, ANY), (3,))
"""IFLA_INFO_*, except XSTATS, which only CAN has."""
DATA_SHAPE = Shape({})
"""What is inside IFLA_INFO_DATA and IFLA_INFO_SLAVE_DATA differs from kind to kind."""


def request(*, index: int = 0) -> bytes:
    """One interface, without its counters, and an acknowledgment behind it."""
    payload = pack("=BxHIII", 0, 0, index, 0, 0)
    return message(RTM_GETLINK, NLM_F_ACK, payload + WITHOUT_STATISTICS)


def request_by_name(name: bytes) -> bytes:
    """The interface with that alternative name (since Linux 5.5), and an acknowledgment behind it."""
    attribute = pack("=HH", 4 + len(name) + 1, IFLA_ALT_IFNAME) + name + b"\0"
    padding = bytes(-len(attribute) % 4)
    return message(RTM_GETLINK, NLM_F_ACK, bytes(BODY) + attribute + padding + WITHOUT_STATISTICS)


def dump_request() -> bytes:
    """All interfaces, without their counters."""
    return message(RTM_GETLINK, NLM_F_DUMP, bytes(BODY) + WITHOUT_STATISTICS)


def indices(run: Run) -> list[int]:
    """A column of the interfaces' numbers."""
    return run.u32(_INDEX)


def texts(run: Run, layout: Layout, kind: int) -> list[str]:
    """A column of an attribute that is a name, up to its NUL."""
    at, size = layout[kind]
    raws = [raw for (raw,) in run.rows(at, f"{size}s")]
    together = b"".join(raws)
    if together.isascii() and b"\\" not in together:
        found = together.decode().split("\0")
        if len(found) == run.count + 1 and not found[-1] and together[size - 1 :: size].count(0) == run.count:
            return found[:-1]  # each has the one NUL at its end, as the kernel has it
    return [text(raw.split(b"\0", 1)[0]) for raw in raws]


def names(runs: Iterable[Run]) -> Iterator[tuple[int, str]]:
    """Index and name of each interface in the answer. Raises MalformedError where messages are malformed."""
    for run in runs:
        for part, layout in run.by_layout(BODY, _NAMED):
            if IFLA_IFNAME in layout:
                yield from zip(indices(part), texts(part, layout, IFLA_IFNAME), strict=True)


def name(runs: Iterable[Run]) -> str | None:
    """The name in the answer. Raises NetlinkError where messages are malformed."""
    return next((found for _, found in names(runs)), None)
