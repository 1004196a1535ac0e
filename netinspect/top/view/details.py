"""The screen of one row, and that of the keys."""

from __future__ import annotations

from threading import Thread
from time import strftime
from typing import TYPE_CHECKING

from textual.binding import Binding
from textual.message import Message
from textual.screen import Screen

from ...engine.quoting import shell_line
from ...errors import NetinspectError
from ..frame import ENDED
from ..source import Line
from .bar import Bar
from .lines import Lines
from .styles import BOLD_STYLE, DIM_STYLE, PLAIN, REVERSED, WARNING_STYLE, Palette

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

    from ..frame import Frame
    from ..sampling import Sampled, Sampling
    from ..source import Source

_CLOSE = "escape,q,left,backspace"


class Reader(Screen[None]):
    """Lines to be read, below a title."""

    BINDINGS = [
        Binding(_CLOSE, "close", "close", show=False),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
        Binding("space", "scroll(20)", show=False),
    ]

    def __init__(self, palette: Palette, title: str) -> None:
        super().__init__()
        self.palette = palette
        self.bar, self.body, self.foot = Bar("title"), Lines(palette), Bar("keys")
        self._title = title

    def compose(self) -> ComposeResult:
        """A title, the lines, and the keys."""
        yield self.bar
        yield self.body
        yield self.foot

    def begin(self) -> None:
        """Shows what there is, once the screen is up."""
        self.bar.say([(self._title, BOLD_STYLE)])
        self.foot.say([(" Esc ", REVERSED), (" close ", PLAIN)], actions=("screen.close", "screen.close"))
        self.body.focus()

    def on_mount(self) -> None:
        """The screen is up."""
        self.begin()

    def action_close(self) -> None:
        """Goes back to the table."""
        self.dismiss()

    def action_scroll(self, lines: int) -> None:
        """Scrolls by so many lines."""
        self.body.scroll_relative(y=lines, animate=False)


class Keys(Reader):
    """The list of the keys."""

    def __init__(self, palette: Palette, lines: Sequence[Line]) -> None:
        super().__init__(palette, "netinspect top: keys")
        self._lines = lines

    def begin(self) -> None:
        """Shows them."""
        super().begin()
        self.body.show(self._lines)


class Details(Reader):
    """All that is known of one row: its cells and history, which go on, and what had to be looked up."""

    BINDINGS = [
        Binding("enter", "close", show=False),
        Binding("c", "copy", "copy", show=False),
        Binding("r", "look", "look again", show=False),
        Binding("f", "app.freeze", "freeze", show=False),
    ]

    class Looked(Message):
        """What was looked up."""

        def __init__(self, lines: Sequence[Line]) -> None:
            super().__init__()
            self.lines = lines

    def __init__(
        self, palette: Palette, source: Source, sampling: Sampling, frame: Frame, row: int, group: str
    ) -> None:
        super().__init__(palette, f"netinspect top: one of {source.title.lower()}")
        self.source = source
        self._sampling = sampling
        self._frame, self._row, self._group = frame, row, group
        self.key = frame.keys[row]
        self._about = source.about(frame, row, group)
        self._looked: Sequence[Line] = ()
        self.looking = False
        self._ended = ""
        self.copied = ""
        self.command = self._command()

    def begin(self) -> None:
        """Shows the row, and looks up the rest."""
        super().begin()
        keys = (("Esc", "close"), ("c", "copy"), ("r", "look"), ("f", "freeze"))
        parts = [part for key, name in keys for part in ((f" {key} ", REVERSED), (f" {name} ", PLAIN))]
        actions = ("screen.close", "screen.close", "screen.copy", "screen.copy", "screen.look", "screen.look")
        self.foot.say(parts, actions=(*actions, "app.freeze", "app.freeze"))
        self._sampling.watch([self.key])
        self.show()
        self.action_look()

    def on_unmount(self) -> None:
        """Nobody looks at the row any more."""
        self._sampling.watch(())

    def take(self, sampled: Sampled) -> None:
        """A new sample: the row as it is now."""
        if sampled.frame is None or sampled.source is not self.source:
            return
        row = sampled.frame.row_of(self.key)
        if row is None or sampled.frame.changes.get(self.key) == ENDED:
            self._ended = self._ended or strftime("%H:%M:%S")
        else:
            self._frame, self._row, self._ended = sampled.frame, row, ""
            self._about = self.source.about(sampled.frame, row, self._group)
        self.show()

    def show(self) -> None:
        """Shows what is known."""
        history = self._sampling.history.of(self.key)
        lines = [*self._about, Line("History", kind="heading")]
        for number, (_, title, unit) in enumerate(self.source.history(self._group)):
            lines.append(Line(title, unit, kind="history", values=[values[number] for values in history]))
        lines += [Line("The same as a command", kind="heading"), Line("", self.command, kind="text")]
        lines += self._looked or ([Line("Looking it up …", kind="heading")] if self.looking else [])
        self.body.show(lines)
        state = [(f"  it ended, seen at {self._ended}", WARNING_STYLE)] if self._ended else []
        said = [(f"  {self.copied}", DIM_STYLE)] if self.copied else []
        self.bar.say([(self._title, BOLD_STYLE), *state, *said])

    def action_look(self) -> None:
        """Looks up what takes a moment, in a thread of its own."""
        if self.looking:
            return
        self.looking = True
        self.show()
        Thread(target=self._look, args=(self._frame, self._row), daemon=True).start()

    def _look(self, frame: Frame, row: int) -> None:
        try:
            lines = self.source.look(frame, row, self._group)
        except NetinspectError as error:
            lines = [Line("Not known", kind="heading"), Line("", str(error), kind="text")]
        except Exception as failure:
            self.app.call_from_thread(self.app._handle_exception, failure)
            return
        self.post_message(self.Looked(lines))

    def on_details_looked(self, message: Looked) -> None:
        """Shows what was looked up."""
        self.looking = False
        self._looked = message.lines
        self.show()

    def _command(self) -> str:
        try:
            words = self.source.command_of(self._frame, self._row, self._group)
        except NetinspectError as error:
            return f"none: {error}"
        return shell_line(words) or "none: a shell cannot write one of these names"

    def action_copy(self) -> None:
        """Copies the command that shows the row."""
        self.app.copy_to_clipboard(self.command)
        self.copied = "copied"
        self.show()
