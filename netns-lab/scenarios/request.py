"""TCP request and response: ten connections in each family, each with one request and one longer answer."""

NEEDS = ("client", "server")
PACKETS = 800
SECONDS = 10

CONNECTIONS = 10
REQUEST = b"GET / HTTP/1.0\r\n\r\n"
ANSWER = b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 4000


def play(traffic):
    for _, _, address in traffic.families():
        with traffic.listen(traffic.host("server"), address) as listener:
            for client in traffic.connect(traffic.host("client"), listener.getsockname(), CONNECTIONS):
                with client, listener.accept()[0] as server:
                    client.sendall(REQUEST)
                    traffic.count("bytes", len(REQUEST))
                    server.recv(len(REQUEST), 0x100)  # MSG_WAITALL
                    server.sendall(ANSWER)
                    traffic.count("bytes", len(ANSWER))
                    server.close()
                    while client.recv(65536):
                        pass
