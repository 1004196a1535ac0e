"""Redirect: the router tells the client, in crafted ICMP, to reach the server by way of its neighbour (IPv4).

IPv6 is left out: its redirects count only from a router's link-local address (RFC 4861, section 8.1), and the routes
of a lab name global ones.
"""

from netinspect.lab.traffic import crafted

NEEDS = ("client", "server", "router", "neighbour")
PACKETS = 100
SECONDS = 15


def play(traffic):
    inet = crafted().layers.inet
    router, client = traffic.host("router"), traffic.host("client")
    neighbour = traffic.host("neighbour").ipv4
    ours, address = client.ipv4, traffic.host("server").ipv4
    # The new gateway must be a neighbour that the client knows already: a datagram makes it look. And the kernel
    # believes only what quotes a packet of a socket that exists.
    opened = traffic.datagram(client, ours)
    traffic.keep(opened)
    for there in (neighbour, address):
        opened.sendto(b"x", (there, 9))
        traffic.count("datagrams")
    quoted = inet.IP(src=ours, dst=address) / inet.UDP(sport=opened.getsockname()[1], dport=9) / b"x"
    packet = inet.IP(src=router.ipv4, dst=ours) / inet.ICMP(type=5, code=1, gw=neighbour) / quoted
    with traffic.raw(router, 4) as sender:
        sender.sendto(bytes(packet), (ours, 0))
        traffic.count("ICMP redirects")
    opened.sendto(b"x", (address, 9))
    traffic.count("datagrams")
