"""Records that were made one by one, as batches of a bounded size: columns and text are made of one at a time."""

from __future__ import annotations

from itertools import islice

from .schema import rows_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from .columns import Batch

_ROWS = 4096


def in_pieces(records: Iterable[Any]) -> Iterator[Batch]:
    """Batches of these records, which are of one type; none where there are none."""
    remaining = iter(records)
    while piece := list(islice(remaining, _ROWS)):
        yield rows_of(piece)
