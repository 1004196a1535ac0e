"""``--watch``: repeats a listing."""

from __future__ import annotations

from time import localtime, monotonic, sleep, strftime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from ..environment import Environment


def repeat(action: Callable[[], int], seconds: float, environment: Environment, *, dated: bool = False) -> NoReturn:
    """Runs ``action`` every few seconds, until KeyboardInterrupt or an error; ``dated``: a line before tells when.

    A run that takes longer than that is followed by the next at once, never by two.
    """
    due = monotonic()
    while True:
        if dated:
            environment.write(strftime("%Y-%m-%dT%H:%M:%S%z\n", localtime()).encode())
        action()
        due = max(due + seconds, monotonic())
        sleep(max(due - monotonic(), 0))
