"""The records of the program, and the headers of packets that they have."""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop, ntohs
from _struct import Struct, unpack_from

from ...engine.addresses import endpoint
from ..conntrack.decode_names import PROTOCOLS
from .request import RECORD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Drop

ETH_P_IP, ETH_P_ARP, ETH_P_IPV6 = 0x0800, 0x0806, 0x86DD
_SOCKETS = {1: "unix", 16: "netlink"}
"""Families of sockets (linux/socket.h: AF_*) whose messages are no packets of a network."""
_WITH_PORTS = frozenset((6, 17, 33, 132, 136))
_ICMP = frozenset((1, 58))
_EXTENSIONS = frozenset((0, 43, 60, 135))
"""Headers of IPv6 that have the next one and their length in 8 bytes (RFC 8200): hop-by-hop, routing, destination …"""
_FRAGMENT = 44
_MOST_EXTENSIONS = 8
_FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr")

FRAMED = Struct("=8x" + RECORD.format.removeprefix("="))
"""A record behind its length."""

Raw = tuple[int, int, int, int, int, int, int, int, int, int, int, bytes]
"""Time, place, inode, reason, namespace, interface, received on, mark, length, protocol, family of the socket, header.

Times are nanoseconds of the monotonic clock.
"""


def records(taken: bytes) -> Iterator[Raw]:
    """The records that were taken from a ring buffer."""
    return FRAMED.iter_unpack(taken)


class Header:
    """The fields of a packet's network and transport headers; None if absent."""

    __slots__ = (
        *("destination", "destination_port", "family", "flags", "icmp_code", "icmp_type", "protocol", "source"),
        *("source_port", "ttl"),
    )

    def __init__(self, ethernet: int, data: bytes, socket_family: int = 0) -> None:
        """``ethernet``: the type of the packet, in the order of the network's bytes. ``data`` may end anywhere."""
        self.protocol: str | None = None
        self.source: str | None = None
        self.destination: str | None = None
        self.source_port: int | None = None
        self.destination_port: int | None = None
        self.icmp_type: int | None = None
        self.icmp_code: int | None = None
        self.flags: tuple[str, ...] = ()
        self.ttl: int | None = None
        kind = ntohs(ethernet)
        version = data[0] >> 4 if data else 0
        self.family: str | None = None
        if not kind and socket_family in _SOCKETS:
            self.family = _SOCKETS[socket_family]
        elif kind == ETH_P_IP or (not kind and version == 4):
            self.family = "inet"
            if version == 4 and len(data) >= 20:
                self._of_ipv4(data)
        elif kind == ETH_P_IPV6 or (not kind and version == 6):
            self.family = "inet6"
            if version == 6 and len(data) >= 40:
                self._of_ipv6(data)
        elif kind == ETH_P_ARP:
            self.family = "arp"
            self._of_arp(data)
        elif kind:
            self.family = f"{kind:#06x}"

    def _of_ipv4(self, data: bytes) -> None:
        self.ttl = data[8]
        self.source, self.destination = inet_ntop(AF_INET, data[12:16]), inet_ntop(AF_INET, data[16:20])
        first = not (data[6] & 0x1F or data[7])
        self._of_transport(data[9], data, (data[0] & 15) * 4 if first else len(data))

    def _of_ipv6(self, data: bytes) -> None:
        self.ttl = data[7]
        self.source, self.destination = inet_ntop(AF_INET6, data[8:24]), inet_ntop(AF_INET6, data[24:40])
        following, at = data[6], 40
        for _ in range(_MOST_EXTENSIONS):
            if at + 8 > len(data) or following not in _EXTENSIONS | {_FRAGMENT}:
                break
            if following == _FRAGMENT:
                following, offset = data[at], unpack_from("!H", data, at + 2)[0] >> 3
                at = len(data) if offset else at + 8
            else:
                following, at = data[at], at + 8 * (data[at + 1] + 1)
        self._of_transport(following, data, at)

    def _of_transport(self, protocol: int, data: bytes, at: int) -> None:
        self.protocol = PROTOCOLS.get(protocol, str(protocol))
        if protocol in _WITH_PORTS and at + 4 <= len(data):
            self.source_port, self.destination_port = unpack_from("!HH", data, at)
        if protocol in _ICMP and at + 2 <= len(data):
            self.icmp_type, self.icmp_code = data[at], data[at + 1]
        if protocol == 6 and at + 14 <= len(data):
            self.flags = tuple([name for bit, name in enumerate(_FLAGS) if data[at + 13] >> bit & 1])

    def _of_arp(self, data: bytes) -> None:
        # RFC 826, of Ethernet and IPv4 alone: lengths of 6 and 4.
        if len(data) >= 28 and data[2:6] == b"\x08\x00\x06\x04":
            self.source, self.destination = inet_ntop(AF_INET, data[14:18]), inet_ntop(AF_INET, data[24:28])


def packet_text(drop: Drop) -> str | None:
    """A packet in a few words: ``tcp 10.0.0.1:40000 > 10.0.0.2:443``; None where nothing of it is known."""
    ends = [
        endpoint(drop.source_address, drop.source_port),
        endpoint(drop.destination_address, drop.destination_port),
    ]
    return " ".join(filter(None, (drop.protocol or drop.family, " > ".join(filter(None, ends))))) or None
