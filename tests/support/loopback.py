"""A TCP connection over the loopback of a namespace, for those who look at what it carries."""

from __future__ import annotations

import fcntl
import socket
import struct

from patience import until
from throwaway import Namespace

_SIOCOUTQ = 0x5411  # asm-generic/ioctls.h: TIOCOUTQ


class Connection:
    """Both ends of a TCP connection over the loopback of a namespace."""

    def __init__(self, namespace: Namespace) -> None:
        def connect() -> tuple[socket.socket, socket.socket]:
            with socket.create_server(("127.0.0.1", 0)) as server:
                client = socket.create_connection(server.getsockname())
                return client, server.accept()[0]

        self.client, self.server = namespace.call(connect)
        self.port = self.client.getsockname()[1]

    def send(self, size: int) -> None:
        """Sends so many bytes, and returns when the other end has acknowledged and read them."""
        left = size
        while left:
            block = min(left, 1 << 16)
            self.client.sendall(b"x" * block)
            self.server.recv(block, socket.MSG_WAITALL)
            left -= block
        until(lambda: not struct.unpack("i", fcntl.ioctl(self.client, _SIOCOUTQ, bytes(4)))[0], "acknowledgment")

    def close(self) -> None:
        self.client.close()
        self.server.close()
