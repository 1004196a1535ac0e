"""A packet as netfilter sees it: headers, interfaces, marks, and what connection tracking holds of it.

A field is None where the packet has no such thing (no port, no incoming interface), and UNKNOWN where it has some but
which is not known: what depends on it is then uncertain, never guessed.
"""

from __future__ import annotations

from _socket import inet_ntop, inet_pton

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, Any, Final, NamedTuple
else:
    from ..startup import Annotated, NamedTuple

ETH_P_IP, ETH_P_ARP, ETH_P_8021Q, ETH_P_IPV6 = 0x0800, 0x0806, 0x8100, 0x86DD
"""linux/if_ether.h"""
ICMP, TCP, UDP, ICMPV6, SCTP, DCCP, UDPLITE = 1, 6, 17, 58, 132, 33, 136
"""linux/in.h: IPPROTO_*"""
_WITH_PORTS = frozenset((TCP, UDP, SCTP, DCCP, UDPLITE))
PACKET_HOST, PACKET_BROADCAST, PACKET_MULTICAST, PACKET_OTHERHOST = 0, 1, 2, 3
"""linux/if_packet.h"""


class Unknown:
    """What UNKNOWN is of."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()
"""The value of a field that is not known."""


class Interface(NamedTuple):
    """An interface, as rules ask for it."""

    index: Annotated[int, "its index"]  # type: ignore[assignment]
    name: Annotated[str, "its name"]
    type: Annotated[int | Unknown, "linux/if_arp.h: ARPHRD_*"] = UNKNOWN
    group: Annotated[int | Unknown, "its group"] = UNKNOWN
    kind: Annotated[str | Unknown, "its kind: veth, bridge …; empty for a device"] = UNKNOWN
    bridge: Annotated[str | Unknown | None, "the bridge that it is a port of"] = UNKNOWN


class Ends(NamedTuple):
    """One direction of a flow, as connection tracking has it."""

    source: Annotated[str, "source address"]
    destination: Annotated[str, "destination address"]
    protocol: Annotated[int, "IP protocol number"]
    source_port: Annotated[int, "source port; for ICMP its identifier"] = 0
    destination_port: Annotated[int, "destination port; for ICMP 256 times type and code"] = 0


class Tracking(NamedTuple):
    """What connection tracking holds of a packet: the entry that it belongs to."""

    state: Annotated[str | Unknown, "new, established, related, invalid or untracked"]
    direction: Annotated[str | Unknown, "original or reply"] = "original"
    status: Annotated[int | Unknown, "IPS_* (linux/netfilter/nf_conntrack_common.h)"] = UNKNOWN
    mark: Annotated[int | Unknown, "connection mark"] = UNKNOWN
    zone: Annotated[int | Unknown, "conntrack zone"] = UNKNOWN
    original: Annotated[Ends | Unknown | None, "as the first packet came"] = UNKNOWN
    reply: Annotated[Ends | Unknown | None, "as answers are expected"] = UNKNOWN
    helper: Annotated[str | Unknown | None, "its helper"] = UNKNOWN
    labels: Annotated[int | Unknown, "connection labels, 128 bits; bit 0 is label 0"] = UNKNOWN
    id: Annotated[int | Unknown, "the kernel's identifier of the entry"] = UNKNOWN


UNTRACKED = Tracking("untracked", UNKNOWN, 0, 0, 0, None, None, None, 0)
"""Of a packet that a rule took from connection tracking (notrack)."""
INVALID = Tracking("invalid", UNKNOWN, 0, 0, 0, None, None, None, 0)
"""Of a packet that connection tracking can put to no entry."""


class Packet(NamedTuple):
    """A packet at one place of its way."""

    source: Annotated[str | Unknown | None, "source address; None where it is neither IPv4 nor IPv6"] = UNKNOWN
    destination: Annotated[str | Unknown | None, "destination address"] = UNKNOWN
    protocol: Annotated[int | Unknown, "IP protocol number"] = UNKNOWN
    source_port: Annotated[int | Unknown | None, "source port"] = UNKNOWN
    destination_port: Annotated[int | Unknown | None, "destination port"] = UNKNOWN
    ethertype: Annotated[int | Unknown, "ETH_P_* (linux/if_ether.h), behind a VLAN tag"] = ETH_P_IP
    link_source: Annotated[str | Unknown | None, "source of the frame; None: it has no link header"] = UNKNOWN
    link_destination: Annotated[str | Unknown | None, "destination address of the frame"] = UNKNOWN
    vlan: Annotated[int | Unknown | None, "VLAN tag: priority, DEI and id, 16 bits"] = None
    vlan_protocol: Annotated[int, "of a VLAN tag: 0x8100 or 0x88a8"] = ETH_P_8021Q
    icmp_type: Annotated[int | Unknown | None, "type of ICMP or ICMPv6"] = UNKNOWN
    icmp_code: Annotated[int | Unknown | None, "code of ICMP or ICMPv6"] = UNKNOWN
    icmp_id: Annotated[int | Unknown | None, "identifier of an echo request or reply"] = UNKNOWN
    tcp_flags: Annotated[int | Unknown, "FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128"] = UNKNOWN
    tcp_options: Annotated[bytes | Unknown, "TCP options as they lie in the header"] = UNKNOWN
    length: Annotated[int | Unknown, "bytes with the IP header"] = UNKNOWN
    tos: Annotated[int | Unknown, "DSCP and ECN: IPv4's type of service, IPv6's traffic class"] = UNKNOWN
    ttl: Annotated[int | Unknown, "time to live, or hop limit"] = UNKNOWN
    identification: Annotated[int | Unknown, "IPv4's identification"] = UNKNOWN
    fragment: Annotated[int | Unknown, "IPv4's flags and fragment offset, 16 bits"] = UNKNOWN
    flow_label: Annotated[int | Unknown, "IPv6's flow label"] = UNKNOWN
    extensions: Annotated[tuple[int, ...] | Unknown, "IPv6's extension headers, IPv4's options"] = ()
    data: Annotated[bytes | Unknown, "what follows the transport header"] = UNKNOWN
    arp: Annotated[bytes | Unknown, "an ARP packet as it lies"] = UNKNOWN
    mark: Annotated[int | Unknown, "packet mark"] = 0
    priority: Annotated[int | Unknown, "packet priority"] = UNKNOWN
    type: Annotated[int | Unknown, "linux/if_packet.h: PACKET_*"] = UNKNOWN
    incoming: Annotated[Interface | None, "interface that it came in by, also in postrouting; None in output"] = None
    outgoing: Annotated[Interface | None, "interface that it goes out by; None before the routing"] = None
    physical_incoming: Annotated[Interface | Unknown | None, "the bridge's port it came in by (br_netfilter)"] = UNKNOWN
    physical_outgoing: Annotated[Interface | Unknown | None, "the bridge's port that it goes out by"] = UNKNOWN
    uid: Annotated[int | Unknown | None, "user of the socket; None where there is no socket"] = UNKNOWN
    gid: Annotated[int | Unknown | None, "group of the socket"] = UNKNOWN
    cgroup: Annotated[int | Unknown | None, "net_cls class of the socket"] = UNKNOWN
    cgroup2: Annotated[int | Unknown | None, "id of the socket's cgroup v2"] = UNKNOWN
    ipsec: Annotated[bool | Unknown, "whether it came by IPsec"] = UNKNOWN
    realm: Annotated[int | Unknown | None, "realm of its route; None before the routing"] = UNKNOWN
    tracking: Annotated[Tracking | Unknown | None, "None before connection tracking looked at it"] = None

    @property
    def family(self) -> str | None:
        """ip or ip6; None for anything else, or where it is not known."""
        return {ETH_P_IP: "ip", ETH_P_IPV6: "ip6"}.get(self.ethertype if isinstance(self.ethertype, int) else 0)

    def replace(self, **fields: Any) -> Packet:
        """The same packet except these fields. Raises ValueError for one that does not exist."""
        return self._replace(**fields)


class Bits(NamedTuple):
    """Bytes of which not every bit need be known."""

    data: Annotated[bytes, "the bytes; bits that are not known are 0"]
    known: Annotated[bytes | None, "1 for each bit that is known; None where all are"]
    open: Annotated[bool, "whether more follows that is not known"] = False


_ALL = b"\xff"


class _Builder:
    """Puts a header together from fields, some of which are not known."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.known = bytearray()

    def add(self, value: int | Unknown | None, size: int) -> None:
        if isinstance(value, int):
            self.data += (value & (1 << 8 * size) - 1).to_bytes(size, "big")
            self.known += _ALL * size
        else:
            self.data += bytes(size)
            self.known += bytes(size)

    def raw(self, value: bytes | None, size: int) -> None:
        self.data += value if value is not None else bytes(size)
        self.known += (_ALL if value is not None else b"\0") * size

    def bits(self, *, more: bool) -> Bits:
        known = bytes(self.known)
        return Bits(bytes(self.data), None if known == _ALL * len(known) else known, more)


