"""A look at packets themselves, where counters say that something is wrong with them; nothing is sent.

packet(7): a socket that hears every interface of the namespace for a moment.
"""

from __future__ import annotations

import _socket
from struct import pack, unpack_from
from time import monotonic, sleep
from typing import Any, NamedTuple

from ...engine.places import Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_AUXDATA = 263, 8
_CSUM_NOT_READY = 1 << 3
"""TP_STATUS_CSUMNOTREADY: the sender's checksum is not computed yet."""
_HOST, _OTHER_HOST, _OUTGOING = 0, 3, 4
"""linux/if_packet.h: for this machine, for another one, and sent by it."""
_ARP = 0x0806
_ARP_REQUEST = bytes((0, 1, 8, 0, 6, 4, 0, 1))
"""RFC 826: Ethernet, IPv4, and the request."""
_SOLICITATION = 135
"""RFC 4861: of neighbour discovery, who has this address?"""
_MOST = 4000
_MOVES = 16
"""Interfaces that are kept of each sender, in the order in which it was heard."""
_CUT = 2048


class Heard:
    """An IP packet that came in."""

    __slots__ = ("data", "destination", "interface", "protocol", "source", "unfinished")

    def __init__(self, data: bytes, interface: str, *, unfinished: bool) -> None:
        self.data = data
        self.interface = interface
        self.unfinished = unfinished
        """Whether its checksum is not computed yet: it was sent on this machine."""
        family = 2 if data[0] >> 4 == 4 else 10
        where = (12, 4) if family == 2 else (8, 16)
        self.source = _socket.inet_ntop(family, data[where[0] : where[0] + where[1]])
        self.destination = _socket.inet_ntop(family, data[where[0] + where[1] : where[0] + 2 * where[1]])
        self.protocol = data[9] if family == 2 else data[6]

    @property
    def payload(self) -> bytes:
        """What follows its IP header; empty for a fragment behind the first."""
        if self.data[0] >> 4 == 4:
            later = unpack_from(">H", self.data, 6)[0] & 0x1FFF
            return b"" if later else self.data[(self.data[0] & 0xF) * 4 :]
        return self.data[40:]

    @property
    def ports(self) -> tuple[int, int]:
        """Source and destination port, of TCP and UDP; zeros where there are none."""
        payload = self.payload
        if self.protocol not in (6, 17) or len(payload) < 8:
            return 0, 0
        source, destination = unpack_from(">HH", payload)
        return source, destination

    @property
    def begins(self) -> bool:
        """Whether it may be the first of a flow: TCP's SYN, or a datagram that is not for many."""
        payload = self.payload
        if self.destination.startswith(("ff", "255.")) or (224 <= int(self.data[16]) < 240 and self.data[0] >> 4 == 4):
            return False
        if self.protocol == 6:
            return len(payload) >= 20 and payload[13] & 0x12 == 0x02
        return self.protocol == 17 and len(payload) >= 8

    @property
    def refuses(self) -> bool:
        """Whether it is TCP's answer of who does not take a connection: RFC 9293, 3.5.2 has the number 0 in it."""
        payload = self.payload
        return self.protocol == 6 and len(payload) >= 20 and payload[13] & 0x14 == 0x14 and payload[4:8] == bytes(4)


class Asked(NamedTuple):
    """An ARP request that came in, or a neighbour solicitation."""

    interface: str
    sender: str
    """MAC address of who asks."""
    source: str
    wanted: str


