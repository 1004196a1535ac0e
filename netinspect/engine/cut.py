"""Batches of which single rows can be read: for who wants some cells of many rows, and not columns."""

from __future__ import annotations

from .columns import Batch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class CutBatch(Batch):
    """The rows of another batch."""

    __slots__ = ("_cut",)

    def __init__(self, batch: Batch, cut: Callable[[int], Batch]) -> None:
        """``cut`` makes a batch of one row."""
        super().__init__(batch.schema, batch.count, batch.column)
        self._cut = cut

    def has(self, name: str) -> bool:
        """Whether that column has been made."""
        return name in self._columns

    def single(self, row: int) -> Batch:
        """One row. Nothing is made of the others."""
        return self._cut(row)
