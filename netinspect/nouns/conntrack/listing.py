"""Entries of the connection tracking table: what to ask of ctnetlink, in which namespaces, and what refusals mean."""

from __future__ import annotations

from errno import EINVAL, EOPNOTSUPP

from ...engine.dumps import whole_dump
from ...engine.listing import BaseListing
from ...engine.netlink.transport import Dump
from ...engine.places import Place
from ...errors import NetlinkError
from ...uapi.netlink import NETLINK_NETFILTER
from .decode import Decoder
from .filter import FlowFilter
from .request import KernelFilter, explained, request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...engine.columns import Batch

OPERATION = "listing conntrack entries"
_NAMED = 5
"""Namespaces that are named where several have the same to say."""


class FlowListing(BaseListing):
    """One listing: ``batches()`` streams it, and raises ConntrackError where there is no connection tracking."""

    def __init__(self, wanted: FlowFilter | None = None, places: Sequence[Place] = (), *, timed: bool = False) -> None:
        """Without ``places``: the current namespace. ``timed``: rows have a column ``read_at``."""
        self.wanted = wanted or FlowFilter()
        self.timed = timed
        super().__init__(places)
        self._idle: dict[str, list[str | None]] = {}
        """Why there are no entries at all, and in which places."""

    def batches(self) -> Iterator[Batch]:
        yield from super().batches()
        self.conclude()

    def _place(self, place: Place) -> Iterator[Batch]:
        seen = False
        for batch in self.entries(place):
            seen = True
            yield batch
        if not seen:
            self.explain_nothing(place)

    def entries(self, place: Place) -> Iterator[Batch]:
        """The wanted entries of one place, which is open. Raises ConntrackError and NetlinkError."""
        for family, kernel in self.wanted.kernel():
            for batch in self._filtered(place, family, kernel):
                found = self.wanted.checked(batch)
                if found.count:
                    yield found

    def _filtered(self, place: Place, family: int, kernel: KernelFilter) -> Iterator[Batch]:
        try:
            yield from self._dump(place, request(family, kernel))
        except NetlinkError as error:
            if error.errno not in (EINVAL, EOPNOTSUPP):
                raise explained(error) from None
            # This kernel lacks a filter: it is asked for all, and the rows are checked in any case.
            try:
                yield from self._dump(place, request(family))
            except NetlinkError as second:
                raise explained(second) from None

    def _dump(self, place: Place, asked: bytes) -> Iterator[Batch]:
        decoder = self._decoder()

        def dump() -> Dump:
            return kind(place.connect(NETLINK_NETFILTER), asked, OPERATION)

        kind: type[Dump] = Dump
        if self.timed:
            from ...engine.netlink.timed import TimedDump

            kind = TimedDump

        return whole_dump(OPERATION, dump, decoder.batches, None, "id", self.problems.append, gather=True)

    def _decoder(self) -> Decoder:
        if not self.timed:
            return Decoder()
        from .decode_single import SingleDecoder  # a live view shows some rows of many

        return SingleDecoder()

    def explain_nothing(self, place: Place) -> None:
        """Finds out why a place has no entries at all, for ``conclude`` to say."""
        from .listing_state import why_nothing

        reason = why_nothing(place)
        if reason:
            self._idle.setdefault(reason, []).append(place.label)

    def conclude(self) -> None:
        """Notes what is to be reported at the end of a listing."""
        for reason, labels in self._idle.items():
            named = [label for label in labels if label is not None]
            where = (
                f"in {len(named)} namespaces ({', '.join(named[:_NAMED])}{' …' * (len(named) > _NAMED)}) "
                if named
                else ""
            )
            self.notes.append(where + reason)
        self._idle = {}
