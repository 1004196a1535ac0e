"""``netinspect drops`` and ``drops count``: packets as they are dropped, and how many of each kind."""

from __future__ import annotations

from ...engine.opened import Opened
from ...engine.places import unseen
from ...engine.schema import rows_of
from ...engine.signals import Holding
from ...engine.table import Table
from ...errors import ExitStatus
from .events import Namespaces, Unavailable, Watch
from .filter import parse
from .names import texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...engine.places import Place
    from .command import Drops
    from .events_counters import CounterWatch
    from .filter import Filter


def watch(command: Drops) -> int:
    """Watches until it is time, or interrupted. Raises NetinspectError."""
    wanted = parse(command.words, texts())
    if command.all_netns:
        incomplete = bool(unseen(command.places()))
        incomplete |= _run(command, [], wanted)
    else:
        with Opened(command) as opened:
            incomplete = not opened.places or _run(command, opened.places, wanted) or opened.incomplete
    return ExitStatus.INCOMPLETE if incomplete else ExitStatus.OK


def _run(command: Drops, places: list[Place], wanted: Filter) -> bool:
    """Watches; whether something was left out."""
    watched = _watch(command, places, wanted)
    try:
        with Holding():  # the end of the document
            (_count if command.view == "count" else _live)(command, watched)
        return _said(command, watched)
    finally:
        watched.close()


def _watch(command: Drops, places: list[Place], wanted: Filter) -> Watch | CounterWatch:
    """The source of events: packets or, failing that, counters. Raises NetinspectError if neither works."""
    try:
        return Watch(Namespaces(places, every=command.all_netns), wanted)
    except Unavailable as error:
        if error.forbidden or command.words:
            raise  # more privileges would do, or no counter knows what the filter asks for
        from .events_counters import CounterWatch

        command.environment.complain(f"{error}: showing rising drop counters instead")
        return CounterWatch(command.places())


def _said(command: Drops, watched: Watch | CounterWatch) -> bool:
    """Says what was not seen; whether that leaves something out."""
    if watched.unplaced:
        command.environment.complain(
            f"left out: {watched.unplaced} packets of unknown network namespaces (--all-netns shows them)"
        )
    if watched.lost:
        command.environment.complain(
            f"{watched.lost} more dropped packets were lost: they arrived faster than they could be read"
        )
    return bool(watched.lost)


def _live(command: Drops, watched: Watch | CounterWatch) -> None:
    writer = command.writer()
    if isinstance(writer, Table):
        writer.start()  # the heading: rows come one by one from now on
    left = command.times
    lost = 0
    try:
        for drops in watched.events(command.duration):
            if drops:
                writer.add(rows_of(drops if left is None else drops[:left], "Drop"))
            if watched.lost > lost:
                command.environment.complain(f"lost: {watched.lost - lost} packets")
                lost = watched.lost
            if left is not None:
                left -= len(drops)
                if left <= 0:
                    break
    finally:
        writer.end()


def _count(command: Drops, watched: Watch | CounterWatch) -> None:
    repeated = command.interval is not None
    times = command.times
    for counts in watched.counts(command.duration, command.interval):
        command.write_records(counts)
        if times is not None:
            times -= 1
            if times <= 0:
                break
        if repeated and command.format == "table":
            command.environment.write(b"\n")
