"""Traffic through the gateways of the lab: connections that stay open, and what the gateway should make of them."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from throwaway import NETINSPECT

from netinspect.lab import Lab, load

SERVER, SERVER6 = "203.0.113.100", "2001:db8::100"


class Traffic:
    """Sockets inside the hosts of a lab, closed together."""

    def __init__(self, lab: Lab[Any]) -> None:
        self.lab = lab
        self._open: list[socket.socket] = []

    def _keep(self, host: str, make: Callable[[], socket.socket]) -> socket.socket:
        opened = self.lab[host].call(make)
        self._open.append(opened)
        return opened

    def listen(self, host: str, address: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return self._keep(host, lambda: socket.create_server((address, port), family=family))

    def connect(self, host: str, address: str, port: int, source_port: int = 0) -> tuple[str, int]:
        """Opens a TCP connection, and returns its own address and port."""
        local = ("::" if ":" in address else "0.0.0.0", source_port)

        def make() -> socket.socket:
            return socket.create_connection((address, port), timeout=10, source_address=local)

        name = self._keep(host, make).getsockname()
        return name[0], name[1]

    def datagram(self, host: str, address: str, port: int, source_port: int = 0) -> socket.socket:
        """Sends one UDP datagram."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET

        def make() -> socket.socket:
            opened = socket.socket(family, socket.SOCK_DGRAM)
            opened.bind(("", source_port))
            opened.sendto(b"x", (address, port))
            return opened

        return self._keep(host, make)

    def raw(self, host: str, address: str, protocol: int, data: bytes) -> None:
        """Sends one IP packet with this payload."""

        def make() -> socket.socket:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            opened = socket.socket(family, socket.SOCK_RAW, protocol)
            opened.sendto(data, (address, 0))
            return opened

        self._keep(host, make)

    def close(self) -> None:
        for opened in self._open:
            opened.close()


@contextmanager
def lab_with_traffic(topology: str) -> Iterator[tuple[Lab[Any], Traffic]]:
    """A lab, and means to send through it."""
    with Lab(load(topology)) as lab:
        traffic = Traffic(lab)
        try:
            yield lab, traffic
        finally:
            traffic.close()


def netinspect(host: Any, *arguments: str, check: bool = True) -> Any:
    """Our command on a host of the lab."""
    return host.run(*NETINSPECT, *arguments, check=check)


def echo_request(identifier: int) -> bytes:
    """An ICMP echo request (RFC 792) with its checksum."""
    words = [0x0800, 0, identifier, 1]
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    words[1] = ~total & 0xFFFF
    return b"".join(word.to_bytes(2, "big") for word in words)
