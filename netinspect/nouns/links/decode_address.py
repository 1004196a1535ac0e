"""Addresses of interfaces (linux/if_addr.h)."""

from __future__ import annotations

from _socket import inet_ntop
from struct import pack, unpack_from

from ...engine.netlink.messages import NLM_F_DUMP, attributes, malformed, message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...engine.netlink.messages import Run

RTM_GETADDR = 22
IFA_ADDRESS, IFA_LOCAL = 1, 2
_BODY = 8
_SIZES = {2: 4, 10: 16}


def request() -> bytes:
    """A dump of the addresses of all interfaces and families."""
    return message(RTM_GETADDR, NLM_F_DUMP, pack("=BBBBI", 0, 0, 0, 0, 0))


def addresses(runs: Iterable[Run]) -> Iterator[tuple[int, str, int]]:
    """Interface index, own address and prefix length. Raises NetlinkError where the answer is malformed."""
    for run in runs:
        if run.length < 16 + _BODY:
            raise malformed(f"{run.length} bytes where at least {16 + _BODY} were due", run.operation)
        for at in range(0, len(run.data), run.length):
            family, length, _, _, index = unpack_from("=BBBBI", run.data, at + 16)
            layout = attributes(run.data, at + 16 + _BODY, at + run.length, run.operation)
            where, size = layout.get(IFA_LOCAL) or layout.get(IFA_ADDRESS) or (0, 0)
            if family in _SIZES and size == _SIZES[family]:
                yield index, inet_ntop(family, run.data[where : where + size]), length
