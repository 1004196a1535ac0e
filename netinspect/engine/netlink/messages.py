"""Netlink message framing (linux/netlink.h), read in runs of equal messages.

A dump answers with messages of very few shapes. A ``Run`` holds messages of one type and length side by side; any
field of all of them is then one strided slice of the buffer, at about 10 ns a value instead of 1 µs a message.
"""

from __future__ import annotations

import sys
from _struct import Struct, calcsize, iter_unpack, pack
from errno import ENOBUFS
from itertools import chain

from ...errors import MalformedError, NetlinkError, UsageError
from ...startup import array
from ...uapi.netlink import (
    NLA_F_NESTED,
    NLA_TYPE_MASK,
    NLM_F_ACK_TLVS,
    NLM_F_CAPPED,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    NLMSG_OVERRUN,
    NLMSGERR_ATTR_MSG,
    NLMSGERR_ATTR_OFFS,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from .attributes import Shape

HEADER = Struct("=IHHII")
HEADER_SIZE = 16


_ATTRIBUTE = Struct("=HH")
_LONGEST = 0xFFFF - 4
"""Bytes of an attribute's value: its length has 16 bits, and counts the header."""
_MAX_ERRNO = 4095
"""linux/err.h: the kernel's errors end here."""

Layout = dict[int, tuple[int, int]]
"""Where the attributes of a message are: type to (offset in the message, payload length)."""

Paths = dict[tuple[int, ...], tuple[int, int]]
"""The same for attributes inside attributes: each by the types on the way to it."""

_DEEPEST = 8
"""Levels of nesting that are followed: more than any family has."""
GATHERED = 1 << 18
"""Bytes that ``gathered`` (gathering.py) and ``collected`` wait for. With more, each page of memory that is touched
for the first time costs more than a further batch does."""


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    if len(payload) > _LONGEST:
        raise UsageError(f"a name of {len(payload)} bytes: the kernel takes {_LONGEST} at most")
    return pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def message(kind: int, flags: int, payload: bytes, sequence: int = 1) -> bytes:
    """One request."""
    return HEADER.pack(HEADER_SIZE + len(payload), kind, NLM_F_REQUEST | flags, sequence, 0) + payload


def each_attribute(data: bytes, start: int, end: int, operation: str) -> Iterator[tuple[int, int, int]]:
    """Type, offset and payload length of each attribute between two offsets: where one type may occur repeatedly.

    Raises NetlinkError where their lengths make no sense.
    """
    for at, length, kind in _walk(data, start, end, operation):
        yield kind & NLA_TYPE_MASK, at + 4, length - 4


def attributes(data: bytes, start: int, end: int, operation: str = "reading netlink attributes") -> Layout:
    """The attributes between two offsets. Raises NetlinkError where their lengths make no sense."""
    return {kind & NLA_TYPE_MASK: (at + 4, length - 4) for at, length, kind in _walk(data, start, end, operation)}


def attribute_list(
    data: bytes, start: int, end: int, operation: str = "reading netlink attributes"
) -> list[tuple[int, int, int]]:
    """Type, offset and payload length of each, in order, where a type may come more than once. Raises NetlinkError."""
    return [(kind & NLA_TYPE_MASK, at + 4, length - 4) for at, length, kind in _walk(data, start, end, operation)]


def _walk(data: bytes, at: int, end: int, operation: str) -> Iterator[tuple[int, int, int]]:
    """Where each attribute begins, its length with the header, and its type."""
    while end - at >= 4:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < 4 or at + length > end:
            what = f"attribute {kind & NLA_TYPE_MASK} of {length} bytes with {end - at} left"
            raise malformed(what, operation)
        yield at, length, kind
        at += length + 3 & ~3


def _walk_flat(data: bytes, at: int, end: int, operation: str) -> Iterator[tuple[int, int, int]]:
    for where, length, kind in _walk(data, at, end, operation):
        yield where, length, kind & NLA_TYPE_MASK


def _walk_nested(
    data: bytes, at: int, end: int, operation: str, path: tuple[int, ...] = ()
) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    for where, length, kind in _walk(data, at, end, operation):
        inner = (*path, kind & NLA_TYPE_MASK)
        yield where, length, inner
        if kind & NLA_F_NESTED and len(inner) < _DEEPEST:
            yield from _walk_nested(data, where + 4, where + length, operation, inner)


def malformed(what: str, operation: str = "netlink") -> MalformedError:
    """The error for an answer that breaks the protocol."""
    return MalformedError(operation, 0, f"malformed netlink message: {what}")


def alike(words: array[int]) -> bool:
    """Whether a column has the same number everywhere."""
    return words.tobytes() == words[:1].tobytes() * len(words)


class Run:
    """``count`` messages of one ``kind`` and ``length``, one after the other in ``data``.

    ``length`` is a multiple of four. ``operation`` says what the messages answer, for errors. ``positions`` shows where
    in its buffer each message began; it is None where messages of no other shape were between them.
    """

    __slots__ = ("_words", "count", "data", "kind", "length", "operation", "positions")

    def __init__(
        self,
        data: bytes,
        kind: int,
        length: int,
        count: int,
        operation: str = "netlink",
        positions: Sequence[int] | None = None,
    ) -> None:
        self.data = data
        self.kind = kind
        self.length = length
        self.count = count
        self.operation = operation
        self.positions = positions
        self._words: array[int] = array("I", data)

    def u8(self, offset: int) -> bytes:
        """The byte at ``offset`` of every message."""
        return self.data[offset :: self.length]

    def u16(self, offset: int) -> list[int]:
        """The 16-bit number at ``offset`` (a multiple of two), in host order."""
        return memoryview(self.data).cast("H")[offset // 2 :: self.length // 2].tolist()

    def be16(self, offset: int) -> list[int]:
        """The 16-bit number at ``offset`` (a multiple of two), in network order: a port."""
        column = array("H", self.words(offset).tobytes())[offset // 2 % 2 :: 2]
        if sys.byteorder == "little":
            column.byteswap()
        return column.tolist()

    def be32(self, offset: int) -> list[int]:
        """The 32-bit number at ``offset`` (a multiple of four), in network order."""
        column = self.words(offset)
        if sys.byteorder == "little":
            column.byteswap()
        return column.tolist()

    def be64(self, offset: int) -> list[int]:
        """The 64-bit number at ``offset`` (a multiple of four), in network order."""
        low = self.be32(offset + 4)
        if self.same(offset) and not self.words(offset)[0]:
            return low  # as most counters are
        column = self._pairs(offset)
        if sys.byteorder == "little":
            column.byteswap()
        return column.tolist()

    def words(self, offset: int) -> array[int]:
        """The 32-bit numbers at ``offset`` (a multiple of four), in host order, as they lie: four bytes each."""
        return self._words[offset // 4 :: self.length // 4]

    def u32(self, offset: int) -> list[int]:
        """The 32-bit number at ``offset`` (a multiple of four), in host order."""
        return self.words(offset).tolist()

    def u64(self, offset: int) -> list[int]:
        """The 64-bit number at ``offset`` (a multiple of four), in host order."""
        return self._pairs(offset).tolist()

    def _pairs(self, offset: int) -> array[int]:
        """The 64-bit numbers at ``offset``, in host order, as they lie: eight bytes each."""
        pairs = array("I", bytes(8 * self.count))
        pairs[0::2], pairs[1::2] = self.words(offset), self.words(offset + 4)
        return array("Q", pairs.tobytes())

    def same(self, offset: int) -> bool:
        """Whether all messages have the same 32-bit number at ``offset`` (a multiple of four)."""
        return alike(self.words(offset))

    def unpack(self, offset: int, layout: str) -> list[Any]:
        """What ``layout``, a struct format of one value, finds at ``offset``."""
        return list(chain.from_iterable(self.rows(offset, layout)))

    def rows(self, offset: int, layout: str) -> Iterator[tuple[Any, ...]]:
        """What ``layout``, a struct format, finds at ``offset`` of each message, as tuples."""
        rest = self.length - offset - calcsize("=" + layout)
        return iter_unpack(f"={offset}x{layout}{rest}x", self.data)

    def by_value(self, offset: int) -> Iterator[tuple[int, Run]]:
        """This run in parts that have the same byte at ``offset``, with that byte."""
        values = self.u8(offset)
        if values == values[:1] * self.count:
            yield values[0], self
        else:
            yield from self._split(values)

    def by_layout(self, body: int, shape: Shape) -> Iterator[tuple[Run, Layout]]:
        """This run in parts that have their attributes at the same places, with these places.

        ``body`` is the size of the fixed header behind the netlink header, a multiple of four. Raises MalformedError
        where a message is shorter than that, its attributes make no sense, or one has not the size that the shape asks
        for.
        """
        yield from self._alike(body, _walk_flat, shape)

    def by_paths(self, body: int, shape: Shape) -> Iterator[tuple[Run, Paths]]:
        """The same for attributes inside attributes, as far as the kernel marks them (NLA_F_NESTED)."""
        yield from self._alike(body, _walk_nested, shape)

    def singles(self) -> Iterator[Run]:
        """Each message as a run of its own."""
        for number, at in enumerate(range(0, len(self.data), self.length)):
            where = None if self.positions is None else self.positions[number : number + 1]
            yield Run(self.data[at : at + self.length], self.kind, self.length, 1, self.operation, where)

    def _alike(
        self, body: int, walk: Callable[..., Iterator[tuple[int, int, Any]]], shape: Shape
    ) -> Iterator[tuple[Run, Any]]:
        start = HEADER_SIZE + body
        if self.length < start:
            raise malformed(f"{self.length} bytes where at least {start} were expected", self.operation)
        parts = [self]
        while parts:
            part = parts.pop()
            layout: dict[Any, tuple[int, int]] = {}
            # One look at the column of each attribute's header shows whether all messages are laid out like the first.
            for at, length, key in walk(part.data, start, self.length, self.operation):
                if not part.same(at):
                    parts.extend(alike for _, alike in part._split(part.words(at)))
                    break
                layout[key] = (at + 4, length - 4)
            else:
                shape.check(layout, self.operation)
                yield part, layout

    def _split(self, keys: Sequence[int]) -> Iterator[tuple[int, Run]]:
        """This run in parts of messages with the same key, in order of the keys' first appearance."""
        data, length, positions = self.data, self.length, self.positions
        groups: dict[int, list[int]] = {key: [] for key in keys}
        for at, key in zip(range(0, len(data), length), keys, strict=True):
            groups[key].append(at)
        for key, places in groups.items():
            part = b"".join([data[at : at + length] for at in places])
            where = places if positions is None else [positions[at // length] for at in places]
            yield key, Run(part, self.kind, length, len(places), self.operation, where)


def collected(answers: Iterable[list[Run]]) -> Iterator[list[Run]]:
    """The same answers, several as one of 256 KiB: for tables with much in each row, or with rows of many shapes, so
    few of a shape in an answer.

    The positions of the messages preserve their order.
    """
    waiting: dict[tuple[int, int], list[Run]] = {}
    size = 0
    for runs in answers:
        for run in runs:
            if run.positions is None:
                run.positions = range(size, size + len(run.data), run.length)
            else:
                run.positions = [size + start for start in run.positions]
            waiting.setdefault((run.length, run.kind), []).append(run)
        size += sum(len(run.data) for run in runs)
        if size >= GATHERED:
            yield list(map(joined, waiting.values()))
            waiting, size = {}, 0
    yield list(map(joined, waiting.values()))


def joined(runs: Sequence[Run]) -> Run:
    """Runs of one shape, at least one, as one; in order of their positions where all of them have any."""
    if len(runs) == 1:
        return runs[0]
    first = runs[0]
    data = b"".join([run.data for run in runs])
    known = [run.positions for run in runs if run.positions is not None]
    positions = list(chain.from_iterable(known)) if len(known) == len(runs) else None
    return Run(data, first.kind, first.length, sum(run.count for run in runs), first.operation, positions)


class Answer:
    """One received buffer: its runs, whether the dump ended with it, and whether the kernel marked it as inconsistent.

    ``interrupted`` is true where any message has NLM_F_DUMP_INTR.
    """

    __slots__ = ("done", "interrupted", "runs")

    def __init__(self, buffer: bytes, operation: str) -> None:
        """Raises NetlinkError for an error in the answer, or an answer that is malformed, and with ENOBUFS where the
        kernel says that it dropped messages (NLMSG_OVERRUN).
        """
        self.done = False
        self.interrupted = False
        self.runs: list[Run] = []
        if len(buffer) < HEADER_SIZE:
            raise malformed(f"{len(buffer)} bytes, less than a header", operation)
        if not self._uniform(buffer, operation) and not self._by_length(buffer, operation):
            self._mixed(buffer, operation)

    def _uniform(self, buffer: bytes, operation: str) -> bool:
        """Reads a buffer of equal messages, perhaps with the end of the dump behind them."""
        length, kind, flags, _, _ = HEADER.unpack_from(buffer)
        if length < HEADER_SIZE or length % 4 or kind <= NLMSG_OVERRUN:
            return False
        count, rest = divmod(len(buffer), length)
        tail = b""
        if rest or count == 0:
            # The end of a dump is a header and an error number: 20 bytes.
            count, rest = divmod(len(buffer) - 20, length)
            if rest or count <= 0:
                return False
            buffer, tail = buffer[:-20], buffer[-20:]
        run = Run(buffer, kind, length, count, operation)
        if not (run.same(0) and run.same(4)):
            return False
        self.interrupted = bool(flags & NLM_F_DUMP_INTR)
        self.runs.append(run)
        if tail:
            self._mixed(tail, operation)
        return True

    def _by_length(self, buffer: bytes, operation: str) -> bool:
        """Reads a buffer of messages of one kind and several lengths, as when some of the sockets are in TIME_WAIT."""
        end = len(buffer)
        if end % 4:
            return False
        words = array("I", buffer)
        groups: dict[int, list[int]] = {}
        at = 0
        while at < end:
            length = words[at >> 2]
            try:
                groups[length].append(at)
            except KeyError:
                if length < HEADER_SIZE or length % 4:
                    return False
                groups[length] = [at]
            at += length
        kind, flags = HEADER.unpack_from(buffer)[1:3]
        if at != end or kind <= NLMSG_OVERRUN:
            return False
        runs = [
            Run(b"".join([buffer[at : at + length] for at in places]), kind, length, len(places), operation, places)
            for length, places in groups.items()
        ]
        if len({run.words(4)[0] for run in runs}) > 1 or not all(run.same(4) for run in runs):
            return False
        self.interrupted = bool(flags & NLM_F_DUMP_INTR)
        self.runs = runs
        return True

    def _mixed(self, buffer: bytes, operation: str) -> None:
        """Reads message by message, and puts those of one kind, length and flags together."""
        end = len(buffer)
        words = array("I", buffer + bytes(-end % 4))
        groups: dict[tuple[int, int], list[int]] = {}
        at = 0
        while at < end and not self.done:
            if end - at < HEADER_SIZE:
                raise malformed(f"{end - at} bytes left over, less than a header", operation)
            length = words[at >> 2]
            if length < HEADER_SIZE or at + length > end:
                raise malformed(f"a length of {length} with {end - at} bytes left", operation)
            key = length, words[(at >> 2) + 1]
            same = groups.get(key)
            if same is not None:
                same.append(at)
            elif self._is_data(buffer[at : at + length], operation):
                groups[key] = [at]
            at += length + 3 & ~3
        for (length, _), places in groups.items():
            kind = HEADER.unpack_from(buffer, places[0])[1]
            padding = bytes(-length % 4)
            data = padding.join([buffer[at : at + length] for at in places]) + padding
            self.runs.append(Run(data, kind, length + len(padding), len(places), operation, places))

    def _is_data(self, single: bytes, operation: str) -> bool:
        """Notes what a message's header says, and does what its kind asks for where it is a message about the dump."""
        _, kind, flags, _, _ = HEADER.unpack_from(single)
        if flags & NLM_F_DUMP_INTR:
            self.interrupted = True
        if kind == NLMSG_OVERRUN:
            raise NetlinkError(operation, ENOBUFS, "the kernel dropped messages")
        if kind in (NLMSG_DONE, NLMSG_ERROR):
            raise_error(single, kind, flags, operation)
            self.done = True
        return bool(kind > NLMSG_OVERRUN)


def raise_error(single: bytes, kind: int, flags: int, operation: str) -> None:
    """Raises the error of an NLMSG_ERROR or NLMSG_DONE, with its extended acknowledgment; 0 is no error."""
    start = HEADER_SIZE + 4
    if len(single) < start:
        if kind == NLMSG_DONE:
            return
        raise malformed(f"an error message of {len(single)} bytes", operation)
    number = -int.from_bytes(single[HEADER_SIZE:start], sys.byteorder, signed=True)
    if number <= 0:
        return
    if number > _MAX_ERRNO:
        raise malformed(f"error number {number}", operation)
    if kind == NLMSG_ERROR and len(single) >= start + HEADER_SIZE:
        echoed = HEADER.unpack_from(single, start)[0]
        start += HEADER_SIZE if flags & NLM_F_CAPPED else echoed + 3 & ~3
    text, offset = "", None
    if flags & NLM_F_ACK_TLVS:
        try:
            found = attributes(single, start, len(single))
        except NetlinkError:
            found = {}  # the error itself matters more than its extended acknowledgment
        if NLMSGERR_ATTR_MSG in found:
            at, size = found[NLMSGERR_ATTR_MSG]
            text = single[at : at + size].rstrip(b"\0").decode("utf-8", "backslashreplace")
        if NLMSGERR_ATTR_OFFS in found:
            at, size = found[NLMSGERR_ATTR_OFFS]
            offset = int.from_bytes(single[at : at + size], sys.byteorder)
    raise NetlinkError(operation, number, text, offset)
