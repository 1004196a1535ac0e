"""A container engine's API on a unix socket, or something that only looks like one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

Behaviour = Callable[[socket.socket, str], object]
"""What is done with a connection, and the path that was asked for."""

ANSWERS = Path(__file__).parent.parent / "engine" / "containers" / "answers"


def recorded(name: str) -> bytes:
    """An answer that a real engine gave (Podman 4.3), or one after the documentation of Docker's API."""
    return (ANSWERS / f"{name}.json").read_bytes()


def answering(bodies: Mapping[str, bytes]) -> Behaviour:
    """Answers as an engine does, with the body for the path; all others are not found."""

    def answer(connection: socket.socket, path: str) -> None:
        body = bodies.get(path)
        status = b"404 Not Found" if body is None else b"200 OK"
        body = body or b"{}"
        head = b"HTTP/1.0 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
        connection.sendall(head + body)

    return answer


def podman() -> Behaviour:
    """Podman, with its own API and Docker's."""
    return answering({"/containers/json": recorded("podman"), "/v4.0.0/libpod/containers/json": recorded("libpod")})


@contextmanager
def engine(path: Path, behave: Behaviour) -> Iterator[str]:
    """The path of a socket where something behaves so towards each connection, in a thread of its own."""
    ended = threading.Event()
    threads = []

    def serve(connection: socket.socket) -> None:
        with connection:
            try:
                asked = b""
                while b"\r\n\r\n" not in asked:
                    block = connection.recv(4096)
                    if not block:
                        return
                    asked += block
                behave(connection, asked.split(b" ", 2)[1].decode())
            except OSError:
                return  # who asked has had enough

    def accept() -> None:
        while not ended.is_set():
            try:
                connection, _ = server.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            connection.settimeout(10)
            thread = threading.Thread(target=serve, args=(connection,), daemon=True)
            threads.append(thread)
            thread.start()

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen(16)
        server.settimeout(0.2)
        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield str(path)
        finally:
            ended.set()
            accepting.join()
    for thread in threads:
        thread.join(20)
