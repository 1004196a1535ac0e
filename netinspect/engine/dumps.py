"""Complete dumps: repeated if the kernel reports that the table changed while it was read.

A malformed message is left out, counted and reported; the rest is listed.
"""

from __future__ import annotations

from errno import ENOBUFS
from itertools import chain

from ..errors import MalformedError, NetlinkError
from ..startup import array
from .netlink.messages import collected, joined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import TypeVar

    from .columns import Batch
    from .netlink.changes import Changes
    from .netlink.messages import Run
    from .netlink.transport import Dump

    Row = TypeVar("Row")

ATTEMPTS = 3
"""Attempts before the listing is reported as incomplete."""


class Faults:
    """The messages of a dump that are malformed."""

    __slots__ = ("_kinds", "count")

    def __init__(self) -> None:
        self.count = 0
        self._kinds: dict[str, None] = {}

    def add(self, error: MalformedError) -> None:
        """One more."""
        self.count += 1
        self._kinds[error.message.removeprefix("malformed netlink message: ")] = None

    def report(self, operation: str, problem: Callable[[str], object]) -> None:
        """Reports how many there were, and what is wrong with the first."""
        if self.count:
            left_out = "1 malformed message is" if self.count == 1 else f"{self.count} malformed messages are"
            others = " (and others)" if len(self._kinds) > 1 else ""
            problem(f"{operation}: {left_out} left out: {next(iter(self._kinds))}{others}")


def sound(run: Run, decode: Callable[[Run], Iterable[Row]], faults: Faults) -> list[Row]:
    """What ``decode`` makes of a run, except the messages that are malformed: these are added to ``faults``."""
    try:
        return list(decode(run))
    except MalformedError as error:
        if run.count == 1:
            faults.add(error)
            return []
    return [row for single in run.singles() for row in sound(single, decode, faults)]


def _sound_table(runs: list[Run], decode: Callable[[list[Run]], Batch | None], faults: Faults) -> Batch | None:
    """The same for what is decoded as a whole."""
    try:
        return decode(runs)
    except MalformedError:
        pass
    left = []
    for run in runs:
        good = []
        for single in run.singles():
            try:
                decode([single])
            except MalformedError as error:
                faults.add(error)
            else:
                good.append(single)
        if good:
            left.append(joined(good))
    return decode(left) if left else None


def whole_dump(
    operation: str,
    dump: Callable[[], Dump],
    decode: Callable[[Run], Iterable[Batch]],
    identities: Callable[[Run], array[int]] | None,
    identity: str,
    problem: Callable[[str], object],
    *,
    gather: bool = False,
) -> Iterator[Batch]:
    """The batches of a dump. An interrupted dump is repeated, and then yields only new rows.

    ``identities`` returns 32 bits that identify each row of a run; they are kept in case the dump is interrupted, which
    is known only later. They are the low bits of the field ``identity``, which is used if ``identities`` is None. If
    the table keeps changing, ``problem`` is called with the ``operation``. ``gather`` builds longer runs for tables
    whose messages have several shapes. Raises NetlinkError.
    """
    given: list[array[int]] = []
    for attempt in range(ATTEMPTS):
        current, faults = dump(), Faults()
        known = set(chain.from_iterable(given)) if attempt else None
        try:
            for run in _gathered(current) if gather else current:
                batches = sound(run, decode, faults)
                if identities is not None and batches:
                    given.append(identities(run))
                for batch in batches:
                    if identities is None:
                        given.append(_low_bits(batch.values(identity)))
                    if known is not None:
                        # A row without an identity cannot be recognized: better twice than not at all.
                        batch = batch.select(
                            [value is None or value & 0xFFFFFFFF not in known for value in batch.values(identity)]
                        )
                    yield batch
        except NetlinkError as error:
            if error.errno != ENOBUFS:
                raise
        else:
            if not current.interrupted:
                break
    else:
        problem(f"{operation}: the table changed during each of {ATTEMPTS} reads: rows may be missing")
    faults.report(operation, problem)


def _gathered(runs: Iterable[Run]) -> Iterator[Run]:
    from .netlink.gathering import gathered

    return gathered(runs)


