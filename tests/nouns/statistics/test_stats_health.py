"""`stats health`: faults made on purpose, each of which must raise its own line and no other; and the thresholds."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from group_members import with_interfaces
from jsonschema import Draft202012Validator
from patience import until
from throwaway import Namespace

from netinspect.engine.places import Place
from netinspect.nouns.statistics import listing_health as health
from netinspect.nouns.statistics.listing import StatisticListing
from netinspect.nouns.statistics.listing_health import CHECKS, Counted, Health
from netinspect.records import HealthCheck


@pytest.fixture
def wired(namespace: Namespace) -> Namespace:
    with_interfaces(namespace, ipv6=False)
    return namespace


def checked(namespace: Namespace) -> dict[str, HealthCheck]:
    looked = Health([Place(namespace.path)])
    found = {check.check: check for check in looked.checks()}
    assert looked.problems == []
    assert list(found) == [check.name for check in CHECKS]
    return found


def raised(namespace: Namespace) -> set[str]:
    """The lines that are raised, but for those of the neighbour tables, which all namespaces share."""
    return {
        name
        for name, check in checked(namespace).items()
        if check.state in ("warning", "critical") and not name.startswith("neighbour")
    }


class Fault:
    """What was raised before, so that what the machine itself has, in tables that all share, does not count."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self._before = raised(namespace)

    def raises(self, name: str) -> HealthCheck:
        """Waits for that line, and asserts that it is the only one."""
        until(lambda: name in raised(self._namespace), f"line {name}")
        new = raised(self._namespace) - self._before
        found = checked(self._namespace)
        assert new == {name}, {line: found[line].found for line in new}
        return found[name]


def write(namespace: Namespace, name: str, value: str) -> None:
    def action() -> None:
        with open(f"/proc/sys/{name.replace('.', '/')}", "w") as file:
            file.write(value)

    namespace.call(action)


def checksum(data: bytes) -> int:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(protocol: int, source: str, destination: str, payload: bytes, at: int, damage: int = 0) -> bytes:
    """An IPv4 packet around a TCP or UDP payload whose checksum, at that offset, is right, or off by ``damage``."""
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    value = checksum(addresses + struct.pack("!HH", protocol, len(payload)) + payload)
    payload = payload[:at] + struct.pack("!H", value ^ damage) + payload[at + 2 :]
    return struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0) + addresses + payload


def syn(port: int, number: int) -> bytes:
    return struct.pack("!HHIIBBHHH", 1024 + number, port, number, 0, 0x50, 0x02, 1000, 0, 0)


def datagram(port: int) -> bytes:
    return struct.pack("!HHHH", 1024, port, 12, 0) + b"data"


@pytest.fixture
def raw(wired: Namespace) -> Iterator[Callable[[str, bytes], int]]:
    """Sends crafted packets inside."""
    opened = wired.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW))
    yield lambda destination, data: opened.sendto(data, (destination, 0))
    opened.close()


def test_a_namespace_in_which_nothing_happened_is_well(wired: Namespace) -> None:
    found = checked(wired)
    for name, check in found.items():
        if not name.startswith("neighbour"):  # a table that all namespaces share
            assert check.state in ("ok", "unknown"), check
        assert check.advice
        assert check.reason


def test_every_counter_that_a_verdict_rests_on_is_read(wired: Namespace) -> None:
    listing = StatisticListing(health._QUERY, [Place(wired.path)])
    there = {f"{row.group}.{row.counter}" for batch in listing.batches() for row in batch}
    assert set(health._PACKETS) <= there
    for check in CHECKS:
        if "conntrack" not in check.name:  # not every kernel has it
            # UDP-Lite has none since Linux 7.1, UDP no MemErrors before 5.12.
            named = {name for name in check.counters if not name.startswith("UdpLite") and "MemErrors" not in name}
            missing = named - there
            assert not missing, check.name


def test_ordinary_traffic_raises_nothing(wired: Namespace) -> None:
    before = Fault(wired)._before

    def traffic() -> None:
        for _ in range(20):
            listener = socket.create_server(("127.0.0.1", 0))
            with socket.create_connection(listener.getsockname()) as client, listener.accept()[0] as server:
                client.sendall(b"x" * 20_000)
                client.shutdown(socket.SHUT_WR)
                while server.recv(65536):
                    pass
            listener.close()

    wired.call(traffic)
    assert raised(wired) == before


