"""Expectations of connection tracking helpers."""

from __future__ import annotations

from ..decode import expectations
from ..errors import NetlinkError
from ..netlink.transport import NETLINK_NETFILTER, Dump
from .dumps import whole_dump
from .flows import explained
from .places import in_places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..batch import Batch
    from .places import Place

OPERATION = "listing expectations"


class Listing:
    """One listing: ``batches()`` streams it. ``problems`` has, at its end, what could not be listed, and why."""

    def __init__(self, places: Sequence[Place]) -> None:
        self.problems: list[str] = []
        self._places = places

    def batches(self) -> Iterator[Batch]:
        """The expectations. Raises ConntrackError, NetlinkError and NamespaceError."""
        return in_places(self._places, self._place, self.problems.append)

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
