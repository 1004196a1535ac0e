"""``--watch`` on a terminal: one listing after the other on its other screen, which leaves nothing behind.

The first line says what is shown, when, and how often. The top rows follow, as many as there is room for, and how many
there are beside them. Cells that differ from those before are marked.
"""

from __future__ import annotations

import os
import sys
from _signal import SIG_DFL, SIG_IGN, SIGCONT, SIGINT, SIGTSTP, SIGWINCH, getsignal, set_wakeup_fd, signal
from select import POLLIN, poll
from time import localtime, monotonic, strftime

from ..errors import ExitStatus
from .signals import Ended, Holding
from .terminal import BOLD, DIM, RESET, cut, moves, painted, shortened, size, width
from .text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..environment import Environment
    from .output import ListingCommand

    Row = dict[str, str]

_ENTER = b"\x1b[?1049h\x1b[?25l"
_LEAVE = b"\x1b[0m\x1b[H\x1b[J\x1b[?25h\x1b[?1049l"
"""Cleared before it is left: tmux brings wide rows back to the first screen where its size has changed meanwhile."""
_MOST_NOTES = 4


def watch(command: ListingCommand) -> int:
    """Lists again and again, until a signal or an error. Raises what the listing raises."""
    if not moves():
        from .watching import one_after_the_other

        one_after_the_other(command)
    command.watched = Watched(command.environment, command.watch or 1)
    return command.watched.repeat(command.once)


class Watched:
    """The other screen of a terminal, with a frame for each listing."""

    def __init__(self, environment: Environment, seconds: float) -> None:
        self._environment = environment
        self._seconds = seconds
        self._write, self._error = environment.write, environment.error
        self._text: list[bytes] = []
        self._lines = 0
        self._notes: list[str] = []
        self._before: dict[tuple[object, ...], Row] | None = None
        self._now: dict[tuple[object, ...], Row] = {}
        self._rows = 0
        self._made = 0
        self._title = " ".join(map(printable, ("netinspect", *sys.argv[1:])))

    def take(self, count: int) -> int:
        """Counts rows of a table, and returns how many of them there is room for."""
        self._rows += count
        room = max(min(count, self._environment.lines - self._made), 0)
        self._made += room
        return room

    def row(self, key: tuple[str, ...], values: Row) -> Row | None:
        """What the row of this key had before: nothing where it is new, None where nothing is known of before."""
        number = 0
        while (*key, number) in self._now:  # rows that look alike: the first is compared with the first
            number += 1
        self._now[*key, number] = values
        return None if self._before is None else self._before.get((*key, number), {})

    def say(self, line: str) -> None:
        """A line that stands below the rows."""
        if line not in self._notes:
            self._notes.append(line)

    def repeat(self, action: Callable[[], int]) -> int:
        """Runs the action every few seconds until a signal or an error. Raises what the action raises."""
        environment = self._environment
        reader, wakes = os.pipe()
        os.set_blocking(wakes, False)
        before: dict[int, Any] = {number: getsignal(number) for number in (SIGWINCH, SIGCONT, SIGTSTP)}
        with Holding(vital=True):
            environment.write, environment.error = self._take, self._complained
            old = set_wakeup_fd(wakes, warn_on_full_buffer=False)
            try:
                for number in (SIGWINCH, SIGCONT):
                    signal(number, lambda *_: None)  # its number in the pipe ends the wait
                if before[SIGTSTP] is not SIG_IGN:
                    signal(SIGTSTP, self._stop)
                self._write(_ENTER)
                self._frames(action, reader)
            except Ended as ended:
                if ended.number != SIGINT:
                    raise
            finally:
                self._write(_LEAVE)
                set_wakeup_fd(old)
                environment.write, environment.error = self._write, self._error
                for number, handler in before.items():
                    signal(number, SIG_DFL if handler is None else handler)
                os.close(reader)
                os.close(wakes)
        return ExitStatus.INTERRUPTED

    def _frames(self, action: Callable[[], int], reader: int) -> None:
        wakes = poll()
        wakes.register(reader, POLLIN)
        due = monotonic()
        while True:
            environment = self._environment
            environment.columns, environment.lines = size()
            environment.complained.clear()  # the complaints of the frame before are shown again
            self._text, self._lines, self._notes, self._now, self._rows, self._made = [], 0, [], {}, 0, 0
            action()
            self._draw()
            self._before = self._now
            due = max(due + self._seconds, monotonic())
            while (left := due - monotonic()) > 0:
                if wakes.poll(left * 1000):
                    os.read(reader, 4096)
                    break  # the size is another one, or the screen is ours again

    def _take(self, data: bytes) -> None:
        self._lines += data.count(b"\n")
        if self._lines - data.count(b"\n") < self._environment.lines:
            self._text.append(data)

    def _complained(self, data: bytes) -> None:
        for line in data.decode("utf-8", "replace").splitlines():
            self.say(line)

    def _draw(self) -> None:
        columns, height = self._environment.columns, self._environment.lines
        text = b"".join(self._text).decode("utf-8", "replace")
        lines = text.split("\n")[: self._lines] if self._lines else []
        notes = self._notes[:_MOST_NOTES]
        room = max(height - 1 - len(notes), 1)
        total = self._lines + self._rows - self._made
        if total > room:
            room = max(room - 1, 1)
            more = total - room
            notes.insert(0, f"… {more:,} more row{'' if more == 1 else 's'}")
        every = f"every {self._seconds:g} s  {strftime('%H:%M:%S', localtime())}"
        title = shortened(self._title, max(columns - len(every) - 2, 1))
        head = f"{title}{' ' * max(columns - width(title) - len(every), 2)}{every}"
        frame = [f"{BOLD}{cut(head, columns)}{RESET}", *(_cut(line, columns) for line in lines[:room])]
        frame += [painted(DIM, shortened(note, columns)) for note in notes]
        body = "\x1b[K\r\n".join(frame[:height])
        self._write(f"\x1b[H{body}\x1b[K\x1b[J".encode("utf-8", "replace"))

    def _stop(self, number: int, frame: object) -> None:
        """Ctrl-Z: the terminal is as it was until we go on."""
        self._write(_LEAVE)
        signal(SIGTSTP, SIG_DFL)
        os.kill(os.getpid(), SIGTSTP)
        signal(SIGTSTP, self._stop)
        self._write(_ENTER)


def _cut(line: str, columns: int) -> str:
    """As much of a line as fits; a table's lines fit already."""
    if len(line) <= columns:
        return line
    from .screen import uncoloured

    plain = uncoloured(line)
    return line if width(plain) <= columns else cut(plain, columns)
