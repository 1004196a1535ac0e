"""Makes the screenshots of the README (`make screenshots`): the live view over a lab with traffic of its own."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from pathlib import Path
from threading import Event, Thread

from netinspect.environment import Environment
from netinspect.lab import Host, Lab, load
from netinspect.top.command import Top
from netinspect.top.command_view import sources
from netinspect.top.view.app import TopApp

SIZE = (110, 24)
_RATES = (900_000, 350_000, 120_000, 40_000, 9_000, 700)
"""Bytes a second of the connections."""


def traffic(server: Host, client: Host, ended: Event) -> None:
    """Sends at these rates until the event: one connection for each, and one that comes and goes."""
    address = server.addresses[0]
    listener = server.call(lambda: socket.create_server((address, 8080)))
    held: list[tuple[socket.socket, socket.socket, int]] = []

    def connect() -> tuple[socket.socket, socket.socket]:
        return client.call(lambda: socket.create_connection((address, 8080))), listener.accept()[0]

    for rate in _RATES:
        held.append((*connect(), rate))
    while not ended.wait(0.05):
        brief = connect()
        for sending, receiving, rate in held:
            part = rate // 20
            sending.sendall(bytes(part))
            receiving.recv(part, socket.MSG_WAITALL)
        if time.monotonic() % 2 < 0.05:
            held.append((*brief, 0))
        else:
            for one in brief:
                one.close()


async def shoot(app: TopApp, path: Path) -> None:
    """Saves the screen once it has rates, and processes."""
    async with app.run_test(size=SIZE) as pilot:
        ends = time.monotonic() + 20
        while time.monotonic() < ends:
            await pilot.pause(0.2)
            frame = app.grid.frame
            if frame is not None and frame.seconds is not None and len(app.sampling.history.of(frame.keys[0])) > 3:
                break
        path.write_text(app.export_screenshot(title="netinspect top"))


def main() -> None:
    """Writes docs/top.svg, or the path that is given."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "docs" / "top.svg"
    with Lab(load("pair")) as lab:
        client, server = list(lab.hosts.values())[:2]
        ended = Event()
        sending = Thread(target=traffic, args=(server, client, ended), daemon=True)
        sending.start()
        environment = Environment(lambda data: None, lambda data: None, False, SIZE[0])
        command = Top.read(["-N", server.path], environment)
        assert command is not None
        app = TopApp(sources(command), place=server.name)
        asyncio.run(shoot(app, path))
        ended.set()
        sending.join()
    print(path)


main()
