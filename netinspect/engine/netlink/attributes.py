"""Attributes of netlink messages, checked before they are read (linux/netlink.h: struct nlattr).

A ``Shape`` says which attributes a decoder reads, and how long each must be. It is the only way to an attribute: what
comes as columns is checked once for each layout (``Run.by_layout``), what comes one by one when it is taken apart
(``Attributes``). So a message that breaks the protocol is a MalformedError, whatever is in it, before a row is made of
it. What a shape does not name is unknown, and shown as such: a rule without one of its conditions is another rule.
"""

from __future__ import annotations

from _socket import inet_ntop
from _struct import Struct
from sys import byteorder

from ...uapi.netlink import AF_INET, AF_INET6
from ..text import text
from .messages import attribute_list, malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from typing import Any, TypeAlias

    from ...records import UnknownAttribute

    Kind: TypeAlias = "int | tuple[int, ...]"
    Size: TypeAlias = "int | Collection[int]"


NUMBER = (1, 2, 4, 8)
"""Sizes of a number of any width."""
ADDRESS = (4, 16)
"""Sizes of an IPv4 or IPv6 address."""
ANY = 0
"""Any size: names, flags that say all by their presence, what is taken apart by its own shape."""


class Shape:
    """The attributes of one kind of message, by their type, or by the types on the way to them.

    ``sizes`` are those that a decoder reads, with the sizes that they may have: an int for at least so many bytes, as
    kernels add to the end of structs, otherwise those that there are. ``skipped`` are known and not shown, with all
    that is inside them.
    """

    __slots__ = ("_known", "_sizes", "_skipped")

    def __init__(self, sizes: Mapping[Any, Size], skipped: Iterable[Any] = ()) -> None:
        self._sizes = dict(sizes)
        self._skipped = frozenset(skipped)
        self._known = self._skipped.union(self._sizes)

    def check(self, layout: Mapping[Any, tuple[int, int]], operation: str) -> None:
        """Raises MalformedError where an attribute has not the size that it must have."""
        sizes = self._sizes
        for kind, (_, size) in layout.items():
            due = sizes.get(kind, 0)
            if due and (size < due if isinstance(due, int) else size not in due):
                due = f"at least {due}" if isinstance(due, int) else " or ".join(map(str, due))
                raise malformed(f"attribute {_path(kind)} of {size} bytes where {due} were expected", operation)

    def unknown(self, layout: Mapping[Any, tuple[int, int]]) -> tuple[UnknownAttribute, ...]:
        """The attributes that the shape does not name, without those inside one of them."""
        known = self._known
        if known.issuperset(layout):
            return ()
        found = {}
        for kind, (_, size) in layout.items():
            path = kind if isinstance(kind, tuple) else (kind,)
            around = [path[:length] for length in range(1, len(path))]
            if kind not in known and self._skipped.isdisjoint(around) and not any(outer in found for outer in around):
                found[path] = size
        if not found:
            return ()
        from ...records import UnknownAttribute

        return tuple([UnknownAttribute(path[-1], size, path[:-1]) for path, size in found.items()])


def _path(kind: Kind) -> str:
    return "/".join(map(str, kind)) if isinstance(kind, tuple) else str(kind)


class Attributes:
    """The attributes between two offsets, for what is taken apart one by one. All that it gives has been checked.

    ``operation`` says what was asked, for errors. Raises MalformedError where lengths make no sense.
    """

    __slots__ = ("_entries", "_last", "_shape", "operation")

    def __init__(self, data: bytes, operation: str, shape: Shape, start: int = 0, end: int | None = None) -> None:
        self.operation = operation
        self._shape = shape
        self._entries = [
            (kind, data[at : at + size])
            for kind, at, size in attribute_list(data, start, len(data) if end is None else end, operation)
        ]
        self._last = dict(self._entries)
        shape.check(self._layout(), operation)

    def _layout(self) -> dict[int, tuple[int, int]]:
        return {kind: (0, len(raw)) for kind, raw in self._last.items()}

    def __contains__(self, kind: int) -> bool:
        return kind in self._last

    def __bool__(self) -> bool:
        return bool(self._entries)

    def raw(self, kind: int) -> bytes | None:
        """The bytes of an attribute, the last of its type; None where there is none."""
        return self._last.get(kind)

    def each(self, kind: int) -> Iterator[bytes]:
        """The bytes of every attribute of a type that may be there more than once."""
        return (raw for own, raw in self._entries if own == kind)

    def number(self, kind: int, *, order: Any = byteorder, signed: bool = False) -> int | None:
        """A number, of whatever width the shape allows, in host order."""
        raw = self.raw(kind)
        if raw is None:
            return None
        if len(raw) not in NUMBER:
            raise self._wrong(kind, raw, "1, 2, 4 or 8")
        return int.from_bytes(raw, order, signed=signed)

    def big(self, kind: int, *, signed: bool = False) -> int | None:
        """A number in network order."""
        return self.number(kind, order="big", signed=signed)

    def text(self, kind: int) -> str | None:
        """A name, up to its NUL."""
        raw = self.raw(kind)
        return None if raw is None else text(raw.split(b"\0", 1)[0])

    def address(self, kind: int) -> str | None:
        """An IPv4 or IPv6 address."""
        raw = self.raw(kind)
        if raw is None:
            return None
        if len(raw) not in ADDRESS:
            raise self._wrong(kind, raw, "4 or 16")
        return inet_ntop(AF_INET if len(raw) == 4 else AF_INET6, raw)

    def struct(self, kind: int, layout: Struct) -> tuple[Any, ...] | None:
        """The beginning of an attribute as a struct: kernels add to the end."""
        raw = self.raw(kind)
        if raw is None:
            return None
        if len(raw) < layout.size:
            raise self._wrong(kind, raw, f"at least {layout.size}")
        return layout.unpack_from(raw)

    def structs(self, kind: int, layout: Struct) -> list[tuple[Any, ...]]:
        """An attribute that is a list of structs; what is left over at its end is no struct."""
        raw = self.raw(kind) or b""
        if len(raw) % layout.size:
            raise self._wrong(kind, raw, f"a multiple of {layout.size}")
        return list(layout.iter_unpack(raw))

    def nested(self, kind: int, shape: Shape) -> Attributes:
        """The attributes inside an attribute; none where there is none."""
        return Attributes(self.raw(kind) or b"", self.operation, shape)

    def unknown(self, known: Collection[int] | None = None) -> tuple[UnknownAttribute, ...]:
        """Those that the shape does not name; or that are not among ``known``, where a shape cannot tell."""
        shape = self._shape if known is None else Shape({}, known)
        return shape.unknown(self._layout())

    def _wrong(self, kind: int, raw: bytes, due: str) -> Exception:
        return malformed(f"attribute {kind} of {len(raw)} bytes where {due} were expected", self.operation)