def test_a_full_accept_queue(wired: Namespace) -> None:
    fault = Fault(wired)

    def overflow() -> list[socket.socket]:
        listener = socket.create_server(("127.0.0.1", 0), backlog=1)
        clients = [socket.socket() for _ in range(8)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
        return [listener, *clients]

    opened = wired.call(overflow)
    found = fault.raises("listen queue overflows")
    assert found.value is not None
    assert found.value >= 1
    assert "TcpExt.ListenOverflows" in found.found
    for held in opened:
        held.close()


def test_more_half_open_connections_than_the_queue_holds(wired: Namespace, raw: Callable[[str, bytes], int]) -> None:
    fault = Fault(wired)
    with wired.call(lambda: socket.create_server(("10.0.0.1", 0), backlog=2)) as listener:
        # From hosts that are not there, so that nobody resets what is half open.
        for number in range(20):
            source = f"10.0.0.{100 + number}"
            raw("10.0.0.1", packet(6, source, "10.0.0.1", syn(listener.getsockname()[1], number), 16))
        fault.raises("SYN cookies")


@pytest.mark.parametrize("protocol", [6, 17], ids=["tcp", "udp"])
def test_damaged_packets(wired: Namespace, raw: Callable[[str, bytes], int], protocol: int) -> None:
    fault = Fault(wired)
    kind = socket.SOCK_STREAM if protocol == 6 else socket.SOCK_DGRAM
    with wired.call(lambda: socket.socket(socket.AF_INET, kind)) as opened:
        opened.bind(("127.0.0.1", 0))
        opened.setblocking(False)
        if protocol == 6:
            opened.listen()
        port = opened.getsockname()[1]
        for number in range(200):
            payload, at = (syn(port, number), 16) if protocol == 6 else (datagram(port), 6)
            raw("127.0.0.1", packet(protocol, "127.0.0.1", "127.0.0.1", payload, at, damage=0x5555))
            if protocol == 17:
                with pytest.raises(BlockingIOError):
                    opened.recv(100)  # UDP's checksum is looked at when the datagram is read
        found = fault.raises("checksum errors")
        assert found.state == "critical"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_a_program_that_does_not_read_its_datagrams(wired: Namespace, family: int) -> None:
    fault = Fault(wired)

    def overflow() -> None:
        with socket.socket(family, socket.SOCK_DGRAM) as reader, socket.socket(family, socket.SOCK_DGRAM) as writer:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            reader.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
            for _ in range(50):
                writer.sendto(b"x" * 500, reader.getsockname())

    wired.call(overflow)
    found = fault.raises("UDP receive buffers")
    assert "RcvbufErrors" in found.found


def stream(namespace: Namespace, size: int, segment: int) -> int:
    """Sends this many bytes over loopback in segments of that size; returns how many were read."""

    def action() -> int:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        listener.bind(("127.0.0.1", 7000))
        listener.listen()
        client = socket.socket()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * size)
        client.settimeout(15)
        client.connect(listener.getsockname())
        server, _ = listener.accept()
        server.settimeout(15)
        listener.close()
        with client, server:
            for _ in range(size // segment):
                client.send(b"x" * segment)
            received = 0
            while received < size // segment * segment:
                received += len(server.recv(65536))
            return received

    return namespace.call(action)


def test_segments_that_are_lost_on_the_way(wired: Namespace, need: Callable[[str], None]) -> None:
    need("nft")
    fault = Fault(wired)
    wired.run("nft", "add table ip t; add chain ip t in { type filter hook input priority 0; }")
    wired.run("nft", "add rule ip t in tcp dport 7000 ip length > 300 numgen inc mod 7 == 0 drop")
    assert stream(wired, 150_000, 500) == 150_000
    found = fault.raises("TCP retransmissions")
    assert found.value is not None
    assert found.value >= 1


TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21


def test_a_full_receive_queue(wired: Namespace, raw: Callable[[str, bytes], int]) -> None:
    fault = Fault(wired)
    write(wired, "net.ipv4.tcp_timestamps", "0")

    def connect() -> tuple[socket.socket, socket.socket]:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            client = socket.create_connection(listener.getsockname())
            return client, listener.accept()[0]

    client, server = wired.call(connect)
    client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    numbers = []
    for queue in (2, 1):  # what was sent, what was received
        client.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
        numbers.append(client.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) & 0xFFFFFFFF)
    source, destination = client.getsockname()[1], server.getsockname()[1]
    # Two bytes out of three: each pair waits on its own, and takes far more memory than the window allows for.
    for number in range(200):
        header = struct.pack(
            "!HHIIBBHHH",
            *(source, destination, (numbers[0] + 1 + 3 * number) & 0xFFFFFFFF, numbers[1]),
            *(0x50, 0x10, 1000, 0, 0),
        )
        raw("127.0.0.1", packet(6, "127.0.0.1", "127.0.0.1", header + b"xx", 16))
    fault.raises("TCP receive buffers")
    client.close()
    server.close()


