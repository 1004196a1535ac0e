"""Multicast routes and the router's interfaces as a daemon puts them in, and bridges against `bridge mdb`."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any

import pytest
from group_members import GROUPS, SENDERS, listed, member, with_interfaces
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from throwaway import Namespace

from netinspect.engine.kernel_release import is_at_least
from netinspect.engine.netlink.messages import Run
from netinspect.engine.places import Place
from netinspect.errors import NetlinkError
from netinspect.nouns.groups import decode_mdb as bridge_mdb
from netinspect.nouns.groups import decode_routing as multicast_route
from netinspect.nouns.groups import listing_routing as multicast_routing
from netinspect.nouns.groups.listing import Query
from netinspect.nouns.groups.listing_routing import MulticastListing
from netinspect.testing import LabFactory

MRT_INIT, MRT_ADD_VIF, MRT_ADD_MFC = 200, 202, 204
VIFF_USE_IFINDEX = 8
FAMILIES = pytest.mark.parametrize("family", ["inet", "inet6"])


def rows(path: str, view: str, **query: Any) -> list[Any]:
    listing = MulticastListing(view, Query(**query), [Place(path)])
    found = [row for batch in listing.batches() for row in batch]
    assert listing.problems == []
    return found


class Router:
    """A multicast router, as a daemon makes the kernel one: veth0 is its interface 0, veth1 its interface 1."""

    def __init__(self, family: str) -> None:
        self.family = family
        if family == "inet":
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
            self.level = socket.IPPROTO_IP
        else:
            self.socket = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
            self.level = socket.IPPROTO_IPV6
        self.socket.setsockopt(self.level, MRT_INIT, 1)
        for number, name in enumerate(("veth0", "veth1")):
            index = socket.if_nametoindex(name)
            if family == "inet":
                request = struct.pack("=HBBIiI", number, VIFF_USE_IFINDEX, 1, 0, index, 0)
            else:
                request = struct.pack("=HBBHxxI", number, 0, 1, index, 0)
            self.socket.setsockopt(self.level, MRT_ADD_VIF, request)

    def add(self, origin: str, group: str) -> None:
        """A route from interface 0 to interface 1, with a TTL threshold of 3 where there is such a thing."""
        if self.family == "inet":
            ttls = bytes([0, 3]).ljust(32, b"\0")
            head = socket.inet_aton(origin) + socket.inet_aton(group) + struct.pack("=H", 0)
            request = (head + ttls).ljust(44, b"\0") + struct.pack("=IIIi", 0, 0, 0, 0)
        else:
            addresses = b"".join(
                struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, socket.inet_pton(socket.AF_INET6, address), 0)
                for address in (origin, group)
            )
            request = addresses + struct.pack("=Hxx", 0) + struct.pack("=8I", 1 << 1, *[0] * 7)
        self.socket.setsockopt(self.level, MRT_ADD_MFC, request)


@pytest.fixture
def router(namespace: Namespace) -> Iterator[Callable[[str], Router]]:
    with_interfaces(namespace)
    made: list[Router] = []

    def make(family: str) -> Router:
        try:
            made.append(namespace.call(lambda: Router(family)))
        except OSError as error:
            pytest.skip(f"no multicast routing here: {error}")
        return made[-1]

    yield make
    for one in made:
        one.socket.close()


@FAMILIES
def test_a_route_with_its_counters(namespace: Namespace, router: Callable[[str], Router], family: str) -> None:
    group, origin = GROUPS[family], SENDERS[family]
    router(family).add(origin, group)
    (route,) = rows(namespace.path, "routes")
    assert (route.family, route.origin, route.group, route.interface) == (family, origin, group, "veth0")
    assert [(hop.interface, hop.ttl) for hop in route.outgoing] == [("veth1", 3 if family == "inet" else 1)]
    assert (route.resolved, route.packets, route.bytes, route.wrong_interface) == (True, 0, 0, 0)
    assert route.table == {"inet": 253, "inet6": 254}[family]
    (again,) = rows(namespace.path, "routes", interfaces=["veth1"])
    assert again._replace(idle=None) == route._replace(idle=None)
    assert rows(namespace.path, "routes", groups=["239.9.9.9"]) == []


def test_what_nobody_has_decided_on_is_not_resolved(namespace: Namespace, router: Callable[[str], Router]) -> None:
    made = router("inet")
    group = GROUPS["inet"]
    with namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sender:
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.0.0.1"))
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 5)
        sender.sendto(b"to the group", (group, 5000))
    (route,) = rows(namespace.path, "routes")
    assert (route.origin, route.group, route.resolved) == ("10.0.0.1", group, False)
    assert (route.interface, route.outgoing, route.packets) == (None, (), None)
    made.add("10.0.0.1", group)
    (route,) = rows(namespace.path, "routes")
    assert route.resolved
    # What waited goes out now.
    assert (route.packets, route.bytes) == (1, 20 + 8 + 12)


def test_the_same_routes_as_ip_mroute(
    namespace: Namespace, router: Callable[[str], Router], need: Callable[[str], None]
) -> None:
    need("ip")
    made = router("inet")
    for number in range(5):
        made.add(f"10.0.0.{number + 10}", f"239.1.1.{number}")
    theirs = namespace.run("ip", "-4", "mroute").stdout
    for route in rows(namespace.path, "routes"):
        assert f"({route.origin},{route.group})" in theirs.replace(", ", ",")
    assert len(rows(namespace.path, "routes")) == len(theirs.splitlines()) == 5


@FAMILIES
def test_the_interfaces_of_the_router(namespace: Namespace, router: Callable[[str], Router], family: str) -> None:
    router(family)
    found = rows(namespace.path, "interfaces")
    assert [(row.family, row.number, row.interface) for row in found] == [(family, 0, "veth0"), (family, 1, "veth1")]
    assert {row.table for row in found} == {{"inet": 253, "inet6": 254}[family]}
    assert {row.source for row in found} == {"rtnetlink" if family == "inet" else "procfs"}
    text = namespace.run("cat", f"/proc/net/{'ip_mr_vif' if family == 'inet' else 'ip6_mr_vif'}").stdout
    for row, line in zip(found, text.splitlines()[1:], strict=True):
        words = line.split()
        counters = [row.received_bytes, row.received_packets, row.sent_bytes, row.sent_packets]
        assert [words[1], *map(int, words[2:6])] == [row.interface, *counters]
    if family == "inet":
        assert found[0].flags == ("by_index",)


def test_a_kernel_without_multicast_routing_is_reported(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multicast_routing, "network_text", lambda name: None)
    listing = MulticastListing("routes", Query(), [Place(namespace.path)])
    assert list(listing.batches()) == []
    assert [note.partition(" (")[0] for note in listing.notes] == [
        "this kernel has no IPv4 multicast routing",
        "this kernel has no IPv6 multicast routing",
    ]


def test_members_behind_the_ports_of_the_lab_as_bridge_mdb_shows_them(
    lab: LabFactory, need: Callable[[str], None]
) -> None:
    need("bridge")
    net = lab("multicast")
    bridge = net.hosts["bridge"]
    deadline = monotonic() + 30
    wanted = {(port, group) for port in ("m1", "m2") for group in GROUPS.values()}
    joined = [
        net.hosts[name].call(lambda group=group: member(group, "eth0"))
        for name in ("m1", "m2")
        for group in GROUPS.values()
    ]
    ours: list[Any] = []
    while monotonic() < deadline:
        before, theirs = rows(bridge.path, "bridge"), json.loads(bridge.run("bridge", "-j", "-d", "mdb").stdout)
        ours = rows(bridge.path, "bridge")
        names = {(row.port, row.group) for row in ours}
        # Reports come by and by; only what stands still can be compared.
        if wanted <= names and [row._replace(timer=None) for row in before] == [
            row._replace(timer=None) for row in ours
        ]:
            break
        sleep(0.05)
    for opened in joined:
        opened.close()
    assert wanted <= {(row.port, row.group) for row in ours}
    shown = {
        (row.bridge, row.port, row.group, row.origin, row.state, row.filter_mode, row.sources, row.protocol)
        for row in ours
        if row.kind == "group"
    }
    states = {"temp": "temporary", "permanent": "permanent"}
    assert shown == {
        (
            entry["dev"],
            entry["port"],
            entry["grp"],
            entry.get("src"),
            states[entry["state"]],
            entry.get("filter_mode"),
            tuple(source["address"] for source in entry.get("source_list", ())),
            entry.get("protocol"),
        )
        for entry in theirs[0]["mdb"]
    }


def test_a_bridge_that_follows_members_by_igmpv3_knows_their_sources(
    namespace: Namespace, need: Callable[[str], None]
) -> None:
    need("ip")
    with_interfaces(namespace)
    namespace.run(
        *("ip", "link", "add", "br0", "type", "bridge"),
        *("mcast_querier", "1", "mcast_igmp_version", "3", "mcast_mld_version", "2"),
    )
    for command in ("set veth1 master br0", "set br0 up"):
        namespace.run("ip", "link", *command.split())
    group, sender = GROUPS["inet"], SENDERS["inet"]
    deadline = monotonic() + 30
    found: list[Any] = []
    with namespace.call(lambda: member(group, "veth0", include=[sender])):
        while monotonic() < deadline and not any(row.sources for row in found):
            found = rows(namespace.path, "bridge", groups=[group])
            sleep(0.05)
    (row,) = (row for row in found if row.sources)
    assert (row.bridge, row.port, row.filter_mode, row.sources) == ("br0", "veth1", "include", (sender,))
    (querier,) = {row.querier for row in listed(namespace.path, families=["inet"], interfaces=["br0"])}
    # The bridge itself, which has no address. It says so since Linux 5.16.
    assert querier == ("0.0.0.0" if is_at_least(5, 16) else None)
    assert {row.querier for row in listed(namespace.path, families=["inet"], interfaces=["veth0"])} == {None}


def test_permanent_entries_and_router_ports(namespace: Namespace, need: Callable[[str], None]) -> None:
    need("bridge")
    with_interfaces(namespace)
    for command in (
        "ip link add br0 type bridge",
        "ip link set veth1 master br0",
        "ip link set br0 up",
        "bridge mdb add dev br0 port veth1 grp 239.7.7.7 permanent",
        "bridge link set dev veth1 mcast_router 2",
    ):
        namespace.run(*command.split())
    found = rows(namespace.path, "bridge")
    (group,) = (row for row in found if row.group == "239.7.7.7")
    assert (group.state, group.vlan, group.port, group.timer, group.protocol) == (
        "permanent", None, "veth1", None, "static"
    )  # fmt: skip
    (router,) = (row for row in found if row.kind == "router")
    assert (router.bridge, router.port, router.state) == ("br0", "veth1", "permanent")


@pytest.mark.parametrize("view", ["routes", "interfaces", "bridge"])
def test_the_output_matches_its_schema(
    namespace: Namespace, router: Callable[[str], Router], need: Callable[[str], None], view: str
) -> None:
    need("bridge")
    router("inet").add(SENDERS["inet"], GROUPS["inet"])
    namespace.run("ip", "link", "add", "br0", "type", "bridge", "mcast_router", "2")
    namespace.run("ip", "link", "set", "br0", "up")
    namespace.run("ip", "link", "set", "veth1", "master", "br0")
    namespace.run("bridge", "mdb", "add", "dev", "br0", "port", "veth1", "grp", "239.7.7.7", "permanent")
    found = json.loads(namespace.netinspect("groups", view, "-j").stdout)
    Draft202012Validator(json.loads(namespace.netinspect("schema", f"groups-{view}").stdout)).validate(found)
    assert found
    table = namespace.netinspect("groups", view).stdout
    shown = {"routes": GROUPS["inet"], "interfaces": "veth1", "bridge": "239.7.7.7"}[view]
    assert shown in json.dumps(found)
    assert shown in table


messages = st.binary(min_size=16, max_size=300).map(lambda data: data + bytes(-len(data) % 4))


@given(messages, st.sampled_from([16, 24, 84]))
def test_senseless_messages_raise_nothing_else(body: bytes, kind: int) -> None:
    data = struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body
    run = Run(data, kind, len(data), 1)

    def name(index: int) -> str:
        return f"if{index}"

    readers: tuple[Callable[[], Any], ...] = (
        lambda: multicast_route.routes(run, name),
        lambda: multicast_route.interfaces(run, name),
        lambda: bridge_mdb.groups(run, name),
        lambda: bridge_mdb.queriers(run),
    )
    for read in readers:
        try:
            list(read())
        except NetlinkError:
            continue
