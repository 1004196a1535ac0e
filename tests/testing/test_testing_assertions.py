"""Assertions about the hosts of a lab: what they accept, how they wait, and what they say when they fail."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from netinspect.testing import LabFactory
from netinspect.testing.assertions import Endpoint, FlowPattern, shown


def test_wait_listening_waits_for_a_listener_that_comes_later(lab: LabFactory) -> None:
    host = lab().host("a")
    opened: list[socket.socket] = []

    def later() -> None:
        time.sleep(0.1)
        opened.append(host.call(lambda: socket.create_server(("127.0.0.1", 80))))

    thread = threading.Thread(target=later)
    thread.start()
    found = host.wait_listening(80)
    thread.join()
    assert (found.local_address, found.state) == ("127.0.0.1", "LISTEN")
    opened[0].close()


def test_wait_listening_shows_other_listeners(lab: LabFactory) -> None:
    host = lab().host("a")
    with host.call(lambda: socket.create_server(("127.0.0.1", 81))):
        with pytest.raises(AssertionError) as caught:
            host.wait_listening(80, timeout=0.05)
        assert str(caught.value) == (
            "on a: no listener on tcp port 80; listening there:\n  tcp LISTEN 127.0.0.1:81 (waited 0.05 s)"
        )
        with pytest.raises(AssertionError, match=r"no listener on tcp 10\.0\.0\.1:81"):
            host.wait_listening(81, "10.0.0.1", timeout=0.05)


@pytest.mark.parametrize(
    ("bound", "asked", "reached"),
    [
        ("0.0.0.0", "10.0.0.1", True),
        ("::", "fd00::1", True),
        ("::", "10.0.0.1", True),
        ("0.0.0.0", "fd00::1", False),
        ("127.0.0.1", "10.0.0.1", False),
    ],
)
def test_a_wildcard_listener_is_reached_at_every_address(
    lab: LabFactory, bound: str, asked: str, reached: bool
) -> None:
    host = lab().host("a")

    def listen() -> socket.socket:
        if bound == "::":
            return socket.create_server((bound, 80), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server((bound, 80))

    with host.call(listen):
        if reached:
            host.wait_listening(80, asked)
        else:
            with pytest.raises(AssertionError):
                host.wait_listening(80, asked, timeout=0.05)


def test_wait_listening_gives_up_when_the_process_has_ended(lab: LabFactory) -> None:
    host = lab().host("a")
    process = host.popen(["sh", "-c", "echo 'cannot bind' >&2; exit 4"], stderr=-1)
    started = time.monotonic()
    with pytest.raises(AssertionError, match=r"(?s)tcp port 80 ended with exit status 4.*cannot bind"):
        host.wait_listening(80, process=process, timeout=30)
    assert time.monotonic() - started < 20


def test_udp_sockets_are_waited_for_too(lab: LabFactory) -> None:
    host = lab().host("a")

    def bind() -> socket.socket:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind(("127.0.0.1", 53))
        return opened

    with host.call(bind):
        assert host.wait_listening(53, protocol="udp").protocol == "udp"


def test_wait_established_counts_connections_and_lists_what_there_is(lab: LabFactory) -> None:
    net = lab("pair")
    net.traffic("idle")
    assert len(net.server.wait_established(remote_address="10.0.0.1", count=5)) == 5
    with pytest.raises(
        AssertionError, match=r"(?s)on server: fewer than 6 established .* with remote_address=10\.0\.0\.1"
    ):
        net.server.wait_established(remote_address="10.0.0.1", count=6, timeout=0.05)
    with pytest.raises(
        AssertionError, match=r"(?s)no established TCP connection with remote_port=9;.*ESTABLISHED 10\.0"
    ):
        net.server.wait_established(remote_port=9, timeout=0.05)


def test_assert_natted_shows_the_flow(lab: LabFactory) -> None:
    net = lab("gateway")
    net.traffic("idle")
    flow = net.gateway.assert_natted("192.168.1.11", to="203.0.113.1")
    assert flow.source_address == "192.168.1.11"
    assert "SRC_NAT" in flow.status
    net.gateway.assert_natted("tcp 192.168.1.11 -> 203.0.113.100", to="203.0.113.1")
    net.gateway.assert_natted(f"192.168.1.11:{flow.source_port}", to=f"203.0.113.1:{flow.reply_destination_port}")
    with pytest.raises(
        AssertionError, match=r"(?s)192\.168\.1\.11 is not translated to 203\.0\.113\.2, but:\n .*becomes 203"
    ):
        net.gateway.assert_natted("192.168.1.11", to="203.0.113.2", timeout=0.05)
    with pytest.raises(
        AssertionError, match=r"(?s)no flow of 192\.168\.1\.12 is tracked; tracked:\n.*  tcp ESTABLISHED"
    ):
        net.gateway.assert_natted("192.168.1.12", to="203.0.113.2", timeout=0.05)
    with pytest.raises(ValueError, match="is not a flow: give"):
        net.gateway.assert_natted("somewhere", to="203.0.113.2")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", ("10.0.0.1", None)),
        ("10.0.0.1:80", ("10.0.0.1", 80)),
        ("fd00:0::1", ("fd00::1", None)),
        ("[fd00::1]:80", ("fd00::1", 80)),
        ("[fd00::1]", ("fd00::1", None)),
    ],
)
def test_endpoints_are_written_as_people_do(text: str, expected: tuple[str, int | None]) -> None:
    assert Endpoint.parse(text) == expected
    assert FlowPattern.of(f"udp {text} -> {text}") == ("udp", expected, expected)


def test_assert_route_distinguishes_lookups_from_tables(lab: LabFactory) -> None:
    net = lab("gateway")
    net.lan1.assert_route("203.0.113.100", via="192.168.1.1", interface="eth0", source="192.168.1.11")
    net.lan1.assert_route("default", via="192.168.1.1")
    net.lan1.assert_route("default6", via="fe80::1")
    net.lan1.assert_route("192.168.1.0/24", interface="eth0")
    with pytest.raises(
        AssertionError, match=r"(?s)no route to default with via=192\.168\.1\.9; routes there:\n  0\.0\.0\.0/0 via"
    ):
        net.lan1.assert_route("default", via="192.168.1.9", timeout=0.05)
    with pytest.raises(AssertionError, match=r"the kernel has no route to 8\.8\.8\.8; routes there:\n  203"):
        net.wan.assert_route("8.8.8.8", timeout=0.05)
    with pytest.raises(AssertionError, match=r"no route to 10\.99\.0\.0/16; routes there:"):
        net.wan.assert_route("10.99.0.0/16", timeout=0.05)


def test_assert_member_knows_source_filters(lab: LabFactory) -> None:
    net = lab("multicast")
    net.m1.assert_member("239.1.1.1", source="10.0.0.99")
    net.m2.assert_member("ff15::1:1", source="fd00::1", interface="eth0")
    net.m3.assert_member("239.1.1.1", source="10.0.0.99")
    with pytest.raises(
        AssertionError, match=r"not received from 10\.0\.0\.99; groups there:\n  .* only from 10\.0\.0\.1"
    ):
        net.m2.assert_member("239.1.1.1", source="10.0.0.99", timeout=0.05)
    with pytest.raises(AssertionError, match=r"239\.9\.9\.9 is not received; groups there:\n  224\.0\.0\.1 on lo"):
        net.m1.assert_member("239.9.9.9", timeout=0.05)


def test_assert_no_leaks_finds_sockets_processes_and_flows(lab: LabFactory) -> None:
    net = lab("gateway")
    net.assert_no_leaks()
    with (
        net.wan.call(lambda: socket.create_server(("203.0.113.100", 9999))),
        net.lan1.call(lambda: socket.create_connection(("203.0.113.100", 9999), timeout=5)),
    ):
        process = net.lan2.popen(["sleep", "60"])
        with pytest.raises(AssertionError) as caught:
            net.assert_no_leaks(timeout=0.05)
        for left in (
            "on wan: socket tcp LISTEN 203.0.113.100:9999",
            "on lan1: socket tcp ESTABLISHED 192.168.1.11:",
            f"on lan2: process {process.pid} (sleep 60)",
            "on gateway: conntrack entry tcp ESTABLISHED 192.168.1.11:",
        ):
            assert left in str(caught.value)
        then = net.inventory()
        net.assert_no_leaks(since=then)
    process.kill()
    process.wait()


def test_closed_connections_are_no_leaks(lab: LabFactory) -> None:
    net = lab("gateway")
    net.traffic("request")
    net.traffic("udp").close()
    net.assert_no_leaks()


def test_what_the_lab_itself_keeps_is_no_leak(lab: LabFactory) -> None:
    lab("multicast").assert_no_leaks()
    lab("scale", sockets=10, routes=1, flows=3).assert_no_leaks()


def test_a_snapshot_shows_sockets_routes_and_flows_of_every_host(lab: LabFactory) -> None:
    net = lab("gateway")
    net.traffic("idle")
    shown = net.snapshot()
    for line in ("lan2:", "  sockets: none", "    0.0.0.0/0 via 192.168.1.1 dev eth0 proto static", "  flows:"):
        assert f"\n{line}\n" in shown
    assert "(source becomes 203.0.113.1:" in shown


def test_a_lab_works_in_threads(lab: LabFactory) -> None:
    net = lab("pair", user_namespace=True)
    outputs: list[str] = []
    threads = [threading.Thread(target=lambda: outputs.append(net.client.run("echo", "x").stdout)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outputs == ["x\n"] * 4
    process: list[object] = []
    starter = threading.Thread(target=lambda: process.append(net.client.popen(["sleep", "60"])))
    starter.start()
    starter.join()
    time.sleep(0.05)
    # The thread that asked for it has ended, and took nothing along.
    assert net.started[-1].poll() is None


def test_what_is_shown_makes_no_lines_of_its_own() -> None:
    assert shown(["process 1 (a\nall is well\x1b[2J)"]) == "\n  process 1 (a\\x0aall is well\\x1b[2J)"
