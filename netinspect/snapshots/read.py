"""Reading a snapshot's file: lines of JSON made the typed records that they were."""

from __future__ import annotations

from itertools import islice, zip_longest
from typing import Any

from ..engine import typed
from ..errors import FileError, SnapshotError
from .nouns import NOUNS
from .take import FORMAT, End, Header, Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Make = Callable[[Any], Any]
    Numbered = tuple[int, bytes]


def read(path: str) -> Snapshot:
    """The snapshot in a file; ``-`` is standard input. Raises SnapshotError."""
    from ..engine.files import lines

    try:
        return parse(lines(path), path)
    except FileError as error:
        raise SnapshotError(str(error)) from None


def read_both(path: str, other: str) -> tuple[Snapshot, Snapshot]:
    """The snapshots in two files, without most of the records that are the same, byte for byte, in both.

    To compare them takes neither memory nor much time. Raises SnapshotError.
    """
    from ..engine.files import lines

    try:
        first, second, skipped = _different(lines(path), lines(other), _Records(path).made)
    except FileError as error:
        raise SnapshotError(str(error)) from None
    return _parsed(first, path, skipped), _parsed(second, other, skipped)


class _Records:
    """Makes records of the lines of a file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._makers: dict[str, Make] = {}

    def of(self, noun: object, found: Any) -> Any:
        """The record. Raises ValueError."""
        if type(noun) is not str or noun not in NOUNS:
            raise ValueError(f"no noun {noun!r}")
        make = self._makers.get(noun)
        if make is None:
            make = self._makers[noun] = typed.maker(NOUNS[noun].type)
        return make(found)

    def made(self, number: int, line: bytes) -> None:
        """Nothing where a record can be made. Raises SnapshotError."""
        try:
            found = typed.parse(line)
            self.of(found.get("noun") if type(found) is dict else None, found)
        except ValueError as error:
            raise _bad_line(self._path, number, error) from None


def _bad_line(path: str, number: int, error: ValueError, what: str = "malformed") -> SnapshotError:
    said = "not a snapshot: not UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"{what}: {error}"
    return SnapshotError(f"{path}:{number}: {said}")


def _different(
    ones: Iterable[bytes], others: Iterable[bytes], check: Callable[[int, bytes], None]
) -> tuple[list[Numbered], list[Numbered], int]:
    """Lines of each, with their numbers, without pairs of equal ones, which are checked, and how many these are.

    The first line and the last are among them always. Records mostly are in the same order, so few wait for an equal.
    """
    ends: tuple[list[Numbered], list[Numbered]] = ([], [])
    waiting: tuple[dict[bytes, list[int]], dict[bytes, list[int]]] = ({}, {})
    skipped = 0
    for pair in zip_longest(_between(ones, ends[0]), _between(others, ends[1])):
        one, other = pair
        if one is not None and other is not None and one[1] == other[1]:
            check(*one)
            skipped += 1
            continue
        for side, found in enumerate(pair):
            if found is None:
                continue
            number, line = found
            equal = waiting[1 - side].get(line)
            if equal is None:
                waiting[side].setdefault(line, []).append(number)
                continue
            check(number, line)
            skipped += 1
            equal.pop()
            if not equal:
                del waiting[1 - side][line]
    left = [sorted((number, line) for line, where in lines.items() for number in where) for lines in waiting]
    return ends[0][:1] + left[0] + ends[0][1:], ends[1][:1] + left[1] + ends[1][1:], skipped


def _between(lines: Iterable[bytes], ends: list[Numbered]) -> Iterator[Numbered]:
    """The lines with their numbers, but for the first and the last, which are put into ``ends``."""
    numbered = enumerate(lines, 1)
    ends.extend(islice(numbered, 1))
    held = None
    for line in numbered:
        if held is not None:
            yield held
        held = line
    if held is not None:
        ends.append(held)


def parse(lines: Iterable[bytes], path: str) -> Snapshot:
    """The snapshot in these lines; ``path`` is for messages. Raises SnapshotError."""
    return _parsed(enumerate(lines, 1), path, 0)


def _parsed(lines: Iterable[Numbered], path: str, skipped: int) -> Snapshot:
    """The snapshot in these lines with their numbers, where so many others were records."""
    head: Header | None = None
    end: End | None = None
    records: dict[str, list[Any]] = {}
    made = _Records(path)
    count = skipped
    for number, line in lines:
        try:
            found = typed.parse(line)
            noun: Any = found.get("noun") if type(found) is dict else None
            if head is None:
                head = _header(found)
                records = {name: [] for name in head.nouns}
            elif end is not None:
                raise ValueError("data after the trailer")
            elif noun == "end":
                end = typed.maker(End)(found)
            else:
                record = made.of(noun, found)
                records.setdefault(noun, []).append(record)
                count += 1
        except ValueError as error:
            raise _bad_line(path, number, error, "not a snapshot" if head is None else "malformed") from None
    if head is None:
        raise SnapshotError(f"{path}: not a snapshot: the file is empty")
    if end is None or end.records != count:
        raise SnapshotError(f"{path}: the snapshot is truncated after {count} records")
    return Snapshot(head, records, end)


def _header(found: Any) -> Header:
    if type(found) is not dict or found.get("noun") != "snapshot":
        raise ValueError("the first line is not a header")
    newest = found.get("format")
    if type(newest) is int and newest > FORMAT:
        raise ValueError(f"written by netinspect {found.get('version')}, in a newer format than this release reads")
    head: Header = typed.maker(Header)(found)
    if not head.namespaces:
        raise ValueError("namespaces: missing")
    for noun in head.nouns:
        if noun not in NOUNS:
            raise ValueError(f"no noun {noun!r}")
    return head
