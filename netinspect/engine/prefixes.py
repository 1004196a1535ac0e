"""Prefixes: whether an address is in one, and columns of them as text (dotted IPv4, IPv6 by RFC 5952).

A table of routes has as many prefixes as rows. To make each text from its bytes takes twice as long as one format for a
whole column, filled in at once, the more so as most parts of them are the same in many rows: they stand in the format.
IPv4 has no numbers made at all: each digit of an octet is a column of bytes, translated from that of the octet.
"""

from __future__ import annotations

from _socket import inet_ntop, inet_pton
from itertools import repeat

from ..uapi.netlink import AF_INET, AF_INET6

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .netlink.messages import Run

    Part = tuple[str, Sequence[int]]
    """A directive, and the numbers for it."""


def packed(address: str) -> bytes:
    """The bytes of an IPv4 or IPv6 address. Raises OSError for what is none."""
    return inet_pton(AF_INET6 if ":" in address else AF_INET, address)


def within(address: bytes, network: bytes, length: int) -> bool:
    """Whether an address begins with the first ``length`` bits of another, of the same family."""
    size = len(address)
    shift = 8 * size - length
    return size == len(network) and int.from_bytes(address, "big") >> shift == int.from_bytes(network, "big") >> shift


def is_group(address: str) -> bool:
    """Whether it is a multicast address: of 224.0.0.0/4 (RFC 1112) or ff00::/8 (RFC 4291)."""
    first = packed(address)[0]
    return first == 0xFF if ":" in address else 224 <= first < 240


def prefix(text: str) -> tuple[bytes, int]:
    """``ADDRESS/LENGTH`` as the kernel's texts have it, or an address alone: its bytes, and the length in bits."""
    address, slash, length = text.partition("/")
    network = packed(address)
    return network, int(length) if slash else 8 * len(network)


_DIGITS = [
    bytes(48 + octet // unit % 10 if octet >= unit or unit == 1 else 0 for octet in range(256)) for unit in (100, 10, 1)
]
"""Each digit of an octet, the first one first; 0 where it has fewer digits."""


def ipv4_texts(run: Run, at: int, lengths: bytes | None) -> list[str]:
    """IPv4 addresses at ``at``, with these prefix lengths behind them, or none."""
    count = run.count
    form = b""
    columns: list[tuple[int, bytes]] = []
    parts = [*zip((b"", b".", b".", b"."), (run.u8(at + place) for place in range(4)), strict=True)]
    for mark, numbers in parts if lengths is None else [*parts, (b"/", lengths)]:
        form += mark
        if numbers == numbers[:1] * count:
            form += b"%d" % numbers[0]
        else:
            columns += [(len(form) + place, numbers.translate(digit)) for place, digit in enumerate(_DIGITS)]
            form += b"---"
    form += b" "
    filled = bytearray(form * count)
    for place, column in columns:
        filled[place :: len(form)] = column
    texts = filled.translate(None, b"\0").decode().split(" ")
    texts.pop()
    return texts


def ipv6_texts(run: Run, at: int, lengths: bytes | None) -> list[str]:
    """The same of IPv6."""
    first = run.be16(at)
    if 0 in first or not (_is_zero(run, at + 8) and _is_zero(run, at + 12)):
        texts = map(inet_ntop, repeat(AF_INET6), run.unpack(at, "16s"))
        return list(texts) if lengths is None else [f"{text}/{n}" for text, n in zip(texts, lengths, strict=True)]
    # The lower half is zero, as in most tables: no other zeros are as many in a row, so that "::" stands for these, and
    # for zeros right before them.
    groups = [first, run.be16(at + 2), run.be16(at + 4), run.be16(at + 6)]
    while not any(groups[-1]):
        groups.pop()
    text = _filled(run.count, [*(("%x:", group) for group in groups), (":", ()), *_length(lengths)])
    while 0 in groups.pop():
        text = text.replace(":0::", "::")
    return text.split(" ")


def _is_zero(run: Run, at: int) -> bool:
    return run.same(at) and run.words(at)[0] == 0


def _length(lengths: bytes | None) -> list[Part]:
    return [] if lengths is None else [("/%d", lengths)]


def _filled(count: int, parts: Sequence[Part]) -> str:
    """The texts of all rows, with a blank between them."""
    form = ""
    columns = []
    for directive, numbers in parts:
        if not numbers:
            form += directive
        elif numbers.count(numbers[0]) == count:
            form += directive % numbers[0]
        else:
            form += directive
            columns.append(numbers)
    values = [0] * (count * len(columns))
    for at, column in enumerate(columns):
        values[at :: len(columns)] = column
    return " ".join([form] * count) % tuple(values)
