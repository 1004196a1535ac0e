"""Idle: five TCP connections in each family, established and silent, with keepalive; they stay open."""

import socket

NEEDS = ("client", "server")
PACKETS = 200
SECONDS = 10

CONNECTIONS = 5


def play(traffic):
    for _, _, address in traffic.families():
        listener = traffic.listen(traffic.host("server"), address)
        clients = traffic.connect(traffic.host("client"), listener.getsockname(), CONNECTIONS)
        for client in clients:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        traffic.keep(listener, *clients, *(listener.accept()[0] for _ in clients))
