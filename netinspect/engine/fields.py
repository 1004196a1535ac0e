"""Fields of netlink messages as columns: numbers, attributes by their place, and structs that grow."""

from __future__ import annotations

from _struct import calcsize
from sys import byteorder

from .columns import NONE, Column, Constant, Numbers
from .netlink.messages import alike, malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .netlink.messages import Layout, Run


def numbers(run: Run, offset: int) -> Column:
    """A column of 32-bit numbers; a Constant where they are all the same, as queues mostly are."""
    words = run.words(offset)
    return Constant(words[0]) if alike(words) else Numbers(words.tolist())


def figures(run: Run, offset: int, code: str) -> Column:
    """A column of numbers of the struct format B, H, I or Q; a Constant where they are all the same."""
    if code == "I":
        return numbers(run, offset)
    column: Sequence[int]
    if code == "B":
        column = run.u8(offset)
    elif code == "H":
        column = run.u16(offset)
    else:
        low, high = (offset, offset + 4) if byteorder == "little" else (offset + 4, offset)
        if run.same(high):
            if not run.words(high)[0]:
                return numbers(run, low)
            if run.same(low):
                return Constant(run.words(high)[0] << 32 | run.words(low)[0])
        return Numbers(run.u64(offset))
    return Constant(column[0]) if column.count(column[0]) == run.count else Numbers(list(column))


def place(run: Run, layout: Layout, kind: int, size: int) -> int | None:
    """Where the attribute of that kind is in each message, or None where there is none.

    Raises NetlinkError where it has less than ``size`` bytes.
    """
    if kind not in layout:
        return None
    at, length = layout[kind]
    if length < size:
        raise malformed(f"attribute {kind} of {length} bytes where at least {size} were expected", run.operation)
    return at


def attribute_u32(run: Run, layout: Layout, kind: int) -> Column:
    """The values of a 32-bit attribute, None where the messages have none."""
    at = place(run, layout, kind, 4)
    return NONE if at is None else numbers(run, at)


def bit_names(word: int, names: Mapping[int, str]) -> tuple[str, ...]:
    """The names of the bits that are set, and as one number those that have none."""
    found = [name for bit, name in names.items() if word & bit]
    rest = word & ~sum(names)
    return (*found, f"{rest:#x}") if rest else tuple(found)


class GrowingStruct:
    """A C struct that has grown at its end from release to release: a kernel reports as much of it as it knows.

    ``fields`` are names with their struct format, without holes; padding has a format and no name.
    """

    def __init__(self, *fields: tuple[str, str]) -> None:
        self.members = [(name, code) for name, code in fields if name]
        """The fields that have a name."""
        self._fields = fields
        self._known: dict[int, tuple[list[str], str]] = {}
        self._places: dict[int, dict[str, tuple[int, str]]] = {}

    def columns(self, run: Run, at: int, size: int) -> dict[str, Sequence[int]]:
        """A column for each field that is whole within ``size`` bytes."""
        names, layout = self._known.get(size) or self._known.setdefault(size, self._within(size))
        return dict(zip(names, zip(*run.rows(at, layout), strict=True), strict=True))

    def places(self, size: int) -> dict[str, tuple[int, str]]:
        """Offset and struct format of each field that is whole within ``size`` bytes."""
        known = self._places.get(size)
        if known is None:
            known, layout = {}, ""
            for name, code in self._fields:
                at = calcsize(f"={layout}")
                layout += code
                if calcsize(f"={layout}") > size:
                    break
                if name:
                    known[name] = at, code
            self._places[size] = known
        return known

    def lacking(self, size: int) -> list[str]:
        """The fields that ``size`` bytes are too short for."""
        known = self._within(size)[0]
        return [name for name, _ in self._fields if name and name not in known]

    def _within(self, size: int) -> tuple[list[str], str]:
        names: list[str] = []
        layout = ""
        for name, code in self._fields:
            if calcsize(f"={layout}{code}") > size:
                break
            layout += code
            names += [name] if name else []
        return names, layout
