"""Holds connections over loopback, each from an address of its own: ``python hold.py FIRST COUNT``, until killed.

As on a server with many clients: addresses repeat as little as they can. Says ``ready`` when it has them.
"""

from __future__ import annotations

import resource
import socket
import sys
from ipaddress import IPv4Address

IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h


def main(first: int, count: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    held = [socket.create_server(("0.0.0.0", 0), backlog=100)]
    port = held[0].getsockname()[1]
    for number in range(first, first + count):
        client = socket.socket()
        client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        client.bind((str(IPv4Address("127.1.0.0") + number), 0))
        client.connect(("127.0.0.1", port))
        held += [client, held[0].accept()[0]]
    print("ready", flush=True)
    sys.stdin.read()


main(*map(int, sys.argv[1:]))
