"""Dumps that are whole: made anew where the kernel says that the table changed while it was being read."""

from __future__ import annotations

from array import array
from errno import ENOBUFS
from itertools import chain

from ..errors import NetlinkError
from ..netlink.messages import gathered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..batch import Batch
    from ..netlink.messages import Run
    from ..netlink.transport import Dump

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
