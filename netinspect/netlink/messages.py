"""Netlink message framing (linux/netlink.h), read in runs of equal messages.

A dump answers with messages of very few shapes. A ``Run`` holds messages of one type and length side by side; any
field of all of them is then one strided slice of the buffer, at about 10 ns a value instead of 1 µs a message.
"""

from __future__ import annotations

import sys
from array import array
from itertools import chain
from struct import Struct, error, iter_unpack, pack

from ..errors import NetlinkError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

HEADER = Struct("=IHHII")
HEADER_SIZE = 16

NLMSG_NOOP = 1
NLMSG_ERROR = 2
NLMSG_DONE = 3
NLMSG_OVERRUN = 4

NLM_F_REQUEST = 0x01
NLM_F_ACK = 0x04
NLM_F_DUMP_INTR = 0x10
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200
NLM_F_DUMP = 0x300

NLMSGERR_ATTR_MSG = 1
NLMSGERR_ATTR_OFFS = 2

NLA_TYPE_MASK = 0x3FFF
"""Type bits of an attribute header, without NLA_F_NESTED and NLA_F_NET_BYTEORDER."""

_ATTRIBUTE = Struct("=HH")

Layout = dict[int, tuple[int, int]]
"""Where the attributes of a message are: type to (offset in the message, payload length)."""


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded to four bytes."""
    return pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def message(kind: int, flags: int, payload: bytes, sequence: int = 1) -> bytes:
    """One request."""
    return HEADER.pack(HEADER_SIZE + len(payload), kind, NLM_F_REQUEST | flags, sequence, 0) + payload


def attributes(data: bytes, start: int, end: int) -> Layout:
    """The attributes between two offsets. Raises NetlinkError where their lengths make no sense."""
    found: Layout = {}
    while end - start >= 4:
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < 4 or start + length > end:
            raise malformed(f"attribute {kind & NLA_TYPE_MASK} of {length} bytes with {end - start} left")
        found[kind & NLA_TYPE_MASK] = (start + 4, length - 4)
        start += length + 3 & ~3
    return found


def malformed(what: str) -> NetlinkError:
    """The error for an answer that breaks the protocol."""
    return NetlinkError("malformed netlink message", 0, what)


class Run:
    """``count`` messages of one ``kind`` and ``length``, one after the other in ``data``."""

    __slots__ = ("_words", "count", "data", "kind", "length")

    def __init__(self, data: bytes, kind: int, length: int, count: int) -> None:
        self.data = data
        self.kind = kind
        self.length = length
        self.count = count
        self._words: array[int] | None = None

    def u8(self, offset: int) -> bytes:
        """The byte at ``offset`` of every message."""
        return self.data[offset :: self.length]

    def u16(self, offset: int) -> Sequence[int]:
        """The 16-bit number at ``offset``, in host order."""
        return memoryview(self.data).cast("H")[offset // 2 :: self.length // 2].tolist()

    def be16(self, offset: int) -> Sequence[int]:
        """The 16-bit number at ``offset``, in network order: a port."""
        if self._words is None:
            self._words = array("H", self.data)
            if sys.byteorder == "little":
                self._words.byteswap()
        return self._words[offset // 2 :: self.length // 2]

    def u32(self, offset: int) -> list[int]:
        """The 32-bit number at ``offset`` (a multiple of four), in host order."""
        return memoryview(self.data).cast("I")[offset // 4 :: self.length // 4].tolist()

    def unpack(self, offset: int, layout: str) -> list[Any]:
        """What ``layout``, a struct format of one value, finds at ``offset``."""
        return list(chain.from_iterable(self.rows(offset, layout)))

    def rows(self, offset: int, layout: str) -> Iterator[tuple[Any, ...]]:
        """What ``layout``, a struct format, finds at ``offset`` of each message, as tuples."""
        size = Struct("=" + layout).size
        return iter_unpack(f"={offset}x{layout}{self.length - offset - size}x", self.data)

    def by_value(self, offset: int) -> Iterator[tuple[int, Run]]:
        """This run in parts that have the same byte at ``offset``, with that byte."""
        values = self.u8(offset)
        if values.count(values[0]) == self.count:
            yield values[0], self
            return
        messages = [self.data[at : at + self.length] for at in range(0, len(self.data), self.length)]
        for value in sorted(set(values)):
            same = [single for single, byte in zip(messages, values, strict=True) if byte == value]
            yield value, Run(b"".join(same), self.kind, self.length, len(same))

    def by_layout(self, body: int) -> Iterator[tuple[Run, Layout]]:
        """This run in parts that have their attributes at the same places, with these places.

        ``body`` is the size of the fixed header behind the netlink header. Raises NetlinkError where a message is
        shorter than that.
        """
        start = HEADER_SIZE + body
        if self.length < start:
            raise malformed(f"{self.length} bytes where at least {start} were due")
        layout = attributes(self.data, start, self.length)
        # One look at each attribute header column tells whether the first message's layout holds for all of them.
        for at, _ in layout.values():
            headers = self.u32(at - 4)
            if headers.count(headers[0]) != self.count:
                break
        else:
            yield self, layout
            return
        parts: dict[tuple[tuple[int, tuple[int, int]], ...], list[bytes]] = {}
        for at in range(0, len(self.data), self.length):
            single = self.data[at : at + self.length]
            parts.setdefault(tuple(attributes(single, start, self.length).items()), []).append(single)
        for key, messages in parts.items():
            yield Run(b"".join(messages), self.kind, self.length, len(messages)), dict(key)


class Answer:
    """One received buffer: its runs, whether the dump ended with it, and whether the kernel said it is inconsistent."""

    __slots__ = ("done", "interrupted", "runs")

    def __init__(self, buffer: bytes, operation: str) -> None:
        """Raises NetlinkError for an error in the answer, or an answer that is malformed."""
        self.done = False
        self.interrupted = False
        self.runs: list[Run] = []
        if not self._uniform(buffer, operation):
            self._mixed(buffer, operation)

    def _uniform(self, buffer: bytes, operation: str) -> bool:
        """Reads a buffer of equal messages, perhaps with the end of the dump behind them."""
        try:
            length, kind, flags, _, _ = HEADER.unpack_from(buffer)
        except error:
            raise malformed(f"{len(buffer)} bytes, less than a header") from None
        if length < HEADER_SIZE or length % 4 or kind <= NLMSG_OVERRUN:
            return False
        count, rest = divmod(len(buffer), length)
        if rest or count == 0:
            # The end of a dump is a header and an error number: 20 bytes.
            count, rest = divmod(len(buffer) - 20, length)
            if rest or count == 0:
                return False
            body, tail = buffer[:-20], buffer[-20:]
        else:
            body, tail = buffer, b""
        run = Run(body, kind, length, count)
        kinds = run.u32(4)
        if run.u32(0).count(length) != count or kinds.count(kinds[0]) != count:
            return False
        self.interrupted = bool(flags & NLM_F_DUMP_INTR)
        self.runs.append(run)
        if tail:
            self._mixed(tail, operation)
        return True

    def _mixed(self, buffer: bytes, operation: str) -> None:
        """Reads message by message, and puts those of one kind and length together."""
        groups: dict[tuple[int, int], list[bytes]] = {}
        at, end = 0, len(buffer)
        while at < end and not self.done:
            if end - at < HEADER_SIZE:
                raise malformed(f"{end - at} bytes left over, less than a header")
            length, kind, flags, _, _ = HEADER.unpack_from(buffer, at)
            if length < HEADER_SIZE or at + length > end:
                raise malformed(f"a length of {length} with {end - at} bytes left")
            if flags & NLM_F_DUMP_INTR:
                self.interrupted = True
            if kind > NLMSG_OVERRUN:
                single = buffer[at : at + length]
                groups.setdefault((kind, length), []).append(single + bytes(-length % 4))
            elif kind in (NLMSG_DONE, NLMSG_ERROR):
                _raise_error(buffer[at : at + length], kind, flags, operation)
                self.done = True
            elif kind == NLMSG_OVERRUN:
                raise NetlinkError(operation, 105, "the kernel dropped messages")  # ENOBUFS
            at += length + 3 & ~3
        for (kind, length), messages in groups.items():
            self.runs.append(Run(b"".join(messages), kind, length + 3 & ~3, len(messages)))


def _raise_error(single: bytes, kind: int, flags: int, operation: str) -> None:
    """Raises the error of an NLMSG_ERROR or NLMSG_DONE, with its extended acknowledgment; 0 is no error."""
    if len(single) < HEADER_SIZE + 4:
        if kind == NLMSG_DONE:
            return
        raise malformed(f"an error message of {len(single)} bytes")
    number = -int.from_bytes(single[HEADER_SIZE : HEADER_SIZE + 4], sys.byteorder, signed=True)
    if number <= 0:
        return
    start = HEADER_SIZE + 4
    if kind == NLMSG_ERROR and len(single) >= start + HEADER_SIZE:
        echoed = HEADER.unpack_from(single, start)[0]
        start += HEADER_SIZE if flags & NLM_F_CAPPED else echoed + 3 & ~3
    text, offset = "", None
    if flags & NLM_F_ACK_TLVS and start < len(single):
        found = attributes(single, start, len(single))
        if NLMSGERR_ATTR_MSG in found:
            at, size = found[NLMSGERR_ATTR_MSG]
            text = single[at : at + size].rstrip(b"\0").decode("utf-8", "backslashreplace")
        if NLMSGERR_ATTR_OFFS in found:
            at, size = found[NLMSGERR_ATTR_OFFS]
            offset = int.from_bytes(single[at : at + size], sys.byteorder)
    raise NetlinkError(operation, number, text, offset)
