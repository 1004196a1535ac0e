"""``--watch``: repeats a listing."""

from __future__ import annotations

from time import localtime, monotonic, sleep, strftime

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from .output import ListingCommand


def repeat(action: Callable[[], int], seconds: float) -> NoReturn:
    """Runs ``action`` every few seconds, until KeyboardInterrupt or an error.

    A run that takes longer than that is followed by the next at once, never by two.
    """
    due = monotonic()
    while True:
        action()
        due = max(due + seconds, monotonic())
        sleep(max(due - monotonic(), 0))


def one_after_the_other(command: ListingCommand) -> NoReturn:
    """Lists every few seconds; a table below a line with the time."""
    repeat(timed(command) if command.format == "table" and not command.no_header else command.once, command.watch or 1)


def timed(command: ListingCommand) -> Callable[[], int]:
    """What lists once, below a line with the time (ISO 8601, local), and a blank line after the listing before."""
    before = ""

    def listed() -> int:
        nonlocal before
        time = strftime("%Y-%m-%dT%H:%M:%S%z", localtime())
        command.environment.write(f"{before}{time}\n".encode())
        before = "\n"
        return command.once()

    return listed
