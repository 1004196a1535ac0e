"""``netinspect conntrack events`` and ``monitor``: what happens to the table, or how much of it."""

from __future__ import annotations

from select import POLLIN, poll
from time import monotonic, sleep, time

from ...engine.rows import Cell
from ...engine.schema import rows_of
from ...engine.signals import Holding
from ...engine.table import Field, Table
from ...errors import ExitStatus
from ...records import FlowRates
from .command_view import entry_columns
from .decode_events import ENTRY_EVENTS, EVENT_GROUPS
from .events import Watch
from .render import FlowStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...engine.columns import Batch
    from ...engine.output import Writer
    from ...engine.places import Place
    from ...engine.table import Column
    from .command import Conntrack

_WITH_STATUS = frozenset((*ENTRY_EVENTS, "current"))
_ENDPOINT_WIDTH = 21
"""255.255.255.255:65535"""
_BUSY = 16
"""Events taken at once from which on more are let come together: decoding many costs little more than decoding one."""
_GATHERING = 0.01
"""Seconds that they are given. The receive buffer holds what comes in a quarter of a second at 50,000 a second."""


def run_view(command: Conntrack) -> int:
    """Runs ``events`` or ``monitor`` until it is interrupted, or --times or --for ends it. Raises NetinspectError."""
    places = command.places()
    watches: list[Watch] = []
    try:
        for place in places:
            place.open()
            watches.append(
                Watch(
                    place,
                    command.wanted,
                    command.events or (EVENT_GROUPS if command.view == "events" else ENTRY_EVENTS),
                    command.buffer,
                )
            )
        view = _Events(command) if command.view == "events" else _Monitor(command, watches)
        with Holding():  # the end of the document
            _follow(view, watches, command.duration)
    finally:
        for watch in watches:
            watch.close()
        for place in places:
            place.close()
    lost = sum(watch.lost for watch in watches)
    if lost:
        command.environment.complain(
            f"{lost} events were lost: they arrived faster than netinspect received them (try a larger --buffer)"
        )
    return ExitStatus.INCOMPLETE if lost else ExitStatus.OK


def _follow(view: _Events | _Monitor, watches: Sequence[Watch], seconds: float | None) -> None:
    waiting = poll()
    for watch in watches:
        waiting.register(watch.fileno(), POLLIN)
    ends = None if seconds is None else monotonic() + seconds
    view.start()
    try:
        while not view.done:
            until = min(view.due, ends) if ends is not None else view.due
            ready = waiting.poll(max(0.0, min(until - monotonic(), 3600.0)) * 1000)
            # An overrun is a socket error, which poll reports as well.
            numbers = {number for number, _ in ready}
            taken = sum(view.take(watch) for watch in watches if watch.fileno() in numbers)
            if monotonic() >= view.due:
                view.tick()
            if ends is not None and monotonic() >= ends:
                break
            if taken >= _BUSY:
                sleep(_GATHERING)
    finally:
        view.end()


class _Events:
    """Writes every event."""

    due = float("inf")

    def __init__(self, command: Conntrack) -> None:
        self._command = command
        self._left = command.times
        self._writer: Writer = command.writer()

    @property
    def done(self) -> bool:
        """Whether as many events were written as asked for."""
        return self._left == 0

    def start(self) -> None:
        """There is nothing to do before the first event."""

    def tick(self) -> None:
        """Nothing is ever due."""

    def take(self, watch: Watch) -> int:
        """Writes what has happened; returns how many events that was."""
        taken = 0
        for batch in self._batches(watch):
            self._write(batch)
            taken += batch.count
            if self.done:
                break
        return taken

    @staticmethod
    def _batches(watch: Watch) -> Iterator[Batch]:
        yield from watch.events()
        lost = watch.newly_lost()
        if lost:
            yield from watch.resync(lost)

    def _write(self, batch: Batch) -> None:
        if self._left is not None:
            if batch.count > self._left:
                left = self._left
                batch = batch.select([number < left for number in range(batch.count)])
            self._left -= batch.count
        self._writer.add(batch)
        if isinstance(self._writer, Table):
            self._writer.start()  # it shows what it has, and does not wait for more to find the widths

    def end(self) -> None:
        """Closes what is open in the output."""
        self._writer.end()


