"""What rows had in the samples before: of those that somebody may look at, for a few minutes."""

from __future__ import annotations

from collections import OrderedDict, deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence
    from typing import Any

    from .frame import Frame

SAMPLES = 240
_MOST_ROWS = 2000
"""Rows whose history is kept: whose rows were shown last."""


class History:
    """The values of some fields, sample after sample."""

    def __init__(self) -> None:
        self._rows: OrderedDict[Hashable, deque[tuple[Any, ...]]] = OrderedDict()

    def add(self, frame: Frame, rows: Iterable[int], fields: Sequence[str]) -> None:
        """Takes the values of these rows."""
        columns = [frame.column(field) for field in fields]
        for row in rows:
            key = frame.keys[row]
            kept = self._rows.get(key)
            if kept is None:
                kept = self._rows[key] = deque(maxlen=SAMPLES)
            else:
                self._rows.move_to_end(key)
            kept.append(tuple(column[row] for column in columns))
        while len(self._rows) > _MOST_ROWS:
            self._rows.popitem(last=False)

    def of(self, key: Hashable) -> list[tuple[Any, ...]]:
        """The values of a row in each field, the oldest first."""
        return list(self._rows.get(key, ()))

    def clear(self) -> None:
        """Forgets all."""
        self._rows.clear()
