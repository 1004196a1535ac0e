"""Half-closed: in each family one TCP connection whose client has finished, so that FIN_WAIT2 and CLOSE_WAIT stay."""

import socket

NEEDS = ("client", "server")
PACKETS = 100
SECONDS = 10


def play(traffic):
    for _, _, address in traffic.families():
        with traffic.listen(traffic.host("server"), address) as listener:
            (client,) = traffic.connect(traffic.host("client"), listener.getsockname())
            server = listener.accept()[0]
        traffic.keep(client, server)
        client.sendall(b"that is all")
        traffic.count("bytes", 11)
        client.shutdown(socket.SHUT_WR)
        while server.recv(1024):
            pass
