"""``--watch``: repeats a listing."""

from __future__ import annotations

from time import monotonic, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def repeat(action: Callable[[], int], seconds: float) -> NoReturn:
    """Runs ``action`` every few seconds, until KeyboardInterrupt or an error.

    A run that takes longer than that is followed by the next at once, never by two.
    """
    due = monotonic()
    while True:
        action()
        due = max(due + seconds, monotonic())
        sleep(max(due - monotonic(), 0))
