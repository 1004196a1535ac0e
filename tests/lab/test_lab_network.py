"""What a topology becomes in the kernel, looked at by the usual tools, as root and in a user namespace."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from threading import Thread
from time import sleep
from typing import Any

import pytest
from patience import eventually

from netinspect.lab.child import in_child
from netinspect.lab.errors import LabError, TopologyError
from netinspect.lab.world import refusal
from netinspect.testing import AssertingLab, LabFactory, observing

Need = Callable[[str], None]
Make = Callable[..., AssertingLab]


@pytest.fixture(params=["here", "user namespace"])
def make(request: pytest.FixtureRequest, lab: LabFactory) -> Make:
    """Makes labs in this process's user namespace, and in one of their own."""
    return lambda *arguments, **options: lab(*arguments, user_namespace=request.param == "user namespace", **options)


def asked(host: Any, *argv: str) -> Any:
    return json.loads(host.run(*argv).stdout or "[]")


def test_links_and_addresses_are_there_and_up_at_once(make: Make, need: Need) -> None:
    need("ip")
    net = make("pair")
    (link,) = [link for link in asked(net.client, "ip", "-j", "address") if link["ifname"] == "eth0"]
    assert link["operstate"] == "UP"
    addresses = {(entry["local"], entry["prefixlen"]) for entry in link["addr_info"] if entry["scope"] == "global"}
    assert addresses == {("10.0.0.1", 24), ("fd00::1", 64)}
    assert not any(entry.get("tentative") for entry in link["addr_info"])


def test_a_host_is_entered_when_other_threads_have_ended(lab: LabFactory) -> None:
    client = lab("pair", user_namespace=True).client

    def entered() -> list[tuple[int, str]]:
        Thread(target=sleep, args=(0.2,)).start()
        client.lab.world.enter(client.namespace.descriptor)
        return socket.if_nameindex()

    assert "eth0" in [name for _, name in in_child(entered, lambda: None)]


def test_two_hosts_talk_in_both_families_as_soon_as_they_are_made(make: Make) -> None:
    net = make("pair")
    for address in (net.server.ipv4, net.server.ipv6):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with net.server.call(lambda f=family, a=address: socket.create_server((a, 0), family=f)) as server:
            port = server.getsockname()[1]
            with net.client.call(lambda a=address, p=port: socket.create_connection((a, p), timeout=20)) as client:
                # struct tcp_info (linux/tcp.h): no SYN was lost and sent again, a second later.
                info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
                assert int.from_bytes(info[100:], sys.byteorder) == 0
                client.sendall(b"hello")
                with server.accept()[0] as connection:
                    assert connection.recv(10) == b"hello"


@pytest.mark.parametrize(
    ("client", "source"),
    [("lan1", "203.0.113.1"), ("lan2", "203.0.113.2"), ("lan1", "2001:db8::1"), ("lan2", "2001:db8::2")],
)
def test_the_gateway_gives_each_host_its_source_address(make: Make, client: str, source: str) -> None:
    net = make("gateway")
    address = net.wan.ipv6 if ":" in source else net.wan.ipv4
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    with (
        net.wan.call(lambda: socket.create_server((address, 80), family=family)) as server,
        net[client].call(lambda: socket.create_connection((address, 80), timeout=5)) as opened,
    ):
        with server.accept()[0] as connection:
            assert connection.getpeername()[0] == source
        net.gateway.assert_natted(opened, to=source)


@pytest.mark.parametrize("gateway", ["203.0.113.1", "2001:db8::1"])
def test_the_gateway_publishes_a_port_and_redirects_another(make: Make, gateway: str) -> None:
    net = make("gateway")
    six = ":" in gateway
    inside, anyone = (net.lan1.ipv6, "::") if six else (net.lan1.ipv4, "0.0.0.0")
    family = socket.AF_INET6 if six else socket.AF_INET
    with (
        net.lan1.call(lambda: socket.create_server((inside, 80), family=family)) as server,
        net.wan.call(lambda: socket.create_connection((gateway, 8080), timeout=5)) as client,
    ):
        server.accept()[0].close()
        net.gateway.assert_natted(client, to=f"[{inside}]:80" if six else f"{inside}:80")
    with net.gateway.call(lambda: socket.create_server((anyone, 8081), family=family)) as server:
        there = net.wan.ipv6 if six else net.wan.ipv4
        with net.lan2.call(lambda: socket.create_connection((there, 81), timeout=5)):
            assert server.accept()[1][0] == (net.lan2.ipv6 if six else net.lan2.ipv4)


