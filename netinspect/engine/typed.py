"""JSON that others may have changed, read as the records that it should hold: every value is of its field's type.

What a record's annotations say is checked, so whoever works with the record meets nothing else. Numbers are the
kernel's: 64 bits. A row's fields are checked together, by their types, which nearly all rows have in common.
"""

from __future__ import annotations

import types
from functools import cache
from json import JSONDecoder
from math import isfinite
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[[Any], Any]

_LEAST, _MOST = -(1 << 63), (1 << 64) - 1
_DIGITS_ALIKE = bytes.maketrans(b"123456789E", b"000000000e")

_WORDS = {
    bool: "true or false",
    int: "a number",
    float: "a fraction",
    str: "text",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _bounded(digits: str) -> int:
    number = int(digits) if len(digits) <= len(str(_LEAST)) else _MOST + 1
    if not _LEAST <= number <= _MOST:
        raise ValueError(f"a number of {len(digits.lstrip('-'))} digits, too large for a counter")
    return number


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError("a number that is too large")
    return number


_USUAL = JSONDecoder(parse_constant=_no_constant)
_CAREFUL = JSONDecoder(parse_constant=_no_constant, parse_int=_bounded, parse_float=_finite)


def _may_have_large_number(raw: bytes) -> bool:
    """Whether twenty digits stand together, or three behind an exponent's sign: a tenth of the time of a pattern."""
    alike = raw.translate(_DIGITS_ALIKE, b"+")
    return b"00000000000000000000" in alike or b"0e000" in alike


def parse(raw: bytes) -> Any:
    """The value in a text of UTF-8.

    Raises ValueError, also for numbers of more than 64 bits and what is nested too deeply.
    """
    try:
        # int() takes a time that grows with the square of the digits, and float() makes infinity of what is too large.
        return (_CAREFUL if _may_have_large_number(raw) else _USUAL).decode(raw.decode())
    except RecursionError:
        raise ValueError("lists or objects are nested too deeply") from None


class _Lacking:
    """Stands for a field that must be there and is not."""


_LACKING = _Lacking()


class _Field:
    """One field: the types that JSON may have for it, and what makes the record's value of a list or an object."""

    def __init__(self, name: str, hint: Any, default: Any) -> None:
        self.name = name
        self.types, self.make = _reader(hint)
        self.default = None if default is _LACKING and type(None) in self.types else default
        self.taken = self.types if self.default is _LACKING else self.types | {type(self.default)}


@cache
def maker(record: type) -> Make:
    """Makes such a record of a JSON object. Fields that it lacks have their defaults, or are None where they may be.

    What it returns raises ValueError where the object is no such record. Further fields are passed over.
    """
    hints = get_type_hints(record, include_extras=True)
    defaults = record._field_defaults  # type: ignore[attr-defined]
    fields = [_Field(name, hint, defaults.get(name, _LACKING)) for name, hint in hints.items()]
    wanted = [(field.name, field.default) for field in fields]
    made_of = [
        (at, container, field.make)
        for at, field in enumerate(fields)
        if field.make is not None
        for container in field.types & {list, dict}
    ]
    make: Make = record._make  # type: ignore[attr-defined]
    checked: set[tuple[type, ...]] = set()

    def of_object(found: Any) -> Any:
        if type(found) is not dict:
            raise ValueError(f"{_words(found)} where {record.__name__} was expected")
        values = [found.get(name, default) for name, default in wanted]
        signature = tuple(map(type, values))
        if signature not in checked:
            for field, value in zip(fields, values, strict=True):
                if type(value) not in field.taken:
                    _refuse(field, value)
            checked.add(signature)
        for at, container, of_value in made_of:
            if signature[at] is container:
                try:
                    values[at] = of_value(values[at])
                except ValueError as error:
                    raise ValueError(f"{fields[at].name}: {error}") from None
        return make(values)

    return of_object


def _refuse(field: _Field, value: Any) -> None:
    if value is _LACKING:
        raise ValueError(f"{field.name} is missing")
    raise ValueError(f"{field.name}: {_words(value)} where {_due(field.types)} was expected")


def _words(value: Any) -> str:
    return _WORDS.get(type(value), type(value).__name__)


def _due(kinds: frozenset[type]) -> str:
    return " or ".join(words for kind, words in _WORDS.items() if kind in kinds)


def _reader(hint: Any) -> tuple[frozenset[type], Make | None]:
    """The types that JSON may have for such a value, and what makes it of a list or an object."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _reader(arguments[0])
    if origin in (Union, types.UnionType):
        readers = [_reader(argument) for argument in arguments]
        makes = [make for _, make in readers if make is not None]
        if len(makes) > 1:
            raise TypeError(f"{hint}: ambiguous types for an object")
        return frozenset().union(*[kinds for kinds, _ in readers]), makes[0] if makes else None
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return frozenset((list,)), _all_of(arguments[0])
        return frozenset((list,)), _each_of(arguments)
    if hasattr(hint, "_fields"):
        return frozenset((dict,)), maker(hint)
    return frozenset((int, float) if hint is float else (hint,)), None


def _all_of(hint: Any) -> Make:
    kinds, make = _reader(hint)

    def of_list(found: list[Any]) -> tuple[Any, ...]:
        for value in found:
            if type(value) not in kinds:
                raise ValueError(f"{_words(value)} where {_due(kinds)} was expected")
        return tuple(found) if make is None else tuple([value if value is None else make(value) for value in found])

    return of_list


def _each_of(hints: tuple[Any, ...]) -> Make:
    readers = [_reader(hint) for hint in hints]

    def of_list(found: list[Any]) -> tuple[Any, ...]:
        if len(found) != len(readers):
            raise ValueError(f"a list of {len(found)} where one of {len(readers)} was expected")
        for value, (kinds, _) in zip(found, readers, strict=True):
            if type(value) not in kinds:
                raise ValueError(f"{_words(value)} where {_due(kinds)} was expected")
        return tuple(
            [
                value if make is None or value is None else make(value)
                for value, (_, make) in zip(found, readers, strict=True)
            ]
        )

    return of_list
