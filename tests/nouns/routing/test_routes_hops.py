"""Routes by gateway: single next hops, several, and next-hop objects, as `ip route` has them in both modes."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from routing_state import await_carrier
from throwaway import Namespace

SETUP = """
link add v0 type veth peer name v1
link set v0 up
link set v1 up
addr add 10.0.0.1/24 dev v0
addr add 10.0.1.1/24 dev v1
addr add fd00:1::1/64 dev v0 nodad
nexthop add id 1 via 10.0.0.7 dev v0
nexthop add id 2 via 10.0.0.8 dev v0
nexthop add id 3 group 1/2
nexthop add id 4 via fd00:1::7 dev v0
nexthop add id 5 via 10.0.1.7 dev v1
nexthop add id 6 group 2/5
route add 192.0.2.0/28 via 10.0.0.7
route add 192.0.2.16/28 nhid 1
route add 192.0.2.32/28 nhid 3
route add 192.0.2.48/28 nexthop via 10.0.0.7 nexthop via 10.0.0.9
route add 192.0.2.64/28 via 10.0.0.9
route add 192.0.2.80/28 nhid 2
route add 192.0.2.96/28 nhid 6
-6 route add 2001:db8::/64 nhid 4
-6 route add 2001:db8:1::/64 nexthop via fd00:1::7 dev v0 nexthop via fd00:1::9 dev v0
-6 route add 2001:db8:aaaa:bbbb:cccc:dddd:eeee:ff00/120 via fd00:1::1111:2222:3333:4444
"""
BY_SEVEN = ["192.0.2.0/28", "192.0.2.16/28", "192.0.2.32/28", "192.0.2.48/28"]


@pytest.fixture
def routed(namespace: Namespace, need: Callable[[str], None]) -> Namespace:
    need("ip")
    for line in SETUP.strip().splitlines():
        namespace.run("ip", *line.split())
    await_carrier(namespace, "v0", "v1")
    return namespace


@pytest.mark.parametrize("compatible", [0, 1])
def test_every_member_of_a_route_counts_as_its_gateway(routed: Namespace, compatible: int) -> None:
    def set_mode() -> None:
        with open("/proc/sys/net/ipv4/nexthop_compat_mode", "w") as file:
            file.write(str(compatible))

    routed.call(set_mode)

    def listed(*options: str) -> list[str]:
        rows = json.loads(routed.netinspect("routes", "-nj", *options).stdout)
        return [row["destination"] for row in rows]

    assert listed("--via", "10.0.0.7") == BY_SEVEN
    assert listed("--via", "10.0.0.8") == ["192.0.2.32/28", "192.0.2.80/28", "192.0.2.96/28"]
    assert listed("--via", "10.0.1.7") == listed("-i", "v1", "--via", "10.0.1.7") == ["192.0.2.96/28"]
    assert listed("-i", "v1", "--via", "10.0.0.8") == []
    assert listed("--via", "fd00:1::7") == ["2001:db8::/64", "2001:db8:1::/64"]
    assert "192.0.2.96/28" in listed("-4", "-i", "v0")
    assert "192.0.2.96/28" in listed("-4", "-i", "v1")
    for prefix in BY_SEVEN:
        routed.netinspect("assert", "route", prefix, "via", "10.0.0.7")
    routed.netinspect("assert", "not", "route", "192.0.2.64/28", "via", "10.0.0.7")


@pytest.mark.parametrize("compatible", [0, 1])
def test_netstat_has_the_gateways_of_next_hop_objects(
    routed: Namespace, compatible: int, need: Callable[[str], None]
) -> None:
    need("netstat")

    def set_mode() -> None:
        with open("/proc/sys/net/ipv4/nexthop_compat_mode", "w") as file:
            file.write(str(compatible))

    routed.call(set_mode)
    theirs = routed.run("netstat", "-rn").stdout
    assert routed.netinspect("netstat", "-rn").stdout == theirs


def test_a_long_destination_keeps_the_blank_behind_it(routed: Namespace) -> None:
    lines = routed.netinspect("netstat", "-6rn").stdout.splitlines()[2:]
    assert {len(line.split()) for line in lines} == {7}
    (long,) = [line for line in lines if "ff00/120" in line]
    assert long.startswith("2001:db8:aaaa:bbbb:cccc:dddd:eeee:ff00/120 fd00:1::1111:2222:3333:4444 ")
