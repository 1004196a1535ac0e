"""What a command knows of the outside: where its output goes. Tests pass one of their own."""

from __future__ import annotations

import os

from .errors import OutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Environment:
    """The streams of a run.

    ``write`` takes the bytes of standard output, ``complain`` one line of text for standard error, which ``error``
    takes as bytes; ``terminal`` shows whether standard output is one, ``columns`` and ``lines`` how large it is.
    ``forced`` says that colours are wanted wherever the output goes, and ``doing`` what is waited for.
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
        """One line on standard error that is no complaint: what is going on."""
        from .engine.text import printable

        self.error(f"{printable(text)}\n".encode("utf-8", "backslashreplace"))

    def complain(self, text: str, *details: str) -> None:
        """One line on standard error, and one for each detail; the same is not written twice.

        Whatever names the texts hold, they make no further lines, and no control character is written.
        """
        if (text, *details) in self.complained:
            return
        self.complained.add((text, *details))
        from .engine.text import printable

        lines = "\n".join(map(printable, (text, *details)))
        self.error(f"netinspect: {lines}\n".encode("utf-8", "backslashreplace"))


_USUAL_COLUMNS = 80


def of_process() -> Environment:
    """The environment of this process: file descriptors 1 and 2."""
    _keep_numbers()
    environment = Environment(_write_output, _write_error, os.isatty(1), _USUAL_COLUMNS)
    environment.forced = "CLICOLOR_FORCE" in os.environ
    if environment.terminal:
        from .engine.terminal import size

        environment.columns, environment.lines = size()
    return environment


def _keep_numbers() -> None:
    """Sees to it that no socket gets the number of a standard stream that is closed, and the output with it."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open("/", os.O_RDONLY)  # takes the lowest free number; writing to it fails as before


def _write_output(data: bytes) -> None:
    """Writes everything. Raises OutputError."""
    while data:
        try:
            written = os.write(1, data)
        except BlockingIOError:  # whoever shares this pipe or terminal with us has made it so
            from select import select

            select((), (1,), ())
        except OSError as error:
            raise OutputError(f"standard output: {error.strerror}") from None
        else:
            data = data[written:]


def _write_error(data: bytes) -> None:
    try:
        os.write(2, data)
    except OSError:
        pass  # nobody left to tell
