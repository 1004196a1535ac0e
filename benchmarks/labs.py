"""The tables: throwaway namespaces with as many sockets, routes or flows as are asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netinspect.lab import Host, Lab, LabError, load

HOLD = Path(__file__).with_name("hold.py")
_PAIRS_IN_A_PROCESS = 9_000
"""A process may have 20,000 open files on many machines."""


@contextmanager
def table(kind: str, rows: int) -> Iterator[Host]:
    """A host with so much of one kind; ``idle`` has nothing. Raises LabError.

    sockets (TCP, few addresses), peers (TCP, each connection from another address), processes (small ones, each with a
    socket), routes, routes6 (IPv6), mixed (routes of many shapes), flows, links (interfaces).
    """
    counts = {name: rows if name == kind else 0 for name in ("sockets", "routes", "flows")}
    with Lab(load("scale", counts)) as lab:
        host = lab["big"]
        if kind == "routes6":
            _ipv6_routes(host, rows)
        elif kind == "mixed":
            _mixed_routes(host, rows)
        elif kind == "links":
            _links(host, rows)
        elif kind == "peers":
            _peers(host, rows // 2)
        elif kind == "processes":
            _hold(host, kind, rows)
        yield host


def inside(kind: str, rows: int) -> list[str]:
    """What a command runs behind where the table is not of the host alone.

    Network namespaces are named in a mount namespace of their own, so that they end with it, and beside no other
    processes, which might have further ones.
    """
    if kind != "namespaces":
        return []
    make = f"mount -t tmpfs none /run && for number in $(seq {rows}); do ip netns add ns$number || exit; done"
    return [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "--pid",
        "--fork",
        "--mount-proc",
        "sh",
        "-c",
        f'{make}; exec "$@"',
        "sh",
    ]


def one_port(host: Host) -> str:
    """The local port of one connection of the table, or 1."""
    for line in host.run("ss", "-Htan", "state", "established").stdout.splitlines():
        return line.split()[2].rpartition(":")[2]
    return "1"


def _ipv6_routes(host: Host, count: int) -> None:
    lines = [f"route add 2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::/64 via fd00::2\n" for number in range(count)]
    host.run("ip", "-6", "-batch", "-", input="".join(lines), timeout=600)


def _mixed_routes(host: Host, count: int) -> None:
    lines = []
    for number in range(count):
        words = ["route add", f"{32 + (number >> 16)}.{number >> 8 & 255}.{number & 255}.0/24"]
        words += [f"metric {number % 50 + 1}"] if number % 2 else []
        words += ["src 10.0.0.1"] if number % 3 == 0 else []
        words += [f"mtu {1300 + number % 8 * 10}"] if number % 5 == 0 else []
        words += [f"proto {('static', 'bgp', 'boot', 'ospf')[number % 4]}"]
        gateway = f"via 10.0.0.{2 + number % 5}"
        if number % 7 == 0:
            words += [f"nexthop {gateway}", f"nexthop via 10.0.0.9 weight {1 + number % 3}"]
        else:
            words += ["dev eth0"] if number % 11 == 0 else [gateway]
        lines.append(" ".join(words) + "\n")
    host.run("ip", "-batch", "-", input="".join(lines), timeout=600)


def _links(host: Host, count: int) -> None:
    lines = [f"link add left{number} up type veth peer right{number}\n" for number in range(count // 2)]
    host.run("ip", "-batch", "-", input="".join(lines), timeout=600)


def _peers(host: Host, pairs: int) -> None:
    for first in range(0, pairs, _PAIRS_IN_A_PROCESS):
        count = min(_PAIRS_IN_A_PROCESS, pairs - first)
        _hold(host, "peers", first, count)


def _hold(host: Host, kind: str, *numbers: int) -> None:
    process = host.popen([sys.executable, "-I", "-S", str(HOLD), kind, *map(str, numbers)], stdin=-1, stdout=-1)
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        raise LabError(f"{kind} {numbers} could not be made")
