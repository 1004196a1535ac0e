"""Figures of connection tracking as a whole, such as the size of its table, of each network namespace."""

from __future__ import annotations

from ...engine.listing import BaseListing
from ...engine.schema import rows_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from ...engine.columns import Batch
    from ...engine.places import Place


class FigureListing(BaseListing):
    """One listing: ``batches()`` streams it. ``look`` reads the records of one namespace."""

    def __init__(self, record: str, look: Callable[[Place], Iterable[Any]], places: Sequence[Place]) -> None:
        super().__init__(places)
        self._record = record
        self._look = look

    def _place(self, place: Place) -> Iterator[Batch]:
        found = list(self._look(place))
        if found:
            yield rows_of(found, self._record)
