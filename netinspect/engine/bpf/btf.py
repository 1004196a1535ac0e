"""The kernel's own types (BTF): where a member of a structure is, and what the values of an enumeration are called.

linux/btf.h, Documentation/bpf/btf.rst. A kernel has about 150,000 types, of which a handful is needed: one pass finds
their offsets, and only requested types are read.
"""

from __future__ import annotations

from _struct import unpack_from
from struct import error as StructError

from ...errors import NetinspectError
from ...startup import array
from ...uapi.bpf import (
    BTF_KIND_ARRAY,
    BTF_KIND_CONST,
    BTF_KIND_DATASEC,
    BTF_KIND_DECL_TAG,
    BTF_KIND_ENUM,
    BTF_KIND_ENUM64,
    BTF_KIND_FUNC_PROTO,
    BTF_KIND_INT,
    BTF_KIND_PTR,
    BTF_KIND_RESTRICT,
    BTF_KIND_STRUCT,
    BTF_KIND_TYPE_TAG,
    BTF_KIND_TYPEDEF,
    BTF_KIND_UNION,
    BTF_KIND_VAR,
    BTF_KIND_VOLATILE,
    BTF_MAGIC,
    BTF_VERSION,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from mmap import mmap

VMLINUX = "/sys/kernel/btf/vmlinux"
TYPES_LIMIT = 1 << 28
"""Bytes of that file: usual ones have five to ten million."""

_HEADER = "=HBBIIIII"
_HEADER_SIZE = 24
_FIXED = {BTF_KIND_INT: 1, BTF_KIND_ARRAY: 3, BTF_KIND_VAR: 1, BTF_KIND_DECL_TAG: 1}
"""Words behind the three of every type, by kind; none for the others, except those with members."""
_EACH = {
    BTF_KIND_STRUCT: 3,
    BTF_KIND_UNION: 3,
    BTF_KIND_ENUM: 2,
    BTF_KIND_FUNC_PROTO: 2,
    BTF_KIND_DATASEC: 3,
    BTF_KIND_ENUM64: 3,
}
"""Words of each member."""
_LAST_KIND = BTF_KIND_ENUM64
_TRANSPARENT = frozenset((BTF_KIND_TYPEDEF, BTF_KIND_VOLATILE, BTF_KIND_CONST, BTF_KIND_RESTRICT, BTF_KIND_TYPE_TAG))
_DEEPEST = 32
"""Limit on nested types: a malformed table may contain a loop."""


class Btf:
    """A table of types. ``wanted`` are the names of structures, enumerations and typedefs that callers will request.

    Raises NetinspectError if it is invalid.
    """

    def __init__(self, data: bytes, wanted: Collection[str]) -> None:
        first, last, strings, strings_end = sections(data)
        self._strings = data[strings:strings_end]
        self._words = array("I", data[first:last])
        self._at = array("I", (0,))
        """Where each type begins, by its number: type 0 is void, and not in the table."""
        self._named: dict[tuple[str, int], int] = {}
        self._index(wanted)

    def _index(self, wanted: Collection[str]) -> None:
        names: dict[int, str] = {}
        for name in wanted:
            needle = b"\0%b\0" % name.encode()
            at = self._strings.find(needle)
            while at >= 0:
                names[at + 1] = name
                at = self._strings.find(needle, at + 1)
        words, note = self._words, self._at.append
        fixed = [_FIXED.get(kind, 0) + 3 for kind in range(32)]
        each = [_EACH.get(kind, 0) for kind in range(32)]
        at, end, number = 0, len(words), 0
        try:
            while at < end:
                number += 1
                note(at)
                info = words[at + 1]
                kind = info >> 24 & 31
                if words[at] in names:
                    self._named.setdefault((names[words[at]], kind), number)
                if not 0 < kind <= _LAST_KIND:
                    raise _senseless(f"type {number} is of kind {kind}, which this release does not know")
                at += fixed[kind] + each[kind] * (info & 0xFFFF)
        except IndexError:
            at = end + 1
        if at != end:
            raise _senseless("its last type is truncated")

    def _type(self, number: int) -> tuple[int, int, int, int]:
        """Kind, number of members with the kind's flag above it, the third word, and where the members begin."""
        if not 0 < number < len(self._at):
            raise _senseless(f"there is no type {number}")
        at = self._at[number]
        info = self._words[at + 1]
        return info >> 24 & 31, info & 0x8000FFFF, self._words[at + 2], at + 3

    def _text(self, at: int) -> str:
        end = self._strings.find(b"\0", at)
        return self._strings[at : end if end >= 0 else None].decode("utf-8", "backslashreplace")

    def _bare(self, number: int) -> int:
        """The type without typedefs and qualifiers."""
        for _ in range(_DEEPEST):
            kind, _, third, _ = self._type(number)
            if kind not in _TRANSPARENT:
                return number
            number = third
        raise _senseless("its typedefs form a loop")

    def _members(self, number: int) -> Iterator[tuple[str, int, int]]:
        """The members of a structure or union: name, type, offset in bytes."""
        _, count, _, at = self._type(number)
        bitfields = count >> 31
        for member in range(at, at + 3 * (count & 0xFFFF), 3):
            name, kind, offset = self._words[member : member + 3]
            yield self._text(name), kind, (offset & 0xFFFFFF if bitfields else offset) // 8

    def offset(self, structure: str, path: str) -> int | None:
        """Where a member is in a structure, in bytes. ``path`` goes into members, as ``nd_net.net``, through unions
        and structures without a name; None where there is no such structure or member."""
        number = self._named.get((structure, BTF_KIND_STRUCT))
        return None if number is None else self._offset(number, path, 0)

    def _offset(self, number: int, path: str, depth: int) -> int | None:
        if depth > _DEEPEST:
            raise _senseless("its structures form a loop")
        first, _, rest = path.partition(".")
        for name, kind, offset in self._members(number):
            if name == first or not name:
                wanted = rest if name else path
                if not wanted:
                    return offset
                inner = self._bare(kind)
                if self._type(inner)[0] not in (BTF_KIND_STRUCT, BTF_KIND_UNION):
                    continue
                found = self._offset(inner, wanted, depth + 1)
                if found is not None:
                    return offset + found
        return None

    def values(self, enumeration: str) -> dict[int, str]:
        """The names of an enumeration's values; empty where there is no such enumeration."""
        number = self._named.get((enumeration, BTF_KIND_ENUM))
        if number is None:
            return {}
        _, count, _, at = self._type(number)
        words = self._words
        return {words[member + 1]: self._text(words[member]) for member in range(at, at + 2 * (count & 0xFFFF), 2)}

    def tracepoint_arguments(self, name: str) -> int | None:
        """How many arguments a tracepoint gives to a raw tracepoint program; None where there is no such tracepoint.

        The kernel has a typedef ``btf_trace_NAME`` of a pointer to a function, whose first argument is its own.
        """
        number = self._named.get((f"btf_trace_{name}", BTF_KIND_TYPEDEF))
        if number is None:
            return None
        kind, _, third, _ = self._type(self._bare(number))
        if kind != BTF_KIND_PTR:
            return None
        kind, count, _, _ = self._type(self._bare(third))
        return (count & 0xFFFF) - 1 if kind == BTF_KIND_FUNC_PROTO else None


def sections(data: bytes | mmap) -> tuple[int, int, int, int]:
    """Where the types and the strings of a table begin and end. Raises NetinspectError if it is invalid."""
    try:
        magic, version, _, header, types, length, strings, size = unpack_from(_HEADER, data)
    except StructError:
        raise _senseless("it is too short") from None
    if magic != BTF_MAGIC or version != BTF_VERSION or header < _HEADER_SIZE:
        raise _senseless("it has another version or byte order")
    types, strings = header + types, header + strings
    if length % 4 or types + length > len(data) or strings + size > len(data):
        raise _senseless("it ends too early")
    return types, types + length, strings, strings + size


def _senseless(why: str) -> NetinspectError:
    return NetinspectError(f"the kernel's types ({VMLINUX}) cannot be read: {why}")
