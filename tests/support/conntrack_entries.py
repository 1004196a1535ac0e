"""Entries of the connection tracking table as ctnetlink takes them: made without any traffic, of every kind."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable
from typing import NamedTuple

from throwaway import Namespace

from netinspect.engine.netlink.messages import attribute, message
from netinspect.engine.netlink.transport import connect
from netinspect.uapi.netlink import NETLINK_NETFILTER, NLM_F_ACK

NESTED = 0x8000
_NEW = 0x100
_EXCLUSIVE_CREATE = 0x600
EXPECTED, SEEN_REPLY, ASSURED, CONFIRMED, SRC_NAT, DST_NAT = (1 << bit for bit in range(6))
FIXED_TIMEOUT = 1 << 10


class Entry(NamedTuple):
    """One entry; the reply direction is the original one turned round unless ``reply`` says otherwise."""

    source: str
    destination: str
    protocol: int = 17
    ports: tuple[int, int] = (1000, 2000)
    reply: tuple[str, str, int, int] | None = None
    status: int = SEEN_REPLY | CONFIRMED
    timeout: int = 1000
    state: int | None = None
    mark: int | None = None
    labels: bytes | None = None
    zone: int | None = None
    zone_direction: str = "both"
    helper: str | None = None
    nat: tuple[str, str, int] | None = None
    """``source`` or ``destination``, and the IPv4 address and port that the kernel puts there."""


def _nested(kind: int, *parts: bytes) -> bytes:
    return attribute(kind | NESTED, b"".join(parts))


def _protocol(entry: Entry, source_port: int, destination_port: int, answer: bool) -> bytes:
    number = attribute(1, bytes((entry.protocol,)))
    if entry.protocol in (1, 58):
        first = {1: 4, 58: 7}[entry.protocol]
        kind = {(1, False): 8, (1, True): 0, (58, False): 128, (58, True): 129}[entry.protocol, answer]
        identifier = attribute(first, struct.pack(">H", destination_port if answer else source_port))
        return number + identifier + attribute(first + 1, bytes((kind,))) + attribute(first + 2, b"\0")
    if entry.protocol in (6, 17, 33, 47, 132, 136):
        return number + attribute(2, struct.pack(">H", source_port)) + attribute(3, struct.pack(">H", destination_port))
    return number


def _tuple(entry: Entry, kind: int, source: str, destination: str, ports: tuple[int, int], zone: int | None) -> bytes:
    family, first = (socket.AF_INET6, 3) if ":" in source else (socket.AF_INET, 1)
    addresses = attribute(first, socket.inet_pton(family, source))
    addresses += attribute(first + 1, socket.inet_pton(family, destination))
    parts = [_nested(1, addresses), _nested(2, _protocol(entry, *ports, kind == 2))]
    if zone is not None:
        parts.append(attribute(3, struct.pack(">H", zone)))
    return _nested(kind, *parts)


def encoded(entry: Entry, sequence: int = 1) -> bytes:
    """The request that makes this entry."""
    family = socket.AF_INET6 if ":" in entry.source else socket.AF_INET
    first, second = entry.ports
    source, destination, source_port, destination_port = entry.reply or (
        entry.destination,
        entry.source,
        second,
        first,
    )
    of_original = entry.zone if entry.zone_direction == "original" else None
    of_reply = entry.zone if entry.zone_direction == "reply" else None
    payload = struct.pack("=BBH", family, 0, 0)
    payload += _tuple(entry, 1, entry.source, entry.destination, entry.ports, of_original)
    payload += _tuple(entry, 2, source, destination, (source_port, destination_port), of_reply)
    payload += attribute(3, struct.pack(">I", entry.status)) + attribute(7, struct.pack(">I", entry.timeout))
    if entry.state is not None:
        kind = {6: 1, 33: 2, 132: 3}[entry.protocol]
        inside = attribute(1, bytes((entry.state,)))
        if kind == 2:
            inside += attribute(2, b"\1") + attribute(3, bytes(8))
        if kind == 3:
            inside += attribute(2, struct.pack(">I", 1)) + attribute(3, struct.pack(">I", 2))
        payload += _nested(4, _nested(kind, inside))
    if entry.mark is not None:
        payload += attribute(8, struct.pack(">I", entry.mark))
    if entry.labels is not None:
        payload += attribute(22, entry.labels)
    if entry.zone is not None and entry.zone_direction == "both":
        payload += attribute(18, struct.pack(">H", entry.zone))
    if entry.helper is not None:
        payload += _nested(5, attribute(1, entry.helper.encode() + b"\0"))
    if entry.nat is not None:
        end, address, port = entry.nat
        packed, number = socket.inet_aton(address), struct.pack(">H", port)
        ports = _nested(3, attribute(1, number), attribute(2, number))
        payload += _nested({"source": 6, "destination": 13}[end], attribute(1, packed), attribute(2, packed), ports)
    return message(_NEW, NLM_F_ACK | _EXCLUSIVE_CREATE, payload, sequence)


def add(namespace: Namespace, entries: Iterable[Entry]) -> list[Entry]:
    """Makes the entries inside; returns those that this kernel refuses."""
    opened = namespace.call(lambda: connect(NETLINK_NETFILTER))
    refused = []
    try:
        for entry in entries:
            opened.send(encoded(entry))
            received, _ = opened.recvfrom(1 << 16, 0)
            assert len(received) >= 20
            if struct.unpack_from("=i", received, 16)[0]:
                refused.append(entry)
    finally:
        opened.close()
    return refused


LABELS = struct.pack("=QQ", 1 << 0 | 1 << 3, 1 << 69 - 64)

OF_EVERY_KIND = (
    *(
        Entry("10.0.0.1", "10.0.1.1", 6, (1000 + state, 80), state=state, status=SEEN_REPLY | ASSURED | CONFIRMED)
        for state in range(1, 10)
    ),
    Entry("10.0.0.2", "10.0.1.1", 6, (1500, 80), state=1, status=CONFIRMED),
    Entry("10.0.0.2", "10.0.1.2", 17, (53, 53), mark=0x1234),
    Entry("10.0.0.3", "10.0.1.2", 17, (5000, 53), reply=("10.0.1.2", "203.0.113.1", 53, 6000), mark=1),
    Entry("10.0.0.4", "203.0.113.1", 6, (5000, 8080), reply=("10.0.0.9", "10.0.0.4", 80, 5000), state=3),
    Entry("10.0.0.5", "10.0.1.3", 1, (77, 77)),
    Entry("10.0.0.6", "10.0.1.3", 1, (78, 78), reply=("10.0.1.3", "203.0.113.1", 79, 79)),
    Entry("fd00::1", "2001:db8::1", 6, (1024, 443), state=3, status=SEEN_REPLY | ASSURED | CONFIRMED),
    Entry("fd00::1", "2001:db8::2", 17, (1024, 443), mark=0xFFFFFFFF),
    Entry("fd00::2", "2001:db8::2", 58, (99, 99)),
    Entry("fd00::3", "2001:db8::2", 17, (7, 7), reply=("2001:db8::2", "2001:db8::99", 7, 8)),
    Entry("10.0.0.7", "10.0.1.4", 132, (1, 2), state=4),
    Entry("10.0.0.8", "10.0.1.4", 47, (17, 18)),
    Entry("10.0.0.8", "10.0.1.4", 253, (0, 0)),
    Entry("10.0.0.8", "10.0.1.5", 50, (0, 0)),
    Entry("10.0.0.9", "10.0.1.5", 136, (9, 9)),
    Entry("10.0.0.10", "10.0.1.5", 17, (10, 10), zone=7),
    Entry("10.0.0.10", "10.0.1.5", 17, (11, 10), zone=8, zone_direction="original"),
    Entry("10.0.0.10", "10.0.1.5", 17, (12, 10), zone=9, zone_direction="reply"),
    Entry("10.0.0.11", "10.0.1.5", 17, (13, 10), labels=LABELS),
    Entry("10.0.0.11", "10.0.1.5", 17, (14, 10), status=CONFIRMED, timeout=432000),
)
"""Both families, every protocol that is tracked by name and one that is not, every optional attribute."""
