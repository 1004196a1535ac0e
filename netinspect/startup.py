"""What makes a short listing start, and a long one run, quicker than plain Python would: all such tricks are here.

Times are of the processor, medians of 41 runs, where Python's own start takes 16 ms. What each would be without it, so
that it can be taken out:

- ``NamedTuple``, ``Annotated``: records without the module typing, which takes 17 ms to load, and 7 more to compile the
  annotations of the largest records. Without it: ``from typing import Annotated, NamedTuple`` in every module that
  imports them from here, as type checkers see it already, and `collections.namedtuple` for ``named_tuple``.
- ``array``: its module without the package collections, 3 ms. Without it: ``from array import array``.
- ``settle``: memory that is mapped anew for each large buffer, 3 µs a page of 4 KiB. Without it: nothing in its place.

More are elsewhere: modules come from one file of bytecode where the build made one, without the annotations and
docstrings of functions, and without collections of garbage, which would find none (bytecode.py: 7 of 62 million
instructions of a short listing, and 300 system calls); they are imported where they are first needed (the import budget
in the tests holds it: their number and size too), annotations stand behind ``TYPE_CHECKING = False``, which costs no
import, and classes of rare errors are made when they are asked for (errors.py). The program is installed as scripts of
ours: what pip makes of an entry point imports ``re``, which is 24 of the 81 million instructions of a listing of few
rows. Without it: ``[project.scripts]``. One of them, scripts/netinspect, starts Python without the module site, 8 of 57
million; therefore ``posix`` stands for ``os`` wherever a listing may load it. Without it: scripts/netinspect-python.
"""

from __future__ import annotations

import sys

try:
    from _collections import _tuplegetter  # of which collections.namedtuple makes its fields
except ImportError:  # a private name

    def _tuplegetter(index: int, doc: str) -> property:
        return property(lambda self: self[index], doc=doc)


TYPE_CHECKING = False
if TYPE_CHECKING:
    from array import array as array
    from collections.abc import Iterable, Mapping
    from typing import Any


def settle() -> None:
    """Settings of the process, for the program alone: a library has no business with them."""
    # glibc maps large blocks anew each time, at 3 µs a page, until one has been freed; from then on it keeps memory
    # for blocks of up to that size (mallopt(3): M_MMAP_THRESHOLD). This one is never touched, so it costs nothing.
    try:
        bytes(1 << 23)
    except MemoryError:
        pass  # a limit (setrlimit(2): RLIMIT_AS) counts it all the same


def __getattr__(name: str) -> Any:
    """``array``, when it is first imported from here.

    When it is loaded, the module array registers its type in collections.abc, for the sake of which the whole package
    collections is loaded. All that is wanted of it is in _collections_abc, which every Python has loaded from the
    start, and which stands in for it here. A program that has threads, and so might notice, has the package loaded
    anyway.
    """
    if name != "array":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if "collections" in sys.modules:
        from array import array
    else:
        standing_in = sys.modules.get("_collections_abc", _Unregistered)  # which the module site loads
        sys.modules["collections"] = sys.modules["collections.abc"] = standing_in  # type: ignore[assignment]
        try:
            from array import array
        finally:
            del sys.modules["collections"], sys.modules["collections.abc"]
    globals()["array"] = array
    return array


class _Unregistered:
    """What stands in for collections.abc where even its parts are not loaded."""

    class MutableSequence:
        @staticmethod
        def register(_: type) -> None: ...


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
    # What is None or empty is left out: of the 40 fields of a socket a few have something in them.
    given = [(field, value) for field, value in zip(self._fields, self, strict=True) if value not in (None, "", ())]
    values = ", ".join([f"{field}={value!r}" for field, value in given])
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
    """The same with other values in some fields.

    Raises ValueError for a field that does not exist, TypeError since Python 3.13, as `collections.namedtuple` does."""
    made = tuple.__new__(type(self), map(values.pop, self._fields, self))
    if values:
        refusal = TypeError if sys.version_info >= (3, 13) else ValueError
        raise refusal(f"Got unexpected field names: {list(values)!r}")
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
