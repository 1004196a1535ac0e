"""Dumps that are whole: made anew where the kernel says that the table changed while it was being read."""

from __future__ import annotations

from errno import ENOBUFS
from itertools import chain

from ..errors import NetlinkError
from .netlink.arrays import array
from .netlink.messages import collected, gathered

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
"""How often a dump is made before the listing is called incomplete."""


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
    """The batches of a dump. One that was interrupted is made anew, and then gives only the rows that are new.

    ``identities`` takes from a run what tells its rows apart, 32 bits for each: they are kept in case the dump is
    interrupted, which shows only later. They are the low bits of the field ``identity``, and taken from that where
    ``identities`` is None. If the table stays in motion, ``problem`` is told, with the ``operation``. ``gather`` makes
    longer runs of a table whose messages have several shapes. Raises NetlinkError.
    """
    given: list[array[int]] = []
    for attempt in range(ATTEMPTS):
        current = dump()
        known = set(chain.from_iterable(given)) if attempt else None
        try:
            for run in gathered(current) if gather else current:
                if identities is not None:
                    given.append(identities(run))
                for batch in decode(run):
                    if identities is None:
                        given.append(array("I", [value & 0xFFFFFFFF for value in batch.values(identity)]))
                    if known is not None:
                        batch = batch.select([value & 0xFFFFFFFF not in known for value in batch.values(identity)])
                    yield batch
        except NetlinkError as error:
            if error.errno != ENOBUFS:
                raise
        else:
            if not current.interrupted:
                return
    problem(f"{operation}: the table kept changing while it was read, {ATTEMPTS} times: rows may be missing")


def whole_list(
    operation: str,
    dump: Callable[[], Dump],
    rows: Callable[[Run], Iterable[Row]],
    problem: Callable[[str], object],
) -> list[Row]:
    """The rows of a small table, all in memory. A dump that was interrupted is thrown away, and made anew.

    If the table stays in motion, ``problem`` is told, with the ``operation``. Raises NetlinkError.
    """
    found: list[Row] = []
    for _ in range(ATTEMPTS):
        current = dump()
        try:
            found = list(chain.from_iterable(map(rows, current)))
        except NetlinkError as error:
            if error.errno != ENOBUFS:
                raise
        else:
            if not current.interrupted:
                return found
    problem(f"{operation}: the table kept changing while it was read, {ATTEMPTS} times: rows may be missing")
    return found


def whole_table(
    operation: str,
    dump: Callable[[], Dump],
    decode: Callable[[list[Run]], Batch | None],
    problem: Callable[[str], object],
    watch: Callable[[], Changes] | None = None,
) -> Iterator[Batch]:
    """The same for tables whose rows come in the kernel's order: ``decode`` takes several received buffers at once.

    Its batches have a column ``identity`` of 64-bit numbers, kept in case the dump is interrupted. ``watch`` is for
    tables that change without the kernel's saying so in the dump: as long as what it returns has heard nothing, the
    dump is whole; from then on no row is given twice. Raises NetlinkError.
    """
    given: list[array[int]] = []
    changed = False

    def watched(answers: Iterable[list[Run]], changes: Changes) -> Iterator[list[Run]]:
        nonlocal changed
        for number, runs in enumerate(answers):
            # The first buffer is made in one go, and no change before it matters.
            changed = changed or bool(number and changes.heard())
            yield runs

    for attempt in range(ATTEMPTS):
        changes = watch() if watch else None
        known = set(chain.from_iterable(given)) if attempt else None
        current = dump()
        changed = False
        try:
            answers = current.answers() if changes is None else watched(current.answers(), changes)
            for runs in collected(answers):
                if changed and known is None:
                    known = set(chain.from_iterable(given))
                batch = decode(runs)
                if batch is None:
                    continue
                identities = array("q", batch.values("identity"))
                given.append(identities)
                if known is not None:
                    batch = batch.select([_is_new(identity, known) for identity in identities])
                yield batch
        except NetlinkError as error:
            if error.errno != ENOBUFS:
                raise
        else:
            if not current.interrupted and not changed:
                return
        finally:
            if changes is not None:
                changes.close()
    problem(f"{operation}: the table kept changing while it was read, {ATTEMPTS} times: rows may be missing")


def _is_new(identity: int, known: set[int]) -> bool:
    if identity in known:
        return False
    known.add(identity)
    return True