def _low_bits(values: Iterable[int | None]) -> array[int]:
    """The low 32 bits of each."""
    if isinstance(values, list):
        try:
            return array("I", values)
        except (TypeError, OverflowError):
            pass
    return array("I", [(value or 0) & 0xFFFFFFFF for value in values])


class _Watched:
    """A dump, and whether its table changed meanwhile without the kernel's saying so in the dump."""

    __slots__ = ("_changes", "_dump", "buffers", "changed")

    def __init__(self, dump: Dump, changes: Changes | None) -> None:
        self._dump = dump
        self._changes = changes
        self.changed = False
        self.buffers = 0
        """How many the rows came in: the first is made in one go."""

    def answers(self) -> Iterator[list[Run]]:
        for number, runs in enumerate(self._dump.answers()):
            # The first buffer is made in one go, and no change before it matters.
            if number and self._changes is not None and not self.changed:
                self.changed = self._changes.heard()
            self.buffers += bool(runs)
            yield runs

    @property
    def whole(self) -> bool:
        return not (self._dump.interrupted or self.changed)

    def close(self) -> None:
        if self._changes is not None:
            self._changes.close()


def whole_list(
    operation: str,
    dump: Callable[[], Dump],
    rows: Callable[[Run], Iterable[Row]],
    problem: Callable[[str], object],
    watch: Callable[[], Changes | None] | None = None,
) -> list[Row]:
    """The rows of a small table, all in memory. An interrupted dump is discarded and repeated.

    If the table stays in motion, ``problem`` is called with the ``operation``. ``watch`` as for `whole_table`. Raises
    NetlinkError.
    """
    found: list[Row] = []
    for _ in range(ATTEMPTS):
        changes = watch() if watch else None
        current, faults = _Watched(dump(), changes), Faults()
        try:
            found = [row for runs in current.answers() for run in runs for row in sound(run, rows, faults)]
        except NetlinkError as error:
            if error.errno != ENOBUFS:
                raise
        else:
            if current.whole:
                break
        finally:
            current.close()
    else:
        problem(f"{operation}: the table changed during each of {ATTEMPTS} reads: rows may be missing")
    faults.report(operation, problem)
    return found


def whole_table(
    operation: str,
    dump: Callable[[], Dump],
    decode: Callable[[list[Run]], Batch | None],
    problem: Callable[[str], object],
    watch: Callable[[], Changes | None] | None = None,
    *,
    shared: bool = False,
) -> Iterator[Batch]:
    """The same for tables whose rows come in the kernel's order: ``decode`` takes several received buffers at once.

    Its batches have a column ``identity`` of 64-bit numbers, kept in case the dump is interrupted. ``watch`` is for
    tables whose changes the dump does not show: as long as the watcher it returns reports no change, the dump is
    complete; after a change no row is listed twice. ``shared`` is for tables that all namespaces have in common, where
    a change in another one, which is not heard, may hide a row from a dump of several buffers: such a one is repeated
    until nothing new comes. Raises NetlinkError.
    """
    given: list[array[int]] = []
    for attempt in range(ATTEMPTS):
        changes = watch() if watch else None
        known = set(chain.from_iterable(given)) if attempt else None
        current, faults = _Watched(dump(), changes), Faults()
        new = 0
        try:
            for runs in collected(current.answers()):
                if known is None and (current.changed or (shared and current.buffers > 1)):
                    known = set(chain.from_iterable(given))
                batch = _sound_table(runs, decode, faults)
                if batch is None:
                    continue
                identities = array("q", batch.values("identity"))
                given.append(identities)
                if known is not None:
                    batch = batch.select([_is_new(identity, known) for identity in identities])
                new += batch.count
                yield batch
        except NetlinkError as error:
            if error.errno != ENOBUFS:
                raise
        else:
            if current.whole and (not shared or current.buffers < 2 or (attempt and not new)):
                break
        finally:
            current.close()
    else:
        problem(f"{operation}: the table changed during each of {ATTEMPTS} reads: rows may be missing")
    faults.report(operation, problem)


def _is_new(identity: int, known: set[int]) -> bool:
    if identity in known:
        return False
    known.add(identity)
    return True
