"""Addresses of interfaces (linux/if_addr.h)."""

from __future__ import annotations

from struct import pack, unpack_from

from ...engine.netlink.attributes import ADDRESS, Attributes, Shape
from ...engine.netlink.messages import HEADER_SIZE, NLM_F_DUMP, malformed, message
from ...engine.rtnetlink import AF_INET, AF_INET6

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...engine.netlink.messages import Run

RTM_GETADDR = 22
IFA_ADDRESS, IFA_LOCAL = 1, 2
_BODY = 8
_WIDTHS = {AF_INET: 32, AF_INET6: 128}
_SHAPE = Shape({IFA_ADDRESS: ADDRESS, IFA_LOCAL: ADDRESS})


def request() -> bytes:
    """A dump of the addresses of all interfaces and families."""
    return message(RTM_GETADDR, NLM_F_DUMP, pack("=BBBBI", 0, 0, 0, 0, 0))


def addresses(runs: Iterable[Run]) -> Iterator[tuple[int, str, int]]:
    """Interface index, own address and prefix length. Raises NetlinkError where the answer is malformed."""
    for run in runs:
        for part, _ in run.by_layout(_BODY, _SHAPE):
            for at in range(0, len(part.data), part.length):
                family, length, _, _, index = unpack_from("=BBBBI", part.data, at + HEADER_SIZE)
                inside = Attributes(part.data, part.operation, _SHAPE, at + HEADER_SIZE + _BODY, at + part.length)
                found = inside.address(IFA_LOCAL) or inside.address(IFA_ADDRESS)
                if family in _WIDTHS and found is not None:
                    if length > _WIDTHS[family] or (":" in found) != (family == AF_INET6):
                        raise malformed(f"an address of family {family} and {length} bits", run.operation)
                    yield index, found, length
