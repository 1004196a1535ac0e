"""Conntrack events at a steady rate, and what listening to them costs netinspect and ``conntrack -E``.

Each flow is made, changed and deleted over ctnetlink, one after the other, so that messages of three lengths alternate
as they do on a gateway. The same events reach one listener after the other, never two at once.
"""

from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from netinspect.lab import Host, LabError

_NETLINK_NETFILTER = 12
_CT_NEW, _CT_DELETE = 1 << 8, 1 << 8 | 2  # linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h
_REQUEST, _EXCL, _CREATE = 1, 0x200, 0x400
_NESTED = 0x8000
_IN_A_PART = 0.01
"""Seconds between two sends."""
EVENTS_OF_A_FLOW = 3
_BUFFER = 8 << 20
"""Bytes of receive buffer that both listeners ask for: what netinspect takes without being asked."""
PEER = f"conntrack -E -b {_BUFFER}"


class Heard(NamedTuple):
    """What one listener made of it: events, those lost, and seconds of its processor time.

    ``rate`` is how many a second could be made, where the machine is too slow for those asked for.
    """

    rate: int
    events: int
    lost: int
    processor: float


def send(rate: int, seconds: float) -> float:
    """Makes ``rate`` events a second in this network namespace; returns the seconds that it took."""
    import socket

    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as opened:
        opened.bind((0, 0))
        began = time.monotonic()
        made, flows = 0, int(rate * seconds) // EVENTS_OF_A_FLOW
        while made < flows:
            due = min(flows, int((time.monotonic() - began + _IN_A_PART) * rate) // EVENTS_OF_A_FLOW)
            for first in range(made, due, 60):
                opened.send(b"".join(_of_a_flow(number) for number in range(first, min(first + 60, due))))
            made = max(made, due)
            time.sleep(_IN_A_PART)
        return time.monotonic() - began


def _of_a_flow(number: int) -> bytes:
    client = struct.pack(">I", 0x64400000 + number % (1 << 22))  # RFC 6598
    server = bytes((198, 51, 100, 1))
    original, reply = _tuple(1, client, server, 40000, 443), _tuple(2, server, client, 443, 40000)
    state = _attribute(4 | _NESTED, _attribute(1 | _NESTED, _attribute(1, b"\3")))
    more = _attribute(7, struct.pack(">I", 300)) + _attribute(3, struct.pack(">I", 0xE))
    mark = _attribute(8, struct.pack(">I", number))
    return (
        _message(_CT_NEW, _CREATE | _EXCL, original + reply + more + state)
        + _message(_CT_NEW, 0, original + reply + mark)
        + _message(_CT_DELETE, 0, original)
    )


def _tuple(kind: int, source: bytes, destination: bytes, source_port: int, destination_port: int) -> bytes:
    addresses = _attribute(1, source) + _attribute(2, destination)
    ports = _attribute(2, struct.pack(">H", source_port)) + _attribute(3, struct.pack(">H", destination_port))
    protocol = _attribute(2 | _NESTED, _attribute(1, b"\6") + ports)
    return _attribute(kind | _NESTED, _attribute(1 | _NESTED, addresses) + protocol)


def _attribute(kind: int, payload: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(payload), kind) + payload + bytes(-len(payload) % 4)


def _message(kind: int, flags: int, attributes: bytes) -> bytes:
    header = struct.pack("=IHHII", 20 + len(attributes), kind, _REQUEST | flags, 0, 0)
    return header + struct.pack(">BBH", 2, 0, 0) + attributes


def listen(host: Host, command: Sequence[str], rate: int, seconds: float) -> Heard:
    """Runs a listener while events are made. Raises LabError where it does not listen."""
    with TemporaryDirectory() as scratch:
        output, errors = Path(scratch, "output"), Path(scratch, "errors")
        with output.open("wb") as out, errors.open("wb") as complaints:
            listener = host.popen([*command], stdout=out, stderr=complaints, stdin=subprocess.DEVNULL)
            _wait(lambda: host.call(_queues) != [], f"{command[0]} does not listen")
            before = _processor(listener.pid)
            sender = host.popen([sys.executable, __file__, str(rate), str(seconds)], stdout=subprocess.PIPE)
            assert sender.stdout is not None
            took = float(sender.stdout.read() or "nan")
            sender.wait()
            _wait(lambda: not any(host.call(_queues)), f"{command[0]} does not keep up")
            cost = _settled(listener.pid) - before
            listener.send_signal(signal.SIGINT)
            listener.wait()
        lines = output.read_bytes().count(b"\n")
        shown = re.search(r"([0-9]+) flow events have been shown", errors.read_text())
    made = int(rate * seconds) // EVENTS_OF_A_FLOW * EVENTS_OF_A_FLOW
    events = int(shown[1]) if shown else lines - 1
    return Heard(int(made / max(took, seconds)), events, made - events, cost)


def _wait(condition: Callable[[], bool], otherwise: str) -> None:
    end = time.monotonic() + 30
    while not condition():
        if time.monotonic() > end:
            raise LabError(otherwise)
        time.sleep(0.05)


def _queues() -> list[int]:
    """What waits in the sockets of this namespace that listen to conntrack events, in bytes (/proc/net/netlink)."""
    rows = map(str.split, Path("/proc/thread-self/net/netlink").read_text().splitlines()[1:])
    return [int(row[4]) for row in rows if int(row[1]) == _NETLINK_NETFILTER and int(row[3], 16)]


def _settled(process: int) -> float:
    """Processor time of a process once it does nothing for a second."""
    cost = -1.0
    while (now := _processor(process)) != cost:
        cost = now
        time.sleep(1)
    return cost


def _processor(process: int) -> float:
    """User and system time of a process and its threads (proc(5): stat)."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    print(send(int(sys.argv[1]), float(sys.argv[2])))
