"""Headers of packets, the filter, and names of reasons and places."""

from __future__ import annotations

import socket
import struct

import pytest

from netinspect.errors import UsageError
from netinspect.nouns.drops.decode import Header, packet_text, records
from netinspect.nouns.drops.filter import parse
from netinspect.nouns.drops.names import Places, Reasons, texts
from netinspect.nouns.drops.request import RECORD
from netinspect.records import Drop

IPV4, IPV6, ARP = (socket.htons(number) for number in (0x0800, 0x86DD, 0x0806))


def ipv4(protocol: int, payload: bytes, *, offset: int = 0, words: int = 5) -> bytes:
    ends = socket.inet_aton("10.0.0.1") + socket.inet_aton("10.0.0.2")
    header = struct.pack("!BBHHHBBH", 0x40 | words, 0, 40, 1, offset, 61, protocol, 0)
    return header + ends + bytes(4 * words - 20) + payload


def ipv6(following: int, payload: bytes) -> bytes:
    ends = socket.inet_pton(10, "2001:db8::1") + socket.inet_pton(10, "2001:db8::2")
    return struct.pack("!IHBB", 6 << 28, len(payload), following, 7) + ends + payload


PORTS = struct.pack("!HH", 40000, 443)
TCP = PORTS + bytes(8) + bytes((0x50, 0x12)) + bytes(6)


def test_headers_of_each_protocol() -> None:
    tcp = Header(IPV4, ipv4(6, TCP, words=6))
    assert (tcp.family, tcp.protocol, tcp.source, tcp.source_port) == ("inet", "tcp", "10.0.0.1", 40000)
    assert (tcp.destination, tcp.destination_port, tcp.flags, tcp.ttl) == ("10.0.0.2", 443, ("syn", "ack"), 61)
    later = Header(IPV4, ipv4(17, PORTS, offset=100))
    assert (later.protocol, later.source_port) == ("udp", None)
    icmp = Header(IPV4, ipv4(1, b"\x03\x04"))
    assert (icmp.protocol, icmp.icmp_type, icmp.icmp_code) == ("icmp", 3, 4)
    extended = Header(IPV6, ipv6(0, bytes((60, 0)) + bytes(6) + bytes((17, 0)) + bytes(6) + PORTS))
    assert (extended.family, extended.protocol, extended.destination_port, extended.ttl) == ("inet6", "udp", 443, 7)
    assert extended.source == "2001:db8::1"
    fragment = Header(IPV6, ipv6(44, bytes((6, 0, 0, 9)) + bytes(4) + TCP))
    assert (fragment.protocol, fragment.source_port) == ("tcp", None)
    ends = bytes(6) + socket.inet_aton("10.0.0.1") + bytes(6) + socket.inet_aton("10.0.0.9")
    arp = Header(ARP, bytes((0, 1, 8, 0, 6, 4, 0, 1)) + ends)
    assert (arp.family, arp.source, arp.destination) == ("arp", "10.0.0.1", "10.0.0.9")
    assert Header(socket.htons(0x88CC), bytes(80)).family == "0x88cc"
    assert Header(0, bytes(80), 16).family == "netlink"
    assert Header(0, ipv4(6, TCP)).protocol == "tcp"


@pytest.mark.parametrize("whole", [ipv4(6, TCP), ipv6(0, bytes(40)), ipv6(6, TCP), b"\0\1\10\0\6\4" + bytes(30)])
def test_headers_may_end_anywhere(whole: bytes) -> None:
    for ethernet in (IPV4, IPV6, ARP, 0):
        for end in range(len(whole)):
            Header(ethernet, whole[:end])


def test_records_are_read_behind_their_lengths() -> None:
    fields = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 2, b"h" * 84)
    framed = struct.pack("=II", RECORD.size, 0) + RECORD.pack(*fields)
    assert RECORD.size % 8 == 0
    assert list(records(framed * 2)) == [fields, fields]


def drop(**fields: object) -> Drop:
    made = Drop(0.0, "NO_SOCKET", "f+0x1", family="inet", protocol="tcp", interface="eth0", received_on="eth1")
    made = made._replace(source_address="10.0.0.1", source_port=40000)
    made = made._replace(destination_address="10.0.0.2", destination_port=443)
    return made._replace(**fields)


@pytest.mark.parametrize(
    "text",
    [
        *("", "10.0.0.1", "host 10.0.0.2", "10.0.0.0/24", "10.0.0.1 -> 10.0.0.2:443", "10.0.0.1 > 10.0.0.2", "443/tcp"),
        *("10.0.0.1 10.0.0.2 443", "10.0.0.1:40000 -> any", "tcp port 443", "port https", "dport 443", "src 10.0.0.1"),
        *("dst host 10.0.0.2 and dst port 443", "dev eth0", "dev eth1 tcp", "reason NO_SOCKET", "no_socket", "ip tcp"),
        *("reason NO_SOCKET,TCP_CSUM", "udp tcp", "SKB_DROP_REASON_NO_SOCKET", "10.0.0.2:443"),
    ],
)
def test_filters_that_take_it(text: str) -> None:
    assert parse(text.split(), texts()).wants(drop())


@pytest.mark.parametrize(
    "text",
    [
        *(
            "10.0.0.3",
            "10.0.0.2 -> 10.0.0.1",
            "udp",
            "port 80",
            "sport 443",
            "dev eth2",
            "reason TCP_CSUM",
            "ip6",
            "arp",
        ),
        *(
            "arp",
            "src 10.0.0.2",
            "dst net 10.0.1.0/24",
            "10.0.0.1 -> 10.0.0.2:80",
            "2001:db8::1",
            "tcp port 443 dev eth2",
        ),
    ],
)
def test_filters_that_do_not(text: str) -> None:
    assert not parse(text.split(), texts()).wants(drop())


@pytest.mark.parametrize("text", ["host", "port", "port x.y", "reason NO_SUCKET", "10.0.0.256", "pid x", "host a/33"])
def test_filters_without_sense(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text.split(), texts())


def test_names_of_reasons_and_places() -> None:
    reasons = Reasons({3: "SKB_DROP_REASON_NO_SOCKET", 1: "SKB_CONSUMED"}, {2: "SKB_DROP_REASON_SUBSYS_OPENVSWITCH"})
    assert [reasons[number] for number in (3, 1, 200, 2 << 16 | 7, 9 << 16 | 1)] == [
        *("NO_SOCKET", "CONSUMED", "200", "OPENVSWITCH.7", "9.1"),
    ]
    places = Places([(0x1000, "first"), (0x2000, "second")])
    assert [places[address] for address in (0x500, 0x1010, 0x2000)] == ["0x500", "first+0x10", "second+0x0"]
    assert Places([(0, "hidden")])[0x1000] == "0x1000"


def test_a_packet_in_a_few_words() -> None:
    assert packet_text(drop()) == "tcp 10.0.0.1:40000 > 10.0.0.2:443"
    assert packet_text(drop(source_address="::1", source_port=None, protocol=None)) == "inet ::1 > 10.0.0.2:443"
    nothing = dict.fromkeys(("source_address", "source_port", "destination_address", "destination_port"))
    assert packet_text(drop(**nothing, protocol=None, family=None)) is None