class Capture:
    """A socket that hears what comes in from when it is made; hears nothing where that is not permitted."""

    def __init__(self, place: Place) -> None:
        """``place`` is open."""
        self.packets: list[Heard] = []
        """IP packets for this machine's interfaces; at most 4,000."""
        self.passing: list[Heard] = []
        """Those for other machines: frames that a bridge passes on, or that a switch floods."""
        self.asked: list[Asked] = []
        """ARP requests, and solicitations of IPv6."""
        self.moves: dict[bytes, list[str]] = {}
        """By MAC address the interfaces that it was heard on, a new one each time that it changes."""
        self._socket: _socket.socket | None = None
        try:
            self._socket = place.call(_open)
        except OSError:
            pass

    def listen(self, seconds: float) -> None:
        """Reads what has come in and what comes in the next seconds; waits for all of them in any case."""
        end = monotonic() + seconds
        try:
            while self._socket is not None and len(self.packets) + len(self.passing) < _MOST:
                rest = end - monotonic()
                if rest <= 0:
                    break
                self._socket.settimeout(rest)
                self._take(*self._socket.recvmsg(_CUT, 128))
        except OSError:
            pass  # the time is over
        finally:
            self.close()
        sleep(max(0.0, end - monotonic()))

    def close(self) -> None:
        """Hears no more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _take(self, data: bytes, ancillary: Any, _: int, where: Any) -> None:
        interface, protocol, kind, _, *hardware = where
        if kind != _OUTGOING and hardware and len(hardware[0]) == 6:
            moves = self.moves.setdefault(hardware[0], []) if len(self.moves) < _MOST else []
            if moves[-1:] != [interface] and len(moves) < _MOVES:
                moves.append(interface)
        if protocol == _ARP:
            if kind != _OUTGOING and len(data) >= 28 and data[:8] == _ARP_REQUEST:
                sender = data[8:14].hex(":")
                ends = (_socket.inet_ntop(2, data[at : at + 4]) for at in (14, 24))
                if len(self.asked) < _MOST:
                    self.asked.append(Asked(interface, sender, *ends))
            return
        if len(data) >= 64 and data[0] >> 4 == 6 and data[6] == 58 and data[40] == _SOLICITATION:
            if kind != _OUTGOING and any(data[8:24]) and len(self.asked) < _MOST:
                ends = (_socket.inet_ntop(10, data[at : at + 16]) for at in (8, 48))
                self.asked.append(Asked(interface, hardware[0].hex(":") if hardware else "", *ends))
            return
        if kind not in (_HOST, _OTHER_HOST) or len(data) < 20 or data[0] >> 4 not in (4, 6):
            return
        if data[0] >> 4 == 6 and len(data) < 40:
            return
        status = next((unpack_from("=I", raw)[0] for level, _, raw in ancillary if level == _SOL_PACKET), 0)
        packet = Heard(data, interface, unfinished=bool(status & _CSUM_NOT_READY))
        (self.packets if kind == _HOST else self.passing).append(packet)


def _open() -> _socket.socket:
    opened = _socket.socket(_socket.AF_PACKET, _socket.SOCK_DGRAM, _socket.htons(_ETH_P_ALL))
    opened.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, pack("=i", 1))
    return opened


def wrong_checksums(packets: list[Heard]) -> Iterator[Heard]:
    """Those of UDP, TCP and ICMP whose checksum is wrong (RFC 1071)."""
    for packet in packets:
        if packet.unfinished or packet.protocol not in (1, 6, 17, 58):
            continue
        four = packet.data[0] >> 4 == 4
        start = (packet.data[0] & 0xF) * 4 if four else 40
        length = unpack_from(">H", packet.data, 2)[0] if four else 40 + unpack_from(">H", packet.data, 4)[0]
        if length > len(packet.data) or length <= start or (four and unpack_from(">H", packet.data, 6)[0] & 0x3FFF):
            continue  # cut off, or a fragment
        payload = packet.data[start:length]
        if packet.protocol == 6 and (len(payload) < 20 or payload[12] >> 4 < 5):
            continue  # no TCP header: that is another fault
        if packet.protocol == 17 and payload[6:8] == b"\0\0" and four:
            continue  # UDP over IPv4 may go without
        addresses = packet.data[12:20] if four else packet.data[8:40]
        pseudo = b"" if packet.protocol == 1 else addresses + pack(">II", len(payload), packet.protocol)
        if _sum(pseudo + payload) != 0xFFFF:
            yield packet


def _sum(data: bytes) -> int:
    total: int = sum(unpack_from(f">{(len(data) + 1) // 2}H", data + b"\0"))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
