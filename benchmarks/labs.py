"""The tables: throwaway namespaces with as many sockets, routes or flows as are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from netinspect.lab import Host, Lab, load


@contextmanager
def table(kind: str, rows: int) -> Iterator[Host]:
    """A host with that many sockets, routes, routes6 (IPv6) or flows; ``idle`` has nothing. Raises LabError."""
    counts = {name: rows if name == kind else 0 for name in ("sockets", "routes", "flows")}
    with Lab(load("scale", counts)) as lab:
        host = lab["big"]
        if kind == "routes6":
            _ipv6_routes(host, rows)
        yield host


def _ipv6_routes(host: Host, count: int) -> None:
    lines = [f"route add 2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::/64 via fd00::2\n" for number in range(count)]
    # The kernel keeps IPv6 routes below a limit where it is set (net.ipv6.route.max_size).
    host.run("ip", "-6", "-batch", "-", input="".join(lines), timeout=600)
