"""Whether this kernel and this user let packets be seen that are dropped: else the test cannot run."""

from __future__ import annotations

from availability import unavailable

from netinspect.nouns.drops.events import Source, Unavailable


def drops_may_be_seen() -> None:
    """Skips the test, loudly, where they may not; with NETINSPECT_NO_SKIP=1 (CI) it fails."""
    try:
        Source((1,)).close()
    except Unavailable as error:
        unavailable(str(error))
