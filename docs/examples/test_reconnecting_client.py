"""A client that must survive its server's restart, and leave nothing behind: a network built in the test."""

import socket
import time


class Client:
    """The code under test: asks, and connects again when the connection has gone."""

    def __init__(self, connect):
        self._connect = connect
        self._socket = connect()

    def ask(self, question):
        for _ in range(50):
            try:
                self._socket.sendall(question)
                answer = self._socket.recv(100)
                if answer:
                    return answer
            except OSError:
                pass
            time.sleep(0.02)
            self._socket.close()
            try:
                self._socket = self._connect()
            except OSError:
                continue
        raise TimeoutError("no answer")

    def close(self):
        self._socket.close()


SERVER = """
import socket, sys
listener = socket.create_server(("10.0.0.2", 7000))
while True:
    connection = listener.accept()[0]
    while data := connection.recv(100):
        connection.sendall(data.upper())
"""


def test_the_client_finds_the_restarted_server(lab):
    import sys

    net = lab()
    here, there = net.host("here"), net.host("there")
    net.link(here, there, "10.0.0.1/24", "10.0.0.2/24")

    def start():
        server = there.popen([sys.executable, "-c", SERVER], stderr=-1)
        there.wait_listening(7000, process=server)
        return server

    def connect():
        return here.call(lambda: socket.create_connection(("10.0.0.2", 7000), timeout=2))

    server = start()
    client = Client(connect)
    assert client.ask(b"first") == b"FIRST"
    here.wait_established(remote_address="10.0.0.2", remote_port=7000)

    server.kill()
    server.wait()
    server = start()
    assert client.ask(b"second") == b"SECOND"

    client.close()
    server.kill()
    server.wait()
    net.assert_no_leaks()
