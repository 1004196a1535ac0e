"""The corpus of the fuzzers, and wrong inputs made of it without a look at what they lead to."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from random import Random

from fake_kernel import split

CORPUS = Path(__file__).parent.parent / "fuzz" / "corpus"

_LENGTHS = (0, 1, 2, 3, 4, 5, 7, 8, 12, 16, 0x7FFF, 0xFFFF)
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_PIECES = (
    b"",
    b"\0",
    b"\n",
    b" ",
    b'"',
    b"\\",
    b"[",
    b"]",
    b"{",
    b"}",
    b"(",
    b")",
    b"=",
    b"-",
    b"0x",
    b"9" * 40,
    b"\xff",
)


def seeds(target: str) -> list[bytes]:
    """The corpus of a target: messages one by one, texts as they are."""
    messages = CORPUS / f"{target}.netlink"
    if messages.exists():
        return list(split(messages.read_bytes()))
    return [path.read_bytes() for path in sorted(CORPUS.glob(f"{target}.*")) + sorted(CORPUS.glob(f"{target}-*.txt"))]


def whole(message: bytes | bytearray) -> bytes:
    """A message with its length in the header, padded."""
    made = bytearray(message)
    if len(made) >= 4:
        struct.pack_into("=I", made, 0, len(made))
    return bytes(made) + bytes(-len(made) % 4)


def mutated_message(random: Random, known: Sequence[bytes]) -> bytes:
    """One message, or some, with a few faults; the framing is right most of the time."""
    made = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        message = bytearray(random.choice(known))
        for _ in range(random.choice((1, 1, 1, 2, 4))):
            _spoil(random, message)
        made.append(whole(message) if random.random() < 0.95 else bytes(message))
    return b"".join(made)


def _spoil(random: Random, message: bytearray) -> None:
    way = random.randrange(7)
    at = random.randrange(16, max(len(message), 17)) if len(message) > 16 else 0
    if way == 0 and at:
        message[at] = random.randrange(256)
    elif way == 1 and at + 4 <= len(message):
        struct.pack_into("=I", message, at, random.choice(_NUMBERS))
    elif way == 2 and (at := at & ~3) + 4 <= len(message):
        # As if an attribute began there, of another length.
        struct.pack_into("=H", message, at, random.choice(_LENGTHS))
    elif way == 3 and (at := at & ~3) + 4 <= len(message):
        struct.pack_into("=H", message, at + 2, random.randrange(64) | random.choice((0, 0x8000, 0x4000)))
    elif way == 4:
        del message[at:]
    elif way == 5:
        message += struct.pack("=HH", 4 + 4 * random.randrange(6), random.randrange(64)) + random.randbytes(20)
    else:
        message[at:at] = random.randbytes(random.choice((1, 4, 8)))


def mutated_text(random: Random, known: Sequence[bytes]) -> bytes:
    """Text with pieces taken out, doubled, put elsewhere or replaced."""
    text = bytearray(random.choice(known))
    for _ in range(random.choice((1, 1, 2, 4))):
        at, size = random.randrange(len(text) + 1), random.choice((0, 1, 1, 3, 10))
        other = random.choice(known)
        begin = random.randrange(len(other) + 1)
        piece = random.choice((*_PIECES, random.randbytes(2), other[begin : begin + random.randrange(12)]))
        text[at : at + size] = piece
    return bytes(text)