def test_nft_reads_the_rules_as_they_were_meant(make: Make, need: Need) -> None:
    need("nft")
    net = make("gateway")
    net.gateway.drop(protocol="udp", port=53, into="lan")
    rules = net.gateway.run("nft", "list", "ruleset").stdout
    for rule in (
        'oifname "wan" ip saddr 192.168.1.12 counter packets 0 bytes 0 snat to 203.0.113.2',
        'oifname "wan" counter packets 0 bytes 0 masquerade',
        'iifname "wan" tcp dport 8080 counter packets 0 bytes 0 dnat to 192.168.1.11:80',
        'iifname "lan" tcp dport 81 counter packets 0 bytes 0 redirect to :8081',
        'iifname "lan" udp dport 53 counter packets 0 bytes 0 drop',
    ):
        assert rule in rules


def test_policy_has_its_tables_rules_and_routes_that_lead_nowhere(make: Make, need: Need) -> None:
    need("ip")
    net = make("policy")
    client = net.client
    rules = {rule["priority"]: rule for rule in asked(client, "ip", "-j", "rule")}
    assert rules[100]["src"] == "10.0.1.11"
    assert rules[100]["table"] == "100"
    assert rules[301]["fwmark"] == "0x2"
    assert rules[400]["action"] == "blackhole"
    (default,) = [route for route in asked(client, "ip", "-j", "route") if route["dst"] == "default"]
    assert [(hop["gateway"], hop["weight"]) for hop in default["nexthops"]] == [("10.0.1.1", 2), ("10.0.2.1", 1)]
    client.assert_route("192.0.2.0/24", type="blackhole")
    client.assert_route("198.51.100.0/24", type="prohibit")
    client.assert_route("203.0.113.0/24", type="unreachable")
    client.assert_route("172.16.0.0/12", type="throw", table=100)
    client.assert_route("default6", table=1000, via="fd00:2::1")
    for mark, via in (("1", "10.0.1.1"), ("2", "10.0.2.1")):
        (answer,) = asked(client, "ip", "-j", "route", "get", "10.9.0.1", "mark", mark)
        assert answer["gateway"] == via


def test_members_have_their_groups_and_source_filters(make: Make) -> None:
    net = make("multicast")
    for group, sender in (("239.1.1.1", net.sender.ipv4), ("ff15::1:1", net.sender.ipv6)):
        assert net.m1.assert_member(group, interface="eth0").included == ()
        assert net.m2.assert_member(group, source=sender).included == (sender,)
        assert net.m3.assert_member(group, interface="eth0").excluded == (sender,)


def test_our_routes_are_those_that_ip_lists(make: Make, need: Need) -> None:
    need("ip")
    net = make("policy")

    def compare(family: str, version: str) -> None:
        theirs = {
            (route["dst"], str(route.get("table", "main")), route.get("dev"), route.get("metric"))
            for route in asked(net.client, "ip", "-j", family, "route", "show", "table", "all")
            if route.get("table") != "local" and route.get("type") not in ("multicast", "anycast")
        }
        ours = {
            (
                "default" if route.destination in ("0.0.0.0/0", "::/0") else route.destination.removesuffix("/32"),
                route.table,
                route.interface,
                route.metric or None,
            )
            for route in observing.routes(net.client)
            if route.family == version and route.type not in ("multicast", "anycast")
        }
        assert {row for row in ours if row[2]} == {row for row in theirs if row[2]}

    for family, version in (("-4", "inet"), ("-6", "inet6")):
        # Routes that go with addresses come by and by.
        eventually(lambda family=family, version=version: compare(family, version))  # type: ignore[misc]


def test_a_lab_is_built_by_hand_with_a_few_calls(make: Make) -> None:
    net = make()
    client, router, server = net.host("client"), net.host("router", forwarding=True), net.host("server")
    net.link(client, router, "10.1.0.2/24", "10.1.0.1/24", mtu=1400)
    net.link(router, server, ["10.2.0.1/24", "fd00::1/64"], "10.2.0.2/24", names=("out", "eth9"))
    client.route("default", via="10.1.0.1")
    server.route("10.1.0.0/24", via="10.2.0.1")
    router.nat("masquerade", out="out")
    client.sysctl("net.ipv4.ip_default_ttl", 33)
    assert set(router.interfaces) == {"lo", "eth0", "out"}
    with server.call(lambda: socket.create_server(("10.2.0.2", 0))) as listener:
        port = listener.getsockname()[1]
        with client.call(lambda: socket.create_connection(("10.2.0.2", port), timeout=5)):
            assert listener.accept()[1][0] == "10.2.0.1"
    assert client.run("cat", "/proc/sys/net/ipv4/ip_default_ttl").stdout == "33\n"


