"""Reading a snapshot's file: lines of JSON made the typed records that they were."""

from __future__ import annotations

from typing import Any

from ..engine import typed
from ..errors import FileError, SnapshotError
from .nouns import NOUNS
from .take import FORMAT, End, Header, Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Make = Callable[[Any], Any]


def read(path: str) -> Snapshot:
    """The snapshot in a file; ``-`` is standard input. Raises SnapshotError."""
    from ..engine.files import lines

    try:
        return parse(lines(path), path)
    except FileError as error:
        raise SnapshotError(str(error)) from None


def parse(lines: Iterable[bytes], path: str) -> Snapshot:
    """The snapshot in these lines; ``path`` is for messages. Raises SnapshotError."""
    head: Header | None = None
    end: End | None = None
    records: dict[str, list[Any]] = {}
    makers: dict[str, Make] = {}
    count = 0
    for number, line in enumerate(lines, 1):
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
                if type(noun) is not str or noun not in NOUNS:
                    raise ValueError(f"no noun {noun!r}")
                make = makers.get(noun)
                if make is None:
                    make = makers[noun] = typed.maker(NOUNS[noun].type)
                records.setdefault(noun, []).append(make(found))
                count += 1
        except UnicodeDecodeError:
            raise SnapshotError(f"{path}:{number}: not a snapshot: not UTF-8 text") from None
        except ValueError as error:
            what = "not a snapshot" if head is None else "malformed"
            raise SnapshotError(f"{path}:{number}: {what}: {error}") from None
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
