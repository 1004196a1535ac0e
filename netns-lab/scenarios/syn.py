"""SYN without answer: sixteen crafted SYNs in each family whose client ignores the SYN-ACK, so that SYN_RECV stays."""

from netinspect.lab.traffic import crafted

NEEDS = ("client", "server")
PACKETS = 1_000
SECONDS = 15

SYNS = 16
FIRST_PORT = 20_000


def play(traffic):
    scapy = crafted()
    TCP = scapy.layers.inet.TCP
    client = traffic.host("client")
    for family, ours, address in traffic.families():
        listener = traffic.listen(traffic.host("server"), address)
        traffic.keep(listener)
        port = listener.getsockname()[1]
        # Without this the client's kernel would answer the SYN-ACK, of which it knows nothing, with a reset.
        client.drop(family=family, protocol="tcp", source_port=port, hook="input")
        IP = scapy.layers.inet.IP if family == 4 else scapy.layers.inet6.IPv6
        with traffic.raw(client, family) as opened:
            for number in range(SYNS):
                segment = TCP(sport=FIRST_PORT + number, dport=port, flags="S", seq=number, options=[("MSS", 1000)])
                opened.sendto(bytes(IP(src=ours, dst=address) / segment), (address, 0))
                traffic.count("SYN segments")
