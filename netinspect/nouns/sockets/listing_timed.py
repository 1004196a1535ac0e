"""Listings for rates: rows have a column ``read_at``, when the kernel read each, in seconds of time.monotonic."""

from __future__ import annotations

from ...engine.netlink.timed import TimedDump, times_of
from .listing import SocketListing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable, Iterable, Iterator

    from ...engine.columns import Batch
    from ...engine.netlink.messages import Run
    from ...engine.places import Place

_LOW = 0xFFFFFFFF
"""The bits of a cookie that an identity is."""


class TimedSockets(SocketListing):
    """Sockets, those of IP with the time at which each was read."""

    _made_by = TimedDump
    _gathers = True

    def _dump(
        self,
        request: bytes,
        operation: str,
        place: Place,
        decode: Callable[[Run], Iterable[Batch]],
        identities: Callable[[Run], array[int]],
    ) -> Iterator[Batch]:
        def decoded(run: Run) -> Iterator[Batch]:
            times = dict(zip(identities(run), times_of(run) or (), strict=True))
            for batch in decode(run):
                yield batch.joined(
                    {"read_at": lambda rows: [times.get(cookie & _LOW) for cookie in rows.values("cookie")]},
                    batch.schema.wider(("read_at",)),
                )

        return super()._dump(request, operation, place, decoded, identities)
