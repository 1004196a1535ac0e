"""A program that changes one table of its network namespace thousands of times a second, until it is asked to stop.

``python churn.py NOUN RATE``; at the end of standard input it says how many changes it has made.
"""

from __future__ import annotations

import itertools
import select
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

sys.path.insert(0, str(Path(__file__).parent))

from conntrack_entries import Entry, encoded

from netinspect.engine.netlink.messages import attribute, message

AT_ONCE = 0.005
"""Seconds between two bursts: many small ones, so that changes fall into every dump."""
_EXCLUSIVE_CREATE = 0x600
_NEW_LINK, _DELETE_LINK, _NEW_ADDRESS, _DELETE_ADDRESS, _NEW_ROUTE, _DELETE_ROUTE = 16, 17, 20, 21, 24, 25
_NEW_NEIGHBOUR, _DELETE_NEIGHBOUR, _NEW_RULE, _DELETE_RULE = 28, 29, 32, 33
_DELETING = (_DELETE_LINK, _DELETE_ADDRESS, _DELETE_ROUTE, _DELETE_NEIGHBOUR, _DELETE_RULE)
INTERFACE = "stays"
"""Where neighbours and groups come and go."""
_LINK_GROUP = 77
_LINK_CHANGES = 40
"""Of others, for each that comes."""


def _request(kind: int, payload: bytes) -> bytes:
    # To a request that removes something, the same bits mean something else (linux/netlink.h: NLM_F_BULK).
    return message(kind, 0 if kind in _DELETING else _EXCLUSIVE_CREATE, payload)


def _route(kind: int, number: int) -> bytes:
    destination = struct.pack(">I", (10 << 24 | 128 << 16) + number)
    header = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, 0, 0, 254, 4, 253, 1, 0)
    return _request(kind, header + attribute(1, destination) + attribute(4, struct.pack("=I", 1)))


def _address(kind: int, number: int) -> bytes:
    address = struct.pack(">I", (10 << 24 | 200 << 16) + number)
    return _request(kind, struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, 1) + attribute(2, address))


def _rule(kind: int, number: int) -> bytes:
    """In the places between those that stay (linux/fib_rules.h: FRA_PRIORITY, FRA_TABLE)."""
    header = struct.pack("=8BI", socket.AF_INET, 0, 0, 0, 0, 0, 0, 1, 0)
    priority = 1000 + number * 7919 % 3000 // 2 * 2 + 1
    return _request(kind, header + attribute(6, struct.pack("=I", priority)) + attribute(15, struct.pack("=I", 254)))


def _neighbour(kind: int, number: int) -> bytes:
    header = struct.pack("=BxxxiHBB", socket.AF_INET, socket.if_nametoindex(INTERFACE), 0x80, 0, 0)  # NUD_PERMANENT
    address = struct.pack(">I", (10 << 24 | 200 << 16) + number)
    return _request(kind, header + attribute(1, address) + attribute(2, bytes((2, 0, 0, 0, 0, 1))))


def _sender(protocol: int) -> Callable[[bytes], None]:
    """Sends requests, one or several in a row; nobody asks for answers."""
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    opened.setblocking(False)

    def send(request: bytes) -> None:
        opened.send(request)
        try:
            while opened.recv(1 << 16):
                pass
        except BlockingIOError:
            pass

    return send


def _links() -> Iterator[None]:
    """Pairs of veth that come, change and go, many requests in one message.

    They are removed fifty at a time: the kernel waits until nobody can be looking at them. Between two that come others
    get another alias, queue length and MTU, and go up and down: that takes it some microseconds each.
    """
    send = _sender(socket.NETLINK_ROUTE)
    random = Random(1)
    header = struct.pack("=BxHiII", 0, 0, 0, 0, 0)
    group = attribute(27, struct.pack("=I", _LINK_GROUP))  # IFLA_GROUP
    for number in itertools.count():
        name = attribute(3, f"d{number}".encode() + b"\0")
        send(_request(_NEW_LINK, header + name + group + attribute(18, attribute(1, b"veth"))))
        yield
        first = number // 50 * 50
        changes = []
        for at in range(_LINK_CHANGES):
            one = attribute(3, f"d{random.randint(first, number)}".encode() + b"\0")
            up = struct.pack("=BxHiII", 0, 0, 0, at & 1, 1)
            way = random.randrange(4)
            if way == 0:
                changes.append(message(_NEW_LINK, 0, up + one))
                continue
            what = (attribute(20, b"x" * (at + 1)), attribute(13, bytes((at, 0, 0, 0))), attribute(4, b"\xdc\5\0\0"))
            changes.append(message(_NEW_LINK, 0, header + one + what[way - 1]))
        send(b"".join(changes))
        for _ in changes:
            yield
        if number % 50 == 49:
            send(_request(_DELETE_LINK, header + group))
            for _ in range(50):
                yield


def _memberships() -> Iterator[None]:
    index = socket.if_nametoindex(INTERFACE)
    members: list[tuple[socket.socket, bytes]] = []
    number = 0
    while True:
        if number % 10 == 0:
            opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        request = struct.pack(">I4xI", (239 << 24 | 200 << 16) + number % 50_000, socket.htonl(index))
        opened.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        members.append((opened, request))
        number += 1
        yield
        if len(members) > 200:
            member, request = members.pop(0)
            member.setsockopt(socket.IPPROTO_IP, socket.IP_DROP_MEMBERSHIP, request)
            yield


def _sent(protocol: int, make: Callable[[bool, int], bytes], held: int = 200) -> Iterator[None]:
    """Makes entries and removes the oldest, a netlink request each."""
    send = _sender(protocol)
    number = 0
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
    "rules": lambda: _sent(
        socket.NETLINK_ROUTE, lambda is_new, number: _rule(_NEW_RULE if is_new else _DELETE_RULE, number)
    ),
    "neighbours": lambda: _sent(
        socket.NETLINK_ROUTE, lambda is_new, number: _neighbour(_NEW_NEIGHBOUR if is_new else _DELETE_NEIGHBOUR, number)
    ),
    "links": _links,
    "groups": _memberships,
}


def main(noun: str, rate: int) -> None:
    changes = CHURNS[noun]()
    began = time.monotonic()
    done = 0
    print("begun", flush=True)
    while not select.select([0], (), (), AT_ONCE)[0]:
        burst = time.monotonic()
        due = int((burst - began) * rate)
        # What was missed while others had the processor is not made up for in one go.
        for _ in range(min(due - done, rate // 20)):
            next(changes)
            done += 1
            if time.monotonic() > burst + 0.1:
                break  # each takes long, as making an interface does
        if due - done > rate // 10:
            began += (due - done) / rate
    print(done, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
