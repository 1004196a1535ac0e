"""The ring buffer of a BPF program (Documentation/bpf/ringbuf.rst), mapped: many records of one size at once."""

from __future__ import annotations

from _struct import Struct
from mmap import MAP_SHARED, PAGESIZE, PROT_READ, PROT_WRITE, mmap

from ...startup import array
from ...uapi.bpf import BPF_RINGBUF_HEADER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Memory = mmap | bytearray

_POSITION = Struct("Q")
"""Native byte order and size, so that it is written atomically."""


class Ring:
    """The reader's side. Each record has ``record`` bytes, a multiple of 8, and its length in 8 bytes before it.

    ``consumer`` begins with the reader's position. ``producer`` begins with the writer's, and from ``data`` on it has
    the records, mapped twice in a row, so that a record across the end can be read in one piece.
    """

    def __init__(self, consumer: Memory, producer: Memory, size: int, record: int, data: int = PAGESIZE) -> None:
        self._consumer, self._producer = consumer, producer
        self._mask = size - 1
        self._record = record
        self._step = record + BPF_RINGBUF_HEADER
        self._data = data
        self._position: int = _POSITION.unpack_from(consumer)[0]

    @classmethod
    def of(cls, descriptor: int, size: int, record: int) -> Ring:
        """Maps a ring buffer of ``size`` bytes. Raises OSError."""
        consumer = mmap(descriptor, PAGESIZE, MAP_SHARED, PROT_READ | PROT_WRITE)
        producer = mmap(descriptor, PAGESIZE + 2 * size, MAP_SHARED, PROT_READ, offset=PAGESIZE)
        return cls(consumer, producer, size, record)

    def take(self, most: int) -> bytes:
        """The next complete records, each with its 8-byte header, at most ``most``; their space becomes free.

        Stops at a record that is still being written; those behind it follow when it is complete.
        """
        written: int
        (written,) = _POSITION.unpack_from(self._producer)
        count = min((written - self._position) // self._step, most)
        if count <= 0:
            return b""
        start = self._data + (self._position & self._mask)
        # A span longer than the ring cannot be: the second copy of the records ends where the first would go on.
        taken = self._producer[start : start + count * self._step]
        lengths = array("I", taken)[:: self._step // 4]
        if lengths.count(self._record) != count:
            whole = next(number for number, length in enumerate(lengths) if length != self._record)
            taken = taken[: whole * self._step]
        self._position += len(taken)
        _POSITION.pack_into(self._consumer, 0, self._position)
        return bytes(taken)

    def close(self) -> None:
        """Unmaps it."""
        for memory in (self._consumer, self._producer):
            close: Callable[[], object] | None = getattr(memory, "close", None)
            if close is not None:
                close()
