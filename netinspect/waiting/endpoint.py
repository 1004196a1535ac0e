"""An address, a port, or both, and which sockets they reach."""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, getservbyname, inet_ntop, inet_pton
from typing import NamedTuple

from ..engine.files import check_database
from ..engine.text import digits
from .render import endpoint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..records import Socket


class Endpoint(NamedTuple):
    """None stands for any address, or any port."""

    address: str | None
    port: int | None

    @classmethod
    def parse(cls, text: str) -> Endpoint:
        """``10.0.0.1``, ``10.0.0.1:80``, ``fd00::1``, ``[fd00::1]:80``, ``:80``, ``80``, ``*:http``.

        Raises ValueError for anything else.
        """
        text = text.strip()
        if text.startswith("["):
            address, bracket, rest = text[1:].partition("]")
            if not bracket or (rest and not rest.startswith(":")):
                raise ValueError(f"{text!r} is not an address with a port")
            return cls(address_of(address), _port(rest[1:]) if rest else None)
        if text.count(":") == 1:
            address, _, port = text.partition(":")
            return cls(None if address in ("", "*") else address_of(address), _port(port))
        if text.isascii() and text.isdecimal():
            return cls(None, _port(text))
        return cls(address_of(text), None)

    def matches(self, address: str | None, port: int | None) -> bool:
        """Whether that address and port are meant."""
        return self.address in (None, address) and self.port in (None, port)

    def reached_by(self, socket: Socket) -> bool:
        """Whether what is sent there comes to a socket that is bound so."""
        return self.port in (None, socket.local_port) and reached(socket, self.address)

    def __str__(self) -> str:
        return f"port {self.port}" if self.address is None else endpoint(self.address, self.port)


def address_of(text: str) -> str:
    """An IPv4 or IPv6 address as the records write it. Raises ValueError."""
    family = AF_INET6 if ":" in text else AF_INET
    try:
        return inet_ntop(family, inet_pton(family, text))
    except (OSError, ValueError):
        raise ValueError(f"{text!r} is not an IPv4 or IPv6 address") from None


def reached(socket: Socket, address: str | None) -> bool:
    """Whether what is sent to this address, None for any, comes to a socket that is bound so: wildcards do."""
    if address is None or socket.local_address == address:
        return True
    if ":" in address:
        return socket.local_address == "::"
    return socket.local_address in ("0.0.0.0", f"::ffff:{address}") or (
        socket.local_address == "::" and not socket.v6only
    )


def _port(text: str) -> int:
    port = digits(text)
    if port is not None and 0 < port < 65536:
        return port
    if text and not text.isdecimal():
        check_database("services")
        from ..engine.in_time import in_time

        try:
            return in_time(getservbyname, text)
        except (OSError, ValueError):
            pass
    raise ValueError(f"{text!r} is neither a port, 1 to 65535, nor a service name")
