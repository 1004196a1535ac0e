"""Routes by gateway: single next hops, several, and next-hop objects, as `ip route` has them in both modes."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Callable
from struct import pack

import pytest
from fake_kernel import runs_of
from routing_state import await_carrier
from throwaway import Namespace

from netinspect.engine.netlink.messages import attribute, message
from netinspect.engine.rtnetlink import Names
from netinspect.nouns.routing import decode_nexthops
from netinspect.uapi.nexthop import NHA_GROUP, NHA_ID, NHA_OP_FLAGS
from netinspect.uapi.rtnetlink import RTM_NEWNEXTHOP

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
NO_NAMES: Names = Names({}, {}, defaultdict(str), defaultdict(str))
BY_SEVEN = ["192.0.2.0/28", "192.0.2.16/28", "192.0.2.32/28", "192.0.2.48/28"]


@pytest.fixture
def routed(namespace: Namespace, need: Callable[[str], None]) -> Namespace:
    need("ip")
    for line in SETUP.strip().splitlines():
        namespace.run("ip", *line.split())
    await_carrier(namespace, "v0", "v1")
    return namespace


SPECIAL = """
nexthop add id 20 blackhole
nexthop add id 21 group 20
nexthop add id 22 via 172.16.0.9 dev v0 onlink
nexthop add id 23 via fe80::7 dev v0 onlink
nexthop add id 24 group 22/2
-6 nexthop add id 25 blackhole
route add 198.51.100.0/28 nhid 20
route add 198.51.100.16/28 nhid 21
route add 198.51.100.32/28 nhid 22 mtu 1300 metric 5
route add 198.51.100.48/28 nhid 23
route add 198.51.100.64/28 nhid 24
-6 route add 2001:db8:2::/64 nhid 23
-6 route add 2001:db8:3::/64 nhid 25
"""
WRAPPED = """
nexthop add id 30 via 10.0.0.9 dev v0 encap ip id 5 dst 10.9.9.9
route add 198.51.100.80/28 nhid 30
"""


def test_a_route_of_an_object_is_the_same_in_both_modes(routed: Namespace) -> None:
    """Where the kernel names only the object, the route has its interface, flags and encapsulation as well."""
    for line in SPECIAL.strip().splitlines():
        routed.run("ip", *line.split())
    # A kernel may lack light-weight tunnels.
    refused = [routed.run("ip", *line.split(), check=False).returncode for line in WRAPPED.strip().splitlines()]
    found, texts = [], []
    for mode in (1, 0):
        routed.run("sh", "-c", f"echo {mode} > /proc/sys/net/ipv4/nexthop_compat_mode")
        rows = json.loads(routed.netinspect("routes", "-nj").stdout)
        found.append({row["destination"]: row for row in rows})
        texts.append(routed.netinspect("netstat", "-rn").stdout)
    assert found[0] == found[1]
    assert found[1]["198.51.100.0/28"]["interface"] == "lo"
    assert found[1]["198.51.100.16/28"]["next_hops"][0]["interface"] == "lo"
    assert found[1]["198.51.100.32/28"]["flags"] == ["onlink"]
    assert found[1]["2001:db8:3::/64"]["type"] == "blackhole"
    if not any(refused):
        assert found[1]["198.51.100.80/28"]["encapsulation"]["destination"] == "10.9.9.9"
    theirs = routed.run("netstat", "-rn").stdout if shutil.which("netstat") else texts[0]
    assert texts == [theirs, theirs]


SHARED = """
nexthop add id 26 via fd00:1::8 dev v0
nexthop add id 27 group 4/26
-6 route add 2001:db8:2::/64 nhid 27
-6 route add 2001:db8:3::/64 nhid 27
-6 route add 2001:db8:3::/48 nhid 27 metric 7
-6 route add default nhid 27 table 77
-6 rule add from 2001:db8:ff::/64 lookup 77 pref 10
addr add 2001:db8:ff::1/64 dev v0 nodad
"""


def test_the_entry_of_an_answer_is_that_of_its_destination(routed: Namespace) -> None:
    """IPv6 routes that share a next hop: the kernel names the entry of any of them (`ip route get fibmatch`)."""
    for line in SHARED.strip().splitlines():
        routed.run("ip", *line.split())
    for destination, table, entry in (
        ("2001:db8::1", "main", "2001:db8::/64"),
        ("2001:db8:2::1", "main", "2001:db8:2::/64"),
        ("2001:db8:3::1", "main", "2001:db8:3::/64"),
        ("2001:db8:3:1::1", "main", "2001:db8:3::/48"),
        ("2001:db8:4::1 from 2001:db8:ff::1", "77", "::/0"),
        ("2001:db8:3::1 from fd00:1::1", "main", "2001:db8:3::/64"),
    ):
        (found,) = json.loads(routed.netinspect("routes", "get", "-j", *destination.split()).stdout)
        assert (found["table"], found["entry"]) == (table, entry), destination
        assert found["rule"]["table"] == table
    shown = routed.netinspect("path", "fd00:1::1", "2001:db8:3::1", check=False).stdout
    assert "2001:db8:3::/64" in shown
    assert "2001:db8:2::/64" not in shown


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


@pytest.mark.parametrize(("flags", "weight"), [(b"", 6), (attribute(NHA_OP_FLAGS, pack("=I", 1 << 31)), 0x7506)])
def test_weights_have_upper_bits_where_the_kernel_clears_what_it_does_not_use(flags: bytes, weight: int) -> None:
    inside = attribute(NHA_ID, pack("=I", 3)) + attribute(NHA_GROUP, pack("=IBBH", 1, 5, 0x75, 0)) + flags
    answer = message(RTM_NEWNEXTHOP, 0, pack("=BBBBI", 0, 0, 0, 0, 0) + inside)
    (made,) = decode_nexthops.objects(runs_of([answer]), NO_NAMES)
    assert made.group == ((1, weight),)
