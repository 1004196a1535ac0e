"""Longer runs, for what costs much to decode and little a row: listings that ask for that load it."""

from __future__ import annotations

from .messages import GATHERED, joined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .messages import Run


def gathered(runs: Iterable[Run]) -> Iterator[Run]:
    """The same messages in longer runs: for tables in which messages of several shapes alternate.

    Messages of one shape keep their order. What is held back is at most 256 KiB of each shape.
    """
    waiting: dict[tuple[int, int], list[Run]] = {}
    for run in runs:
        run.positions = None  # those of another buffer say nothing beside them
        same = waiting.setdefault((run.length, run.kind), [])
        same.append(run)
        if sum(len(part.data) for part in same) >= GATHERED:
            yield joined(same)
            same.clear()
    yield from (joined(same) for same in waiting.values() if same)
