"""Packets that the real kernel drops: each is dropped for one reason in a lab, and seen with it."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from availability import unavailable
from drop_source import drops_may_be_seen
from patience import until
from throwaway import NETINSPECT

from netinspect.engine.places import Place
from netinspect.nouns.drops import events
from netinspect.nouns.drops.events import Namespaces, Source, Unavailable, Watch
from netinspect.nouns.drops.filter import parse
from netinspect.records import Drop
from netinspect.testing import AssertingLab, LabFactory

RULES = """
table ip drops {
    chain pr1 {
        type nat hook prerouting priority -100; udp dport 1004 dnat to 127.0.0.1:80
    }
    chain fw1 {
        type filter hook forward priority 0; udp dport 1008 drop
    }
}
"""


@pytest.fixture
def may_see() -> None:
    drops_may_be_seen()


def send(source: str | None, target: str, port: int, size: int = 8, *, count: int = 1) -> None:
    """Sends datagrams from the calling thread's namespace."""
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.IPPROTO_IP, 10, 2)  # IP_MTU_DISCOVER: DF
        if source:
            opened.bind((source, 0))
        for _ in range(count):
            try:
                opened.sendto(bytes(size), (target, port))
            except OSError:
                pass  # an answer to the one before


def send_raw(source: str, target: str, port: int) -> None:
    """Sends a datagram whose checksum is wrong."""
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 36, 1, 0, 64, 17, 0, *map(socket.inet_aton, (source, target)))
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as opened:
        opened.sendto(header + struct.pack("!HHHH", 40000, port, 16, 0xBAD) + bytes(8), (target, 0))


def connect(target: str, port: int) -> None:
    """A connection that nobody takes."""
    with socket.socket() as opened:
        opened.settimeout(2)
        try:
            opened.connect((target, port))
        except OSError:
            pass


