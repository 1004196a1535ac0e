"""A packet that begins a flow, as bytes: a SYN of TCP, a datagram of UDP, an echo request of ICMP.

RFC 791, 8200, 9293, 768, 792, 4443; linux/if_ether.h.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_pton
from struct import pack, unpack

from ...errors import UsageError

_ICMP, _TCP, _UDP, _ICMPV6 = 1, 6, 17, 58
PROTOCOLS = (_ICMP, _TCP, _UDP, _ICMPV6)
"""Those of which there is a packet that begins a flow and does no harm."""
_PAYLOAD = b"netinspect path --probe\n"
_TTL = 64
_SENDER = b"\x02\0\0\0\0\1"
"""An unused link-layer address: locally administered."""


def _checksum(data: bytes) -> int:
    if len(data) % 2:
        data += b"\0"
    total: int = sum(unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(protocol: int, source: str, destination: str, source_port: int, destination_port: int) -> bytes:
    """With its IP header. Raises UsageError for a protocol of which there is none."""
    six = ":" in source
    ends = b"".join(inet_pton(AF_INET6 if six else AF_INET, address) for address in (source, destination))
    if protocol == _TCP:
        # 5 words of header, SYN, a window as Linux has it; a segment size that passes everywhere.
        options = b"\2\4" + pack("!H", 1220)
        body = pack("!HHIIBBHHH", source_port, destination_port, source_port << 8, 0, 6 << 4, 2, 64240, 0, 0) + options
        at = 16
    elif protocol == _UDP:
        body = pack("!HHHH", source_port, destination_port, 8 + len(_PAYLOAD), 0) + _PAYLOAD
        at = 6
    elif protocol in (_ICMP, _ICMPV6):
        body = pack("!BBHHH", 128 if six else 8, 0, 0, source_port, 1) + _PAYLOAD
        at = 2
    else:
        raise UsageError("--probe sends tcp, udp and icmp")
    pseudo = ends + (pack("!II", len(body), protocol) if six else pack("!HH", protocol, len(body)))
    total = _checksum((b"" if protocol == _ICMP else pseudo) + body)
    body = body[:at] + pack("!H", total or 0xFFFF) + body[at + 2 :]
    if six:
        return pack("!IHBB", 6 << 28, len(body), protocol, _TTL) + ends + body
    header = pack("!BBHHHBBH", 0x45, 0, 20 + len(body), source_port, 0x4000, _TTL, protocol, 0) + ends
    return header[:10] + pack("!H", _checksum(header)) + header[12:] + body


def frame(payload: bytes, link_address: bytes) -> bytes:
    """The packet in a frame of Ethernet for that link address."""
    kind = 0x86DD if payload[0] >> 4 == 6 else 0x0800
    return link_address + _SENDER + pack("!H", kind) + payload
