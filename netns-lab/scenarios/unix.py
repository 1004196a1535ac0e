"""Unix sockets on the client: stream, datagram and seqpacket, abstract names, a message each; they stay open."""

import socket

NEEDS = ("client",)
PACKETS = 200  # none of its own: these are what hosts say to each other meanwhile
SECONDS = 5


def play(traffic):
    host = traffic.host("client")
    name = f"\0netinspect-lab/{traffic.lab.name}/"

    def open_pair(kind, suffix):
        server = socket.socket(socket.AF_UNIX, kind)
        server.bind(name + suffix)
        if kind != socket.SOCK_DGRAM:
            server.listen()
        client = socket.socket(socket.AF_UNIX, kind)
        client.connect(name + suffix)
        return client, server

    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
        suffix = f"{kind.name.lower()}-{len(traffic.counts)}-{id(traffic):x}"
        client, server = host.call(lambda kind=kind, suffix=suffix: open_pair(kind, suffix))
        traffic.keep(client, server)
        client.send(b"hello")
        traffic.count("unix messages")
