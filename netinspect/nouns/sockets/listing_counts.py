"""Counts of sockets instead of rows."""

from __future__ import annotations

from ...engine.counts import tally
from ...records import SocketCount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...engine.columns import Batch


def counts(batches: Iterable[Batch]) -> list[SocketCount]:
    """How many sockets there are by namespace, protocol, family and state; the most frequent state of each first."""
    found = tally(batches, ("netns", "protocol", "family", "state"), 3)
    return [SocketCount._make((*key[1:], number, key[0])) for key, number in found]
