"""Standard output where it is a terminal: a pager once the screen is full, and a line that says what is waited for.

What is written is held until the screen is full, the command ends, or a tenth of a second is over: then it is shown. A
screen that overflows later is taken back and given to the pager, from its first line. Complaints come after the rows.
"""

from __future__ import annotations

import os
from _signal import SIG_DFL, SIG_IGN, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM, default_int_handler, getsignal, signal
from _thread import allocate_lock, start_new_thread
from select import POLLIN, POLLOUT, poll
from time import monotonic, sleep

from ..errors import ExitStatus
from .signals import unfinished
from .terminal import moves, shortened, width
from .text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from ..environment import Environment
    from .command import Command

_HELD_SECONDS = 0.1
"""How long rows are held back where the screen does not fill: a person does not notice."""
_NO_LINE = b"\r\x1b[K"
_SILENT_SECONDS = 0.5
"""After this without output, a line says what is waited for."""
_METACHARACTERS = frozenset("|&;<>()$`\\\"' \t\n*?[#~=%")


_LONGEST_CALL = 200
"""Milliseconds."""


class Left(BaseException):
    """The reader has left the pager: there is nobody to write to, which is no error."""


def pager_of(environ: Mapping[str, str]) -> list[str]:
    """The pager's command line; empty where none is wanted: an empty name, or cat(1).

    Without one, less(1) is used, but not on a terminal that cannot scroll. What no shell can read is none either.
    """
    for name in ("NETINSPECT_PAGER", "PAGER"):
        if name in environ:
            words = environ[name].split()
            if words in ([], ["cat"]):
                return []
            if all(_METACHARACTERS.isdisjoint(word) for word in words):
                return words
            from shlex import split

            try:
                split(environ[name])
            except ValueError:
                return []
            return ["/bin/sh", "-c", environ[name]]
    return ["less", "-FRX"] if (environ.get("TERM") or "dumb") != "dumb" else []


def shown(command: Command) -> int:
    """Runs a command whose output is a terminal, and returns its exit status. Raises NetinspectError."""
    kind = command.screen()
    if not kind:
        return command.run()
    pager = pager_of(os.environ) if kind == "paged" and not command.no_pager else []
    return within(command.environment, command.run, pager, live=kind != "paged")


def page(environment: Environment, text: str) -> int:
    """Shows a text, through the pager where it is longer than the screen."""

    def write() -> int:
        environment.write(text.encode("utf-8", "backslashreplace"))
        return ExitStatus.OK

    return within(environment, write, pager_of(os.environ)) if environment.terminal else write()


def within(environment: Environment, action: Callable[[], int], pager: Sequence[str], *, live: bool = False) -> int:
    """Has an action write to a screen, and returns what it returns. ``live``: what is written is shown at once."""
    screen = Screen(environment, pager, live=live)
    try:
        return action()
    except Left:
        return ExitStatus.OK
    finally:
        screen.close()


class Screen:
    """Takes the place of an environment's streams until it is closed."""

    def __init__(self, environment: Environment, pager: Sequence[str], *, live: bool = False) -> None:
        self._environment = environment
        self._write, self._error = environment.write, environment.error
        self._pager = list(pager)
        self._plain = live or not pager
        self._held: list[bytes] = []
        self._rows = 0
        self._shown = 0
        """How many of the parts that are held are on the screen already."""
        self._shown_rows = 0
        self._complaints: list[bytes] = []
        self._began = monotonic()
        self._paging: _Pager | None = None
        self._lock = allocate_lock()
        self._silent = True
        self._told = False
        environment.write, environment.error = self.write, self.error
        try:
            start_new_thread(self._tell, ())
        except RuntimeError:
            pass  # no more threads allowed: nothing says that it waits

    def write(self, data: bytes) -> None:
        """Takes what is to be shown. Raises OutputError, and Left where nobody reads any more."""
        self._quiet()
        if self._plain:
            self._write(data)
            return
        if self._paging is not None:
            self._paging.feed(data)
            return
        self._held.append(data)
        self._rows += rows_of(data, self._environment.columns)
        if self._rows >= self._environment.lines:
            self._page()
        elif self._shown or monotonic() - self._began > _HELD_SECONDS:
            self.show()

    def error(self, data: bytes) -> None:
        """Takes a line for standard error: it follows the rows."""
        self._quiet()
        if self._plain and self._paging is None:
            self._error(data)
        else:
            self._complaints.append(data)

    def show(self) -> None:
        """Shows what is held."""
        for data in self._held[self._shown :]:
            self._write(data)
        self._shown, self._shown_rows = len(self._held), self._rows

    def close(self) -> None:
        """Shows what is left, waits for the reader of the pager, and gives the streams back."""
        self._quiet()
        self._environment.write, self._environment.error = self._write, self._error
        try:
            if self._paging is not None:
                self._paging.close()
            elif not self._plain:
                self.show()
        finally:
            for data in self._complaints:
                self._error(data)

    def _page(self) -> None:
        """Begins the pager, with all that is held."""
        try:
            self._paging = _Pager(self._pager)
        except OSError:  # there is none of that name
            self._plain = True
            self.show()
            return
        if self._shown_rows:
            self._write(f"\r\x1b[{self._shown_rows}A\x1b[J".encode())
        for data in self._held:
            self._paging.feed(data)
        self._held = []

    def _quiet(self) -> None:
        """From now on there is output: the line on what is waited for goes away."""
        if self._silent:
            with self._lock:
                self._silent = False
                if self._told:
                    self._error(_NO_LINE)
                    unfinished.clear()

    def _tell(self) -> None:
        """Says what is waited for, and for how long, until there is output: runs in a thread of its own."""
        sleep(_SILENT_SECONDS)
        while self._silent and moves():
            environment = self._environment
            line = f"{printable(environment.doing)} … {monotonic() - self._began:.0f} s"
            with self._lock:
                if self._silent:
                    if not self._told:
                        unfinished.append(_NO_LINE)
                    self._told = True
                    self._error(f"\r{shortened(line, environment.columns - 1)}\x1b[K".encode("utf-8", "replace"))
            sleep(0.25)


