"""A terminal that programs run on: a pseudoterminal whose screen is rendered, scrollback included."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any

import pyte

SIZES = ((80, 24), (120, 40), (200, 50))
_PATIENCE = 30.0


class Terminal:
    """One program on a terminal of this size. ``start`` is what starts it, such as a namespace's ``popen``."""

    def __init__(
        self,
        argv: Sequence[str],
        columns: int = 80,
        lines: int = 24,
        *,
        start: Callable[..., subprocess.Popen[Any]] = subprocess.Popen,
        environment: Mapping[str, str | None] | None = None,
        **options: Any,
    ) -> None:
        self.columns = columns
        self.screen = pyte.HistoryScreen(columns, lines, history=100_000, ratio=0.5)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = b""
        variables: dict[str, str | None] = {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        for name in ("COLUMNS", "LINES", "PAGER", "NETINSPECT_PAGER", "NO_COLOR", "CLICOLOR_FORCE", "LESS"):
            variables.pop(name, None)
        variables |= environment or {}
        self._master, slave = pty.openpty()
        self._size(columns, lines)
        self.process = start(
            # The terminal controls what is started: a pager asks it, and Ctrl-C reaches it.
            ["setsid", "--ctty", *argv],
            stdin=slave,
            **{"stdout": slave, "stderr": slave} | options,
            env={name: value for name, value in variables.items() if value is not None},
        )
        os.close(slave)

    def _size(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns: int, lines: int) -> None:
        """Gives the terminal another size: what has it in the foreground gets SIGWINCH."""
        self.columns = columns
        self.screen.resize(lines, columns)
        self._size(columns, lines)

    def type(self, keys: str) -> None:
        """Presses keys."""
        os.write(self._master, keys.encode())

    def _read(self, seconds: float) -> bool:
        """Takes what has come within so many seconds; False at the end."""
        if not select.select([self._master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the last that had it open is gone
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Reads until the condition holds."""
        ends = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < ends, f"{what or condition} never came; the screen:\n{self.text}"
            if not self._read(0.1):
                assert condition(), f"the program ended before {what or condition} came; the screen:\n{self.text}"

    def shows(self, *texts: str) -> None:
        """Reads until the screen has all of these texts."""
        self.until(lambda: all(text in self.text for text in texts), repr(texts))

    def end(self) -> int:
        """Reads until the program has ended, and returns its exit status."""
        ends = time.monotonic() + _PATIENCE
        while self._read(0.1):
            assert time.monotonic() < ends, f"no end; the screen:\n{self.text}"
        return self.process.wait(_PATIENCE)

    @property
    def lines(self) -> list[str]:
        """The rows of the screen without trailing blanks; empty ones at the end are left out."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip("\n").split("\n")

    @property
    def text(self) -> str:
        """The screen."""
        return "\n".join(self.lines)

    @property
    def scrolled(self) -> list[str]:
        """The rows that have left the screen at its top."""
        return ["".join(row[at].data for at in range(self.columns)).rstrip() for row in self.screen.history.top]

    @property
    def everything(self) -> list[str]:
        """All rows, those that have left the screen first."""
        return [*self.scrolled, *self.lines]

    @property
    def flags(self) -> list[Any]:
        """How the terminal is set (termios(3))."""
        return termios.tcgetattr(self._master)

    def close(self) -> None:
        """Ends the program where it still runs."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait(_PATIENCE)
        os.close(self._master)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