def bound(port: int, size: int = 0) -> socket.socket:
    """A UDP socket."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if size:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    opened.bind(("0.0.0.0", port))
    return opened


class Gateway:
    """``left`` and ``right`` with a router between them."""

    def __init__(self, lab: AssertingLab) -> None:
        self.left, self.router, self.right = (lab.host(name) for name in ("left", "router", "right"))
        for number, host in ((1, self.left), (2, self.right)):
            ends = [f"10.{number}.0.1/24", f"fd0{number}::1/64"], [f"10.{number}.0.2/24", f"fd0{number}::2/64"]
            lab.link(self.router, host, *ends, names=(f"r{number}", "eth0"))
            host.route("default", via=f"10.{number}.0.1")

    def ip(self, command: str) -> None:
        self.router.run("ip", *command.split())


@pytest.fixture
def gateway(lab: LabFactory, need: Callable[[str], None]) -> Gateway:
    need("nft")
    return Gateway(lab())


@pytest.mark.usefixtures("may_see")
def test_each_reason_is_seen_where_it_happens(gateway: Gateway) -> None:
    left, router = gateway.left, gateway.router
    router.run("nft", "-f", "-", input=RULES)
    left.run("ip", "addr", "add", "10.9.0.9/32", "dev", "lo")
    for name, value in {
        "net.ipv4.conf.r1.rp_filter": "1",
        "net.ipv4.neigh.r2.retrans_time_ms": "20",
        "net.ipv4.neigh.r2.mcast_solicit": "1",
    }.items():
        router.sysctl(name, value)
    router.sysctl("net.ipv4.ip_forward", "0")

    def from_left(source: str | None, target: str, port: int, size: int = 8, count: int = 1) -> None:
        left.call(partial(send, source, target, port, size, count=count))

    full = router.call(partial(bound, 1011, 1))
    places = [Place(host.path, host.name) for host in (router, left)]
    for place in places:
        place.open()
    with full, router.call(partial(bound, 1012)), Watch(Namespaces(places, every=False)) as watch:
        from_left(None, "10.2.0.2", 1001)
        router.sysctl("net.ipv4.ip_forward", "1")
        from_left(None, "203.0.113.1", 1002)
        gateway.ip("route add prohibit 198.51.100.0/24")
        from_left(None, "198.51.100.1", 1014)
        from_left("10.9.0.9", "10.2.0.2", 1003)
        from_left(None, "10.1.0.1", 1004)
        from_left(None, "10.2.0.77", 1005)
        from_left(None, "10.2.0.2", 1008)
        from_left(None, "10.1.0.1", 1009)
        from_left(None, "fd01::1", 1109)
        left.call(partial(connect, "10.1.0.1", 1010))
        from_left(None, "10.1.0.1", 1011, 1000, count=9)
        left.call(partial(send_raw, "10.1.0.2", "10.1.0.1", 1012))
        from_left(None, "10.2.0.2", 1000)  # the next hop is known from now on
        gateway.ip("link set r2 mtu 1300")
        from_left(None, "10.2.0.2", 1007, 1400)
        # The next hop that nobody has fails by itself: a link that goes down before would purge its queue.
        until(lambda: "FAILED" in router.run("ip", "neigh", "show", "10.2.0.77").stdout, "failure of the next hop")
        gateway.right.run("ip", "link", "set", "eth0", "down")
        # A kernel thread notices that there is no carrier, and forgets the next hops: then ARP is what is dropped.
        until(lambda: "NO-CARRIER" in router.run("ip", "link", "show", "r2").stdout, "loss of the carrier")
        until(lambda: not router.run("ip", "neigh", "show", "dev", "r2", "nud", "reachable").stdout, "forgetting")
        from_left(None, "10.2.0.2", 1006)
        seen: list[Drop] = []

        def all_seen() -> bool:
            seen.extend(watch.pending())
            ports = {drop.destination_port for drop in seen if drop.netns == "router"}
            return ports >= {*range(1001, 1015), 80, 1109} - {1004, 1013} and any(map(_is_lost_arp, seen))

        try:
            until(all_seen, "drop of each kind", 20)
        except AssertionError:
            pass  # what is missing is told below
        assert watch.lost == 0
    for place in places:
        place.close()
    by_port = {(drop.netns, drop.destination_port): drop for drop in seen}
    for port, reason, interface, function in (
        (1001, "IP_INADDRERRORS", "r1", "ip_error"),
        (1002, "IP_INNOROUTES", "r1", "ip_error"),
        (1003, "IP_RPFILTER", "r1", "ip_rcv"),
        (80, "IP_LOCALNET", "r1", "ip_rcv"),
        (1005, "NEIGH_FAILED", "r2", "neigh_"),
        (1007, "PKT_TOO_BIG", "r1", "ip_forward"),
        (1008, "NETFILTER_DROP", "r1", "nft_do_chain"),
        (1009, "NO_SOCKET", "r1", "__udp4_lib_rcv"),
        (1109, "NO_SOCKET", "r1", "__udp6_lib_rcv"),
        (1010, "NO_SOCKET", "r1", "tcp_v4_rcv"),
        (1011, "SOCKET_RCVBUFF", "r1", "udp_queue_rcv"),
        (1012, "UDP_CSUM", "r1", "__udp4_lib_rcv"),
    ):
        drop = by_port["router", port]
        assert (drop.reason, drop.interface, drop.received_on) == (reason, interface, "r1"), port
        assert drop.place.startswith(function), drop.place
        assert drop.family == ("inet6" if port == 1109 else "inet")
        assert drop.protocol == ("tcp" if port == 1010 else "udp")
        assert drop.source_address == {1003: "10.9.0.9", 1109: "fd01::2"}.get(port, "10.1.0.2")
        assert drop.meaning
        assert drop.look
    assert by_port["router", 1014].meaning == "the route forbids it: blackhole, prohibit or unreachable"
    assert by_port["router", 1002].destination_address == "203.0.113.1"
    assert by_port["router", 80].destination_address == "127.0.0.1"
    assert by_port["router", 1010].tcp_flags == ("syn",)
    assert by_port["router", 1008].rule is not None
    assert by_port["router", 1008].rule.startswith("ip drops fw1 handle ")
    assert by_port["router", 1008].rule.endswith(": udp dport 1008 drop")
    assert os.getpid() in [process.pid for process in by_port["router", 1011].processes]
    assert not by_port["router", 1009].processes
    # without a carrier nothing is sent, ARP least of all
    assert by_port["router", 1006].reason in ("NEIGH_FAILED", "QUEUE_PURGE", "DEV_READY")
    assert any(map(_is_lost_arp, seen))


def _is_lost_arp(drop: Drop) -> bool:
    return drop.family == "arp" and drop.interface == "r2" and drop.reason in ("QUEUE_PURGE", "QDISC_DROP")


@pytest.mark.usefixtures("may_see")
def test_counts_filters_and_ends(gateway: Gateway) -> None:
    def while_dropping(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*NETINSPECT, "drops", *arguments, "-N", gateway.router.path]
        program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        end = time.monotonic() + 60
        while program.poll() is None and time.monotonic() < end:
            # Several at once, so that there are enough where this process does not often get its turn.
            gateway.left.call(partial(send, None, "10.1.0.1", 2001, count=5))
            gateway.left.call(partial(send, None, "10.1.0.1", 2002, count=5))
            time.sleep(0.02)
        out, said = program.communicate(timeout=30)
        # Fragments that other namespaces waited for in vain are of no namespace.
        said = "".join([line for line in said.splitlines(True) if "of unknown network namespaces" not in line])
        return subprocess.CompletedProcess(command, program.returncode, out, said)

    ended = while_dropping("--times", "3", "-j", "10.1.0.2 -> 10.1.0.1:2001")
    assert (ended.returncode, ended.stderr) == (0, "")
    rows = json.loads(ended.stdout)
    assert [(row["destination_port"], row["reason"]) for row in rows] == [(2001, "NO_SOCKET")] * 3
    assert abs(rows[0]["time"] - time.time()) < 60

    ended = while_dropping("count", "--for", "0.5", "--format", "ndjson", "udp")
    assert (ended.returncode, ended.stderr) == (0, "")
    (row,) = map(json.loads, ended.stdout.splitlines())
    assert row["packets"] > 4
    assert (row["reason"], row["interface"]) == ("NO_SOCKET", "r1")
    assert row["last"].startswith("udp 10.1.0.2:")

    ended = while_dropping("--for", "0.5", "NETFILTER_DROP", "-j")
    assert json.loads(ended.stdout) == []

    ended = while_dropping("--times", "2", "port", "2002", "dev", "r1")
    assert ended.returncode == 0
    assert ended.stdout.splitlines()[0].split()[:3] == ["Time", "Reason", "Interface"]
    assert all("10.1.0.1:2002" in line for line in ended.stdout.splitlines()[1:])


@pytest.mark.usefixtures("may_see")
def test_counts_distinguish_rules(gateway: Gateway) -> None:
    rules = """table inet f {
        set blocked { type ipv4_addr; elements = { 10.2.0.7 } }
        chain f {
            type filter hook forward priority 0; policy drop
            ip daddr @blocked drop
            ct state established accept
            udp dport 3001-3002 drop
            udp dport 3003 ct state new drop
        }
    }"""
    gateway.router.run("nft", "-f", "-", input=rules)
    gateway.router.sysctl("net.ipv4.ip_forward", "1")
    with Place(gateway.router.path) as place, Watch(Namespaces([place], every=False)) as watch:
        for target, port, count in (
            ("10.2.0.7", 1, 1),
            ("10.2.0.2", 3001, 4),
            ("10.2.0.2", 3002, 3),
            ("10.2.0.2", 3004, 2),
            ("10.2.0.2", 3003, 5),
        ):
            gateway.left.call(partial(send, None, target, port, count=count))
        (counts,) = watch.counts(0.3)
    dropped = [count for count in counts if count.reason == "NETFILTER_DROP"]
    rules_of = {count.rule: count.packets for count in dropped if count.rule is not None}
    assert sorted((packets, rule.replace("inet f f", "F")) for rule, packets in rules_of.items()) == [
        (1, "F handle 3: ip daddr @blocked drop"),
        (2, "F: policy drop"),
        (5, "perhaps F handle 6: udp dport 3003 ct state new drop, or F: policy drop"),
        (7, "F handle 5: udp dport 3001-3002 drop"),
    ]


@pytest.mark.usefixtures("may_see")
def test_what_is_not_kept_up_with_is_counted(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_RING", 1 << 18)
    place = Place(gateway.router.path)
    with place:
        watch = Watch(Namespaces([place], every=False), parse(["udp"]))
        sent = 0
        with watch:
            for _ in range(2):
                gateway.left.call(partial(send, None, "10.1.0.1", 2003, count=10_000))
                sent += 10_000
            (counts,) = watch.counts(0.3)
            seen = sum(count.packets for count in counts)
            assert watch.lost > 0
            # The queue of a processor may be full before: those were dropped elsewhere. What is lost has no protocol
            # any more: now and then a packet of the kernel's own is among it.
            assert 0.9 * sent <= seen + watch.lost <= sent + 10


@pytest.mark.usefixtures("may_see")
def test_counters_replace_packets_that_are_not_reported(gateway: Gateway, capfd: pytest.CaptureFixture[str]) -> None:
    program = f"""
