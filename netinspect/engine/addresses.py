"""Addresses as text: whole columns of them, each made once while it keeps coming."""

from __future__ import annotations

from _socket import inet_ntop
from itertools import repeat
from sys import byteorder

from .columns import Plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ..startup import array

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
            return Plain(list(map(self.__getitem__, addresses)))
        texts = list(self._texts(addresses))
        if len(self) < _LEARNT_TEXTS:
            self.update(zip(addresses, texts, strict=True))
        return Plain(texts)

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


def endpoint(address: str | None, port: int | None) -> str:
    """``10.0.0.1:80``, ``[2001:db8::1]:80``, or the address alone where there is not a port; empty without either."""
    if port is None:
        return address or ""
    return f"[{address}]:{port}" if address and ":" in address else f"{address or '*'}:{port}"
