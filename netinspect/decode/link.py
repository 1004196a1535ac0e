"""Interface names by index (linux/rtnetlink.h, linux/if_link.h)."""

from __future__ import annotations

from struct import pack

from ..netlink.messages import NLM_F_ACK, NLM_F_DUMP, message
from .sock_diag import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..netlink.messages import Run

RTM_GETLINK = 18
IFLA_IFNAME = 3
_IFLA_EXT_MASK = 29
_RTEXT_FILTER_SKIP_STATS = 8
WITHOUT_STATISTICS = pack("=HHI", 8, _IFLA_EXT_MASK, _RTEXT_FILTER_SKIP_STATS)
"""The attribute that asks for links without their counters."""
_BODY = 16
_INDEX = 20


def request(*, index: int = 0) -> bytes:
    """One interface, without its counters, and an acknowledgment behind it."""
    payload = pack("=BxHiII", 0, 0, index, 0, 0)
    return message(RTM_GETLINK, NLM_F_ACK, payload + WITHOUT_STATISTICS)


def dump_request() -> bytes:
    """All interfaces, without their counters."""
    return message(RTM_GETLINK, NLM_F_DUMP, bytes(_BODY) + WITHOUT_STATISTICS)


def names(runs: Iterable[Run]) -> Iterator[tuple[int, str]]:
    """Index and name of each interface in the answer. Raises NetlinkError where messages are malformed."""
    for run in runs:
        for part, layout in run.by_layout(_BODY):
            if IFLA_IFNAME in layout:
                at, size = layout[IFLA_IFNAME]
                raws = part.unpack(at, f"{size}s")
                yield from zip(part.u32(_INDEX), [text(raw.split(b"\0", 1)[0]) for raw in raws], strict=True)


def name(runs: Iterable[Run]) -> str | None:
    """The name in the answer. Raises NetlinkError where messages are malformed."""
    for run in runs:
        for part, layout in run.by_layout(_BODY):
            if IFLA_IFNAME in layout:
                at, size = layout[IFLA_IFNAME]
                return text(part.data[at : at + size].split(b"\0", 1)[0])
    return None
