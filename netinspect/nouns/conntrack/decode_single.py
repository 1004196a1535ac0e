"""Entries of connection tracking of which single ones are wanted: see engine/cut.py."""

from __future__ import annotations

from _functools import partial

from ...engine.cut import CutBatch
from ...engine.netlink.messages import Run
from .decode import Decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...engine.columns import Batch
    from ...engine.netlink.messages import Paths


class SingleDecoder(Decoder):
    """Decodes entries into batches that can be cut."""

    def batch(self, run: Run, paths: Paths) -> Batch:
        """The entries of a run whose attributes are all at the same places."""
        return CutBatch(super().batch(run, paths), partial(self._single, run, paths))

    def _single(self, run: Run, paths: Paths, row: int) -> Batch:
        at = row * run.length
        one = Run(run.data[at : at + run.length], run.kind, run.length, 1, run.operation)
        return super().batch(one, paths)
