"""A program that changes one table of its network namespace thousands of times a second, until it is asked to stop.

``python churn.py NOUN RATE``; at the end of standard input it says how many changes it has made.
"""

from __future__ import annotations

import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from conntrack_entries import Entry, encoded

from netinspect.engine.netlink.messages import attribute, message

AT_ONCE = 0.005
"""Seconds between two bursts: many small ones, so that changes fall into every dump."""
_EXCLUSIVE_CREATE = 0x600
_NEW_ADDRESS, _DELETE_ADDRESS, _NEW_ROUTE, _DELETE_ROUTE = 20, 21, 24, 25


def _request(kind: int, payload: bytes) -> bytes:
    # To a request that removes something, the same bits mean something else (linux/netlink.h: NLM_F_BULK).
    return message(kind, 0 if kind in (_DELETE_ROUTE, _DELETE_ADDRESS) else _EXCLUSIVE_CREATE, payload)


def _route(kind: int, number: int) -> bytes:
    destination = struct.pack(">I", (10 << 24 | 128 << 16) + number)
    header = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, 0, 0, 254, 4, 253, 1, 0)
    return _request(kind, header + attribute(1, destination) + attribute(4, struct.pack("=I", 1)))


def _address(kind: int, number: int) -> bytes:
    address = struct.pack(">I", (10 << 24 | 200 << 16) + number)
    return _request(kind, struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, 1) + attribute(2, address))


def _sent(protocol: int, make: Callable[[bool, int], bytes], held: int = 200) -> Iterator[None]:
    """Makes entries and removes the oldest, a netlink request each; nobody asks for answers."""
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    opened.setblocking(False)
    number = 0

    def send(request: bytes) -> None:
        opened.send(request)
        try:
            opened.recv(1 << 16)
        except BlockingIOError:
            pass

    while True:
        send(make(True, number % 50_000))
        yield
        if number >= held:
            send(make(False, (number - held) % 50_000))
            yield
        number += 1


def _flow(is_new: bool, number: int) -> bytes:
    entry = Entry(f"10.50.{number >> 8}.{number & 255}", "10.60.0.1")
    request = encoded(entry)
    if is_new:
        return request
    header, payload = request[:16], request[16:]
    length, _, _, sequence, port = struct.unpack("=IHHII", header)
    return struct.pack("=IHHII", length, 0x102, 5, sequence, port) + payload  # IPCTNL_MSG_CT_DELETE, with an answer


def _connections() -> Iterator[None]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    kept = []
    while True:
        client = socket.create_connection(listener.getsockname())
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leaves no TIME_WAIT
        kept.append((client, listener.accept()[0]))
        yield
        if len(kept) > 100:
            for one in kept.pop(0):
                one.close()
            yield


CHURNS: dict[str, Callable[[], Iterator[None]]] = {
    "sockets": _connections,
    "routes": lambda: _sent(
        socket.NETLINK_ROUTE, lambda is_new, number: _route(_NEW_ROUTE if is_new else _DELETE_ROUTE, number)
    ),
    "addresses": lambda: _sent(
        socket.NETLINK_ROUTE, lambda is_new, number: _address(_NEW_ADDRESS if is_new else _DELETE_ADDRESS, number)
    ),
    "flows": lambda: _sent(12, _flow),
}


def main(noun: str, rate: int) -> None:
    changes = CHURNS[noun]()
    began = time.monotonic()
    done = 0
    print("begun", flush=True)
    while not select.select([0], (), (), AT_ONCE)[0]:
        due = int((time.monotonic() - began) * rate)
        # What was missed while others had the processor is not made up for in one go.
        for _ in range(min(due - done, rate // 20)):
            next(changes)
            done += 1
        if due - done > rate // 10:
            began += (due - done) / rate
    print(done, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
