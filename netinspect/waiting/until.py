"""Looking again until something is so, or time is up."""

from __future__ import annotations

from time import monotonic, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    Seen = TypeVar("Seen")

FIRST_PAUSE = 0.001
LONGEST_PAUSE = 0.05
_REST = 3
"""A pause is at least this many times as long as the poll before it, so that polling a large table leaves time."""


def nap(seconds: float) -> bool:
    """Sleeps. False: nothing woke it."""
    sleep(seconds)
    return False


def until(
    look: Callable[[], Seen],
    enough: Callable[[Seen], bool],
    timeout: float,
    pause: Callable[[float], bool] = nap,
    longest: float = LONGEST_PAUSE,
) -> tuple[Seen, float]:
    """What ``look`` saw when it was ``enough``, or after ``timeout`` seconds, and the seconds that went by.

    It looks once at least, and once more when time is up. Between looks it pauses, 1 ms at first and up to ``longest``
    seconds. ``pause`` waits for so long and returns whether something happened meanwhile: then it looks at once, but
    never spends more than half of its time with looking.
    """
    start = monotonic()
    deadline = start + timeout
    length = FIRST_PAUSE
    while True:
        began = monotonic()
        seen = look()
        now = monotonic()
        if began >= deadline or enough(seen):
            return seen, now - start
        cost = now - began
        if pause(max(0.0, min(max(length, _REST * cost), deadline - now))):
            length = FIRST_PAUSE
            nap(max(0.0, min(now + cost, deadline) - monotonic()))
        else:
            length = min(2 * length, longest)
