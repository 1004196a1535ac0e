"""``netinspect groups watch``: joins and leaves as they happen."""

from __future__ import annotations

from time import localtime, strftime

from ...engine.opened import Opened
from ...engine.schema import rows_of
from ...engine.signals import Holding
from ...engine.table import Field, Table
from ...errors import ExitStatus
from .events import Watch, unreported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...engine.places import Place
    from ...engine.table import Column
    from .command import Groups

_WIDTHS = {"interface": 15, "group": 22, "event": 5, "family": 6, "source": 9}
"""Widths of the columns: there are no rows yet from which to take them."""


def watch(command: Groups) -> int:
    """Watches until it is time, or interrupted. Raises NetinspectError."""
    with Opened(command) as opened:
        if opened.places:
            with Holding():  # the end of the document
                _watch(command, opened.places)
    return ExitStatus.INCOMPLETE if opened.incomplete else ExitStatus.OK


def _watch(command: Groups, places: list[Place]) -> None:
    query = command.query
    watched = Watch(query, places, command.interval)
    sampled = unreported(query, watched.reported)
    if sampled and sampled != ["link"]:
        command.environment.complain(f"this kernel does not report changes of {', '.join(sampled)}: they are sampled")
    writer = command.writer()
    if isinstance(writer, Table):
        writer.start()  # the heading: rows come one by one from now on
    left = command.times
    try:
        for events in watched.events(command.duration):
            writer.add(rows_of(events if left is None else events[:left], "GroupEvent"))
            if left is not None:
                left -= len(events)
                if left <= 0:
                    break
    finally:
        writer.end()
        watched.close()


def event_columns() -> list[Column]:
    """The columns of a table of events: wide enough for what may come."""
    shown: list[Column] = [
        Field("Time", "time", lambda value: strftime("%H:%M:%S", localtime(value)) + f"{value % 1:.3f}"[1:]),
    ]
    shown[0].width = 12
    for field, width in _WIDTHS.items():
        column = Field(field.capitalize(), field)
        column.width = max(width, column.width)
        shown.append(column)
    return [*shown, Field("Name", "name")]
