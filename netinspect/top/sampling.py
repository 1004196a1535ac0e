"""The thread that samples what is shown, and what a sample is once it can be shown: marked and in order."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from threading import Condition, Thread
from time import monotonic, time
from typing import NamedTuple

from ..errors import NetinspectError
from .frame import ENDED, Column, Frame, Marks
from .history import History
from .memory import Trimmer
from .pace import begin
from .source import Source

_SOON = 0.3
"""Seconds between the first sample and the second, which has the first rates."""
_REMEMBERED = 300
"""Rows from the top whose history is kept."""


class Sampled(NamedTuple):
    """One sample, or why there is none."""

    source: Source
    group: str
    frame: Frame | None
    order: Sequence[int]
    at: float
    """When, in seconds since 1970."""
    took: float
    """Seconds."""
    problems: Sequence[str]
    notes: Sequence[str]
    error: str = ""
    """Why the kernel could not be asked; the sample before stands then."""
    failure: Exception | None = None
    """What must not happen."""
    again: bool = False
    """Whether it has been delivered before, in another order."""


class Sampling:
    """Samples one source again and again, and delivers what it found, from a thread of its own.

    What is asked of it (``show``, ``freeze`` …) takes effect with the next sample, which then begins at once.
    """

    def __init__(self, deliver: Callable[[Sampled], object], interval: float) -> None:
        self.history = History()
        self._deliver = deliver
        self._interval = interval
        self._changed = Condition()
        self._source: Source | None = None
        self._group = ""
        self._sort: tuple[str, bool] = ("", False)
        self._watched: frozenset[Hashable] = frozenset()
        self._frozen = self._ended = False
        self._anew = self._restart = True
        self._reorder: Sampled | None = None
        Thread(target=self._run, name="sampling", daemon=True).start()

    def show(self, source: Source, group: str, sort: tuple[str, bool], *, restart: bool = True) -> None:
        """Samples this from now on. ``sort`` is a column's name, and whether its order is reversed.

        ``restart``: the sample before is of something else, and gives no rates.
        """
        with self._changed:
            self._source, self._group, self._sort = source, group, sort
            self._anew = True
            self._restart |= restart
            self._changed.notify()

    def sort_by(self, sort: tuple[str, bool]) -> None:
        """Sorts the samples to come by this."""
        self._sort = sort

    def reorder(self, sampled: Sampled, sort: tuple[str, bool]) -> None:
        """The same, and delivers this sample again in that order."""
        with self._changed:
            self._sort, self._reorder = sort, sampled
            self._changed.notify()

    def watch(self, keys: Iterable[Hashable]) -> None:
        """Keeps the history of these rows, wherever they are."""
        self._watched = frozenset(keys)

    def freeze(self, frozen: bool) -> None:
        """Takes no samples, or does so again."""
        with self._changed:
            self._frozen = frozen
            self._anew |= not frozen
            self._changed.notify()

    def end(self) -> None:
        """Takes no further sample."""
        with self._changed:
            self._ended = True
            self._changed.notify()

    def _run(self) -> None:
        marks, trimmer = Marks(), Trimmer()
        shown: tuple[Source | None, str] = None, ""
        samples = 0
        due = monotonic()
        while True:
            with self._changed:
                while not self._ended and (wait := self._wait(due)) != 0:
                    self._changed.wait(wait)
                if self._ended or self._source is None:
                    return
                reorder, self._reorder = self._reorder, None
                source, group, anew, restart = self._source, self._group, self._anew, self._restart
                self._anew = self._restart = False
            if reorder is not None and not anew:
                self._deliver(self._ordered_again(reorder))
                continue
            if anew:
                marks = Marks()
                if restart:
                    samples = 0
                    source.restart()
                if restart or shown != (source, group):
                    self.history.clear()
                shown = source, group
            began = monotonic()
            sampled = self._sample(source, group, marks)
            samples += 1
            if sampled.failure is not None or not self._anew:
                self._deliver(sampled)
            trimmer.work()
            due = began + (min(_SOON, self._interval) if samples == 1 else self._interval)

    def _wait(self, due: float) -> float | None:
        """Seconds until the next sample is due; None: until something is asked for."""
        if self._reorder is not None:
            return 0
        if self._source is None or (self._frozen and not self._anew):
            return None
        return 0 if self._anew else max(due - monotonic(), 0)

    def _ordered_again(self, sampled: Sampled) -> Sampled:
        begin()
        try:
            assert sampled.frame is not None
            order = ordered(sampled.frame, sampled.source.columns(sampled.group), self._sort)
        except Exception as failure:
            return sampled._replace(failure=failure)
        return sampled._replace(order=order, again=True)

    def _sample(self, source: Source, group: str, marks: Marks) -> Sampled:
        began = monotonic()
        begin()
        try:
            columns = source.columns(group)
            sampled = source.sample(group)
            fields = dict.fromkeys(field for column in columns for field in column.fields)
            frame = marks.marked(sampled, list(fields), monotonic())
            order = ordered(frame, columns, self._sort)
            sampled.order = [row for row in order[:_REMEMBERED] if row < sampled.count]
            self._remember(source, group, frame, order)
        except NetinspectError as error:
            return Sampled(source, group, None, (), time(), monotonic() - began, (), (), error.lines[0])
        except Exception as failure:
            return Sampled(source, group, None, (), time(), monotonic() - began, (), (), "", failure)
        took = monotonic() - began
        return Sampled(source, group, frame, order, time(), took, [*source.problems], [*source.notes])

    def _remember(self, source: Source, group: str, frame: Frame, order: Sequence[int]) -> None:
        if frame.seconds is None:
            return
        rows = dict.fromkeys(order[:_REMEMBERED])
        for key in self._watched:
            row = frame.row_of(key)
            if row is not None:
                rows[row] = None
        alive = [row for row in rows if frame.changes.get(frame.keys[row]) != ENDED]
        self.history.add(frame, alive, [field for field, _, _ in source.history(group)])


def ordered(frame: Frame, columns: Sequence[Column], sort: tuple[str, bool]) -> list[int]:
    """The rows in the order of a column, by its name."""
    for column in columns:
        if column.name == sort[0]:
            return frame.ordered(column, sort[1])
    return list(range(frame.count))
