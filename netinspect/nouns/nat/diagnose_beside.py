"""What a way shows beside whether it gets through."""

from __future__ import annotations

from .diagnose_astray import duplicates
from .diagnose_marks import marks_late
from .diagnose_redirected import sent_out_again
from .diagnose_related import clamped_too_large, errors_dropped, one_way, own_errors_dropped
from .diagnose_sources import other_uplinks_source, private_primary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding
    from ..path.walk_path import Path
    from .diagnose_situation import Situation


def beside(situation: Situation, path: Path, known_by: str) -> Iterator[Finding]:
    """What is worth knowing of a way, whether it gets through or not."""
    yield from marks_late(situation, path, known_by)
    yield from duplicates(situation, path, known_by)
    yield from private_primary(situation, path, known_by)
    yield from other_uplinks_source(situation, path, known_by)
    yield from one_way(situation, path, known_by)
    yield from errors_dropped(situation, path, known_by)
    yield from own_errors_dropped(situation, path, known_by)
    yield from clamped_too_large(situation, path, known_by)
    yield from sent_out_again(situation, path, known_by)
