"""Columns of prefixes as text, put together from the texts of their 16-bit groups (IPv4's dotted form, RFC 5952).

A table of routes has as many prefixes as rows. To make each text from its bytes takes twice as long as to look up its
parts, of which there are at most 65,536, and most are the same in many rows.
"""

from __future__ import annotations

from _socket import inet_ntop
from itertools import repeat
from sys import byteorder

from .sock_diag import AddressTexts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..netlink.messages import Run

    Piece = str | Iterable[str]

_AF_INET6 = 10
_LENGTHS = {before: tuple(f"{before}/{length} " for length in range(256)) for before in ("", ":")}


class Prefixes:
    """The texts of both families' prefixes, one column after the other."""

    def __init__(self) -> None:
        self._ipv4_upper = _Groups("{}.%d.".format)
        self._ipv4_lower = _Groups("{}.%d".format)
        self._ipv6_upper = _UpperWords()
        self._groups = _Groups(_hexadecimal)
        self._last = _Groups(_hexadecimal, zero="")

    def ipv4(self, run: Run, at: int, lengths: bytes | None) -> list[str]:
        """IPv4 addresses at ``at``, with these prefix lengths behind them, or none."""
        upper = _looked_up(self._ipv4_upper, run.u16(at))
        lower = _looked_up(self._ipv4_lower, run.u16(at + 2))
        return _texts(run.count, upper, lower, _ends("", lengths))

    def ipv6(self, run: Run, at: int, lengths: bytes | None) -> list[str]:
        """The same of IPv6."""
        pieces = self._network(run, at) if _is_zero(run, at + 8) and _is_zero(run, at + 12) else None
        if pieces is not None:
            return _texts(run.count, *pieces, _ends(":", lengths))
        return _texts(run.count, map(inet_ntop, repeat(_AF_INET6), run.unpack(at, "16s")), _ends("", lengths))

    def _network(self, run: Run, at: int) -> Sequence[Piece] | None:
        """The upper half of addresses whose lower half is zero, but for the second of the colons that stand for that.

        No other zeros are as many in a row, so that these are what is left out, with zeros right before them. None
        where such zeros begin at different groups in ways that are rare.
        """
        first, third, fourth = self._first(run, at), run.u16(at + 4), run.u16(at + 6)
        if not any(fourth):
            if 0 in third and 0 in run.u16(at + 2):
                return None
            return first, _looked_up(self._last, third)
        if 0 in run.words(at + 4):
            return None
        return first, _looked_up(self._groups, third), _looked_up(self._last, fourth)

    def _first(self, run: Run, at: int) -> Piece:
        words = run.words(at)
        return self._ipv6_upper[words[0]] if run.same(at) else map(self._ipv6_upper.__getitem__, words)


def _is_zero(run: Run, at: int) -> bool:
    return run.same(at) and run.words(at)[0] == 0


def _looked_up(texts: dict[int, str], column: list[int]) -> Piece:
    return texts[column[0]] if column.count(column[0]) == len(column) else map(texts.__getitem__, column)


def _ends(before: str, lengths: bytes | None) -> Piece:
    """What ends each text, and the blank at which they are parted."""
    if lengths is None:
        return before + " "
    ends = _LENGTHS[before]
    return ends[lengths[0]] if lengths.count(lengths[0]) == len(lengths) else map(ends.__getitem__, lengths)


def _texts(count: int, *pieces: Piece) -> list[str]:
    """The text of each row, of pieces that are the same in all rows or a column, and end with a blank."""
    width = len(pieces)
    cells: list[str] = [piece if isinstance(piece, str) else "" for piece in pieces] * count
    for at, piece in enumerate(pieces):
        if not isinstance(piece, str):
            cells[at::width] = piece
    texts = "".join(cells).split(" ")
    texts.pop()
    return texts


class _Groups(dict[int, str]):
    """The texts of sixteen bits by the number that they are in memory: 65,536 at most, about 6 MiB."""

    def __init__(self, form: Callable[[int], str], zero: str | None = None) -> None:
        """``form`` gives for a first byte the format of the second; ``zero`` is the text of no bits, if not by that."""
        super().__init__()
        self._form = form
        self._zero = zero

    def __missing__(self, group: int) -> str:
        # All that begin with the same byte: one by one they would take ten times as long.
        first = group.to_bytes(2, byteorder)[0]
        texts = f"{self._form(first)} " * 256 % tuple(range(256))
        groups = range(first, 1 << 16, 256) if byteorder == "little" else range(first << 8, first + 1 << 8)
        self.update(zip(groups, texts.split(" "), strict=False))
        if self._zero is not None and not first:
            self[0] = self._zero
        return self[group]


def _hexadecimal(first: int) -> str:
    return f"{first:x}%02x:" if first else "%x:"


class _UpperWords(AddressTexts):
    """The first two groups of IPv6 addresses by their 32-bit word."""

    def _text(self, address: int) -> str:
        return "%x:%x:" % divmod(int.from_bytes(address.to_bytes(4, byteorder), "big"), 1 << 16)
