"""The live view: tabs of tables that are sampled again and again."""

from __future__ import annotations

import os
import signal
import termios
from math import inf
from threading import Thread
from time import localtime, monotonic, sleep, strftime
from typing import TYPE_CHECKING, Any, ClassVar

from textual.app import App
from textual.binding import Binding
from textual.events import InputEvent
from textual.message import Message

from ...engine.quoting import shell_line
from ...engine.signals import Ended
from ...engine.terminal import shortened
from ...engine.text import printable
from ...errors import ExitStatus, NetinspectError
from ..memory import cycles_looked_for_rarely
from ..pace import hurry
from ..sampling import Sampled, Sampling
from ..source import Line
from .bar import Bar
from .details import Details, Keys
from .grid import Grid, Headings
from .styles import (
    BOLD_STYLE,
    DIM_STYLE,
    ERROR_STYLE,
    NEW_STYLE,
    PLAIN,
    REVERSED,
    WARNING_STYLE,
    Palette,
    Part,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.events import Event, Resize
    from textual.widgets import Input

    from ..source import Source

_LEAST = (30, 8)
"""Columns and lines below which there is nothing to be seen."""
_REMARK_SECONDS = 5.0
_PATIENCE = 3.0
"""Seconds for the view to leave the screen in order after a signal; then the terminal is reset without it."""
_LEAVE = (
    b"\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?2004l\x1b[?1004l\x1b[<u\x1b[0m\x1b[?25h\x1b[?1049l"
)
"""Mouse, paste, focus and keyboard reports off, the cursor shown, and the other screen left (xterm's ctlseqs)."""

_KEYS = (
    ("1 to 6, Tab, Shift-Tab", "another tab; or click on it"),
    ("↑ ↓ PgUp PgDn Home End", "move the cursor; j and k as well, and the wheel scrolls"),
    ("Enter", "open the row: details, history, the other end, and what its state means; or click twice"),
    ("< >  ← →", "sort by the column before or after; or click on a title"),
    ("r", "the other way round"),
    ("/", "filter; an empty one shows all again"),
    ("g  G", "add rows up by the next thing that they share, or by the one before; after the last, each row again"),
    ("f  Space", "freeze, and go on"),
    ("c", "copy the command that shows the same; in the details, that of the row"),
    ("?", "these keys"),
    ("Ctrl-Z", "suspend; `fg` goes on"),
    ("q  Ctrl-C", "leave"),
)
_FOOT = (
    *(("q", "quit", "leave"), ("?", "keys", "keys"), ("/", "filter", "filter"), ("g", "group", "group(1)")),
    *(("<>", "sort", "sort(1)"), ("r", "reverse", "reverse"), ("f", "freeze", "freeze")),
    *(("⏎", "open", "open"), ("c", "copy", "copy")),
)


class TopApp(App[None]):
    """The program on the screen."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    Screen { background: ansi_default; color: ansi_default; }
    * { scrollbar-color: ansi_bright_black; scrollbar-color-hover: ansi_bright_black;
        scrollbar-color-active: ansi_white;
        scrollbar-background: ansi_default; scrollbar-background-hover: ansi_default;
        scrollbar-background-active: ansi_default; scrollbar-corner-color: ansi_default; }
    #filter { height: 1; border: none; padding: 0; background: ansi_default; color: ansi_default; display: none; }
    #small { display: none; }
    .small Bar, .small Headings, .small Grid { display: none; }
    .small #small { display: block; height: 1; }
    """
    BINDINGS: ClassVar[list[Any]] = [
        Binding("q", "leave", priority=False, show=False),
        Binding("ctrl+c", "interrupt", priority=True, show=False),
        Binding("ctrl+z", "suspend_process", priority=True, show=False),
        *(Binding(str(number), f"tab({number - 1})", show=False) for number in range(1, 10)),
        Binding("tab", "next_tab(1)", priority=True, show=False),
        Binding("shift+tab", "next_tab(-1)", priority=True, show=False),
        Binding("j", "move(1)", show=False),
        Binding("k", "move(-1)", show=False),
        Binding("enter", "open", show=False),
        Binding("right,greater_than_sign", "sort(1)", show=False),
        Binding("left,less_than_sign", "sort(-1)", show=False),
        Binding("r", "reverse", show=False),
        Binding("slash", "filter", show=False),
        Binding("g", "group(1)", show=False),
        Binding("G,shift+g", "group(-1)", show=False),
        Binding("f,space", "freeze", show=False),
        Binding("c", "copy", show=False),
        Binding("question_mark", "keys", show=False),
    ]

    class Arrived(Message):
        """A sample."""

        def __init__(self, sampled: Sampled) -> None:
            super().__init__()
            self.sampled = sampled

    def __init__(
        self,
        sources: Sequence[Source],
        *,
        interval: float = 1.0,
        group: str = "",
        sort: str = "",
        place: str = "",
        coloured: bool = True,
    ) -> None:
        """``group`` and ``sort`` are those of the first source at first; ``place`` says where it looks."""
        super().__init__(ansi_color=True)
        self.sources = list(sources)
        self.interval = interval
        self.ended = 0
        """The signal that ended it, or 0."""
        self.interrupted = False
        self.failure: Exception | None = None
        self.palette = Palette(coloured)
        self.grid = Grid(self.palette)
        self.sampling = Sampling(self._deliver, interval)
        self.sampled: Sampled | None = None
        self.frozen = False
        self._place = place
        self._tab = 0
        self._groups = [source.groups[0] for source in sources]
        self._sorts = [source.sort for source in sources]
        self._groups[0] = group or self._groups[0]
        self._sorts[0] = sort or self._sorts[0]
        self._said: tuple[str, Any] = ("", PLAIN)
        self._remark: tuple[str, Any, float] = ("", PLAIN, 0.0)
        self._title, self._tabs, self._status, self._foot = map(Bar, ("title", "tabs", "status", "keys"))
        self._small = Bar("small")
        self._running_loop: Any = None

    def compose(self) -> ComposeResult:
        """A title, the tabs, the table, what is to be said, and the most important keys."""
        yield self._small
        yield self._title
        yield self._tabs
        yield Headings(self.grid)
        yield self.grid
        yield self._status
        yield self._foot

    def on_mount(self) -> None:
        """Begins with the first tab."""
        import asyncio

        self._running_loop = asyncio.get_running_loop()
        if self.ended:
            self.exit()
            return
        parts: list[Part] = []
        actions: list[str] = []
        for key, name, action in _FOOT:
            parts += [(f" {key} ", REVERSED), (f" {name} ", PLAIN)]
            actions += [f"app.{action}"] * 2
        self._foot.say(parts, actions=actions)
        self.grid.focus()
        self._show(restart=True)

    # What is shown.

    @property
    def source(self) -> Source:
        """What the tab shows."""
        return self.sources[self._tab]

    @property
    def group(self) -> str:
        """What its rows are added up by."""
        return self._groups[self._tab]

    @property
    def sort(self) -> str:
        """The column that they are sorted by; with a - before its name the other way round."""
        return self._sorts[self._tab]

    def _sort_words(self) -> tuple[str, bool]:
        return self.sort.removeprefix("-"), self.sort.startswith("-")

    def _show(self, *, restart: bool) -> None:
        """Shows something else: the samples of it are to come."""
        names = [column.name for column in self.source.columns(self.group)]
        if self.sort.removeprefix("-") not in names:
            self._sorts[self._tab] = next((name for name in (self.source.sort, "rate") if name in names), names[0])
        self.frozen = False
        self.sampled = None
        self._said = ("", PLAIN)
        self.grid.begin(self.source.columns(self.group))
        self.query_one(Headings).refresh()
        self.sampling.freeze(False)
        self.sampling.show(self.source, self.group, self._sort_words(), restart=restart)
        self._say_all()

    def _deliver(self, sampled: Sampled) -> None:
        """Called by the thread that samples."""
        self.post_message(self.Arrived(sampled))

    def on_top_app_arrived(self, message: Arrived) -> None:
        """Shows a sample."""
        sampled = message.sampled
        if not self.screen_stack:
            return  # it is being left
        if sampled.failure is not None:
            self._handle_exception(sampled.failure)
            return
        if sampled.source is not self.source or sampled.group != self.group or (self.frozen and not sampled.again):
            return
        if sampled.again:
            if sampled.frame is self.grid.frame:
                self.grid.sorted_by(sampled.order, self.sort)
            return
        self.sampled = sampled if sampled.frame is not None or self.sampled is None else self.sampled
        self._said = (sampled.error, ERROR_STYLE) if sampled.error else ("", PLAIN)
        if not sampled.error:
            lacking = [*sampled.problems, *sampled.notes]
            if lacking:
                more = f" (and {len(lacking) - 1} more)" if len(lacking) > 1 else ""
                self._said = (f"{lacking[0]}{more}", WARNING_STYLE if sampled.problems else DIM_STYLE)
        if sampled.frame is not None:
            order = sampled.order
            self.grid.show(sampled.frame, order, self.source.columns(self.group), self.sort)
        if isinstance(self.screen, Details):
            self.screen.take(sampled)
        self._say_all()

    def _say_all(self) -> None:
        """The lines around the table."""
        frame = None if self.sampled is None else self.sampled.frame
        facts = " · ".join(frame.facts) if frame is not None else "asking the kernel …"
        place = f" {printable(self._place)}" if self._place else ""
        rates = "" if frame is None or frame.seconds is not None else " · first rates soon"
        every = f"every {self.interval:g} s  "
        clock = strftime("%H:%M:%S", localtime(self.sampled.at)) if self.sampled is not None else ""
        mode: list[Part] = [(" frozen ", REVERSED), (" ", PLAIN)] if self.frozen else [(every, DIM_STYLE)]
        self._title.say(
            [(f"netinspect top{place}  ", BOLD_STYLE), (f"{facts}{rates}  ", PLAIN)], [*mode, (clock, PLAIN)]
        )
        parts: list[Part] = []
        actions: list[str] = []
        for number, source in enumerate(self.sources):
            parts.append((f" {number + 1} {source.title} ", REVERSED if number == self._tab else PLAIN))
            actions.append(f"app.tab({number})")
        more: list[Part] = []
        if self.group and len(self.source.groups) > 1:
            more.append((f"by {self.group}  ", BOLD_STYLE))
        if self.source.filter:
            more.append((f"filter: {shortened(printable(self.source.filter), 40)} ", BOLD_STYLE))
        self._tabs.say(parts, more, actions=actions)
        text, style = self._said
        if monotonic() < self._remark[2]:
            text, style, _ = self._remark
        self._status.say([(printable(text), self.palette.shade(style))])

    def say(self, text: str, style: Any = PLAIN, seconds: float = _REMARK_SECONDS) -> None:
        """Shows a remark for a while, whatever the samples have to say."""
        self._remark = text, style, monotonic() + seconds
        self._say_all()

    def on_resize(self, event: Resize) -> None:
        """Says so where there is no room for anything."""
        small = event.size.width < _LEAST[0] or event.size.height < _LEAST[1]
        for screen in self.screen_stack[:1]:
            screen.set_class(small, "small")
        if small:
            self._small.say(
                [(f"{event.size.width}x{event.size.height}: too small, {_LEAST[0]}x{_LEAST[1]} needed", PLAIN)]
            )

    # What keys do.

    async def on_event(self, event: Event) -> None:
        """Keys and the mouse are answered before samples are taken."""
        if isinstance(event, InputEvent):
            hurry()
        await super().on_event(event)

    def action_leave(self) -> None:
        """Ends the program."""
        self.exit()

    def action_interrupt(self) -> None:
        """Ends it as Ctrl-C does."""
        self.interrupted = True
        self.exit()

    def action_tab(self, number: int) -> None:
        """Shows another tab."""
        if number < len(self.sources) and self._on_table():
            self._tab = number
            self._show(restart=True)

    def action_next_tab(self, step: int) -> None:
        """Shows the next tab, or the one before."""
        self.action_tab((self._tab + step) % len(self.sources))

    def action_move(self, rows: int) -> None:
        """Moves the cursor."""
        self.grid.move(rows)

    def action_sort(self, step: int) -> None:
        """Sorts by the next column, or the one before."""
        names = [column.name for column in self.source.columns(self.group)]
        self._sort_by(names[(names.index(self.sort.removeprefix("-")) + step) % len(names)])

    def action_reverse(self) -> None:
        """Sorts the other way round."""
        self._sort_by(self.sort.removeprefix("-") if self.sort.startswith("-") else f"-{self.sort}")

    def on_headings_clicked(self, message: Headings.Clicked) -> None:
        """Sorts by that column, or the other way round."""
        self.action_reverse() if message.name == self.sort.removeprefix("-") else self._sort_by(message.name)

    def _sort_by(self, sort: str) -> None:
        self._sorts[self._tab] = sort
        self.sampling.sort_by(self._sort_words())
        frame, sampled = self.grid.frame, self.sampled
        columns = self.source.columns(self.group)
        column = next(column for column in columns if column.name == sort.removeprefix("-"))
        if frame is not None and frame.orders_at_once(column):
            self.grid.sorted_by(frame.ordered(column, sort.startswith("-")), sort)
        elif frame is not None and sampled is not None:
            self.grid.headed_by(sort)
            self.sampling.reorder(sampled, self._sort_words())
        self.query_one(Headings).refresh()

    def action_group(self, step: int) -> None:
        """Adds rows up by the next thing that they share."""
        groups = self.source.groups
        if len(groups) > 1 and self._on_table():
            self._groups[self._tab] = groups[(groups.index(self.group) + step) % len(groups)]
            self._show(restart=False)

    def action_freeze(self) -> None:
        """Takes no further samples, or goes on."""
        self.frozen = not self.frozen
        self.sampling.freeze(self.frozen)
        self._say_all()

    def action_open(self) -> None:
        """Shows all that is known of the row under the cursor."""
        frame, row = self.grid.frame, self.grid.row
        if frame is not None and row is not None and self._on_table():
            self.push_screen(Details(self.palette, self.source, self.sampling, frame, row, self.group))

    def on_grid_opened(self) -> None:
        """A double click."""
        self.action_open()

    def action_keys(self) -> None:
        """Shows the list of the keys."""
        if self._on_table():
            marks = Line("Rows with + are new, those with - have ended: for 3 seconds.", kind="heading")
            filters = [Line(source.title, source.hint) for source in self.sources]
            lines = [*(Line(keys, text) for keys, text in _KEYS), Line("Filters", kind="heading"), *filters, marks]
            self.push_screen(Keys(self.palette, lines))

    def action_copy(self) -> None:
        """Copies the command that shows the same."""
        line = shell_line(self.source.command(self.group, self.sort))
        if line is None:
            self.say("nothing copied: a shell cannot write one of these names", WARNING_STYLE)
            return
        self.copy_to_clipboard(line)
        self.say(f"copied: {line}", NEW_STYLE)

    # The filter.

    def action_filter(self) -> None:
        """Asks for a filter, in the line of the status."""
        if not self._on_table():
            return
        from textual.widgets import Input

        found = self.query("#filter")
        entry = found.first(Input) if found else Input(id="filter", select_on_focus=False)
        entry.value = self.source.filter
        entry.placeholder = self.source.hint
        if not found:
            self.screen.mount(entry, before=self._status)
        entry.styles.display = "block"
        self._status.styles.display = "none"
        entry.focus()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        """Takes the filter; one that is none is said, and can be mended."""
        try:
            self.source.select(message.value.strip())
        except NetinspectError as error:
            self._status.styles.display = "block"
            self.say(error.lines[0], ERROR_STYLE, inf)  # until it is mended, or given up
            return
        self._close_filter()
        self._show(restart=True)

    def _close_filter(self) -> None:
        self._remark = "", PLAIN, 0.0
        for entry in self.query("#filter"):
            entry.styles.display = "none"
        self._status.styles.display = "block"
        self.grid.focus()

    def on_key(self, event: Any) -> None:
        """Esc leaves the filter as it was."""
        if event.key == "escape" and self.focused is not None and self.focused.id == "filter":
            self._close_filter()
            self._say_all()

    def _on_table(self) -> bool:
        return len(self.screen_stack) == 1 and (self.focused is None or self.focused.id != "filter")

    # The end.

    def on_unmount(self) -> None:
        """Takes no further samples."""
        self.sampling.end()

    def _handle_exception(self, error: Exception) -> None:
        """What must not happen is told by who runs this, in one line and when the screen is in order."""
        self.failure = self.failure or error
        self.exit()

    def end_by(self, number: int) -> None:
        """Ends it for a signal."""
        self.ended = self.ended or number
        if self._running_loop is not None:
            self._running_loop.call_soon_threadsafe(self.exit)


def run(app: TopApp) -> int:
    """Runs it until it is left, and returns the exit status. Raises what it failed with, and Ended."""
    before: dict[int, Any] = {}
    try:
        flags = termios.tcgetattr(0)
    except termios.error:
        flags = None

    def end(number: int, frame: object) -> None:
        if not app.ended:
            Thread(target=_reset, args=(number, flags), daemon=True).start()
        app.end_by(number)

    for handled in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(handled) is not signal.SIG_IGN:
            before[handled] = signal.signal(handled, end)
    try:
        with cycles_looked_for_rarely():
            app.run()
    finally:
        app.sampling.end()
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    if app.failure is not None:
        raise app.failure
    if app.ended not in (0, signal.SIGINT):
        raise Ended(app.ended)
    return ExitStatus.INTERRUPTED if app.ended or app.interrupted else ExitStatus.OK


def _reset(number: int, flags: list[Any] | None) -> None:
    """Ends the program where it does not end by itself: somebody has stopped the terminal, or it is gone."""
    sleep(_PATIENCE)
    try:
        if flags is not None:
            termios.tcsetattr(0, termios.TCSANOW, flags)
        os.set_blocking(1, False)
        os.write(1, _LEAVE)
    except (OSError, termios.error):
        pass
    os._exit(128 + number)
