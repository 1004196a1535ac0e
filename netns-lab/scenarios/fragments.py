"""Fragments: in each family a UDP datagram of 4,000 bytes in crafted fragments that arrive, and one that never ends."""

from netinspect.lab.traffic import crafted

NEEDS = ("client", "server")
PACKETS = 200
SECONDS = 15

SIZE = 4000
PIECE = 1000
"""Bytes of payload in each fragment: a multiple of eight, as offsets are counted in eights (RFC 791)."""


def play(traffic):
    scapy = crafted()
    UDP = scapy.layers.inet.UDP
    client = traffic.host("client")
    for family, ours, address in traffic.families():
        with traffic.datagram(traffic.host("server"), address) as server:
            there = UDP(sport=30_000, dport=server.getsockname()[1])
            with traffic.raw(client, family) as opened:
                for identity, whole in ((1, True), (2, False)):
                    pieces = list(fragments(scapy, family, ours, address, there / bytes(SIZE), identity))
                    for piece in pieces if whole else pieces[:-1]:
                        opened.sendto(piece, (address, 0))
                        traffic.count("fragments")
            if len(server.recv(65536)) == SIZE:
                traffic.count("datagrams put together")


def fragments(scapy, family, source, destination, datagram, identity):
    """The fragments of a datagram, as whole packets."""
    IP, IPv6 = scapy.layers.inet.IP, scapy.layers.inet6.IPv6
    base = (IP if family == 4 else IPv6)(src=source, dst=destination) / datagram
    whole = bytes(base)[20 if family == 4 else 40 :]
    for offset in range(0, len(whole), PIECE):
        piece, more = whole[offset : offset + PIECE], offset + PIECE < len(whole)
        if family == 4:
            flags = "MF" if more else 0
            yield bytes(IP(src=source, dst=destination, id=identity, flags=flags, frag=offset // 8, proto=17) / piece)
        else:
            header = scapy.layers.inet6.IPv6ExtHdrFragment(id=identity, offset=offset // 8, m=int(more), nh=17)
            yield bytes(IPv6(src=source, dst=destination) / header / piece)
