"""Numbers by which a network namespace knows others (linux/net_namespace.h: RTM_GETNSID)."""

from __future__ import annotations

from _struct import pack

from ...uapi.net_namespace import NETNSA_FD, NETNSA_NSID
from ...uapi.rtnetlink import RTM_GETNSID
from .attributes import Shape
from .messages import attribute, message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .messages import Run

_BODY = 4
_SHAPE = Shape({NETNSA_NSID: 4})


def request(descriptor: int) -> bytes:
    """Asks for the number of an open namespace (struct rtgenmsg)."""
    return message(RTM_GETNSID, 0, pack("=Bxxx", 0) + attribute(NETNSA_FD, pack("=I", descriptor)))


def number(runs: Iterable[Run]) -> int | None:
    """The number in the answer; None where it has none. Raises NetlinkError where messages are malformed."""
    for run in runs:
        for part, layout in run.by_layout(_BODY, _SHAPE):
            if NETNSA_NSID in layout:
                found: int = part.unpack(layout[NETNSA_NSID][0], "i")[0]
                return found if found >= 0 else None
    return None
