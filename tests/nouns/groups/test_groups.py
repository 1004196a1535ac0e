"""Multicast memberships against `ip maddr`, pyroute2, netstat and sockets whose memberships are known."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext, suppress
from itertools import cycle
from time import monotonic, sleep
from typing import Any

import group_members
import pytest
from availability import unavailable
from group_members import GROUPS, SENDERS, another_process, listed, member, packet_member, with_interfaces
from jsonschema import Draft202012Validator
from patience import standing_still
from throwaway import NETINSPECT, Namespace

from netinspect.engine.places import Place
from netinspect.nouns.groups import listing as collected
from netinspect.nouns.groups import listing_routing as multicast_routing
from netinspect.nouns.groups import request_filter
from netinspect.nouns.groups.events import Watch
from netinspect.nouns.groups.listing import MembershipListing, Query
from netinspect.records import GroupEvent, GroupSocket, Membership
from netinspect.testing import LabFactory
from netinspect.waiting.conditions_groups import Member, receives

FAMILIES = pytest.mark.parametrize("family", ["inet", "inet6"])


@pytest.fixture
def wired(namespace: Namespace) -> Namespace:
    """A namespace with veth0 and veth1, connected to each other."""
    with_interfaces(namespace)
    return namespace


def membership(namespace: Namespace, group: str, interface: str = "veth0", *, sockets: bool = False) -> Membership:
    (row,) = listed(namespace.path, groups=[group], interfaces=[interface], sockets=sockets)
    return row


def sockets_of(namespace: Namespace, group: str, interface: str = "veth0") -> list[GroupSocket]:
    return list(membership(namespace, group, interface, sockets=True).sockets or ())


def as_ip_lists(text: str) -> list[tuple[str, str, str]]:
    """Interface, family and group of each line of `ip maddr`; the users where there are several."""
    found, interface = [], ""
    for line in text.splitlines():
        if not line.startswith("\t"):
            interface = line.split()[1]
        else:
            words = line.split()
            found.append((interface, words[0], words[1]))
    return found


def users_of_ip(text: str) -> list[int]:
    return [
        int(found[1]) if (found := re.search(r"users (\d+)", line)) else 1
        for line in text.splitlines()
        if line[0] == "\t"
    ]


def test_the_same_memberships_as_ip_maddr_on_every_host_of_the_lab(
    lab: LabFactory, need: Callable[[str], None]
) -> None:
    need("ip")
    net = lab("multicast")
    for host in net.hosts.values():
        # Those that go with addresses come by and by.
        text, rows = standing_still(
            lambda host=host: host.run("ip", "maddr").stdout,  # type: ignore[misc]
            lambda host=host: listed(host.path),  # type: ignore[misc]
        )
        ours = [(row.interface, row.family, row.group, row.users) for row in rows]
        theirs = [(*row, users) for row, users in zip(as_ip_lists(text), users_of_ip(text), strict=True)]
        assert sorted(ours) == sorted(theirs)
        assert len(rows) > 3


def test_source_filters_of_the_lab_in_both_families(lab: LabFactory) -> None:
    net = lab("multicast")
    for group, sender in (("239.1.1.1", "10.0.0.1"), ("ff15::1:1", "fd00::1")):
        found = {
            name: listed(net.hosts[name].path, groups=[group], interfaces=["eth0"])[0] for name in ("m1", "m2", "m3")
        }
        shown = {name: (row.filter_mode, row.included, row.excluded) for name, row in found.items()}
        assert shown == {
            "m1": ("exclude", (), ()),
            "m2": ("include", (sender,), ()),
            "m3": ("exclude", (), (sender,)),
        }


def test_the_process_that_joined_in_the_lab_is_the_one_shown(lab: LabFactory) -> None:
    net = lab("multicast")
    members = ("m1", "m2", "m3")
    query = Query(groups=["239.1.1.1", "ff15::1:1"], interfaces=["eth0"], sockets=True)
    listing = MembershipListing(query, [Place(net.hosts[name].path, name) for name in members])
    rows = [row for batch in listing.batches() for row in batch]
    assert sorted((row.netns, row.family) for row in rows) == [
        (name, family) for name in members for family in ("inet", "inet6")
    ]
    for row in rows:
        (joined,) = (found for found in row.sockets if found.joined)
        assert joined.filter_mode == row.filter_mode
        assert joined.sources == row.included + row.excluded
        (process,) = joined.processes
        assert os.readlink(f"/proc/{process.pid}/fd/{process.fd}") == f"socket:[{joined.inode}]"


@pytest.mark.parametrize(
    ("setting", "group", "version"),
    [
        ("ipv4/conf/eth0/force_igmp_version=2", GROUPS["inet"], "IGMPv2"),
        ("ipv6/conf/eth0/force_mld_version=1", GROUPS["inet6"], "MLDv1"),
        ("ipv6/conf/eth0/force_mld_version=2", GROUPS["inet6"], "MLDv2"),
    ],
)
def test_each_version_in_the_lab_reaches_the_bridge_and_its_leaving_is_seen(
    lab: LabFactory, setting: str, group: str, version: str
) -> None:
    net = lab("multicast")
    bridge, host = net.hosts["bridge"], net.hosts["m1"]

    def force() -> None:
        path, value = setting.split("=")
        with open(f"/proc/sys/net/{path}", "w") as file:
            file.write(value)

    host.call(force)
    with host.call(lambda: member(group, "eth0")) as opened:
        (row,) = listed(host.path, groups=[group], sockets=True)
        assert (row.version, row.users, row.filter_mode) == (version, 1, "exclude")
        # Of one interface neither the names nor the settings of all are asked for.
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("netinspect.nouns.groups.decode_interfaces.request", lambda: b"")
            (alone,) = listed(host.path, groups=[group], interfaces=["eth0"])
        assert (alone.interface, alone.version) == ("eth0", version)
        ((process,),) = (found.processes for found in row.sockets or () if found.joined)
        assert os.readlink(f"/proc/{process.pid}/fd/{process.fd}") == os.readlink(f"/proc/self/fd/{opened.fileno()}")
        deadline = monotonic() + 30
        ports: set[str] = set()
        while monotonic() < deadline and "m1" not in ports:
            view = multicast_routing.MulticastListing("bridge", Query(groups=[group]), [Place(bridge.path)])
            ports = {entry.port for batch in view.batches() for entry in batch}
            sleep(0.05)
        assert ports == {"m1"}
        place = Place(host.path)
        place.open()
        watched = Watch(Query(groups=[group]), [place], 0.2)
        opened.close()
        assert first(watched, ("leave", group))["leave", group].interface == "eth0"
        watched.close()
        place.close()


@FAMILIES
def test_a_member_in_another_process_is_found_with_its_sources(wired: Namespace, family: str) -> None:
    group, sender = GROUPS[family], SENDERS[family]
    with another_process(wired, group=group, interface="veth0", bind=group, port=5000, include=[sender]) as process:
        row = membership(wired, group, sockets=True)
        assert (row.users, row.filter_mode, row.included, row.excluded) == (1, "include", (sender,), ())
        (found,) = row.sockets or ()
        assert (found.protocol, found.local_address, found.local_port) == ("udp", group, 5000)
        assert (found.joined, found.receives, found.filter_mode, found.sources) == (True, True, "include", (sender,))
        assert [owner.pid for owner in found.processes] == [process.pid]
    assert listed(wired.path, groups=[group]) == []


@FAMILIES
def test_a_socket_that_only_joined_and_one_that_only_listens_differ(wired: Namespace, family: str) -> None:
    group, wildcard = GROUPS[family], {"inet": "0.0.0.0", "inet6": "::"}[family]
    with (
        wired.call(lambda: member(group, "veth0")) as joined,
        wired.call(lambda: socket.socket(group_members.family_of(group), socket.SOCK_DGRAM)) as listens,
    ):
        listens.bind((wildcard, 6000))
        found = {row.inode: row for row in sockets_of(wired, group)}
        one, other = (found[os.fstat(opened.fileno()).st_ino] for opened in (joined, listens))
        assert (one.joined, one.receives, one.local_address) == (True, False, None)
        assert (other.joined, other.receives, other.local_port) == (False, True, 6000)
        assert [owner.fd for owner in one.processes] == [joined.fileno()]


def test_namespaces_are_told_apart_without_their_cookies(wired: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_filter, "SO_NETNS_COOKIE", 0x7FFF)  # as before Linux 5.14
    for family in ("inet", "inet6"):
        test_a_socket_that_only_joined_and_one_that_only_listens_differ(wired, family)


def test_what_the_kernel_would_not_deliver_is_not_shown_as_receiving(wired: Namespace) -> None:
    group = GROUPS["inet"]

    def opened(family: int, address: str, *options: tuple[int, int, Any]) -> socket.socket:
        made = socket.socket(family, socket.SOCK_DGRAM)
        for option in options:
            made.setsockopt(*option)
        made.bind((address, 6000))
        return made

    def joined(made: socket.socket) -> socket.socket:
        where = socket.inet_aton(group) + socket.inet_aton("10.0.0.1")
        made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, where)
        return made

    reuse = (socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    inet, inet6, device = socket.AF_INET, socket.AF_INET6, socket.SO_BINDTODEVICE
    makers = {
        "wildcard": lambda: opened(inet, "0.0.0.0", reuse),
        "dual stack": lambda: opened(inet6, "::", reuse),
        # Bound through IPv6 to an IPv4 address, with a membership of their own.
        "mapped wildcard": lambda: joined(opened(inet6, "::ffff:0.0.0.0", reuse)),
        "mapped group": lambda: joined(opened(inet6, f"::ffff:{group}", reuse)),
        "mapped other group": lambda: joined(opened(inet6, "::ffff:239.9.9.9", reuse)),
        "this interface": lambda: opened(inet, "0.0.0.0", reuse, (socket.SOL_SOCKET, device, b"veth0")),
        "IPv6 only": lambda: opened(inet6, "::", reuse, (socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)),
        "other interface": lambda: opened(inet, "0.0.0.0", reuse, (socket.SOL_SOCKET, device, b"veth1")),
        "only its own groups": lambda: opened(inet, "0.0.0.0", reuse, (socket.IPPROTO_IP, 49, 0)),
        "another group": lambda: opened(inet, "239.9.9.9", reuse),
        "unicast": lambda: opened(inet, "10.0.0.1", reuse),
    }
    made = {name: wired.call(make) for name, make in makers.items()}
    sender = wired.call(lambda: socket.socket(inet, socket.SOCK_DGRAM))
    with wired.call(lambda: member(group, "veth0")):
        shown = {row.inode for row in sockets_of(wired, group) if row.receives}
        names = {name for name, held in made.items() if os.fstat(held.fileno()).st_ino in shown}
        # The kernel is the judge: a datagram that comes in on veth0.
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.0.0.1"))
        sender.sendto(b"to the group", (group, 6000))
        delivered = set()
        for name, held in sorted(made.items(), key=lambda one: one[0] not in names):
            # It comes to all that get it at once: the first of those is waited for.
            held.settimeout(20 if name in names else 0)
            try:
                held.recv(100)
            except (BlockingIOError, TimeoutError):
                continue
            delivered.add(name)
    for held in (*made.values(), sender):
        held.close()
    # IP_MULTICAST_ALL is off for sockets of IPv6: one that takes IPv4 as well gets the groups that it joined itself.
    assert names == delivered == {"wildcard", "this interface", "mapped wildcard", "mapped group"}


def test_more_sources_than_fit_at_first(wired: Namespace) -> None:
    sources = [f"10.0.{number // 200}.{number % 200 + 1}" for number in range(150)]

    def allow() -> None:
        with open("/proc/sys/net/ipv4/igmp_max_msf", "w") as file:
            file.write("200")

    wired.call(allow)
    with wired.call(lambda: member(GROUPS["inet"], "veth0", include=sources)):
        row = membership(wired, GROUPS["inet"], sockets=True)
        (found,) = row.sockets or ()
        assert set(found.sources) == set(row.included) == set(sources)
        assert row.filter_mode == "include"


def test_packet_sockets_are_the_members_of_the_link_layer(wired: Namespace) -> None:
    with wired.call(lambda: packet_member("veth0", bytes.fromhex("0180c200000e"))) as opened:
        (found,) = sockets_of(wired, "01:80:c2:00:00:0e")
        assert (found.protocol, found.joined) == ("packet", True)
        assert [owner.fd for owner in found.processes] == [opened.fileno()]
        assert membership(wired, "01:80:c2:00:00:0e").name == "LLDP, PTP peer delay"


def test_a_member_in_another_namespace_is_not_one_here(wired: Namespace) -> None:
    other = Namespace()
    with_interfaces(other)
    with (
        other.call(lambda: member(GROUPS["inet"], "veth0")),
        wired.call(lambda: member(GROUPS["inet"], "veth0")) as ours,
    ):
        (found,) = sockets_of(wired, GROUPS["inet"])
        assert found.inode == os.fstat(ours.fileno()).st_ino
    other.close()


def test_sockets_that_cannot_be_queried_are_shown_and_reported(
    wired: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    group = GROUPS["inet"]

    def refuse(_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr("netinspect.nouns.sockets.request_copies.Copy.of", refuse)
    with wired.call(lambda: member(group, "veth0", bind=group, port=5000)):
        listing = MembershipListing(Query(groups=[group], interfaces=["veth0"], sockets=True), [Place(wired.path)])
        (row,) = (row for batch in listing.batches() for row in batch)
    (found,) = row.sockets
    assert (found.joined, found.receives, found.local_port) == (None, True, 5000)
    (problem,) = listing.problems
    assert "could not be asked for their memberships (needs CAP_SYS_PTRACE" in problem
    assert "the members of 1 group are not known completely" in problem


A, B, C = range(3)
USERS: dict[str, list[dict[str, set[int]]]] = {
    "two that refuse different ones": [{"exclude": {A}}, {"exclude": {A, B}}],
    "one refuses what the other asks for": [{"exclude": {A}}, {"include": {A}}],
    "one takes all": [{"exclude": {A}}, {}],
    "two that ask for different ones": [{"include": {A}}, {"include": {B}}],
    "both kinds overlap": [{"include": {A, B}}, {"exclude": {B, C}}],
    "counts leave it open": [{"include": {A}}, {"include": {B}}, {"exclude": {C}}],
}


@pytest.mark.parametrize("users", USERS.values(), ids=USERS)
@FAMILIES
def test_the_interface_takes_what_any_of_its_users_takes(
    wired: Namespace, family: str, users: list[dict[str, set[int]]]
) -> None:
    """FRRouting/frr #10397. The oracle is the kernel: datagrams of each source are sent and arrive, or not."""
    group, interface = GROUPS[family], {"inet": "lo", "inet6": "veth0"}[family]
    senders = [f"127.0.0.{66 + n}" if family == "inet" else f"fd00::{66 + n}" for n in (A, B, C)]
    if family == "inet6":
        for sender in senders:
            wired.run("ip", "address", "add", f"{sender}/128", "dev", "veth1", "nodad")
    chosen = [{mode: [senders[n] for n in sorted(which)] for mode, which in user.items()} for user in users]
    with ExitStack() as stack:
        for user in chosen:
            stack.enter_context(wired.call(lambda user=user: member(group, interface, **user)))  # type: ignore[misc]
        received = wired.call(lambda: received_from(group, senders))
        row = membership(wired, group, interface)
        assert [receives(row, sender) for sender in senders] == [sender in received for sender in senders]
        if row.filter_mode == "include":
            assert set(row.included) == received
        else:
            assert set(row.excluded) == set(senders) - received
        # The newest group has no filter, so the kernel's list leaves out this one: it is learned from the sockets.
        stack.enter_context(wired.call(lambda: member(group[:-1] + "9", interface)))
        assert membership(wired, group, interface)[6:9] == row[6:9]


