"""The Python API of snapshots: what `netinspect snapshot` writes and `netinspect diff` compares."""

from __future__ import annotations

from ..errors import UsageError
from ..snapshots.compare import differences
from ..snapshots.nouns import NOUNS
from ..snapshots.read import read
from ..snapshots.take import take
from .listed import several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..records import Difference
    from ..snapshots.take import Snapshot

    Texts = str | Iterable[str]


def take_snapshot(nouns: Texts | None = None, *, netns: Texts | None = None, all_netns: bool = False) -> Snapshot:
    """A snapshot of the current state, in memory.

    ``nouns``: of sockets, routes, rules, links, addresses, flows and groups as `netinspect snapshot --help` lists them;
    None is all. ``records`` has the records by noun, ``end.problems`` lists what could not be read. Raises UsageError
    and NamespaceError.
    """
    wanted = _known(tuple(NOUNS) if nouns is None else several(nouns))
    names = () if netns is None else several(netns)
    if names and all_netns:
        raise UsageError("netns and all_netns exclude each other")
    return take(wanted, names, all_netns)


def load_snapshot(path: str) -> Snapshot:
    """A snapshot from a file written by `netinspect snapshot`. Raises SnapshotError."""
    return read(path)


def compare(
    before: Snapshot, after: Snapshot, *, nouns: Texts | None = None, all_fields: bool = False
) -> list[Difference]:
    """What was added, removed and changed between two snapshots, noun by noun.

    ``nouns``: only these; None is all that both have. ``all_fields``: also fields that change by themselves, such as
    counters. Raises UsageError, and IncomparableError if one snapshot has one namespace and the other several.
    """
    common = [noun for noun in before.header.nouns if noun in after.header.nouns]
    wanted = common if nouns is None else _known(several(nouns))
    return list(differences(before, after, wanted, all_fields=all_fields))


def _known(nouns: tuple[str, ...]) -> tuple[str, ...]:
    for noun in nouns:
        if noun not in NOUNS:
            raise UsageError(f"{noun!r} is not one of {', '.join(NOUNS)}")
    return nouns
