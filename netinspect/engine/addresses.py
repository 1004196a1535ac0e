"""Addresses as text: whole columns, with a cache for repeated ones."""

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
"""Number of addresses sampled to see whether most of a column is cached."""


_ADDRESS_TEXTS = 20_000
"""Size of the cache: about 4 MiB, so memory does not grow with the table."""


_LEARNT_TEXTS = 4_000
"""Cached addresses of columns in which nearly all are new: this many at most may repeat."""


class AddressTexts(dict["Any", str]):
    """Address text by the address as it lies in memory."""

    def __missing__(self, address: Any) -> str:
        if len(self) >= _ADDRESS_TEXTS:
            self.clear()
        text = self[address] = self._text(address)
        return text

    def column(self, addresses: Any) -> Plain:
        """The texts of a column; fast even if most addresses are new."""
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
    """``10.0.0.1:80``, ``[2001:db8::1]:80``, or the address alone without a port; empty without either."""
    if port is None:
        return address or ""
    return f"[{address}]:{port}" if address and ":" in address else f"{address or '*'}:{port}"
