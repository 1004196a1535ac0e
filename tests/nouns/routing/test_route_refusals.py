"""`routes get` where the kernel refuses: its errno stands for several reasons, and the one that it is is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from throwaway import Namespace

INSIDE, OUTSIDE = "10.0.0.2", "198.51.100.1"
COMING = ("from", INSIDE, "iif", "g0")


@pytest.fixture
def gateway(namespace: Namespace, need: Callable[[str], None]) -> Namespace:
    need("ip")
    for number, address in enumerate(("10.0.0.1/24", "203.0.113.1/24")):
        namespace.run("ip", "link", "add", f"g{number}", "type", "veth", "peer", "name", f"x{number}")
        for name in (f"g{number}", f"x{number}"):
            namespace.run("ip", "link", "set", name, "up")
        namespace.run("ip", "addr", "add", address, "dev", f"g{number}")
    namespace.run("ip", "route", "add", "default", "via", "203.0.113.100")
    for name in ("all", "default", "g0", "g1"):
        setting(namespace, f"ipv4/conf/{name}/rp_filter", "0")
    setting(namespace, "ipv4/ip_forward", "1")
    return namespace


def setting(namespace: Namespace, name: str, value: str) -> None:
    def write() -> None:
        with open(f"/proc/sys/net/{name}", "w") as file:
            file.write(value)

    namespace.call(write)


def refusal(namespace: Namespace, *words: str) -> str:
    answer = namespace.netinspect("routes", "get", *words, check=False)
    assert answer.returncode == 1
    assert len(answer.stderr.splitlines()) == 1
    return answer.stderr


def test_forwarding_that_is_off_is_named(gateway: Namespace) -> None:
    setting(gateway, "ipv4/ip_forward", "0")
    assert "net.ipv4.conf.g0.forwarding = 0" in refusal(gateway, OUTSIDE, *COMING)


def test_the_reverse_path_filter_is_named(gateway: Namespace) -> None:
    setting(gateway, "ipv4/conf/g1/rp_filter", "1")
    assert "net.ipv4.conf.g1.rp_filter = 1" in refusal(gateway, "10.0.0.9", "from", INSIDE, "iif", "g1")


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("10.0.0.1", OUTSIDE),
        ("127.0.0.1", OUTSIDE),
        ("224.0.0.1", OUTSIDE),
        ("0.0.0.0", OUTSIDE),
        (INSIDE, "127.0.0.1"),
    ],
)
def test_martians_are_named(gateway: Namespace, source: str, destination: str) -> None:
    assert "martian" in refusal(gateway, destination, "from", source, "iif", "g0")


def test_groups_that_nobody_joined_are_named(gateway: Namespace) -> None:
    gateway.run("ip", "route", "replace", "default", "dev", "g1")
    found = refusal(gateway, "224.0.0.5", "from", INSIDE, "iif", "g0")
    assert "is a group (multicast)" in found
    assert "no default route" not in found


@pytest.mark.parametrize("kind", ["blackhole", "prohibit", "unreachable"])
def test_routes_and_rules_that_refuse_are_distinguished(gateway: Namespace, kind: str) -> None:
    gateway.run("ip", "route", "add", kind, "198.18.1.0/24")
    for words in (COMING, ()):
        assert f"{kind} 198.18.1.0/24" in refusal(gateway, "198.18.1.1", *words)
    gateway.run("ip", "rule", "add", "to", "198.18.7.0/24", kind)
    for words in (COMING, ()):
        assert f"a rule of type {kind}" in refusal(gateway, "198.18.7.1", *words)


def test_no_route_is_none_of_them(gateway: Namespace) -> None:
    gateway.run("ip", "route", "del", "default")
    for words in (COMING, ()):
        text = refusal(gateway, OUTSIDE, *words)
        assert "no route" in text
        assert "forwarding" not in text
