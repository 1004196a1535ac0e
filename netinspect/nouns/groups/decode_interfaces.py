"""The version of MLD that interfaces are set to (net/ipv6/addrconf.c: inet6_fill_ifinfo; linux/ipv6.h: DEVCONF_*)."""

from __future__ import annotations

from ...engine.netlink.attributes import ANY, Shape
from ...engine.netlink.interfaces import BODY, indices
from ...engine.netlink.messages import attributes, each_attribute, message
from ...uapi.if_link import IFLA_INET6_CONF, IFLA_PROTINFO
from ...uapi.netlink import AF_INET6, NLM_F_DUMP
from ...uapi.rtnetlink import RTM_GETLINK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...engine.netlink.messages import Run

_SHAPE = Shape({IFLA_PROTINFO: ANY})
_FORCE_MLD_VERSION = 16
"""DEVCONF_FORCE_MLD_VERSION: which of the 32-bit numbers it is."""


def request() -> bytes:
    """A dump of what IPv6 knows of each interface."""
    return message(RTM_GETLINK, NLM_F_DUMP, bytes((AF_INET6,)) + bytes(BODY - 1))


def forced_versions(run: Run) -> Iterator[tuple[int, int]]:
    """Index and ``force_mld_version`` of each interface that has IPv6; 0: not forced.

    Raises MalformedError where messages are malformed."""
    for part, layout in run.by_layout(BODY, _SHAPE):
        if IFLA_PROTINFO not in layout:
            continue  # a kernel without IPv6 answers with links
        start, size = layout[IFLA_PROTINFO]
        inside = each_attribute(part.data, start, start + size, part.operation)
        # What is inside has the same places in all messages, as a rule.
        alike = all(part.same(at - 4) for _, at, _ in inside)
        for same in (part,) if alike else part.singles():
            at, length = attributes(same.data, start, start + size, same.operation).get(IFLA_INET6_CONF, (0, 0))
            if length >= 4 * (_FORCE_MLD_VERSION + 1):
                yield from zip(indices(same), same.u32(at + 4 * _FORCE_MLD_VERSION), strict=True)