def link_header(packet: Packet) -> Bits | None:
    """The frame's header, with its VLAN tag; None where the packet has none."""
    if packet.link_source is None and packet.link_destination is None:
        return None
    made = _Builder()
    for address in (packet.link_destination, packet.link_source):
        made.raw(bytes.fromhex(address.replace(":", "")) if isinstance(address, str) else None, 6)
    if packet.vlan is not None:
        made.add(packet.vlan_protocol, 2)
        made.add(packet.vlan, 2)
    made.add(packet.ethertype, 2)
    header = made.bits(more=True)
    if isinstance(packet.vlan, Unknown):
        # With or without a tag: from there on nothing is known.
        return Bits(header.data[:12] + bytes(6), (header.known or _ALL * 12)[:12] + bytes(6), True)
    return header


def _packed(address: str | Unknown | None, size: int) -> bytes | None:
    if not isinstance(address, str):
        return None
    return inet_pton(2 if size == 4 else 10, address)


def network_header(packet: Packet) -> Bits | None:
    """The IP header, or an ARP packet; None where what the frame holds is not known."""
    if packet.ethertype == ETH_P_ARP:
        if isinstance(packet.arp, bytes):
            return Bits(packet.arp, None)
        return Bits(bytes.fromhex("0001080006040000") + bytes(20), _ALL * 6 + bytes(22))
    made = _Builder()
    if packet.ethertype == ETH_P_IP:
        options = isinstance(packet.extensions, tuple) and not packet.extensions
        made.add(0x45 if options else UNKNOWN, 1)
        made.add(packet.tos, 1)
        made.add(packet.length, 2)
        made.add(packet.identification, 2)
        made.add(packet.fragment, 2)
        made.add(packet.ttl, 1)
        made.add(packet.protocol, 1)
        made.add(UNKNOWN, 2)
        made.raw(_packed(packet.source, 4), 4)
        made.raw(_packed(packet.destination, 4), 4)
        return made.bits(more=not options)
    if packet.ethertype == ETH_P_IPV6:
        known = isinstance(packet.tos, int), isinstance(packet.flow_label, int)
        tos = packet.tos if isinstance(packet.tos, int) else 0
        label = packet.flow_label if isinstance(packet.flow_label, int) else 0
        made.add(6 << 28 | tos << 20 | label, 4)
        made.known[:4] = (0xF << 28 | (0xFF << 20) * known[0] | 0xFFFFF * known[1]).to_bytes(4, "big")
        made.add(packet.length - 40 if isinstance(packet.length, int) else UNKNOWN, 2)
        first: int | Unknown = packet.protocol
        if isinstance(packet.extensions, Unknown):
            first = UNKNOWN
        elif packet.extensions:
            first = packet.extensions[0]
        made.add(first, 1)
        made.add(packet.ttl, 1)
        made.raw(_packed(packet.source, 16), 16)
        made.raw(_packed(packet.destination, 16), 16)
        return made.bits(more=bool(packet.extensions) or isinstance(packet.extensions, Unknown))
    return None


