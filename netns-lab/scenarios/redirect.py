"""Redirect: the router tells the client, in crafted ICMP and ICMPv6, to reach the server through its neighbour.

ICMPv6 speaks of link-local addresses only (RFC 4861, section 8.1): it is sent where the router and a neighbour were
given one.
"""

from netinspect.lab.traffic import crafted

NEEDS = ("client", "server", "router", "neighbour")
PACKETS = 200
SECONDS = 15


def on_the_link(hosts, family):
    """The first address that stands for one of the hosts in a redirect."""
    wanted = (lambda address: ":" not in address) if family == 4 else (lambda address: address.startswith("fe80:"))
    return next((address for host in hosts for address in host.addresses if wanted(address)), None)


def play(traffic):
    inet, inet6 = crafted().layers.inet, crafted().layers.inet6
    router, client = traffic.host("router"), traffic.host("client")
    for family, ours, address in traffic.families():
        gateway, neighbour = on_the_link([router], family), on_the_link(traffic.hosts("neighbour"), family)
        if gateway is None or neighbour is None:
            continue
        opened = traffic.datagram(client, ours)
        traffic.keep(opened)
        if family == 4:
            # The new gateway must be a neighbour that the client knows already: a datagram makes it look. And the
            # kernel believes only what quotes a packet of a socket that exists.
            send(traffic, opened, neighbour)
            quoted = inet.IP(src=ours, dst=address) / inet.UDP(sport=opened.getsockname()[1], dport=9) / b"x"
            packet = inet.IP(src=gateway, dst=ours) / inet.ICMP(type=5, code=1, gw=neighbour) / quoted
        else:
            # Nothing is quoted: then the route is looked up on the interface where this arrived, and not on that which
            # the socket is bound to, which is none (net/ipv6/route.c: ip6_redirect_no_header, ip6_sk_redirect).
            redirect = inet6.ICMPv6ND_Redirect(tgt=neighbour, dst=address)
            packet = inet6.IPv6(src=gateway, dst=ours, hlim=255) / redirect
        send(traffic, opened, address)
        with traffic.raw(router, family) as sender:
            sender.sendto(bytes(packet), (ours, 0))
            traffic.count("ICMP redirects")
        send(traffic, opened, address)


def send(traffic, opened, address):
    """A datagram to the discard port."""
    opened.sendto(b"x", (address, 9))
    traffic.count("datagrams")
