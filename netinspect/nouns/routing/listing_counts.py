"""Counts of routes instead of rows."""

from __future__ import annotations

from ...engine.counts import tally
from ...records import RouteCount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...engine.columns import Batch


def counts(batches: Iterable[Batch]) -> list[RouteCount]:
    """How many routes there are of each kind; the most frequent of each family, in each namespace, first."""
    found = tally(batches, ("netns", "family", "table", "protocol", "type"), 2)
    return [RouteCount._make((*key[1:], number, key[0])) for key, number in found]