def test_more_connections_in_time_wait_than_there_may_be(wired: Namespace) -> None:
    fault = Fault(wired)
    write(wired, "net.ipv4.tcp_max_tw_buckets", "1")
    for _ in range(4):
        stream(wired, 500, 500)
    found = fault.raises("TCP and UDP memory limits")
    assert "TCPTimeWaitOverflow" in found.found


def test_two_connections_that_nat_gives_the_same_port(wired: Namespace, need: Callable[[str], None]) -> None:
    need("nft")
    fault = Fault(wired)
    if checked(wired)["conntrack failures"].state == "unknown":
        pytest.skip("no connection tracking")
    wired.run("nft", "add table ip n; add chain ip n out { type nat hook postrouting priority 100; }")
    wired.run("nft", "add rule ip n out tcp dport 7000 snat to 10.0.0.1:5000")

    def connect() -> list[socket.socket]:
        clients = [socket.socket() for _ in range(3)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(("10.0.0.77", 7000))
        return clients

    opened = wired.call(connect)
    found = fault.raises("conntrack failures")
    assert "conntrack.insert_failed" in found.found
    for held in opened:
        held.close()


def counted(values: dict[str, int]) -> Counted:
    keys = {}
    for name, value in values.items():
        path, _, interface = name.partition("@")
        group, _, counter = path.partition(".")
        keys[group, counter, interface or None] = value
    return Counted(keys, keys)


WELL = {
    **{name: 0 for check in CHECKS for name in check.counters if not name.startswith(("neighbour", "link"))},
    "Tcp.OutSegs": 100_000,
    "Ip.InReceives": 100_000,
    "Ip6.Ip6InReceives": 100_000,
    "conntrack.maximum": 1000,
    "link.rx_packets@eth0": 10_000,
    "link.tx_packets@eth0": 10_000,
    "link.rx_errors@eth0": 0,
    "link.tx_errors@eth0": 0,
    **{f"neighbour.{name}@{table}": 0 for name in ("entries", "table_fulls") for table in ("arp_cache", "ndisc_cache")},
    **{f"neighbour.gc_thresh3@{table}": 1024 for table in ("arp_cache", "ndisc_cache")},
}

VERDICTS = [
    ("listen queue overflows", {"TcpExt.ListenOverflows": 1}, "warning"),
    ("listen queue overflows", {"TcpExt.TCPReqQFullDrop": 1}, "warning"),
    ("SYN cookies", {"TcpExt.SyncookiesSent": 1}, "warning"),
    ("TCP retransmissions", {"Tcp.RetransSegs": 900}, "ok"),
    ("TCP retransmissions", {"Tcp.RetransSegs": 1100}, "warning"),
    ("TCP retransmissions", {"Tcp.RetransSegs": 6000}, "critical"),
    ("TCP retransmissions", {"Tcp.RetransSegs": 50, "Tcp.OutSegs": 40}, "ok"),
    ("checksum errors", {"Tcp.InCsumErrors": 5}, "ok"),
    ("checksum errors", {"Tcp.InCsumErrors": 7}, "warning"),
    ("checksum errors", {"Udp6.Udp6InCsumErrors": 200}, "critical"),
    ("UDP receive buffers", {"Udp6.Udp6RcvbufErrors": 1}, "warning"),
    ("TCP receive buffers", {"TcpExt.TCPBacklogDrop": 1}, "warning"),
    ("TCP and UDP memory limits", {"TcpExt.TCPAbortOnMemory": 1}, "warning"),
    ("conntrack failures", {"conntrack.drop": 1}, "warning"),
    ("conntrack failures", {"conntrack.early_drop": 1}, "warning"),
    ("conntrack table", {"conntrack.entries": 749}, "ok"),
    ("conntrack table", {"conntrack.entries": 750}, "warning"),
    ("conntrack table", {"conntrack.entries": 900}, "critical"),
    ("neighbour table overflows", {"neighbour.table_fulls@arp_cache": 1}, "warning"),
    ("neighbour table", {"neighbour.entries@ndisc_cache": 512}, "warning"),
    ("neighbour table", {"neighbour.entries@arp_cache": 1000}, "critical"),
    ("interface errors", {"link.rx_errors@eth0": 300}, "warning"),
    ("interface errors", {"link.tx_errors@eth0": 3000}, "critical"),
    ("interface drops", {"link.rx_dropped@eth0": 3000}, "warning"),
    ("interface drops", {"link.rx_dropped@eth0": 3}, "ok"),
    ("interface drops", {"link.tx_dropped@eth0": 3000}, "warning"),
    ("IP discards", {"Ip6.Ip6InDiscards": 1}, "warning"),
    ("packets not forwarded", {"Ip.InAddrErrors": 1}, "warning"),
    ("packets not forwarded", {"Ip6.Ip6InAddrErrors": 1}, "warning"),
    ("packets without a route", {"IpExt.InNoRoutes": 1}, "warning"),
    ("reverse path filter", {"TcpExt.IPReversePathFilter": 1}, "warning"),
]


@pytest.mark.parametrize(
    ("name", "values", "value"),
    [
        ("conntrack failures", {"conntrack.insert_failed": 40, "conntrack.drop": 40}, 40),
        ("conntrack failures", {"conntrack.insert_failed": 40, "conntrack.drop": 55, "conntrack.early_drop": 3}, 58),
        ("conntrack failures", {"conntrack.insert_failed": 40}, 40),
        ("TCP receive buffers", {"TcpExt.RcvPruned": 7, "TcpExt.TCPRcvQDrop": 5, "TcpExt.TCPOFODrop": 2}, 7),
        ("TCP receive buffers", {"TcpExt.TCPRcvQDrop": 5, "TcpExt.OfoPruned": 1}, 6),
    ],
)
def test_a_loss_that_two_counters_have_counts_once(name: str, values: dict[str, int], value: int) -> None:
    verdicts = {check.name: check.record(counted(WELL | values), None) for check in CHECKS}
    assert verdicts[name].value == value


def test_packets_for_others_show_that_forwarding_is_off() -> None:
    verdicts = {
        check.name: check.record(counted(WELL | {"Ip.InAddrErrors": 9, "Ip.Forwarding": 2}), None) for check in CHECKS
    }
    assert "ip_forward is 0" in verdicts["packets not forwarded"].found


@pytest.mark.parametrize(("name", "values", "state"), VERDICTS)
def test_thresholds(name: str, values: dict[str, int], state: str) -> None:
    verdicts = {check.name: check.record(counted(WELL | values), None) for check in CHECKS}
    assert verdicts[name].state == state
    assert {other for other, verdict in verdicts.items() if verdict.state != "ok"} <= {name}
    assert {check.name for check in CHECKS} == {line for line, _, _ in VERDICTS}


def test_what_the_kernel_does_not_report_is_unknown_and_never_ok() -> None:
    assert {check.record(counted({}), None).state for check in CHECKS} == {"unknown"}


def test_only_what_happens_in_the_time_counts(wired: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            reader.bind(("127.0.0.1", 0))
            for _ in range(50):
                reader.sendto(b"x" * 500, reader.getsockname())

    wired.call(overflow)
    assert "UDP receive buffers" in raised(wired)
    quiet = {check.check: check for check in Health([Place(wired.path)], seconds=0.01).checks()}
    assert quiet["UDP receive buffers"].state == "ok"
    monkeypatch.setattr("time.sleep", lambda seconds: wired.call(overflow))
    loud = {check.check: check for check in Health([Place(wired.path)], seconds=1).checks()}
    assert loud["UDP receive buffers"].state == "warning"
    # Both times the same was lost.
    assert loud["UDP receive buffers"].value * 2 == checked(wired)["UDP receive buffers"].value  # type: ignore[operator]


def test_the_command_shows_advice(wired: Namespace, tmp_path: Any) -> None:
    sample = str(tmp_path / "sample")
    wired.netinspect("stats", "--save", sample)
    with wired.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        reader.bind(("127.0.0.1", 0))
        for _ in range(50):
            reader.sendto(b"x" * 500, reader.getsockname())
        text = wired.netinspect("stats", "health", "--since", sample).stdout
        rows = json.loads(wired.netinspect("stats", "health", "-j").stdout)
    Draft202012Validator(json.loads(wired.netinspect("schema", "stats-health").stdout)).validate(rows)
    (line,) = (line for line in text.splitlines() if line.startswith("warning"))
    assert "UDP receive buffers" in line
    assert "SO_RCVBUF" in text


def test_the_documentation_has_every_check_with_its_thresholds_and_their_reason() -> None:
    text = (Path(__file__).parents[3] / "docs" / "statistics.md").read_text()
    for check in CHECKS:
        counters = ", ".join(f"`{name}`" for name in check.counters)
        critical = "" if check.critical is None else f"{check.critical:g} {check.unit}"
        row = f"| {check.name} | {counters} | {check.warning:g} {check.unit} | {critical} | {check.reason} |"
        assert row in text.splitlines()