def received_from(group: str, senders: list[str]) -> set[str]:
    """The sources whose datagrams to the group come in, sent one after the other on one processor."""
    family = socket.AF_INET6 if ":" in group else socket.AF_INET
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})  # so that what is sent last arrives last
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as receiver:
            receiver.settimeout(20)
            receiver.bind(("", 0))
            port = receiver.getsockname()[1]
            for sender, to, text in [*((sender, group, b"") for sender in senders), (senders[0], None, b"last")]:
                with socket.socket(family, socket.SOCK_DGRAM) as sending:
                    sending.bind((sender, 0))
                    if family == socket.AF_INET6:
                        index = socket.if_nametoindex("veth1")
                        sending.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
                        sending.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
                    else:
                        index = socket.if_nametoindex("lo")
                        sending.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, struct.pack("=8xi", index))
                    sending.sendto(
                        text, (to or {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "ff02::1"}[family], port)
                    )
            found = set()
            while True:
                text, address = receiver.recvfrom(9)
                if text == b"last":
                    return found
                found.add(address[0])
    finally:
        os.sched_setaffinity(0, before)


@FAMILIES
def test_source_filters_that_the_kernels_list_leaves_out_are_learned_from_the_sockets(
    wired: Namespace, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves interfaces out whose newest group has no filter, except those behind the first that it tells."""
    group, sender = GROUPS[family], SENDERS[family]
    newer, other = {"inet": ("239.9.9.9", "10.0.0.66"), "inet6": ("ff15::9:9:9", "fd00::66")}[family]

    def rows() -> dict[str, Membership]:
        listing = MembershipListing(Query((family,), interfaces=["veth0"]), [Place(wired.path)])
        found = {row.group: row for batch in listing.batches() for row in batch}
        told.append(listing.problems)
        return found

    told: list[list[str]] = []
    with (
        wired.call(lambda: member(group, "veth0", include=[sender])),
        wired.call(lambda: member(newer, "veth0", exclude=[other])),
    ):
        first = rows()
        with wired.call(lambda: member(newer[:-1] + "8", "veth0")):  # the newest has no filter
            second = rows()
            wired.netinspect("assert", "member", group, "dev", "veth0", "from", sender)
            wired.netinspect("assert", "not", "member", group, "dev", "veth0", "from", other)
            wired.netinspect("assert", "not", "member", newer, "dev", "veth0", "from", other)

            def refuse(_: object) -> None:
                raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

            monkeypatch.setattr("netinspect.nouns.sockets.request_copies.Copy.of", refuse)
            third = rows()
            observations = [Member(group, "veth0", source).look([Place(wired.path)]) for source in (sender, other)]
    for found in (first, second):
        row = found[group]
        assert (row.filter_mode, row.included, row.excluded) == ("include", (sender,), ())
        row = found[newer]
        assert (row.filter_mode, row.included, row.excluded) == ("exclude", (), (other,))
    assert second[group].source.endswith(", sockets")
    all_systems = {"inet": "224.0.0.1", "inet6": "ff02::1"}[family]
    assert [found[all_systems].filter_mode for found in (first, second, third)] == ["exclude"] * 3
    assert (third[group].filter_mode, third[newer].filter_mode) == (None, None)
    assert told[:2] == [[], []]
    assert "the source filters of 2 groups are unknown" in told[2][0]
    for seen in observations:
        assert seen.found == ()
        assert any("is not known" in problem for problem in seen.problems)


def test_any_name_of_an_interface_is_read_and_a_line_without_sense_costs_that_line(
    wired: Namespace, need: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    need("ip")
    odd = "a\u2003b\u2028c"  # no space to the kernel, but to str.split and str.splitlines
    wired.run("ip", "link", "add", odd, "type", "bridge")
    wired.run("ip", "link", "set", odd, "up")

    def rows() -> list[Membership]:
        listing = MembershipListing(Query(), [Place(wired.path)])
        found = [row._replace(age=None, timer=None) for batch in listing.batches() for row in batch]
        told.append(listing.problems)
        return found

    told: list[list[str]] = []
    read = collected.network_text

    def broken(name: str) -> str | None:
        text = read(name)
        return text and text + "nonsense\n"

    def with_nonsense() -> list[Membership]:
        with monkeypatch.context() as patch:
            patch.setattr(collected, "network_text", broken)
            return rows()

    # Duplicate address detection joins and leaves groups.
    whole, found = standing_still(rows, with_nonsense)
    assert {row.family for row in whole if row.interface == odd} == {"link", "inet", "inet6"}
    assert found == whole
    told.pop()
    assert not any(told[:-1:2])
    assert {problem.rpartition(":")[2] for problem in told[-1]} == {" 1 malformed lines are left out"}


def test_rows_of_several_namespaces_are_labelled(wired: Namespace) -> None:
    other = Namespace()
    with_interfaces(other)
    group = GROUPS["inet6"]
    with wired.call(lambda: member(group, "veth0")) as ours, other.call(lambda: member(group, "veth0")) as theirs:
        expected = {(place.path, os.fstat(held.fileno()).st_ino) for place, held in ((wired, ours), (other, theirs))}
        places = ["--netns", wired.path, "--netns", other.path]
        rows = json.loads(wired.netinspect("groups", "-s", "-j", "-g", group, *places).stdout)
    assert {(row["netns"], found["inode"]) for row in rows for found in row["sockets"]} == expected
    other.close()


@pytest.mark.parametrize("group", ["224.0.0.1", "ff02::1", "224.0.0.251", "ff02::fb"])
def test_a_socket_that_joined_a_group_of_the_kernels_own_is_found_as_well(wired: Namespace, group: str) -> None:
    assert [found for found in sockets_of(wired, "ff02::1") if found.joined] == []
    with wired.call(lambda: member(group, "veth0")) as opened:
        joined = [found.inode for found in sockets_of(wired, group) if found.joined]
        assert joined == [os.fstat(opened.fileno()).st_ino]


def test_versions_are_those_that_the_interface_is_set_to(wired: Namespace) -> None:
    assert membership(wired, "224.0.0.1").version == "IGMPv3"
    assert membership(wired, "ff02::1").version is None

    def force() -> None:
        for path in ("ipv4/conf/veth0/force_igmp_version", "ipv6/conf/veth0/force_mld_version"):
            with open(f"/proc/sys/net/{path}", "w") as file:
                file.write("2" if "igmp" in path else "1")

    wired.call(force)
    assert membership(wired, "224.0.0.1").version == "IGMPv2"
    assert membership(wired, "ff02::1").version == "MLDv1"
    assert membership(wired, "224.0.0.1", "veth1").version == "IGMPv3"
    assert membership(wired, "ff02::1", "veth1").version is None


def test_pyroute2_reads_the_same_groups(wired: Namespace) -> None:
    from pyroute2.netlink.rtnl import RTM_GETMULTICAST
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg

    from netinspect.lab.requests import dump

    def answered(family: int) -> list[tuple[int, str]]:
        request = ifaddrmsg()
        request["family"] = family
        with wired.call(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)) as opened:
            found = dump(opened, request, RTM_GETMULTICAST, "groups")
            return [(answer["index"], answer.get_attr("IFA_MULTICAST")) for answer in found]

    for family, number in (("inet", socket.AF_INET), ("inet6", socket.AF_INET6)):
        rows = listed(wired.path, families=[family])
        assert rows
        # Older kernels do not dump the groups of IPv4.
        if {row.source for row in rows} == {"rtnetlink"}:
            assert {(row.interface_index, row.group) for row in rows} == {*answered(number)}


def test_groups_come_from_procfs_with_a_note_if_the_kernel_does_not_dump_them(
    wired: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = listed(wired.path)
    monkeypatch.setattr(collected, "from_kernel", lambda *_: None)
    listing = MembershipListing(Query(), [Place(wired.path)])
    instead = [row for batch in listing.batches() for row in batch]
    assert {row.source for row in instead} == {"procfs"}
    assert [note.partition(":")[0] for note in listing.notes] == ["IPv4 multicast groups", "IPv6 multicast groups"]
    assert sorted((row.interface, row.group, row.users) for row in instead) == sorted(
        (row.interface, row.group, row.users) for row in told
    )


def test_a_file_that_changes_while_it_is_read_is_reported_as_incomplete(
    wired: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = iter(range(100))
    monkeypatch.setattr(collected, "from_kernel", lambda *_: None)
    monkeypatch.setattr(collected, "from_procfs", lambda *_: dict.fromkeys([(1, f"239.1.1.{next(told)}")]))
    problems: list[str] = []
    assert collected._from_procfs_alone("inet", None, problems)
    assert problems == ["/proc/net/igmp: it changed during each of 3 reads: rows may be missing"]


def test_ages_are_those_of_the_join(wired: Namespace) -> None:
    with wired.call(lambda: member(GROUPS["inet"], "veth0")), wired.call(lambda: member(GROUPS["inet6"], "veth0")):
        for group, oldest in ((GROUPS["inet"], "224.0.0.1"), (GROUPS["inet6"], "ff02::1")):
            row, first = membership(wired, group), membership(wired, oldest)
            if row.source == "procfs":  # which has none
                assert row.age is None
                continue
            assert row.age is not None
            assert first.age is not None
            assert 0 <= row.age <= first.age < 3600


@pytest.fixture
def watch(wired: Namespace) -> Iterator[Watch]:
    place = Place(wired.path)
    place.open()
    watched = Watch(Query(interfaces=["veth0"]), [place], 0.2)
    yield watched
    watched.close()
    place.close()


def first(watch: Watch, *wanted: tuple[str, str]) -> dict[tuple[str, str], GroupEvent]:
    """The events (event and group) that are waited for; half a minute at most."""
    found = {}
    for events in watch.events(30):
        found |= {(event.event, event.group or ""): event for event in events}
        if found.keys() >= set(wanted):
            break
    assert found.keys() >= set(wanted), found
    return found


@FAMILIES
def test_joins_and_leaves_are_seen_as_they_happen(wired: Namespace, watch: Watch, family: str) -> None:
    group = GROUPS[family]
    link = {"inet": "01:00:5e:01:02:03", "inet6": "33:33:00:02:00:03"}[family]
    opened = wired.call(lambda: member(group, "veth0"))
    events = first(watch, ("join", group), ("join", link))
    assert events["join", group].source == ("rtnetlink" if family in watch.reported else "sampled")
    assert events["join", link].source == "sampled"
    assert events["join", group].interface == "veth0"
    opened.close()
    events = first(watch, ("leave", group), ("leave", link))
    assert events["leave", group].source == ("rtnetlink" if family in watch.reported else "sampled")
    assert events["leave", group].time >= events["leave", group].time


def test_what_goes_with_an_interface_is_a_leave(wired: Namespace, watch: Watch, need: Callable[[str], None]) -> None:
    need("ip")
    groups = [row.group for row in listed(wired.path, interfaces=["veth0"])]
    wired.run("ip", "link", "del", "veth0")
    events = first(watch, *(("leave", group) for group in groups))
    assert {event.interface for event in events.values()} == {"veth0"}


def test_a_storm_of_joins_that_overruns_the_socket_is_reported_and_nothing_missed(wired: Namespace) -> None:
    place = Place(wired.path)
    place.open()
    watched = Watch(Query(("inet6",), interfaces=["veth0"]), [place], 30)
    if not watched.reported:
        unavailable("this kernel does not report joins")
    (only,) = watched._places
    only.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    groups = [f"ff15::{number:x}" for number in range(1, 60)]
    with wired.call(lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)) as opened:
        wired.call(lambda: [group_members.join(opened, group, "veth0") for group in groups])
        found = first(watched, ("lost", ""), *(("join", group) for group in groups))
        assert {found["join", group].source for group in groups} <= {"rtnetlink", "sampled"}
    watched.close()
    place.close()


def test_the_output_matches_its_schema(wired: Namespace) -> None:
    schema = json.loads(wired.netinspect("schema", "groups").stdout)
    with wired.call(lambda: member(GROUPS["inet"], "veth0", bind=GROUPS["inet"], port=5000)):
        rows = json.loads(wired.netinspect("groups", "--sockets", "--json", "-4", "-i", "veth0").stdout)
    Draft202012Validator(schema).validate(rows)
    found = {row["group"]: row for row in rows}
    assert set(found) == {GROUPS["inet"], "224.0.0.1"}
    assert [holder["pid"] for holder in found[GROUPS["inet"]]["sockets"][0]["processes"]] == [os.getpid()]


def test_the_command_watches_until_a_number_of_events(wired: Namespace) -> None:
    command = [*NETINSPECT, "groups", "watch", "-4", "--times", "1", "--for", "60", "--format", "ndjson"]
    process = wired.popen(command, stdout=subprocess.PIPE)
    # Nothing tells from outside when it has begun to watch: so it joins and leaves until that is seen; where the kernel
    # does not report it, netinspect looks twice a second.
    for joined in cycle((True, False)):
        held = wired.call(lambda: member(GROUPS["inet"], "veth0")) if joined else nullcontext()
        with held, suppress(subprocess.TimeoutExpired):
            process.wait(1.5)
            break
    output, _ = process.communicate()
    (line,) = output.splitlines()
    row = json.loads(line)
    Draft202012Validator(json.loads(wired.netinspect("schema", "groups-watch").stdout)).validate([row])
    assert (row["group"], row["interface"]) == (GROUPS["inet"], "veth0")
    assert row["event"] in ("join", "leave")


@pytest.mark.parametrize("arguments", [["groups"], ["groups", "-s"], ["netstat", "-gn"], ["stats", "link"]])
def test_names_of_interfaces_bring_no_control_characters_to_the_terminal(
    namespace: Namespace, need: Callable[[str], None], arguments: list[str]
) -> None:
    need("ip")
    namespace.run("ip", "link", "add", "e\x1b[31m\x07", "type", "bridge")
    namespace.run("ip", "link", "set", "e\x1b[31m\x07", "up")
    output = namespace.netinspect(*arguments).stdout
    assert "e\\x1b[31m\\x07" in output
    assert output.replace("\n", "").isprintable()


WITHOUT_PROC = "mount -t tmpfs none /proc && exec "


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("groups", 3),
        ("groups routes", 3),
        ("netstat -gn", 3),
        ("netstat -s", 1),
        ("stats", 3),
        ("stats health", 3),
    ],
)
def test_without_proc_the_missing_parts_are_reported(wired: Namespace, arguments: str, status: int) -> None:
    script = WITHOUT_PROC + " ".join([*NETINSPECT, arguments])
    result = wired.run("unshare", "--mount", "sh", "-c", script, check=False)
    assert result.returncode == status, result.stderr
    assert "/proc is not there: mount it" in result.stderr
    if arguments == "groups":
        assert "ff02::1" in result.stdout  # what rtnetlink reports is there


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nonsense"], "takes one of"),
        (["-g", "nonsense"], "not a group address"),
        (["-4", "-g", "ff05::1"], "of another address family"),
        (["-0", "-g", "239.1.1.1"], "of another address family"),
        (["--interval", "1"], "does not go with"),
        (["watch", "--for", "-1"], "takes a number"),
        (["watch", "--sockets"], "does not go with"),
        (["--columns", "nonsense"], "no field"),
    ],
)
def test_bad_usage_is_one_clear_line(namespace: Namespace, arguments: list[str], words: str) -> None:
    result = namespace.netinspect("groups", *arguments, check=False)
    assert (result.returncode, result.stdout) == (2, "")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("options", ["-g", "-gn", "-g4", "-g6", "-gn --inet", "-gtn", "-gxn"])
def test_netstat_groups_line_for_line(wired: Namespace, need: Callable[[str], None], options: str) -> None:
    need("netstat")
    with wired.call(lambda: member(GROUPS["inet"], "veth0")), wired.call(lambda: member(GROUPS["inet"], "veth1")):
        theirs = wired.run("netstat", *options.split()).stdout
        assert wired.netinspect("netstat", *options.split()).stdout == theirs
    assert "veth0" in theirs
