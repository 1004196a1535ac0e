"""Expectations of connection tracking helpers."""

from __future__ import annotations

from ...engine.dumps import whole_dump
from ...engine.listing import BaseListing
from ...engine.netlink.transport import Dump
from ...errors import NetlinkError
from ...uapi.netlink import NETLINK_NETFILTER
from . import decode_expectations as expectations
from .request import explained

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...engine.columns import Batch
    from ...engine.places import Place

OPERATION = "listing expectations"


class ExpectationListing(BaseListing):
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
