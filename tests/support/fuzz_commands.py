"""Whole commands on a kernel that sends nonsense now and then: what decoders let through meets filters and joins."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random
from unittest import mock

from fake_kernel import FakeKernel, done
from fuzz_inputs import mutated_message, seeds, whole

from netinspect.environment import Environment
from netinspect.main import run

LINES = """
sockets -an
sockets -tanomei -j
sockets -xan --json
sockets -a sport = :22 or dst 10.0.0.0/8
sockets -s
sockets --all --format csv
sockets -0an
netstat -an
netstat -rn
netstat -6rn
netstat -rnC
netstat -in
netstat -ien
netstat -gn
netstat -M -n
netstat -tuneo
routes
routes -j
routes match 10.0.0.1
routes --via 10.0.0.2
routes --table all --format csv
routes cache
routes summary
routes get 10.0.0.1
routes get fd00::1 from fd00::2
rules
rules -j
neighbours
neighbours -j
neighbours tables
links
links -j
links --tree
links -s
addresses
addresses -j
conntrack
conntrack -j
conntrack count
conntrack stats
conntrack expectations
conntrack top
nat
nat -j
nat hosts
nat outside
nat diagnose
groups
groups -j
groups bridge
groups routes
groups interfaces
stats -j
stats health
capabilities
""".strip().splitlines()
"""Command lines that list something."""

_RTNETLINK = {
    18: "links",
    22: "addresses",
    26: "routes",
    30: "neighbours",
    34: "rules",
    58: "memberships",
    66: "neighbour-tables",
    82: "netconf",
    86: "bridge-groups",
    90: "nsid",
    94: "link-statistics",
    106: "nexthops",
}
_NETFILTER = {
    0x101: "flows",
    0x104: "conntrack-counters",
    0x105: "conntrack-size",
    0x201: "expectations",
    0xA04: "nftables",
    0xA07: "nftables",
}
_FAMILIES = {1: "unix", 16: "netlink", 17: "packet", 30: "tipc", 40: "vsock", 44: "xdp"}
_PROTOCOLS = {6: "tcp", 17: "udp", 255: "raw", 132: "sctp", 6 | 0x100: "mptcp"}


class Kernel(FakeKernel):
    """Also for who listens for changes: there are none."""

    def bind(self, address: tuple[int, int]) -> None:
        pass

    def setsockopt(self, *_: object) -> None:
        pass

    def getsockopt(self, *_: object) -> bytes:
        return bytes(36)

    def recvfrom_into(self, *_: object) -> tuple[int, tuple[int, int]]:
        raise BlockingIOError(11, "")


def asked(protocol: int, request: bytes) -> str | None:
    """The target whose corpus answers a request."""
    (kind,) = struct.unpack_from("=H", request, 4)
    family = request[16] if len(request) > 16 else 0
    if protocol == 0:
        if family in (128, 129):
            return {18: "multicast-interfaces", 26: "multicast-routes"}.get(kind)
        return _RTNETLINK.get(kind)
    if protocol == 12:
        return _NETFILTER.get(kind)
    if protocol == 4:
        return _FAMILIES.get(family) or (_PROTOCOLS.get(request[17], "mptcp") if kind == 20 else "tcp")
    return None


_KNOWN: dict[str, list[bytes]] = {}


def _answer(random: Random, protocol: int, request: bytes) -> Iterator[bytes]:
    name = asked(protocol, request)
    if name is not None:
        known = _KNOWN.get(name)
        if known is None:
            known = _KNOWN[name] = seeds(name)
        if name == "nftables":
            kind = struct.unpack_from("=H", request, 4)[0] - 1
            known = [single for single in known if struct.unpack_from("=H", single, 4)[0] == kind]
        if known:
            wrong = random.choice((0, 0.1, 0.4))
            picked = [random.choice(known) for _ in range(random.randrange(1, 8))]
            yield b"".join(
                [whole(mutated_message(random, [single])) if random.random() < wrong else single for single in picked]
            )
    yield done()


def commands(data: bytes) -> list[int]:
    """Runs one of the command lines, chosen by the data, as is what the kernel sends. Returns its exit status."""
    random = Random(data)
    line = random.choice(LINES)

    def connect(protocol: int) -> Kernel:
        return Kernel(lambda request: _answer(random, protocol, request))

    written: list[bytes] = []
    with (
        mock.patch("netinspect.engine.places.connect", connect),
        mock.patch.dict("os.environ", {"NETINSPECT_DEBUG": "1"}),
    ):
        status = run(line.split(), Environment(written.append, lambda _: None, False, 80))
    assert status in (0, 1, 2, 3, 4), line
    return [status]