class _Monitor:
    """Writes a line of rates for each interval. It knows which entries there are, and reads them again after a loss."""

    done = False

    def __init__(self, command: Conntrack, watches: Sequence[Watch]) -> None:
        self._command = command
        self._left = command.times
        self._states = {watch: _State(watch) for watch in watches}
        self._began = self.due = monotonic()
        self._writer: Writer = command.writer()

    def start(self) -> None:
        """Reads the table: the events of what comes later are received meanwhile."""
        for state in self._states.values():
            state.read()
        self._began = monotonic()
        self.due = self._began + self._command.interval

    def take(self, watch: Watch) -> int:
        """Counts what has happened; returns how many events that was."""
        return self._states[watch].take()

    def tick(self) -> None:
        """Writes the rates of the interval that has ended, a line for each namespace."""
        now = monotonic()
        for state in self._states.values():
            # What a full buffer holds back belongs to this interval.
            state.take()
            record = state.rates(now - self._began, state.watch.place)
            self._writer.add(rows_of([record]))
        if isinstance(self._writer, Table):
            self._writer.start()
        self._began = now
        # After a late line, the next one gets at least half an interval: rates over too short a time mean nothing.
        self.due = max(self.due + self._command.interval, now + self._command.interval / 2)
        if self._left is not None:
            self._left -= 1
            self.done = self._left == 0

    def end(self) -> None:
        """Closes what is open in the output."""
        self._writer.end()


class _State:
    """The entries of one namespace, by their identifiers, and what happened since the last line."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._known: set[int] = set()
        self._all = watch.wanted.empty
        self._resyncs = 0
        self._lost = 0
        self._counts = dict.fromkeys(ENTRY_EVENTS, 0)

    def read(self) -> None:
        """Reads the whole table."""
        self._known = {number for batch in self.watch.table() for number in batch.values("id")}

    def take(self) -> int:
        """Counts the events that are there, and returns how many; after a loss the table is read again."""
        known, counts = self._known, self._counts
        taken = 0
        for batch in self.watch.events():
            taken += batch.count
            for event, number in zip(batch.values("event"), batch.values("id"), strict=True):
                if event != "destroy":
                    known.add(number)
                elif number in known:
                    known.remove(number)
                elif not self._all:
                    continue  # it was not one of the wanted entries when it was made
                counts[event] += 1
        lost = self.watch.newly_lost()
        if lost:
            self._lost += lost
            self._resyncs += 1
            self.read()
        return taken

    def rates(self, seconds: float, place: Place) -> FlowRates:
        """The line of an interval of this length; counting restarts."""
        counts = self._counts
        record = FlowRates(
            time(),
            round(seconds, 3),
            counts["new"],
            counts["update"],
            counts["destroy"],
            round(counts["new"] / seconds, 1),
            round(counts["destroy"] / seconds, 1),
            self._lost,
            self._resyncs,
            len(self._known),
            place.label,
        )
        self._counts = dict.fromkeys(ENTRY_EVENTS, 0)
        self._lost = self._resyncs = 0
        return record


def _clock(seconds: float) -> str:
    """The time of day with microseconds."""
    from time import localtime, strftime

    return strftime("%H:%M:%S", localtime(seconds)) + f"{seconds % 1:.6f}"[1:]


class _EventStatus(FlowStatus):
    """The status of entries; expectations and overruns have none."""

    def __init__(self) -> None:
        super().__init__()
        texts = self.texts
        self.texts = lambda batch: [
            text if event in _WITH_STATUS else "-"
            for event, text in zip(batch.values("event"), texts(batch), strict=True)
        ]

    def cell(self, batch: Batch) -> Cell:
        if _WITH_STATUS.issuperset(batch.column("event").distinct()):
            return super().cell(batch)
        none, texts = self._pad("-"), map(self._texts_of_bits.__getitem__, batch.values("status"))
        events = batch.values("event")
        return Cell([text if event in _WITH_STATUS else none for event, text in zip(events, texts, strict=True)])


def event_columns(command: Conntrack) -> list[Column]:
    """The columns of a table of events: wide enough for what may come."""
    columns = [
        Field("Time", "time", _clock, kept=False),
        Field("Event", "event"),
        Field("Lost", "lost", number=True),
        *(_EventStatus() if column.title == "Status" else column for column in entry_columns(command)),
    ]
    for column in columns:
        wide = {"Time": 15, "Event": 8, "Protocol": 8, "State": 11, "Timeout": 7}.get(column.title, _ENDPOINT_WIDTH)
        column.width = max(column.width, wide if column.title != "Lost" else 0)
    return columns


def monitor_columns() -> list[Column]:
    """The columns of a table of rates."""
    titles = {
        "flows": "Flows",
        "new": "New",
        "updates": "Updates",
        "destroyed": "Destroyed",
        "new_per_second": "New/s",
        "destroyed_per_second": "Destroyed/s",
        "lost": "Lost",
        "resyncs": "Resyncs",
    }
    columns: list[Column] = [
        Field(title, field, "{:.1f}".format if field.endswith("second") else str, number=not field.endswith("second"))
        for field, title in titles.items()
    ]
    for column in columns:
        column.width = max(column.width, 9)
    return columns
