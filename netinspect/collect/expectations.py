"""Expectations of connection tracking helpers."""

from __future__ import annotations

from ..decode import expectations
from ..errors import NetlinkError
from ..netlink.transport import NETLINK_NETFILTER, Dump
from .dumps import whole_dump
from .flows import explained
from .listing import BaseListing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..batch import Batch
    from .places import Place

OPERATION = "listing expectations"


class Listing(BaseListing):
    """One listing: ``batches()`` streams it, and raises ConntrackError where there is no connection tracking."""

    def _place(self, place: Place) -> Iterator[Batch]:
        def dump() -> Dump:
            return Dump(place.connect(NETLINK_NETFILTER), expectations.request(), OPERATION)

        try:
            yield from whole_dump(OPERATION, dump, expectations.batches, None, "id", self.problems.append)
        except NetlinkError as error:
            raise explained(error) from None


def number_of_expectations(place: Place) -> int | None:
    """How many there are; None where the kernel does not say."""
    try:
        return sum(run.count for run in Dump(place.connect(NETLINK_NETFILTER), expectations.request(), OPERATION))
    except NetlinkError:
        return None
