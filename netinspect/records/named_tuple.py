"""typing.NamedTuple without typing, which takes as long to load as Python takes to start, and compiles annotations.

Type checkers are shown the original, and what they accept behaves the same here. Annotations stay text until somebody
asks for them with typing.get_type_hints.
"""

from __future__ import annotations

from _collections import _tuplegetter  # of which collections.namedtuple makes its fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


def named_tuple(name: str, annotations: Mapping[str, str], namespace: Mapping[str, Any]) -> Any:
    """A type of tuples with these fields; ``namespace`` is that of a class body: defaults, ``__module__``, methods."""
    fields = tuple(annotations)
    defaults = {field: namespace[field] for field in fields if field in namespace}
    parameters = "".join([f"{field}, " for field in fields])
    new = eval(f"lambda cls, {parameters}: _new(cls, ({parameters}))", {"_new": tuple.__new__})
    new.__name__, new.__defaults__ = "__new__", tuple(defaults.values())
    return type(
        name,
        (tuple,),
        {
            "__qualname__": name,
            **namespace,
            "__annotations__": dict(annotations),
            "__slots__": (),
            "__new__": new,
            "__match_args__": fields,
            "__repr__": _repr,
            "__getnewargs__": _values,
            "_fields": fields,
            "_field_defaults": defaults,
            "_make": classmethod(_make),
            "_asdict": _asdict,
            "_replace": _replace,
            **{field: _tuplegetter(at, "") for at, field in enumerate(fields)},
        },
    )


def _repr(self: Any) -> str:
    values = ", ".join([f"{field}={value!r}" for field, value in zip(self._fields, self, strict=True)])
    return f"{type(self).__name__}({values})"


def _values(self: Any) -> tuple[Any, ...]:
    return tuple(self)


def _make(cls: Any, values: Iterable[Any]) -> Any:
    """A tuple of these values, one for each field. Raises TypeError for more or less of them."""
    made = tuple.__new__(cls, values)
    if len(made) != len(cls._fields):
        raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
    return made


def _asdict(self: Any) -> dict[str, Any]:
    """The values by field."""
    return dict(zip(self._fields, self, strict=True))


def _replace(self: Any, /, **values: Any) -> Any:
    """The same with other values in some fields. Raises ValueError for a field that does not exist."""
    made = tuple.__new__(type(self), map(values.pop, self._fields, self))
    if values:
        raise ValueError(f"Got unexpected field names: {list(values)!r}")
    return made


class _Maker(type):
    """What ``class X(NamedTuple)`` calls instead of type."""

    def __new__(cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        return named_tuple(name, namespace.get("__annotations__", {}), namespace)


class _Base:
    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (_MADE,)


_MADE = type.__new__(_Maker, "NamedTuple", (), {})
NamedTuple = _Base()


class Annotated:
    """typing.Annotated, once an annotation is evaluated."""

    def __class_getitem__(cls, parameters: Any) -> Any:
        from typing import Annotated

        return Annotated[parameters]
