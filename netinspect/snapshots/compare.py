"""What differs between two snapshots."""

from __future__ import annotations

from itertools import zip_longest

from ..errors import IncomparableError
from ..records import Difference
from ..waiting.render import line
from .nouns import NOUNS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from typing import Any

    from .nouns import Noun
    from .take import Snapshot


def differences(
    before: Snapshot, after: Snapshot, nouns: Sequence[str], *, all_fields: bool = False
) -> Iterator[Difference]:
    """What was added, removed and changed, noun by noun. ``all_fields``: also fields that change by themselves.

    Raises IncomparableError where one snapshot is of one namespace and the other of several.
    """
    labels = _labels(before, after)
    for name in nouns:
        rows = after.records.get(name, [])
        if labels:
            rows = [row._replace(netns=labels.get(row.netns, row.netns)) for row in rows]
        yield from _of_noun(NOUNS[name], before.records.get(name, []), rows, all_fields)


def _labels(before: Snapshot, after: Snapshot) -> dict[str | None, str | None]:
    """Labels of ``after`` that stand for a namespace which has another label in ``before``.

    A namespace without a name is called by a process in it, and that may have ended.
    """
    first, second = before.header.namespaces, after.header.namespaces
    if (None in [one.label for one in first]) != (None in [one.label for one in second]):
        raise IncomparableError("one snapshot has one network namespace, the other several: take both alike")
    taken = {one.label for one in second}
    same_kernel = before.header.host == after.header.host and before.header.kernel == after.header.kernel
    by_inode = {one.inode: one.label for one in first if one.inode is not None} if same_kernel else {}
    known = {one.label for one in first}
    return {
        one.label: by_inode[one.inode]
        for one in second
        if one.label not in known and one.inode in by_inode and by_inode[one.inode] not in taken
    }


def _of_noun(noun: Noun, before: Sequence[Any], after: Sequence[Any], all_fields: bool) -> Iterator[Difference]:
    from .. import records

    names = getattr(records, noun.record)._fields
    identity = [names.index(name) for name in (*noun.identity, "netns")]
    ignored = noun.left_out if all_fields else noun.left_out | noun.volatile
    compared = [name for name in names if name not in ignored and name not in noun.identity and name != "netns"]
    views = [
        _view(names.index(name), _names_of_processes if name == "processes" and not all_fields else None)
        for name in compared
    ]

    def groups(rows: Sequence[Any]) -> dict[tuple[Hashable, ...], list[Any]]:
        found: dict[tuple[Hashable, ...], list[Any]] = {}
        for row in rows:
            found.setdefault(tuple([row[index] for index in identity]), []).append(row)
        return found

    def values(row: Any) -> tuple[Any, ...]:
        return tuple([view(row) for view in views])

    first, second = groups(before), groups(after)
    for key in {**first, **second}:
        ones, others = _unequal(first.get(key, []), second.get(key, []), values)
        for old, new in zip_longest(ones, others):
            changed: tuple[str, ...] = ()
            if old is not None and new is not None:
                pairs = zip(compared, values(old), values(new), strict=True)
                changed = tuple(name for name, one, other in pairs if one != other)
            change = "added" if old is None else "removed" if new is None else "changed"
            row = old if new is None else new
            yield Difference(change, noun.name, line(row._replace(netns=None)), row.netns, changed, old, new)


def _view(index: int, make: Callable[[Any], Any] | None) -> Callable[[Any], Any]:
    if make is None:
        return lambda row: row[index]
    return lambda row: make(row[index])


def _names_of_processes(processes: Any) -> Any:
    """Another process id is no change, another program is."""
    return None if processes is None else frozenset(process.name for process in processes)


def _unequal(
    ones: Sequence[Any], others: Sequence[Any], values: Callable[[Any], tuple[Any, ...]]
) -> tuple[list[Any], list[Any]]:
    """Those that have no equal on the other side: several records may have the same identity."""
    if len(ones) == len(others) == 1 and values(ones[0]) == values(others[0]):
        return [], []
    left: dict[tuple[Any, ...], list[Any]] = {}
    for other in others:
        left.setdefault(values(other), []).append(other)
    rest = []
    for one in ones:
        equal = left.get(values(one))
        if equal:
            equal.pop()
        else:
            rest.append(one)
    return rest, [other for equal in left.values() for other in equal]
