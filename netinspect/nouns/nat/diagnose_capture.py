"""A look at packets themselves, where counters say that something is wrong with them; nothing is sent.

packet(7): a socket that hears every interface of the namespace for a moment.
"""

from __future__ import annotations

import _socket
from struct import calcsize, pack, unpack_from
from time import monotonic, sleep
from typing import NamedTuple

from ...engine.places import Place
from ...engine.text import text

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
_CUT, _SENDER, _ASIDE = 2048, 20, 128
"""Bytes that are taken of a packet, of the address (packet(7): struct sockaddr_ll) and of what comes beside."""
_MSG_DONTWAIT = 0x40
_SIOCGIFNAME = 0x8910
"""netdevice(7): the name for an index."""


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
            self._receiver = _Receiver(self._socket)
        except (OSError, ImportError):
            self.close()

    def listen(self, seconds: float) -> None:
        """Reads what has come in and what comes in the next seconds; waits for all of them in any case."""
        end = monotonic() + seconds
        try:
            while self._socket is not None and len(self.packets) + len(self.passing) < _MOST:
                rest = end - monotonic()
                if rest <= 0:
                    break
                self._take(*self._receiver.next(rest))
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

    def _take(self, data: bytes, status: int, interface: str, protocol: int, kind: int, hardware: bytes) -> None:
        if kind != _OUTGOING and len(hardware) == 6:
            moves = self.moves.setdefault(hardware, []) if len(self.moves) < _MOST else []
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
                self.asked.append(Asked(interface, hardware.hex(":"), *ends))
            return
        if kind not in (_HOST, _OTHER_HOST) or len(data) < 20 or data[0] >> 4 not in (4, 6):
            return
        if data[0] >> 4 == 6 and len(data) < 40:
            return
        packet = Heard(data, interface, unfinished=bool(status & _CSUM_NOT_READY))
        (self.packets if kind == _HOST else self.passing).append(packet)


class _Receiver:
    """recvmsg(2), with the index of the interface.

    Python's own looks for the name and raises UnicodeDecodeError where that is not UTF-8: anybody's interface would
    end the listening.
    """

    def __init__(self, opened: _socket.socket) -> None:
        from ctypes import CDLL, addressof, create_string_buffer
        from select import POLLIN, poll

        self._socket = opened
        self._call = CDLL(None).recvmsg
        self._poll = poll()
        self._poll.register(opened.fileno(), POLLIN)
        self._data, self._sender, self._aside = map(create_string_buffer, (_CUT, _SENDER, _ASIDE))
        self._vector = create_string_buffer(pack("@PN", addressof(self._data), _CUT))
        sender, vector, aside = map(addressof, (self._sender, self._vector, self._aside))
        self._header = pack("@PIPNPNi", sender, _SENDER, vector, 1, aside, _ASIDE, 0)
        """sys/socket.h: struct msghdr."""
        self._names: dict[int, str] = {}

    def next(self, seconds: float) -> tuple[bytes, int, str, int, int, bytes]:
        """The next packet, its status, interface, protocol, kind and sender's address. Raises OSError where none comes
        within so many seconds.
        """
        if not self._poll.poll(seconds * 1000):
            raise TimeoutError
        from ctypes import create_string_buffer

        header = create_string_buffer(self._header)
        size = self._call(self._socket.fileno(), header, _MSG_DONTWAIT)
        if size < 0:
            return b"", 0, "", 0, _OUTGOING, b""  # an interface that went down, say
        status = 0
        length, level, kind = unpack_from("@Nii", self._aside)
        at = calcsize("@Nii")
        if unpack_from("@PIPNPNi", header)[5] >= at + 4 <= length and (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
            (status,) = unpack_from("=I", self._aside, at)
        protocol, index, _, kind, length = unpack_from("=HiHBB", self._sender, 2)
        hardware = self._sender.raw[12 : 12 + min(length, 8)]
        return self._data.raw[:size], status, self._name(index), _socket.ntohs(protocol), kind, hardware

    def _name(self, index: int) -> str:
        """As the socket's namespace has it; "" for one that is gone."""
        if index not in self._names:
            from fcntl import ioctl

            try:
                found = ioctl(self._socket.fileno(), _SIOCGIFNAME, pack("=16xi20x", index))
            except OSError:
                return ""
            self._names[index] = text(found[:16].partition(b"\0")[0])
        return self._names[index]


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