def transport_header(packet: Packet) -> Bits:
    """The transport header, with the data behind it as far as it is known."""
    made = _Builder()
    protocol = packet.protocol
    if protocol == TCP:
        made.add(packet.source_port, 2)
        made.add(packet.destination_port, 2)
        made.add(UNKNOWN, 8)
        options = packet.tcp_options
        if isinstance(options, bytes):
            made.add((20 + len(options)) // 4 << 4, 1)
        else:
            made.add(UNKNOWN, 1)
        made.add(packet.tcp_flags, 1)
        made.add(UNKNOWN, 4)
        made.add(UNKNOWN, 2)
        if not isinstance(options, bytes):
            return made.bits(more=True)
        made.raw(options, len(options))
    elif protocol in (UDP, UDPLITE):
        made.add(packet.source_port, 2)
        made.add(packet.destination_port, 2)
        size = _transport_size(packet)
        made.add(size if size is not None and protocol == UDP else UNKNOWN, 2)
        made.add(UNKNOWN, 2)
    elif protocol in (SCTP, DCCP):
        made.add(packet.source_port, 2)
        made.add(packet.destination_port, 2)
        made.add(UNKNOWN, 8)
    elif protocol in (ICMP, ICMPV6):
        made.add(packet.icmp_type, 1)
        made.add(packet.icmp_code, 1)
        made.add(UNKNOWN, 2)
        made.add(packet.icmp_id, 2)
        made.add(UNKNOWN, 2)
    if isinstance(packet.data, bytes):
        made.raw(packet.data, len(packet.data))
        return made.bits(more=False)
    size = _transport_size(packet)
    if size is not None and size >= len(made.data):
        # How much there is is known, if not what.
        missing = min(size - len(made.data), 512)
        made.raw(None, missing)
        return made.bits(more=size > len(made.data))
    return made.bits(more=True)


def _transport_size(packet: Packet) -> int | None:
    """Bytes behind the IP header; None where they are not known."""
    if not isinstance(packet.length, int) or isinstance(packet.extensions, Unknown) or packet.extensions:
        return None
    return packet.length - (40 if packet.ethertype == ETH_P_IPV6 else 20)


def written(packet: Packet, base: int, offset: int, value: bytes | None, size: int) -> Packet:
    """The packet after a rule has written ``size`` bytes into a header (NFT_PAYLOAD_*); None: it is not known which."""
    if base == 1 and packet.ethertype in (ETH_P_IP, ETH_P_IPV6):
        return _written_network(packet, offset, value, size)
    if base == 2:
        return _written_transport(packet, offset, value, size)
    if base == 0:
        for name, at in (("link_destination", 0), ("link_source", 6)):
            if offset <= at and offset + size >= at + 6:
                found = None if value is None else value[at - offset : at - offset + 6].hex(":")
                packet = packet.replace(**{name: UNKNOWN if found is None else found})
    return packet


def _written_network(packet: Packet, offset: int, value: bytes | None, size: int) -> Packet:
    header = network_header(packet)
    assert header is not None
    data, known = _overwritten(header, offset, value, size)

    def number(at: int, length: int) -> int | Unknown:
        return int.from_bytes(data[at : at + length], "big") if known[at : at + length] == _ALL * length else UNKNOWN

    def address(at: int, length: int) -> str | Unknown:
        if known[at : at + length] != _ALL * length:
            return UNKNOWN
        return inet_ntop(2 if length == 4 else 10, data[at : at + length])

    if packet.ethertype == ETH_P_IP:
        return packet.replace(
            tos=number(1, 1),
            identification=number(4, 2),
            fragment=number(6, 2),
            ttl=number(8, 1),
            protocol=number(9, 1),
            source=address(12, 4),
            destination=address(16, 4),
        )
    first = int.from_bytes(data[:4], "big")
    mask = int.from_bytes(known[:4], "big")
    return packet.replace(
        tos=first >> 20 & 0xFF if mask >> 20 & 0xFF == 0xFF else UNKNOWN,
        flow_label=first & 0xFFFFF if mask & 0xFFFFF == 0xFFFFF else UNKNOWN,
        ttl=number(7, 1),
        source=address(8, 16),
        destination=address(24, 16),
    )


def _written_transport(packet: Packet, offset: int, value: bytes | None, size: int) -> Packet:
    header = transport_header(packet)
    data, known = _overwritten(header, offset, value, size)

    def number(at: int, length: int) -> int | Unknown:
        return int.from_bytes(data[at : at + length], "big") if known[at : at + length] == _ALL * length else UNKNOWN

    if packet.protocol in _WITH_PORTS:
        packet = packet.replace(source_port=number(0, 2), destination_port=number(2, 2))
    if packet.protocol == TCP and len(data) >= 14:
        packet = packet.replace(tcp_flags=number(13, 1))
    if packet.protocol in (ICMP, ICMPV6):
        packet = packet.replace(icmp_type=number(0, 1), icmp_code=number(1, 1), icmp_id=number(4, 2))
    start = {UDP: 8, UDPLITE: 8, SCTP: 12, DCCP: 12, ICMP: 8, ICMPV6: 8, TCP: 20}.get(_number(packet.protocol), 0)
    if packet.protocol == TCP and isinstance(packet.tcp_options, bytes):
        end = start + len(packet.tcp_options)
        whole = known[start:end] == _ALL * (end - start)
        packet = packet.replace(tcp_options=data[start:end] if whole else UNKNOWN)
        start = end
    if isinstance(packet.data, bytes):
        whole = known[start:] == _ALL * (len(data) - start)
        packet = packet.replace(data=data[start:] if whole else UNKNOWN)
    return packet


def _number(value: int | Unknown) -> int:
    return value if isinstance(value, int) else -1


def _overwritten(header: Bits, offset: int, value: bytes | None, size: int) -> tuple[bytes, bytes]:
    known = header.known if header.known is not None else _ALL * len(header.data)
    new = value if value is not None else bytes(size)
    mask = (_ALL if value is not None else b"\0") * size
    length = len(header.data)
    data = header.data[:offset] + new + header.data[offset + size :]
    return data[:length], (known[:offset] + mask + known[offset + size :])[:length]


def of_headers(
    network: bytes,
    transport: bytes = b"",
    link: bytes = b"",
    *,
    ethertype: int | None = None,
    length: int | None = None,
) -> Packet:
    """A packet by its headers as they lie, as a trace or a capture has them.

    ``link`` is 14 bytes, or 18 with a VLAN tag. Without ``ethertype`` it is that of the frame, or else goes by the IP
    version. What the headers do not have is UNKNOWN.
    """
    found: dict[str, Any] = {"link_source": None, "link_destination": None}
    kind = ethertype
    if len(link) >= 14:
        found["link_destination"], found["link_source"] = link[:6].hex(":"), link[6:12].hex(":")
        outer = int.from_bytes(link[12:14], "big")
        if outer in (ETH_P_8021Q, 0x88A8) and len(link) >= 18:
            found["vlan_protocol"], found["vlan"] = outer, int.from_bytes(link[14:16], "big")
            outer = int.from_bytes(link[16:18], "big")
        kind = kind or outer
    if kind is None and network:
        kind = {4: ETH_P_IP, 6: ETH_P_IPV6}.get(network[0] >> 4)
    found["ethertype"] = UNKNOWN if kind is None else kind
    if kind == ETH_P_IP and len(network) >= 20:
        found.update(
            tos=network[1],
            length=int.from_bytes(network[2:4], "big") if length is None else length,
            identification=int.from_bytes(network[4:6], "big"),
            fragment=int.from_bytes(network[6:8], "big"),
            ttl=network[8],
            protocol=network[9],
            source=inet_ntop(2, network[12:16]),
            destination=inet_ntop(2, network[16:20]),
            extensions=UNKNOWN if network[0] & 0xF > 5 else (),
        )
    elif kind == ETH_P_IPV6 and len(network) >= 40:
        first = int.from_bytes(network[:4], "big")
        extended = network[6] in (0, 43, 44, 51, 60, 135)
        found.update(
            tos=first >> 20 & 0xFF,
            flow_label=first & 0xFFFFF,
            length=40 + int.from_bytes(network[4:6], "big") if length is None else length,
            ttl=network[7],
            protocol=UNKNOWN if extended else network[6],
            extensions=UNKNOWN if extended else (),
            source=inet_ntop(10, network[8:24]),
            destination=inet_ntop(10, network[24:40]),
        )
    elif kind == ETH_P_ARP:
        found.update(arp=network, source=None, destination=None, source_port=None, destination_port=None)
    found.update(_of_transport(found.get("protocol", UNKNOWN), transport))
    return Packet()._replace(**found)


def _of_transport(protocol: object, transport: bytes) -> dict[str, object]:
    found: dict[str, object] = {}
    if protocol in _WITH_PORTS and len(transport) >= 4:
        found["source_port"] = int.from_bytes(transport[:2], "big")
        found["destination_port"] = int.from_bytes(transport[2:4], "big")
    if protocol == TCP and len(transport) >= 14:
        found["tcp_flags"] = transport[13]
        size = (transport[12] >> 4) * 4
        if len(transport) >= size >= 20:
            found["tcp_options"] = transport[20:size]
    if protocol in (ICMP, ICMPV6) and len(transport) >= 2:
        found["icmp_type"], found["icmp_code"] = transport[0], transport[1]
        if len(transport) >= 6:
            found["icmp_id"] = int.from_bytes(transport[4:6], "big")
    return found
