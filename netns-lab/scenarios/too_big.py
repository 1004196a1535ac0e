"""Too big: the router tells the client, in crafted ICMP, that the way to the server takes 1,280 bytes at most.

The client's kernel then has a route exception, though no packet was ever too big.
"""

from netinspect.lab.traffic import crafted

NEEDS = ("client", "server", "router")
PACKETS = 200
SECONDS = 15

MTU = 1280


def play(traffic):
    scapy = crafted()
    inet, inet6 = scapy.layers.inet, scapy.layers.inet6
    router = traffic.host("router")
    for family, ours, address in traffic.families():
        gateway = router.address(family)
        if gateway is None:
            continue
        # The kernel believes only what quotes a packet of a socket that exists.
        client = traffic.datagram(traffic.host("client"), ours)
        client.connect((address, 9))
        client.send(b"x")
        traffic.count("datagrams")
        traffic.keep(client)
        quoted = inet.UDP(sport=client.getsockname()[1], dport=9) / b"x"
        if family == 4:
            inner = inet.IP(src=ours, dst=address, flags="DF") / quoted
            packet = inet.IP(src=gateway, dst=ours) / inet.ICMP(type=3, code=4, nexthopmtu=MTU) / inner
        else:
            inner = inet6.IPv6(src=ours, dst=address) / quoted
            packet = inet6.IPv6(src=gateway, dst=ours) / inet6.ICMPv6PacketTooBig(mtu=MTU) / inner
        with traffic.raw(router, family) as opened:
            opened.sendto(bytes(packet), (ours, 0))
            traffic.count("ICMP too-big messages")
