"""Bulk: one TCP connection in each family carries four mebibytes from client to server."""

import select

NEEDS = ("client", "server")
PACKETS = 20_000
SECONDS = 30

SIZE = 4 << 20
PIECE = bytes(256 << 10)


def play(traffic):
    for _, _, address in traffic.families():
        with traffic.listen(traffic.host("server"), address) as listener:
            (client,) = traffic.connect(traffic.host("client"), listener.getsockname())
            server = listener.accept()[0]
        with client, server:
            client.setblocking(False)
            server.setblocking(False)
            sent = received = 0
            while received < SIZE:
                readable, writable, _ = select.select([server], [client] if sent < SIZE else [], [], traffic.remaining)
                if writable:
                    number = client.send(PIECE[: SIZE - sent])
                    sent += number
                    traffic.count("bytes", number)
                if readable:
                    received += len(server.recv(len(PIECE)))
                traffic.count("bytes", 0)
