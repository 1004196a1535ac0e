"""``netinspect top``: rates against what a test sends, sums, and the command line."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest
from loopback import Connection
from throwaway import Namespace

from netinspect import records
from netinspect.engine.containers import names
from netinspect.engine.places import Place
from netinspect.environment import Environment
from netinspect.main import run
from netinspect.nouns.sockets.listing import Query
from netinspect.records import Process, SocketRates
from netinspect.top import holders
from netinspect.top.command import Top
from netinspect.top.rates import SampledListing, Sampler, grouped


@pytest.fixture
def connection(namespace: Namespace) -> Iterator[Connection]:
    made = Connection(namespace)
    yield made
    made.close()


def sample(sampler: Sampler, namespace: Namespace) -> list[SocketRates]:
    query = Query(("tcp", "udp"), tcp_info=True, memory=True)
    return sampler.rates(SampledListing(sampler, query, [Place(namespace.path)]).batches())


def test_rates_are_what_was_sent(namespace: Namespace, connection: Connection) -> None:
    sampler = Sampler()
    begun = time.monotonic()
    assert sample(sampler, namespace) == []
    inner = time.monotonic()
    size = 3_000_000
    connection.send(size)
    time.sleep(0.2)
    least = time.monotonic() - inner
    rows = {row.local_port: row for row in sample(sampler, namespace)}
    most = time.monotonic() - begun
    client = rows[connection.port]
    server = next(row for row in rows.values() if row.remote_port == connection.port)
    for row, rate in ((client, client.sent_rate), (server, server.received_rate)):
        assert least <= row.seconds + 1e-6
        assert row.seconds <= most + 1e-6
        assert rate is not None
        assert rate * row.seconds == pytest.approx(size, rel=0.02)
        assert row.rate == pytest.approx(rate, rel=0.02)
    assert (client.received_rate, server.sent_rate) == (0.0, 0.0)
    assert (client.new, client.drop_rate) == (False, 0.0)
    assert client.retransmit_rate is not None  # a busy machine may well retransmit
    assert client.rtt is not None
    assert client.rtt > 0


def test_a_socket_that_began_since_counts_from_nothing(namespace: Namespace) -> None:
    sampler = Sampler()
    sample(sampler, namespace)
    made = Connection(namespace)
    try:
        made.send(100_000)
        client = next(row for row in sample(sampler, namespace) if row.local_port == made.port)
        assert client.new
        assert client.sent_rate is not None
        assert client.sent_rate * client.seconds == pytest.approx(100_000, rel=0.02)
        quiet = next(row for row in sample(sampler, namespace) if row.local_port == made.port)
        assert (quiet.new, quiet.rate) == (False, 0.0)
    finally:
        made.close()
    # TIME_WAIT has no counters.
    rows = [row for row in sample(sampler, namespace) if row.local_port == made.port]
    assert {row.rate for row in rows if row.state == "TIME_WAIT"} <= {None}


def test_udp_has_no_bytes(namespace: Namespace) -> None:
    def connected() -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.connect(("127.0.0.1", 9))
        return made

    with namespace.call(connected) as udp:
        sampler = Sampler()
        sample(sampler, namespace)
        (row,) = [row for row in sample(sampler, namespace) if row.local_port == udp.getsockname()[1]]
    assert (row.protocol, row.rate, row.sent_rate, row.rtt, row.drop_rate) == ("udp", None, None, None, 0.0)


def rates(remote: str, rate: float | None, process: int = 0) -> SocketRates:
    held = (records.Process(process, "nginx", 3),) if process else ()
    reason = None if process else "no permission"
    return SocketRates(
        *("tcp", "inet", "ESTABLISHED", "10.0.0.1", 80, remote, 1000, None, 1.0, rate is not None),
        *(rate, rate, None if rate is None else 0.0, 0.0, 0.0, 0.1, 10, 0, 0, 7, 8, None, held, reason),
    )


def test_sums() -> None:
    rows = [rates("10.0.0.2", 5.0, 1), rates("10.0.0.2", 7.0, 1), rates("10.0.0.3", None)]
    assert [tuple(group)[:5] for group in grouped(rows, "remote")] == [
        ("10.0.0.2", 2, 2, 12.0, 12.0),
        ("10.0.0.3", 1, 0, None, None),
    ]
    assert [group.group for group in grouped(rows, "process")] == ["1/nginx", "(no permission)"]
    assert [(group.group, group.sockets) for group in grouped(rows, "state")] == [("ESTABLISHED", 3)]
    assert [group.group for group in grouped(rows, "container")] == ["-"]


def test_the_live_view_says_why_it_shows_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    class Held:
        def scan(self) -> None: ...

        def descriptors(self) -> list[tuple[int, int, int]]:
            return [(7, 812, 3)]

        def processes(self, inode: int) -> list[Process]:
            return [Process(812, "nginx", fd=3, container="ef" * 32)]

        def not_seen(self) -> str:
            return ""

    monkeypatch.setattr(holders, "Owners", Held)
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere.sock")
    monkeypatch.setenv("CONTAINER_HOST", "")
    monkeypatch.setattr(names, "_known", [names.Containers()])
    looked = holders.Holders()
    looked._look({7})
    assert looked.of([7]) == [("812/nginx", "efefefefefef")]
    assert looked.missing.startswith("container names: no engine answers: /nowhere.sock")


def called(namespace: Namespace, *arguments: str) -> tuple[int, str, str]:
    output: list[bytes] = []
    said: list[bytes] = []
    environment = Environment(output.append, said.append, False, 200)
    status = namespace.call(lambda: run(["top", "--once", "-n", "-i", "0.05", *arguments], environment))
    return status, b"".join(output).decode(), b"".join(said).decode()


def test_the_command(namespace: Namespace, connection: Connection) -> None:
    status, output, _ = called(namespace, "--format", "ndjson", f"sport = {connection.port}")
    (row,) = map(json.loads, output.splitlines())
    assert status == 0
    assert (row["local_port"], row["sent_rate"], row["new"]) == (connection.port, 0.0, False)
    assert "processes" not in row

    for by in ("process", "remote", "container", "state"):  # as a table too, whose addresses might get names
        status, output, errors = called(namespace, "--by", by)
        assert status in (0, 3), errors
        assert output.split()[0] == by.capitalize()
        # Only where containers are shown is it of interest that no engine tells their names.
        command = Top.read(["--by", by], Environment(lambda _: None, lambda _: None, False, 80))
        assert command is not None
        assert command.names_wanted is (by == "container")
    status, output, _ = called(namespace, "--by", "process", "--format", "ndjson")
    assert status in (0, 3)  # 3: processes of others may not be seen
    assert sum(json.loads(line)["sockets"] for line in output.splitlines()) >= 2
    _, output, _ = called(namespace, "--by", "state", "--columns", "group,sockets", "-j")
    assert {"group": "ESTABLISHED", "sockets": 2} in json.loads(output)

    _, output, _ = called(namespace, "-p", "--limit", "1")
    heading, line = output.splitlines()
    assert heading.split()[:2] == ["Protocol", "State"]
    assert "127.0.0.1" in line
    _, output, _ = called(namespace, "--columns", "group,sockets", "--by", "state", "-j")
    assert {"group": "ESTABLISHED", "sockets": 2} in json.loads(output)
    for wrong in (("--by", "colour"), ("--columns", "group"), ("--by", "state", "--sort", "cookie")):
        status, _, said = called(namespace, *wrong)
        assert (status, said.count("\n")) == (2, 1)
