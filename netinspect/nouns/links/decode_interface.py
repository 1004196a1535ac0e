"""Interfaces: name, flags and MTU (linux/rtnetlink.h, linux/if_link.h, linux/if.h)."""

from __future__ import annotations

from struct import pack, unpack_from

from ...engine.netlink.attributes import ANY, Attributes, Shape
from ...engine.netlink.interfaces import IFLA_IFNAME, RTM_GETLINK
from ...engine.netlink.messages import HEADER_SIZE, NLM_F_DUMP, attribute, message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...engine.netlink.messages import Run

IFLA_MTU = 4
IFLA_EXT_MASK = 29
_RTEXT_FILTER_SKIP_STATS = 8
IFF_UP, IFF_LOOPBACK = 1, 8
_BODY = 16
_SHAPE = Shape({IFLA_IFNAME: ANY, IFLA_MTU: (4,)})


class Interface:
    """One interface."""

    __slots__ = ("index", "loopback", "mtu", "name", "up")

    def __init__(self, index: int, name: str, flags: int, mtu: int) -> None:
        self.index = index
        self.name = name
        self.up = bool(flags & IFF_UP)
        self.loopback = bool(flags & IFF_LOOPBACK)
        self.mtu = mtu


def request() -> bytes:
    """A dump of all interfaces, without their counters."""
    body = pack("=BxHiII", 0, 0, 0, 0, 0)
    return message(RTM_GETLINK, NLM_F_DUMP, body + attribute(IFLA_EXT_MASK, pack("=I", _RTEXT_FILTER_SKIP_STATS)))


def interfaces(runs: Iterable[Run]) -> Iterator[Interface]:
    """The interfaces in the answer. Raises NetlinkError where it is malformed."""
    for run in runs:
        for part, _ in run.by_layout(_BODY, _SHAPE):
            for at in range(0, len(part.data), part.length):
                index, flags = unpack_from("=II", part.data, at + 20)
                inside = Attributes(part.data, part.operation, _SHAPE, at + HEADER_SIZE + _BODY, at + part.length)
                yield Interface(index, inside.text(IFLA_IFNAME) or "", flags, inside.number(IFLA_MTU) or 0)