import sys
from netinspect.engine.bpf import btf
from netinspect.nouns.drops import events
events.VMLINUX = "/nonexistent"
sys.argv[1:] = {["drops", "count", "--for", "1.5", "-j", "-N", gateway.router.path]!r}
from netinspect.main import main
main()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        while running.poll() is None:
            gateway.left.call(partial(send, None, "10.1.0.1", 2007, count=5))
            time.sleep(0.02)
        out, said = running.communicate(timeout=30)
    assert running.returncode == 0
    assert said.decode().startswith("netinspect: this kernel does not describe its types")
    assert b"showing rising drop counters instead" in said
    counts = {row["place"]: row for row in json.loads(out)}
    assert counts["transport: Udp.NoPorts"]["packets"] > 3
    assert counts["transport: Udp.NoPorts"]["source"] == "procfs: /proc/net/snmp"


def test_missing_permission_is_reported_in_one_line() -> None:
    if not os.path.exists(events.VMLINUX):
        unavailable("this kernel does not describe its types (CONFIG_DEBUG_INFO_BTF): counters are shown to everybody")
    command = ["setpriv", "--reuid", "65534", "--clear-groups", "--bounding-set", "-all", *NETINSPECT, "drops"]
    try:
        Source((1,)).close()
    except Unavailable:  # an ordinary user, or the root of one's own user namespace
        command = [*NETINSPECT, "drops"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("netinspect: seeing dropped packets needs root")
    assert ended.stderr.count("\n") == 1


@pytest.mark.usefixtures("may_see")
def test_nothing_stays_of_one_that_is_killed() -> None:
    mark = f"NETINSPECT_TEST_DROPS={uuid4().hex}"
    environment = {**os.environ, **dict([mark.split("=")])}

    def processes() -> list[str]:
        """What it started, or was: programs in the kernel are held by descriptors, and those by processes."""
        found = []
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            try:
                if mark.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                    found.append(pid)
            except OSError:
                continue
        return found

    def holds_a_program(pid: int) -> bool:
        try:
            links = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
        except OSError:
            return False
        return any("bpf" in link for link in links)

    for delay in (0.1, 0.3, None):
        program = subprocess.Popen(
            [*NETINSPECT, "drops"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
        )
        if delay is None:
            until(lambda: holds_a_program(program.pid), "program in the kernel")  # noqa: B023
        else:
            time.sleep(delay)
        program.kill()
        program.wait(timeout=30)
        assert processes() == []
    assert (
        not [name for name in os.listdir("/sys/fs/bpf") if "netinspect" in name]
        if os.path.isdir("/sys/fs/bpf")
        else True
    )


def test_the_account_names_what_rises(gateway: Gateway) -> None:
    opened = gateway.router.call(partial(bound, 2004, 1))
    rules = "table ip a {\nchain i { type filter hook input priority 0\nudp dport 2005 counter drop\n}\n}\n"
    gateway.router.run("nft", "-f", "-", input=rules)
    command = [*NETINSPECT, "drops", "account", "--interval", "1.5", "-j", "-N", gateway.router.path]
    with opened, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        end = time.monotonic() + 60
        while program.poll() is None and time.monotonic() < end:
            for port, size in ((2004, 1000), (2005, 8), (2006, 8)):
                gateway.left.call(partial(send, None, "10.1.0.1", port, size, count=3))
            time.sleep(0.02)
        assert program.stdout is not None
        rows = json.load(program.stdout)
    rates = [row["rate"] for row in rows]
    assert rates == sorted(rates, reverse=True)
    rising = {(row["layer"], row["counter"]): row for row in rows if row["rate"]}
    assert rising["transport", "Udp.NoPorts"]["source"] == "procfs: /proc/net/snmp"
    assert rising["transport", "Udp.RcvbufErrors"]["look"]
    rule = rising["netfilter", "rule"]
    assert rule["of"].startswith("ip a i handle ")
    assert "udp dport 2005" in rule["meaning"]
    socket_row = rising["socket", "udp.drops"]
    assert socket_row["of"].startswith("0.0.0.0:2004 ")
    assert f"/{os.getpid()}" in socket_row["of"]
    assert socket_row["source"] == "sock_diag"
