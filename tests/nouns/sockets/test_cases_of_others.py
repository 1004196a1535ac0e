"""What the suites of other programs check of their own listings of sockets, checked of ours.

The cases are those of psutil (net_connections: each kind of socket, connected and not, kinds, owners), of iproute2's
ssfilter test (expressions over a few TCP sockets) and of the kernel's MPTCP diagnostics test; none of their code.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from availability import unavailable
from throwaway import Namespace

import netinspect
from netinspect.errors import UsageError
from netinspect.records import Socket

STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
KINDS = {
    "all": {},
    "inet": {"protocols": ("tcp", "udp")},
    "inet4": {"protocols": ("tcp", "udp"), "families": "inet"},
    "inet6": {"protocols": ("tcp", "udp"), "families": "inet6"},
    "tcp": {"protocols": "tcp"},
    "tcp4": {"protocols": "tcp", "families": "inet"},
    "tcp6": {"protocols": "tcp", "families": "inet6"},
    "udp": {"protocols": "udp"},
    "udp4": {"protocols": "udp", "families": "inet"},
    "udp6": {"protocols": "udp", "families": "inet6"},
    "unix": {"protocols": "unix"},
}


def of_this_process(namespace: Namespace, kind: str = "all") -> dict[int, Socket]:
    """The sockets of this process inside, by descriptor."""
    options: dict[str, Any] = KINDS[kind]
    found = namespace.call(lambda: list(netinspect.sockets(pids=os.getpid(), processes=True, **options)))
    return {
        descriptor: one
        for one in found
        if one.protocol in ("tcp", "udp", "unix")
        for process in one.processes or ()
        if process.pid == os.getpid()
        for descriptor in (process.fd,)
    }


@pytest.mark.parametrize(
    ("family", "kind", "address", "state", "kinds"),
    [
        (socket.AF_INET, STREAM, "127.0.0.1", "LISTEN", {"all", "inet", "inet4", "tcp", "tcp4"}),
        (socket.AF_INET, DATAGRAM, "127.0.0.1", "UNCONNECTED", {"all", "inet", "inet4", "udp", "udp4"}),
        (socket.AF_INET6, STREAM, "::1", "LISTEN", {"all", "inet", "inet6", "tcp", "tcp6"}),
        (socket.AF_INET6, DATAGRAM, "::1", "UNCONNECTED", {"all", "inet", "inet6", "udp", "udp6"}),
    ],
)
def test_a_socket_without_a_peer_is_of_its_kinds_and_of_no_other(
    namespace: Namespace, family: int, kind: int, address: str, state: str, kinds: set[str]
) -> None:
    with namespace.call(lambda: socket.socket(family, kind)) as opened:
        opened.bind((address, 0))
        if kind == STREAM:
            opened.listen()
        for name in KINDS:
            found = of_this_process(namespace, name)
            assert (opened.fileno() in found) == (name in kinds), name
        one = of_this_process(namespace)[opened.fileno()]
        assert (one.local_address, one.local_port) == opened.getsockname()[:2]
        assert one.remote_port in (None, 0)
        assert one.state == state
        assert one.family == ("inet" if family == socket.AF_INET else "inet6")
        assert one.type == ("stream" if kind == STREAM else "dgram")


@pytest.mark.parametrize("kind", [STREAM, DATAGRAM, socket.SOCK_SEQPACKET])
def test_a_unix_socket_has_its_path_and_no_peer(namespace: Namespace, tmp_path: Path, kind: int) -> None:
    path = str(tmp_path / "socket")
    with namespace.call(lambda: socket.socket(socket.AF_UNIX, kind)) as opened:
        opened.bind(path)
        one = of_this_process(namespace, "unix")[opened.fileno()]
        assert (one.local_address, one.remote_address) == (path, None)
        assert one.type == {STREAM: "stream", DATAGRAM: "dgram"}.get(kind, "seqpacket")


def test_two_ends_name_each_other(namespace: Namespace, tmp_path: Path) -> None:
    def connected(family: int, address: Any) -> tuple[socket.socket, socket.socket]:
        with socket.socket(family) as listener:
            listener.bind(address)
            listener.listen()
            client = socket.socket(family)
            client.connect(listener.getsockname())
            return client, listener.accept()[0]

    path = str(tmp_path / "socket")
    for family, address in ((socket.AF_INET, ("127.0.0.1", 0)), (socket.AF_INET6, ("::1", 0)), (socket.AF_UNIX, path)):
        client, server = namespace.call(lambda family=family, address=address: connected(family, address))
        with client, server:
            found = of_this_process(namespace)
            ours, theirs = found[client.fileno()], found[server.fileno()]
            assert {ours.state, theirs.state} == {"ESTABLISHED"}
            if family == socket.AF_UNIX:
                assert (ours.local_address, theirs.local_address) == (None, path)
                assert (ours.peer_inode, theirs.peer_inode) == (theirs.inode, ours.inode)
            else:
                assert (ours.local_address, ours.local_port) == (theirs.remote_address, theirs.remote_port)
                assert (ours.remote_address, ours.remote_port) == (theirs.local_address, theirs.local_port)
        assert client.fileno() == -1
    assert of_this_process(namespace) == {}


def test_each_process_has_its_own_and_a_closed_one_is_gone(namespace: Namespace) -> None:
    program = (
        "import socket,sys; s=socket.create_server((sys.argv[1],0)); print(s.getsockname()[1],flush=True); input()"
    )
    started = [
        namespace.popen(
            [sys.executable, "-c", program, address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for address in ("127.0.0.1", "127.0.0.2")
    ]
    for process, address in zip(started, ("127.0.0.1", "127.0.0.2"), strict=True):
        assert process.stdout is not None
        port = int(process.stdout.readline())
        pid = process.pid
        (one,) = namespace.call(lambda pid=pid: list(netinspect.sockets(pids=pid, processes=True)))
        assert (one.protocol, one.local_address, one.local_port) == ("tcp", address, port)
        assert [holder.pid for holder in one.processes or ()] == [pid]
    for process in started:
        process.communicate("\n", timeout=20)
        pid = process.pid
        with pytest.raises(UsageError, match="no process"):
            namespace.call(lambda pid=pid: list(netinspect.sockets(pids=pid)))


# Expressions


@pytest.fixture(scope="module")
def few() -> Iterator[Namespace]:
    """A listener on port 22 of every address, a connection from 10.0.0.1 and one from 10.0.0.2."""
    namespace = Namespace()
    for number in (1, 2):
        namespace.run("ip", "address", "add", f"10.0.0.{number}/32", "dev", "lo")

    def opened() -> list[socket.socket]:
        made = [socket.create_server(("0.0.0.0", 22), backlog=128)]
        for address in (("10.0.0.1", 36266), ("10.0.0.2", 50312)):
            client = socket.create_connection(("10.0.0.1", 22), source_address=address)
            made += [client, made[0].accept()[0]]
        return made

    kept = namespace.call(opened)
    yield namespace
    for one in kept:
        one.close()
    namespace.close()


L, A, B, C, D = (
    ("0.0.0.0:22", "0.0.0.0:*"),
    ("10.0.0.1:36266", "10.0.0.1:22"),
    ("10.0.0.1:22", "10.0.0.1:36266"),
    ("10.0.0.2:50312", "10.0.0.1:22"),
    ("10.0.0.1:22", "10.0.0.2:50312"),
)

EXPRESSIONS = {
    "dport = 22": {A, C},
    "dport 22": {A, C},
    "( dport = 22 )": {A, C},
    "dport = :22": {A, C},
    "dport != 22": {L, B, D},
    "not dport = 22": {L, B, D},
    "src = 0.0.0.0": {L},
    "src 0.0.0.0": {L},
    "src 0.0.0.0 sport = 22": {L},
    "src 0.0.0.0 and sport = 22": {L},
    "src 10.0.0.1 and sport = 22 and dport = 50312": {D},
    "src 10.0.0.1 and sport = 22 and ( dport = 50312 )": {D},
    "src 10.0.0.1 and ( sport = 22 and dport = 50312 )": {D},
    "( src 10.0.0.1 and sport = 22 ) and dport = 50312": {D},
    "( src 0.0.0.0 or src 10.0.0.1 ) and dst 10.0.0.2": {D},
    "src 0.0.0.0 or src 10.0.0.1 and dst 10.0.0.2": {L, D},
    "dst 10.0.0.0/30 and not ( src 10.0.0.1 )": {C},
    "dport > 40000": {D},
    "dport ge 36266 and dport le 36266": {B},
    "src 10.0.0.1:22": {B, D},
    "state listening": {L},
    "exclude listening dport 22": {A, C},
    "src 10.0.0.1 or src 10.0.0.2": {A, B, C, D},
}


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_an_expression_selects_what_ss_selects(few: Namespace, need: Callable[[str], None], text: str) -> None:
    def rows(*argv: str) -> set[tuple[str, str]]:
        result = few.netinspect(*argv) if argv[0] == "sockets" else few.run(*argv)
        return {
            tuple(word for word in line.split() if ":" in word)[:2]  # type: ignore[misc]
            for line in result.stdout.splitlines()
        }

    expected = EXPRESSIONS[text]
    assert rows("sockets", "-Htna", text) == expected
    need("ss")
    words = text.split() if text.startswith(("state", "exclude")) else [text]
    if " or src" not in text or "(" in text:  # without parentheses ss reads it otherwise than its manual says
        assert rows("ss", "-Htna", *words) == expected


# MPTCP

MPTCP = 262


def mptcp(namespace: Namespace) -> socket.socket:
    try:
        return namespace.call(lambda: socket.socket(socket.AF_INET, STREAM, MPTCP))
    except OSError as error:
        unavailable(f"MPTCP: {error.strerror}")
        raise


def counted(namespace: Namespace, what: Callable[[Socket], bool], **options: Any) -> int:
    return sum(map(what, namespace.call(lambda: list(netinspect.sockets("mptcp", tcp_info=True, **options)))))


def until(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not (met := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return met


def test_mptcp_connections_and_listeners_are_counted(namespace: Namespace) -> None:
    def has_token(one: Socket) -> bool:
        return one.mptcp_info is not None and one.mptcp_info.token != 0

    with mptcp(namespace) as listener:
        listener.bind(("0.0.0.0", 10_000))
        listener.listen()
        assert counted(namespace, has_token, states="ESTABLISHED") == 0
        for text, expected in (("dport 10000", 0), ("sport 10000", 1), ("src 0.0.0.0:10000", 1), ("", 1)):
            assert counted(namespace, lambda one: one.state == "LISTEN", filter=text) == expected, text
            shown = namespace.netinspect("sockets", "-MlnH", *([text] if text else [])).stdout
            assert len(shown.splitlines()) == expected, text
        with mptcp(namespace) as client:
            client.connect(("127.0.0.1", 10_000))
            with listener.accept()[0] as server:
                client.send(b"b")
                assert server.recv(1) == b"b"
                server.send(b"a")
                assert client.recv(1) == b"a"
                assert until(lambda: counted(namespace, has_token, states="ESTABLISHED") == 2)
                keys = [
                    one.mptcp_info
                    for one in namespace.call(
                        lambda: list(netinspect.sockets("mptcp", states="ESTABLISHED", tcp_info=True))
                    )
                ]
                assert [info is not None and info.remote_key_received for info in keys] == [True, True]
                assert [info is not None and info.fallback for info in keys] == [False, False]
                if all(info is not None and info.last_data_sent is not None for info in keys):
                    before = [info.last_data_sent for info in keys if info is not None]
                    time.sleep(0.3)
                    later = namespace.call(
                        lambda: [
                            one.mptcp_info for one in netinspect.sockets("mptcp", states="ESTABLISHED", tcp_info=True)
                        ]
                    )
                    assert all(
                        info is not None and info.last_data_sent >= was + 150
                        for info, was in zip(later, before, strict=True)
                    )
        assert until(lambda: counted(namespace, lambda one: one.state == "ESTABLISHED") == 0)


def test_a_peer_without_mptcp_is_shown_as_fallback(namespace: Namespace) -> None:
    with (
        namespace.call(lambda: socket.create_server(("127.0.0.1", 10_001))) as listener,
        mptcp(namespace) as client,
    ):
        client.connect(("127.0.0.1", 10_001))
        with listener.accept()[0]:
            (one,) = namespace.call(lambda: list(netinspect.sockets("mptcp", states="ESTABLISHED", tcp_info=True)))
            assert one.mptcp_info is not None
            assert one.mptcp_info.fallback


def test_a_hundred_of_each(namespace: Namespace) -> None:
    opened: list[socket.socket] = []
    try:
        for port in range(20_001, 20_101):
            listener = mptcp(namespace)
            opened.append(listener)
            listener.bind(("127.0.0.1", port))
            listener.listen()
            client = mptcp(namespace)
            opened.append(client)
            client.connect(("127.0.0.1", port))
            opened.append(listener.accept()[0])
        assert counted(namespace, lambda one: one.state == "LISTEN") == 100
        assert counted(namespace, lambda one: one.state == "ESTABLISHED") == 200
        # Each listener has a TCP socket of its own below it, as each connection has subflows.
        below = namespace.call(lambda: list(netinspect.sockets("tcp")))
        assert sum(one.state == "LISTEN" for one in below) == 100
        assert sum(one.state == "ESTABLISHED" for one in below) == 200
    finally:
        for one in opened:
            one.close()
