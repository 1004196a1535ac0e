"""`netinspect netstat -r` and `-i` against net-tools' netstat in the same namespace, line for line and in its order."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest
from availability import unavailable
from patience import standing_still
from routing_state import await_carrier, build
from throwaway import Namespace

from netinspect.engine.netlink.messages import Run
from netinspect.netstat.render_interfaces import _address_bytes, sort_key


@pytest.fixture(scope="module")
def zoo() -> Iterator[Namespace]:
    """A namespace with routes and interfaces of every kind, in which nothing more is sent."""
    namespace = Namespace()
    build(namespace)
    lines = """
    tuntap add tun0 mode tun
    link set tun0 up
    link add v10 type veth peer name v2
    link set v10 addrgenmode none
    link set v10 up
    address add 10.3.0.1 peer 10.3.0.2/32 dev tun0
    address add 10.4.0.5/24 dev v0 label v0:1
    address add 10.9.0.1/24 brd + dev v10 label v10:x
    address add ::9.9.9.9/128 dev lo
    address add fec0::1/64 dev v10 nodad
    """
    namespace.run("ip", "-force", "-batch", "-", input=lines, check=False)
    await_carrier(namespace, "v0", "v1")
    yield namespace
    namespace.close()


def lines(namespace: Namespace, *arguments: str) -> list[str]:
    environment = {**os.environ, "LC_ALL": "C"}
    return namespace.run(*arguments, check=False, env=environment).stdout.splitlines()


def both(namespace: Namespace, *options: str) -> tuple[list[str], list[str]]:
    """What our netstat prints, and net-tools' before and after: the kernel sends a packet of its own now and then."""
    theirs, ours = standing_still(
        lambda: lines(namespace, "netstat", *options),
        lambda: namespace.netinspect("netstat", *options).stdout.splitlines(),
    )
    return ours, theirs


@pytest.mark.parametrize(
    "options", ["-rn", "-rne", "-rnee", "-rnF", "-rn4", "-rnv", "-rnC", "-rnW", "-r --numeric-hosts", "-rnA inet"]
)
def test_routes_are_line_for_line_those_of_netstat(options: str, zoo: Namespace, need: Callable[[str], None]) -> None:
    need("netstat")
    ours, theirs = both(zoo, *options.split(" "))
    assert len(theirs) > 15 or "C" in options
    assert ours == theirs


@pytest.mark.parametrize("options", ["-6rn", "-rn6F", "-rnA inet6", "-46rn", "-64rn", "-6rnC"])
def test_ipv6_routes_except_the_reference_count(options: str, zoo: Namespace, need: Callable[[str], None]) -> None:
    need("netstat")
    ours, theirs = (list(map(without_references, found)) for found in both(zoo, *options.split(" ")))
    assert ours == theirs


def without_references(line: str) -> str:
    words = line.split()
    # Destination, next hop, flags, metric, references, use, interface.
    return " ".join(words[:4] + words[5:]) if len(words) == 7 and ":" in words[0] else line


OBJECTS = """
link add wan1 type veth peer wan1p
link add wan2 type veth peer wan2p
link set wan1 up
link set wan1p up
link set wan2 up
link set wan2p up
address add 10.0.0.1/24 dev wan1
address add 10.1.0.1/24 dev wan2
address add fd00::1/64 dev wan1 nodad
address add fd01::1/64 dev wan2 nodad
nexthop add id 1 via 10.0.0.2 dev wan1
nexthop add id 2 via 10.1.0.2 dev wan2
nexthop add id 3 group 1/2
nexthop add id 4 blackhole
nexthop add id 11 via fd00::2 dev wan1
nexthop add id 12 via fd01::2 dev wan2
nexthop add id 13 group 11,3/12,7
nexthop add id 16 group 11/12 type resilient buckets 8
route add 192.0.2.0/24 nhid 1
route add 198.51.100.0/24 nhid 3
route add 203.0.113.0/24 nhid 4
route add 203.0.115.0/24 nhid 11
route add 203.0.116.0/24 nhid 13
"""
OBJECTS_6 = """
nexthop add id 14 blackhole
nexthop add id 15 dev wan2
route add 2001:db8:1::/64 nhid 11
route add 2001:db8:3::/64 nhid 13
route add 2001:db8:4::/64 nhid 14
route add 2001:db8:5::/64 nhid 15
route add 2001:db8:6::/64 nhid 16
route add default nhid 13
"""
HOPS = {
    "2001:db8:1::/64": [("fd00::2", "UG", "wan1")],
    "2001:db8:3::/64": [("fd00::2", "UG", "wan1"), ("fd01::2", "UG", "wan2")],
    "2001:db8:4::/64": [("::", "!n", "lo")],
    "2001:db8:5::/64": [("::", "U", "wan2")],
    "2001:db8:6::/64": [("fd00::2", "UG", "wan1"), ("fd01::2", "UG", "wan2")],
    "2001:db8:7::/64": [("::", "!n", "lo")],
    "::/0": [("fd00::2", "UG", "wan1"), ("fd01::2", "UG", "wan2"), ("::", "!n", "lo")],
}


