"""Groups that interfaces receive, dumped and as events (linux/if_addr.h, net/ipv4/igmp.c, net/ipv6/mcast.c).

An IPv4 dump exists since about Linux 6.15 (commit eb4e17a1d915), events since about 6.14 (commit 2c2b61d2138f). What
the kernel answers with is RTM_GETMULTICAST or RTM_NEWMULTICAST, by family and version: both are taken.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop
from _struct import pack, unpack_from

from ...engine.netlink.attributes import ADDRESS, Shape
from ...engine.netlink.messages import malformed, message
from ...uapi.if_addr import IFA_CACHEINFO, IFA_MULTICAST
from ...uapi.netlink import NLM_F_DUMP
from ...uapi.rtnetlink import RTM_DELMULTICAST, RTM_GETMULTICAST, RTM_NEWMULTICAST

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...engine.netlink.messages import Run
    from ...records import UnknownAttribute

_TOLD = (RTM_NEWMULTICAST, RTM_GETMULTICAST)

FAMILIES = {"inet": AF_INET, "inet6": AF_INET6}
_NAMES = {number: name for name, number in FAMILIES.items()}


_BODY = 8
SHAPE = Shape({IFA_MULTICAST: ADDRESS, IFA_CACHEINFO: 16}, (1, 2, 3, 4, 5, 8, 9, 10, 11))
"""Attributes of unicast addresses that the kernel does not send for groups."""
_TICKS = 100.0
"""struct ifa_cacheinfo counts hundredths of a second since the machine came up, modulo 2^32."""


class Group:
    """A group on an interface. ``created`` is in seconds since the machine came up; None where the kernel is silent."""

    __slots__ = ("created", "family", "group", "index", "left", "unknown_attributes")

    def __init__(
        self,
        family: str,
        index: int,
        group: str,
        created: float | None,
        left: bool,
        unknown_attributes: tuple[UnknownAttribute, ...] = (),
    ) -> None:
        self.family = family
        self.index = index
        self.group = group
        self.created = created
        self.unknown_attributes = unknown_attributes
        self.left = left
        """Whether the message says that the group was left: an event."""


def request(family: str) -> bytes:
    """A dump of the groups of one family on all interfaces (struct ifaddrmsg)."""
    return message(RTM_GETMULTICAST, NLM_F_DUMP, pack("=BxxxI", FAMILIES[family], 0))


def groups(run: Run) -> Iterator[Group]:
    """The groups in a run of messages; other messages are passed over. Raises NetlinkError where they are malformed."""
    if run.kind not in _TOLD and run.kind != RTM_DELMULTICAST:
        return
    for part, layout in run.by_layout(_BODY, SHAPE):
        if IFA_MULTICAST not in layout:
            continue
        at, size = layout[IFA_MULTICAST]
        unknown = SHAPE.unknown(layout)
        for first in range(0, len(part.data), part.length):
            family, index = unpack_from("=BxxxI", part.data, first + 16)
            name = _NAMES.get(family)
            if name is None or size != (4 if name == "inet" else 16):
                raise malformed(f"a group of address family {family} with {size} bytes", run.operation)
            created = None
            if IFA_CACHEINFO in layout:
                (ticks,) = unpack_from("=I", part.data, first + layout[IFA_CACHEINFO][0] + 8)
                created = ticks / _TICKS
            group = inet_ntop(family, part.data[first + at : first + at + size])
            yield Group(name, index, group, created, run.kind == RTM_DELMULTICAST, unknown)
