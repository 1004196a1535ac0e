"""``--watch``: a listing again and again."""

from __future__ import annotations

from time import monotonic, sleep

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from ..environment import Environment

_CLEAR_SCREEN = b"\x1b[H\x1b[2J"


def repeat(action: Callable[[], int], seconds: float, environment: Environment) -> NoReturn:
    """Runs ``action`` every few seconds, until KeyboardInterrupt or an error. A terminal is cleared before each.

    A run that takes longer than that is followed by the next at once, never by two.
    """
    due = monotonic()
    while True:
        if environment.terminal:
            environment.write(_CLEAR_SCREEN)
        action()
        due = max(due + seconds, monotonic())
        sleep(max(due - monotonic(), 0))
