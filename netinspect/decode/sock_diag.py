"""What the sock_diag families share (linux/sock_diag.h, net/sock_diag.c): numbers, states, address text, memory."""

from __future__ import annotations

from _socket import inet_ntop
from itertools import repeat
from struct import calcsize
from sys import byteorder

from ..batch import NONE, Batch, Constant, Nested, Plain
from ..netlink.messages import HEADER_SIZE, alike, malformed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from ..batch import Column
    from ..netlink.arrays import array
    from ..netlink.messages import Layout, Run

STATES = (
    "UNKNOWN",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW_SYN_RECV",
    "BOUND_INACTIVE",
    *(f"UNKNOWN_{number}" for number in range(14, 256)),
)
"""The kernel's names (net/tcp_states.h, without the TCP_) by its numbers; every family uses the same numbers."""

UNCONNECTED_STATES = tuple("UNCONNECTED" if state == "CLOSE" else state for state in STATES)
"""For families without connections TCP_CLOSE means no more than that there is no peer."""

TYPES = {1: "stream", 2: "dgram", 3: "raw", 5: "seqpacket"}
"""Socket types (linux/net.h: enum sock_type)."""

SHUTDOWNS = ("none", "receive", "send", "both")
"""By the bits of sk_shutdown."""

_SAMPLE = 64
"""Addresses of a column that are looked at to see whether most of them are known."""
_ADDRESS_TEXTS = 20_000
"""Addresses of which a cache keeps the text: about 4 MiB, so that memory stays flat whatever the table holds."""
_LEARNT_TEXTS = 4_000
"""Addresses that are kept of columns in which nearly all are new: of so many at most it may be that they come again."""


class AddressTexts(dict["Any", str]):
    """Address text by the address as it lies in memory."""

    def __missing__(self, address: Any) -> str:
        if len(self) >= _ADDRESS_TEXTS:
            self.clear()
        text = self[address] = self._text(address)
        return text

    def column(self, addresses: Any) -> Plain:
        """The texts of a column: quick also where most addresses are met for the first time."""
        sample = addresses[:_SAMPLE]
        distinct = set(sample)
        if 4 * (len(distinct) - sum(map(self.__contains__, distinct))) <= len(sample):
            return Plain(map(self.__getitem__, addresses))
        texts = Plain(self._texts(addresses))
        if len(self) < _LEARNT_TEXTS:
            self.update(zip(addresses, texts, strict=True))
        return texts

    def _text(self, address: Any) -> str:
        raise NotImplementedError

    def _texts(self, addresses: Any) -> Iterable[str]:
        raise NotImplementedError


class IPv4Texts(AddressTexts):
    """By the 32-bit word."""

    def _text(self, address: int) -> str:
        return ".".join(map(_OCTETS.__getitem__, address.to_bytes(4, byteorder)))

    def _texts(self, addresses: array[int]) -> Iterable[str]:
        octets = map(_OCTETS.__getitem__, addresses.tobytes())
        return map(".".join, zip(octets, octets, octets, octets, strict=True))


_OCTETS = [str(octet) for octet in range(256)]


class IPv6Texts(AddressTexts):
    """By the sixteen bytes (RFC 5952)."""

    def _text(self, address: bytes) -> str:
        return inet_ntop(10, address)

    def _texts(self, addresses: Sequence[bytes]) -> Iterable[str]:
        return map(inet_ntop, repeat(10), addresses)


def numbers(run: Run, offset: int) -> Column:
    """A column of 32-bit numbers; a Constant where they are all the same, as queues mostly are."""
    words = run.words(offset)
    return Constant(words[0]) if alike(words) else words.tolist()


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
        return run.u64(offset)
    return Constant(column[0]) if column.count(column[0]) == run.count else list(column)


def cookies(run: Run, offset: int) -> list[int]:
    """A column of socket cookies: two 32-bit words, the low one first, wherever they lie."""
    if byteorder == "little":
        return run.u64(offset)
    return [low | high << 32 for low, high in run.rows(offset, "II")]


def identities(run: Run, body: int, offset: int) -> array[int]:
    """The low words of the cookies: enough to know a socket again within one listing, and cheap to take.

    ``body`` is the size of the family's header, ``offset`` the place of the cookie in the message.
    """
    if run.length < HEADER_SIZE + body:
        raise malformed(f"{run.length} bytes where at least {HEADER_SIZE + body} were due", run.operation)
    return run.words(offset)


def expect_family(run: Run, family: int) -> None:
    """Raises NetlinkError where a message, which begins with its address family, is of another one."""
    families = run.u8(HEADER_SIZE)
    if families.count(family) != run.count:
        raise malformed(f"a socket of another address family than {family}", run.operation)


def interfaces(indices: Sequence[int], name: Callable[[int], str]) -> Column:
    """Names for a column of interface indices, 0 meaning none."""
    if not any(indices):
        return NONE
    return [name(index) if index else None for index in indices]


def place(run: Run, layout: Layout, kind: int, size: int) -> int | None:
    """Where the attribute of that kind is in each message, or None where there is none.

    Raises NetlinkError where it has less than ``size`` bytes.
    """
    if kind not in layout:
        return None
    at, length = layout[kind]
    if length < size:
        raise malformed(f"attribute {kind} of {length} bytes where at least {size} were due", run.operation)
    return at


def attribute_u32(run: Run, layout: Layout, kind: int) -> Column:
    """The values of a 32-bit attribute, None where the messages have none."""
    at = place(run, layout, kind, 4)
    return NONE if at is None else numbers(run, at)


def attribute_interfaces(run: Run, layout: Layout, kind: int, name: Callable[[int], str]) -> Column:
    """Names for an attribute that begins with an interface index."""
    at = place(run, layout, kind, 4)
    return NONE if at is None else interfaces(run.words(at), name)


def shutdowns(run: Run, layout: Layout, kind: int) -> Column:
    """Which directions are shut down, from an attribute of one byte (net/sock.h: RCV_SHUTDOWN, SEND_SHUTDOWN)."""
    at = place(run, layout, kind, 1)
    return NONE if at is None else [SHUTDOWNS[bits & 3] for bits in run.u8(at)]


class MemoryBatch(Batch):
    """The columns of Memory."""

    record = "Memory"


_MEMORY_PLACES = {
    name: 4 * number
    for number, name in enumerate(
        (
            *("receive_allocated", "receive_buffer", "send_allocated", "send_buffer"),
            *("forward_allocated", "send_queued", "option", "backlog", "drops"),
        )
    )
}
"""linux/sock_diag.h: SK_MEMINFO_*."""


def memory(run: Run, layout: Layout, kind: int) -> Column:
    """SK_MEMINFO_* (linux/sock_diag.h); kernels before 4.6 or so tell fewer than nine figures: the others are 0."""
    at = place(run, layout, kind, 4)
    if at is None:
        return NONE
    size = layout[kind][1]

    def make(field: str) -> Column:
        offset = _MEMORY_PLACES[field]
        return numbers(run, at + offset) if offset + 4 <= size else Constant(0)

    return Nested(MemoryBatch(run.count, make))


class GrowingStruct:
    """A C struct that has grown at its end from release to release: a kernel tells as much of it as it knows.

    ``fields`` are names with their struct format, without holes; padding has a format and no name.
    """

    def __init__(self, *fields: tuple[str, str]) -> None:
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


def text(raw: bytes) -> str:
    """Names are bytes to the kernel: what is not UTF-8 is shown as escapes, so JSON stays valid."""
    return raw.decode("utf-8", "backslashreplace")
