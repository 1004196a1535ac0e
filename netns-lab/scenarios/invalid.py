"""Invalid: crafted TCP segments and UDP datagrams with wrong checksums, which connection tracking counts as invalid."""

from netinspect.lab.traffic import crafted

NEEDS = ("client", "server", "nat")
PACKETS = 200
SECONDS = 15

EACH = 8


def play(traffic):
    scapy = crafted()
    inet = scapy.layers.inet
    for family, ours, address in traffic.families():
        IP = inet.IP if family == 4 else scapy.layers.inet6.IPv6
        with traffic.raw(traffic.host("client"), family) as opened:
            for number in range(EACH):
                for wrong in (
                    inet.TCP(sport=30_000 + number, dport=80, flags="S", chksum=0xBAD),
                    inet.UDP(sport=30_000 + number, dport=53, chksum=0xBAD) / b"wrong",
                ):
                    opened.sendto(bytes(IP(src=ours, dst=address) / wrong), (address, 0))
                    traffic.count("packets with a wrong checksum")
