"""The queueing disciplines of a network namespace."""

from __future__ import annotations

from ...engine.dumps import whole_list
from ...engine.netlink.transport import Dump
from ...uapi.netlink import NETLINK_ROUTE
from . import decode_qdiscs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...engine.places import Place


def qdiscs_of(place: Place, problem: Callable[[str], object] = str) -> list[decode_qdiscs.Qdisc]:
    """Those with drop counters; ``place`` is open, ``problem`` gets what is missing. Raises NetlinkError."""
    operation = "reading queueing disciplines"

    def dump() -> Dump:
        return Dump(place.connect(NETLINK_ROUTE), decode_qdiscs.request(), operation)

    return whole_list(operation, dump, decode_qdiscs.qdiscs, problem)
