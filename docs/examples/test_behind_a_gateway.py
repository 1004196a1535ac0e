"""What does a server see of clients behind a masquerading gateway? The ready-made topology "gateway" has both."""

import socket
import sys


def test_the_server_sees_the_gateway_and_not_the_client(lab):
    net = lab("gateway")
    command = [sys.executable, "-m", "http.server", "80", "--bind", net.wan.ipv4]
    server = net.wan.popen(command, stderr=-1)
    net.wan.wait_listening(80, process=server)

    # A socket opened on lan1 stays there, and can be used here.
    with net.lan1.call(lambda: socket.create_connection((net.wan.ipv4, 80), timeout=5)) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(12) == b"HTTP/1.0 200"
        net.gateway.assert_natted(client, to="203.0.113.1")

    assert net.lan1.ipv4 != "203.0.113.1"
    server.terminate()
    assert "203.0.113.1 - - " in server.communicate(timeout=5)[1]


def test_a_published_port_leads_to_the_host_behind(lab):
    net = lab("gateway")
    with net.lan1.call(lambda: socket.create_server((net.lan1.ipv4, 80))) as server:
        with net.wan.call(lambda: socket.create_connection(("203.0.113.1", 8080), timeout=5)):
            connection, sender = server.accept()
            connection.close()
        assert sender[0] == net.wan.ipv4
        net.gateway.assert_natted(f"tcp {net.wan.ipv4} -> 203.0.113.1:8080", to=f"{net.lan1.ipv4}:80")
