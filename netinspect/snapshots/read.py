"""Reading a snapshot's file: lines of JSON made the typed records that they were."""

from __future__ import annotations

import json
import types
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from ..errors import SnapshotError
from .nouns import NOUNS
from .take import FORMAT, End, Header, Snapshot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Make = Callable[[Any], Any]


def read(path: str) -> Snapshot:
    """The snapshot in a file; ``-`` is standard input. Raises SnapshotError."""
    try:
        with open(0 if path == "-" else path, encoding="utf-8", closefd=path != "-") as file:
            return parse(file, path)
    except OSError as error:
        raise SnapshotError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SnapshotError(f"{path}: not a snapshot: it is no UTF-8 text") from None


def parse(lines: Iterable[str], path: str) -> Snapshot:
    """The snapshot in these lines; ``path`` is for messages. Raises SnapshotError."""
    head: Header | None = None
    end: End | None = None
    records: dict[str, list[Any]] = {}
    makers: dict[str, Make] = {}
    count = 0
    for number, line in enumerate(lines, 1):
        try:
            found = json.loads(line)
            noun = found["noun"]
            if head is None:
                head = _header(found)
                records = {name: [] for name in head.nouns}
            elif end is not None:
                raise ValueError("something behind the end")
            elif noun == "end":
                end = _maker(End)(found)
            else:
                if noun not in makers:
                    makers[noun] = _record_maker(noun)
                records.setdefault(noun, []).append(makers[noun](found))
                count += 1
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            what = "not a snapshot" if head is None else "malformed"
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raise SnapshotError(f"{path}:{number}: {what}: {reason}") from None
    if head is None:
        raise SnapshotError(f"{path}: not a snapshot: the file is empty")
    if end is None or end.records != count:
        raise SnapshotError(f"{path}: the snapshot was cut short after {count} records: it cannot be compared")
    return Snapshot(head, records, end)


def _header(found: dict[str, Any]) -> Header:
    if found["noun"] != "snapshot":
        raise ValueError("the first line is no header")
    if found["format"] > FORMAT:
        raise ValueError(f"written by netinspect {found['version']}, whose format is newer than this one's")
    head: Header = _maker(Header)(found)
    return head


def _record_maker(noun: str) -> Make:
    from .. import records

    if noun not in NOUNS:
        raise ValueError(f"no noun {noun!r}")
    return _maker(getattr(records, NOUNS[noun].record))


def _maker(record: type) -> Make:
    """Makes such a record of a JSON object. Fields that it lacks have their defaults, or are None."""
    defaults: dict[str, Any] = record._field_defaults  # type: ignore[attr-defined]
    fields = [(name, _value_maker(hint), defaults.get(name)) for name, hint in get_type_hints(record).items()]
    make: Make = record._make  # type: ignore[attr-defined]

    def of_object(found: Any) -> Any:
        if not isinstance(found, dict):
            raise ValueError(f"{record.__name__} is no object")
        return make(
            [
                found.get(name, default)
                if of_value is None
                else default
                if name not in found
                else of_value(found[name])
                for name, of_value, default in fields
            ]
        )

    return of_object


def _value_maker(hint: Any) -> Make | None:
    """Makes a value of this type; None where JSON's is it already."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _value_maker(arguments[0])
    if origin in (Union, types.UnionType):
        makers = [made for made in map(_value_maker, arguments) if made is not None]
        if not makers:
            return None
        (make,) = makers
        return lambda value: None if value is None else make(value)
    if origin is tuple:
        inner = _value_maker(arguments[0])
        return _tuple if inner is None else lambda value: tuple(map(inner, _tuple(value)))
    return _maker(hint) if hasattr(hint, "_fields") else None


def _tuple(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise ValueError("a list was due")
    return tuple(value)
