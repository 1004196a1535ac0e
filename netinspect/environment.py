"""The environment of a command: its output streams. Tests pass their own."""

from __future__ import annotations

import posix

from .errors import OutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

KINDS: dict[str, Callable[[], Any]] = {}
"""What finds namespaces of a kind, by the word before the colon, and labels them: as Labs of lab_places does."""


class Environment:
    """The streams of a run.

    ``write`` writes bytes to standard output, ``complain`` one line to standard error and ``error`` bytes.
    ``terminal`` is whether standard output is one, ``columns`` and ``lines`` its size. ``forced``: colours wherever the
    output goes; ``doing``: what the command is waiting for.
    """

    __slots__ = ("columns", "complained", "doing", "error", "forced", "lines", "terminal", "write")

    def __init__(
        self,
        write: Callable[[bytes], object],
        error: Callable[[bytes], object],
        terminal: bool,
        columns: int,
    ) -> None:
        self.write = write
        self.error = error
        self.complained: set[tuple[str, ...]] = set()
        self.terminal = terminal
        self.columns = columns
        self.lines = 24
        self.forced = False
        self.doing = "waiting for the kernel"

    def progress(self, text: str) -> None:
        """A progress line on standard error, not an error."""
        from .engine.text import printable

        self.error(f"{printable(text)}\n".encode("utf-8", "backslashreplace"))

    def complain(self, text: str, *details: str) -> None:
        """One line on standard error, and one for each detail; repeated lines are dropped.

        Names in the texts cannot add lines or control characters.
        """
        if (text, *details) in self.complained:
            return
        self.complained.add((text, *details))
        from .engine.text import printable

        shown = [printable(line) for line in (text, *details)]
        if max(map(len, shown)) > _LONGEST_LINE:
            from .engine.terminal import shortened

            shown = [shortened(line, _LONGEST_LINE) for line in shown]
        lines = "\n".join(shown)
        self.error(f"netinspect: {lines}\n".encode("utf-8", "backslashreplace"))


_USUAL_COLUMNS = 80
_LONGEST_LINE = 4000
"""Characters of a line on standard error: a word of the command line may have a hundred thousand."""


def of_process() -> Environment:
    """The environment of this process: file descriptors 1 and 2."""
    _keep_numbers()
    environment = Environment(_write_output, _write_error, posix.isatty(1), _USUAL_COLUMNS)
    environment.forced = b"CLICOLOR_FORCE" in posix.environ
    if environment.terminal:
        from .engine.terminal import size

        environment.columns, environment.lines = size()
    return environment


def _keep_numbers() -> None:
    """Opens closed standard streams, so that no socket gets their numbers, and the output."""
    for descriptor in range(3):
        try:
            posix.fstat(descriptor)
        except OSError:
            posix.open("/", posix.O_RDONLY)  # gets the lowest free number; writing to it fails as before


def _write_output(data: bytes) -> None:
    """Writes everything. Raises OutputError."""
    while data:
        try:
            written = posix.write(1, data)
        except BlockingIOError:  # another user of this pipe or terminal made it non-blocking
            from select import select

            select((), (1,), ())
        except BrokenPipeError:
            from .engine.signals import end_by_pipe

            end_by_pipe()
        except OSError as error:
            raise OutputError(f"standard output: {error.strerror}") from None
        else:
            data = data[written:]


def _write_error(data: bytes) -> None:
    try:
        posix.write(2, data)
    except OSError:
        pass  # nobody is left to inform