def test_routes_through_objects_have_every_next_hop_in_both_modes(
    namespace: Namespace, need: Callable[[str], None]
) -> None:
    need("netstat")
    if "attribute type" in namespace.run("ip", "-batch", "-", input=OBJECTS, check=False).stderr:
        unavailable("this kernel has no resilient groups of next hops (Linux 5.13)")
    namespace.run("ip", "-6", "-batch", "-", input=OBJECTS_6)
    namespace.run("ip", "nexthop", "add", "id", "17", "group", "14")
    namespace.run("ip", "-6", "route", "add", "2001:db8:7::/64", "nhid", "17")
    await_carrier(namespace, "wan1", "wan2")
    for mode in (1, 0):
        namespace.host.sysctl("net.ipv4.nexthop_compat_mode", mode)
        for options in ("-rn", "-rne", "-rnee"):
            ours, theirs = both(namespace, options)
            assert ours == theirs
        found: dict[str, list[tuple[str, str, str]]] = {}
        for line in lines(namespace, "netstat", "-6rn")[2:]:
            first = line.split()
            found[first[0]] = []
        for line in namespace.netinspect("netstat", "-6rn").stdout.splitlines()[2:]:
            words = line.split()
            found[words[0]].append((words[1], words[2], words[6]))  # a KeyError: net-tools does not have it
        assert {destination: found[destination] for destination in HOPS} == HOPS


@pytest.mark.parametrize("options", ["-i", "-ia", "-in", "-iv", "-ie", "-iae", "-iee", "-iW"])
def test_interfaces_are_line_for_line_those_of_netstat(
    options: str, zoo: Namespace, need: Callable[[str], None]
) -> None:
    need("netstat")
    ours, theirs = both(zoo, options)
    # The order of the IPv6 addresses of an interface is that of a hash table in procfs.
    assert (sorted(ours), ours[:3]) == (sorted(theirs), theirs[:3])


def test_one_interface_may_be_asked_for(zoo: Namespace) -> None:
    rows = zoo.netinspect("netstat", "-I", "v0").stdout.splitlines()
    assert [row.split()[0] for row in rows[2:]] == ["v0", "v0:1"]
    assert zoo.netinspect("netstat", "-I", "lo", "-e").stdout.splitlines()[1].startswith("lo: flags=73<UP,")
    result = zoo.netinspect("netstat", "-I", "nonsense", check=False)
    assert (result.returncode, result.stderr) == (2, "netinspect: no interface 'nonsense'\n")


@pytest.mark.parametrize("options", [["-ri"], ["-rs"], ["-rA", "unix"]])
def test_what_netstat_does_not_show_is_refused(options: list[str], zoo: Namespace) -> None:
    result = zoo.netinspect("netstat", *options, check=False)
    assert (result.returncode, result.stdout) == (2, "")


def test_names_are_sorted_as_people_do() -> None:
    names = ["eth10", "eth2", "eth1:1", "eth1", "a", "eth", "lo"]
    # net-tools 2.10 showed these so: a number counts as one at the end of a name alone.
    vlans = ["eth0", "eth1", "eth0.100", "eth1.5", "h0", "h1", "h0p"]
    assert sorted(sorted(vlans), key=sort_key) == vlans
    odd = ["a10b1", "a1b2", "a1b10", "b1", "b.1", "bb"]
    assert sorted(sorted(odd), key=sort_key) == odd
    assert sorted(names, key=sort_key) == ["a", "eth", "eth1", "eth1:1", "eth2", "eth10", "lo"]
    labels = ["e0", "e0:1", "e1", "e1:0", "e2", "e0:x", "e0:x2", "e0:x10", "lo", "w1"]
    assert sorted(sorted(labels), key=sort_key) == labels


@pytest.mark.parametrize(
    ("address", "type", "raw"),
    [
        ("2001:db8::1", 769, "20010db8000000000000000000000001"),
        ("fd00::1", 769, "fd000000000000000000000000000001"),
        ("10:20:30:40:50:60:70:80", 769, "00100020003000400050006000700080"),
        ("", 823, "0" * 32),
        ("10:20:30:40:50:60:70:80", 27, "1020304050607080"),
        ("192.0.2.1", 768, "c0000201"),
        ("02:00:00:00:00:01", 1, "020000000001"),
        ("", 65534, ""),
    ],
)
def test_link_layer_addresses_are_bytes_again(address: str, type: int, raw: str) -> None:
    assert _address_bytes(address, type).hex() == raw


def test_nothing_of_this_reads_proc_net(zoo: Namespace, need: Callable[[str], None]) -> None:
    need("strace")
    for options in (["-rn"], ["-6rn"], ["-ie"], ["-rnC"]):
        traced = zoo.run("strace", "-f", "-e", "trace=open,openat", *_program(), "netstat", *options).stderr
        assert "/proc/net" not in traced
        assert "/net/route" not in traced


def _program() -> tuple[str, ...]:
    from throwaway import NETINSPECT

    return NETINSPECT


def test_runs_know_where_their_messages_were() -> None:
    messages = [bytes([kind]) * 8 for kind in (1, 2, 1)]
    run = Run(b"".join(messages), 0, 8, 3, "testing", [0, 100, 200])
    assert [(value, list(part.positions or ())) for value, part in run.by_value(0)] == [(1, [0, 200]), (2, [100])]
