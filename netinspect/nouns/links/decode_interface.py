"""Interfaces: name, flags and MTU (linux/rtnetlink.h, linux/if_link.h, linux/if.h)."""

from __future__ import annotations

from struct import pack, unpack_from

from ...engine.netlink.interfaces import IFLA_IFNAME, RTM_GETLINK
from ...engine.netlink.messages import NLM_F_DUMP, attribute, attributes, malformed, message
from ...engine.text import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...engine.netlink.messages import Run

IFLA_MTU = 4
IFLA_EXT_MASK = 29
_RTEXT_FILTER_SKIP_STATS = 8
IFF_UP, IFF_LOOPBACK = 1, 8
_BODY = 16


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
        if run.length < 16 + _BODY:
            raise malformed(f"{run.length} bytes where at least {16 + _BODY} were due", run.operation)
        for at in range(0, len(run.data), run.length):
            index, flags = unpack_from("=iI", run.data, at + 20)
            layout = attributes(run.data, at + 16 + _BODY, at + run.length, run.operation)
            where, size = layout.get(IFLA_IFNAME, (0, 0))
            name = text(run.data[where : where + size].split(b"\0", 1)[0])
            where, size = layout.get(IFLA_MTU, (0, 0))
            mtu = unpack_from("=I", run.data, where)[0] if size >= 4 else 0
            yield Interface(index, name, flags, mtu)
