"""UDP: twenty datagrams to the server in each family, each answered; both sockets stay open."""

NEEDS = ("client", "server")
PACKETS = 500
SECONDS = 10

DATAGRAMS = 20


def play(traffic):
    for _, ours, address in traffic.families():
        server = traffic.datagram(traffic.host("server"), address)
        client = traffic.datagram(traffic.host("client"), ours)
        client.connect(server.getsockname())
        traffic.keep(client, server)
        for number in range(DATAGRAMS):
            client.send(b"question %d" % number)
            data, sender = server.recvfrom(2048)
            server.sendto(b"answer to " + data, sender)
            client.recv(2048)
            traffic.count("datagrams", 2)