class _Pager:
    """A pager that runs, and the pipe that it reads."""

    def __init__(self, words: list[str]) -> None:
        """Starts it. Raises OSError where there is none of that name."""
        self._process = self._asked = 0
        # Before it runs: what would end this program alone would leave it behind.
        self._before: dict[int, Any] = {number: getsignal(number) for number in (SIGINT, SIGQUIT, SIGTERM, SIGHUP)}
        # Ctrl-C is for the pager, which ends no reading by it.
        for number in (SIGINT, SIGQUIT):
            signal(number, lambda *_: None)
        for number in (SIGTERM, SIGHUP):
            if self._before[number] is not SIG_IGN:
                signal(number, self._end)
        reader, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        try:
            self._process = os.posix_spawnp(
                words[0],
                words,
                {"LESS": "FRX", "LV": "-c", **os.environ},
                file_actions=[(os.POSIX_SPAWN_DUP2, reader, 0), (os.POSIX_SPAWN_CLOSE, self._pipe)],
                setsigdef=[SIGPIPE, SIGINT, SIGQUIT],
            )
        except OSError:
            os.close(self._pipe)
            self._restore()
            if self._asked:
                os.kill(os.getpid(), self._asked)
            raise
        finally:
            os.close(reader)
        if self._asked:
            self._end(self._asked, None)

    def feed(self, data: bytes) -> None:
        """Writes to the pager. Raises Left where it has ended."""
        waiting = poll()
        waiting.register(self._pipe, POLLOUT)
        while data:
            # A signal just before a call that blocks does not end the call: so none blocks for long.
            if not waiting.poll(_LONGEST_CALL):
                continue
            try:
                data = data[os.write(self._pipe, data) :]
            except BlockingIOError:
                continue
            except OSError:
                raise Left from None

    def close(self) -> None:
        """Waits for the reader."""
        os.close(self._pipe)
        try:
            ended = os.pidfd_open(self._process)
        except OSError:
            pass  # a sandbox without it
        else:
            waiting = poll()
            waiting.register(ended, POLLIN)
            while not waiting.poll(_LONGEST_CALL):
                pass
            os.close(ended)
        try:
            os.waitpid(self._process, 0)
        except OSError:
            pass  # somebody else has waited for it
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal(number, SIG_DFL if handler is None else handler)

    def _end(self, number: int, frame: object) -> None:
        """A signal that ends us ends the pager first: it leaves the terminal in order."""
        if not self._process:
            self._asked = number  # it is being started
            return
        try:
            os.kill(self._process, SIGTERM)
            os.waitpid(self._process, 0)
        except OSError:
            pass
        before = self._before[number]
        if callable(before) and before is not default_int_handler:
            before(number, frame)
        os._exit(128 + number)


def rows_of(data: bytes, columns: int) -> int:
    """The rows of a text on a screen of ``columns`` columns; what follows the last line end counts for nothing."""
    lines = data.count(b"\n")
    if len(data) <= columns or max(map(len, data.split(b"\n"))) <= columns:
        return lines
    return sum(_rows(line, columns) for line in data.decode("utf-8", "replace").split("\n")[:-1])


def _rows(line: str, columns: int) -> int:
    return max(-(-width(uncoloured(line)) // columns), 1) if len(line) * 2 > columns else 1


def uncoloured(text: str) -> str:
    """The text without codes of colours."""
    first, *parts = text.split("\x1b[")
    return first + "".join(part.partition("m")[2] for part in parts)
