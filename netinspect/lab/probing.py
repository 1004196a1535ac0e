"""Plays a fault's probe: traffic that is answered in a healthy lab, and not in the broken one."""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

from ..errors import NetinspectError
from .fault import Probe

if TYPE_CHECKING:
    from .lab import Host, Lab

_PATIENCE = 0.7
"""Seconds for each step: a lab answers in less than a millisecond, and TCP sends again after 0.2 s at first."""
_ANSWER = b"answer"


def answered(lab: Lab[Any], probe: Probe, patience: float = _PATIENCE) -> str | None:
    """None where all that was asked was answered; else what went wrong, in a few words.

    ``patience`` is how many seconds each step may take.
    """
    with ExitStack() as opened:
        try:
            _ask(lab, probe, patience, _servers(lab, probe, patience, opened))
        except OSError as error:
            return error.strerror or str(error) or type(error).__name__
    return None


def _ask(lab: Lab[Any], probe: Probe, patience: float, servers: list[socket.socket]) -> None:
    with ExitStack() as opened:
        exchange = _tcp if probe.protocol == "tcp" else _udp
        exchange(lab, probe, patience, opened, servers)


def _servers(lab: Lab[Any], probe: Probe, patience: float, opened: ExitStack) -> list[socket.socket]:
    port = probe.serve or probe.port
    return [_socket(lab[name], probe, opened, patience, port, True) for name in (probe.server, *probe.also)]


def _socket(host: Host, probe: Probe, opened: ExitStack, patience: float, port: int, listen: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in probe.to else socket.AF_INET
    kind = socket.SOCK_STREAM if probe.protocol == "tcp" else socket.SOCK_DGRAM

    def make() -> socket.socket:
        made = socket.socket(family, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if port or listen:
            made.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
        if listen and kind == socket.SOCK_STREAM:
            made.listen(probe.connections)
        return made

    made: socket.socket = opened.enter_context(host.call(make))
    made.settimeout(patience)
    return made


def _tcp(lab: Lab[Any], probe: Probe, patience: float, opened: ExitStack, listeners: list[socket.socket]) -> None:
    pairs = []
    for _ in range(probe.connections):
        client = _socket(lab[probe.client], probe, opened, patience, probe.source_port or 0, False)
        client.connect((probe.to, probe.port))
        server = opened.enter_context(_first(listeners, patience).accept()[0])
        server.settimeout(patience)
        pairs.append((client, server))
        _upload(client, server, probe.size)
        server.sendall(_ANSWER)
        _expect(client)
        if probe.passive:
            _second(lab, probe, patience, opened, client, server)
    if probe.pause:
        time.sleep(probe.pause / 1000)
        for client, server in pairs:
            server.sendall(_ANSWER)
            _expect(client)


def _first(waiting: list[socket.socket], patience: float) -> socket.socket:
    """The one to which something comes first."""
    ready, _, _ = select.select(waiting, [], [], patience)
    if not ready:
        raise TimeoutError("timed out")
    return ready[0]


def _upload(client: socket.socket, server: socket.socket, size: int) -> None:
    sent = received = 0
    while received < size:
        if sent < size:
            sent += client.send(b"x" * min(size - sent, 1 << 16))
        received += len(server.recv(1 << 16))


def _second(
    lab: Lab[Any], probe: Probe, patience: float, opened: ExitStack, client: socket.socket, server: socket.socket
) -> None:
    """A second connection, to the port that the server announces as FTP's do: 227 (h1,h2,h3,h4,p1,p2)."""
    assert probe.passive is not None
    listener = _socket(lab[probe.server], probe, opened, patience, probe.passive, True)
    host = server.getsockname()[0].split(".")
    server.sendall(b"227 Entering Passive Mode (%s).\r\n" % ",".join([*host, *_bytes(probe.passive)]).encode())
    numbers = client.recv(1 << 10).decode("ascii", "replace").partition("(")[2].partition(")")[0].split(",")
    second = _socket(lab[probe.client], probe, opened, patience, 0, False)
    second.connect((".".join(numbers[:4]), int(numbers[4]) << 8 | int(numbers[5])))
    accepted = opened.enter_context(listener.accept()[0])
    accepted.sendall(_ANSWER)
    _expect(second)


def _bytes(port: int) -> list[str]:
    return [str(port >> 8), str(port & 255)]


def _expect(client: socket.socket) -> None:
    if client.recv(len(_ANSWER)) != _ANSWER:
        raise ConnectionError("closed before the answer")


def _udp(lab: Lab[Any], probe: Probe, patience: float, opened: ExitStack, servers: list[socket.socket]) -> None:
    clients = []
    for _ in range(probe.connections):
        client = _socket(lab[probe.client], probe, opened, patience, probe.source_port or 0, False)
        client.connect((probe.to, probe.port))
        client.send(b"x" * probe.size)
        server = _first(servers, patience)
        _, sender = server.recvfrom(1 << 16)
        server.sendto(_ANSWER, sender)
        _expect(client)
        clients.append((client, server, sender))
    if probe.pause:
        time.sleep(probe.pause / 1000)
        for client, server, sender in clients:
            server.sendto(_ANSWER, sender)
            _expect(client)


def keep_asking(lab: Lab[Any], probe: Probe, stopped: Callable[[float], bool]) -> None:
    """Asks again and again until ``stopped``, which waits for that many seconds, is true. Answers do not matter.

    The servers stay meanwhile, as they do in a network.
    """
    with ExitStack() as opened:
        servers: list[socket.socket] = []
        while not stopped(0.1):
            with suppress(OSError, NetinspectError):
                servers = servers or _servers(lab, probe, _PATIENCE, opened)
                for server in servers:
                    _drain(server, probe)
                _ask(lab, probe, _PATIENCE, servers)


def _drain(server: socket.socket, probe: Probe) -> None:
    """Takes what an earlier question left behind."""
    with suppress(TimeoutError, BlockingIOError):
        server.settimeout(0)
        while True:
            if probe.protocol == "tcp":
                server.accept()[0].close()
            else:
                server.recv(1 << 16)
    server.settimeout(_PATIENCE)