def test_dropped_packets_are_dropped_without_a_word(make: Make) -> None:
    net = make("pmtu")
    net.router.drop(protocol="tcp", port=4444)
    with pytest.raises(TimeoutError):
        net.client.call(lambda: socket.create_connection((net.server.ipv4, 4444), timeout=0.2))


def test_call_gives_back_results_sockets_and_exceptions(make: Make) -> None:
    host = make().host("alone")
    assert host.call(lambda: {"a": [1, None]}) == {"a": [1, None]}
    first, second = host.call(socket.socketpair)
    with first, second:
        first.sendall(b"x")
        assert second.recv(1) == b"x"
    with pytest.raises(ZeroDivisionError):
        host.call(lambda: 1 // 0)
    inode = host.call(lambda: os.stat("/proc/thread-self/ns/net").st_ino)
    assert inode == host.inode != os.stat("/proc/thread-self/ns/net").st_ino


def test_commands_run_inside_and_failures_say_what_they_printed(make: Make) -> None:
    host = make().host("alone")
    assert host.run("cat", input="hello").stdout == "hello"
    assert host.run("false", check=False).returncode == 1
    with pytest.raises(AssertionError, match=r"(?s)on alone: sh -c .*: exit status 3\n.*oops"):
        host.run("sh", "-c", "echo oops >&2; exit 3")
    with pytest.raises(AssertionError, match=r"still running after 0\.1 s"):
        host.run("sleep", "60", timeout=0.1)


def test_a_refusal_of_the_kernel_is_reported_in_one_line(make: Make) -> None:
    net = make("pair")
    with pytest.raises(LabError, match=r"host client: the kernel refused the route to 10\.9\.0\.0/16 in table 254: "):
        net.client.route("10.9.0.0/16", via="172.31.0.1")
    with pytest.raises(LabError, match=r"no sysctl net\.ipv4\.no_such_thing"):
        net.client.sysctl("net.ipv4.no_such_thing", 1)
    with pytest.raises(TopologyError, match="only sysctls below net"):
        net.client.sysctl("kernel.hostname", "x")
    with pytest.raises(AttributeError, match="no host 'sever': it has client, server"):
        net.sever  # noqa: B018


def test_two_labs_with_the_same_addresses_do_not_meet(make: Make) -> None:
    first, second = make("pair"), make("pair")
    assert first.name != second.name
    with first.server.call(lambda: socket.create_server(("10.0.0.2", 80))):
        first.server.wait_listening(80)
        with pytest.raises(ConnectionRefusedError):
            second.client.call(lambda: socket.create_connection(("10.0.0.2", 80), timeout=5))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"user.max_user_namespaces": "0"}, "user.max_user_namespaces=0 forbids them: set it above 0"),
        ({"kernel.unprivileged_userns_clone": "0"}, "kernel.unprivileged_userns_clone=0 forbids them: set it to 1"),
        ({"kernel.apparmor_restrict_unprivileged_userns": "1"}, "userns=1 forbids them: set it to 0, or run as root"),
        ({}, "no sysctl forbids them, so a container's seccomp filter or security module does"),
    ],
)
def test_a_refusal_names_the_setting_that_forbids_namespaces(settings: dict[str, str], expected: str) -> None:
    def read(name: str) -> str:
        if name not in settings:
            raise FileNotFoundError
        return settings[name]

    assert expected in refusal(PermissionError(1, "Operation not permitted"), read)


def test_a_refusal_has_the_kernels_own_words_and_costs_nothing_else(make: Make) -> None:
    net = make("pair")
    refused = (
        r"^host client: the kernel refused the route to 10\.9\.0\.0/16 in table 254: Network is unreachable: .*gateway"
    )
    with pytest.raises(LabError, match=refused):
        net.client.route("10.9.0.0/16", via="10.200.0.1")
    # A transaction of nftables that is refused as a whole: what is answered to its parts does not answer what follows.
    net.client.chains |= {(4, "postrouting"), (4, "prerouting")}
    for _ in range(2):
        with pytest.raises(
            LabError, match=r"the kernel refused the masquerade rule \(nftables\): No such file or directory"
        ):
            net.client.nat("masquerade", out="eth0")
    net.client.chains.clear()
    net.client.nat("masquerade", out="eth0")
    net.client.route("10.9.0.0/16", via="10.0.0.2")
    net.client.assert_route("10.9.1.1", via="10.0.0.2", interface="eth0")
