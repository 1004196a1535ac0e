"""Half-closed: in each family one TCP connection whose client has finished, so that FIN_WAIT2 and CLOSE_WAIT stay."""

import socket
import time

NEEDS = ("client", "server")
PACKETS = 200
SECONDS = 10

FIN_WAIT2 = 5
"""net/tcp_states.h; the first byte of struct tcp_info is the state."""


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
        # The server's kernel may take its time (40 ms) to acknowledge the end.
        while client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != FIN_WAIT2:
            time.sleep(0.002)
            traffic.count("bytes", 0)
