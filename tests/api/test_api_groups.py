"""The Python API of multicast and of statistics."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from group_members import GROUPS, member, with_interfaces
from throwaway import Namespace

import netinspect
from netinspect.errors import NamespaceError, NetinspectError, UsageError
from netinspect.records import BridgeGroup, Membership, Statistic


@pytest.fixture
def wired(namespace: Namespace) -> Namespace:
    with_interfaces(namespace)
    return namespace


def test_memberships_with_the_sockets_that_joined(wired: Namespace) -> None:
    group = GROUPS["inet"]
    with (
        wired.call(lambda: member(group, "veth0")) as opened,
        netinspect.memberships(groups=group, sockets=True, netns=wired.path) as found,
    ):
        (row,) = found
        assert isinstance(row, Membership)
        assert [holder.fd for socket in row.sockets or () for holder in socket.processes] == [opened.fileno()]
    assert found.problems == []


def test_what_is_listed_can_be_chosen(wired: Namespace) -> None:
    rows = list(netinspect.memberships(families="inet6", interfaces=["veth0"], netns=wired.path))
    assert {(row.family, row.interface) for row in rows} == {("inet6", "veth0")}
    with pytest.raises(UsageError, match="not one of link, inet, inet6"):
        netinspect.memberships(families="ipx")
    with pytest.raises(NamespaceError):
        list(netinspect.memberships(netns="nowhere"))


def test_routes_interfaces_and_bridges_are_there(wired: Namespace) -> None:
    assert list(netinspect.multicast_routes(netns=wired.path)) == []
    assert list(netinspect.multicast_interfaces(netns=wired.path)) == []
    wired.run("ip", "link", "add", "br0", "type", "bridge", "mcast_router", "2")
    wired.run("ip", "link", "set", "br0", "up")
    assert all(isinstance(row, BridgeGroup) for row in netinspect.bridge_groups(netns=wired.path))


def test_a_listing_that_is_closed_early_leaves_no_descriptor_open(wired: Namespace) -> None:
    before = os.listdir("/proc/self/fd")
    found = netinspect.memberships(sockets=True, netns=[wired.path, wired.path])
    next(found)
    found.close()
    assert os.listdir("/proc/self/fd") == before


def test_statistics_their_change_and_health(wired: Namespace, tmp_path: Path) -> None:
    path = str(tmp_path / "sample")
    netinspect.save_sample(path, netns=wired.path)

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
            opened.sendto(b"nobody", ("127.0.0.1", 9))

    wired.call(send)
    rows = list(netinspect.statistics("udp", since=path, nonzero=True, netns=wired.path))
    assert {(row.counter, row.change) for row in rows} == {("NoPorts", 1), ("OutDatagrams", 1)}
    assert all(isinstance(row, Statistic) for row in rows)
    verdicts = netinspect.health(since=path, netns=wired.path)
    assert {verdict.state for verdict in verdicts if not verdict.check.startswith("neighbour")} <= {"ok", "unknown"}
    with pytest.raises(UsageError, match="no table"):
        netinspect.statistics("nonsense")
    with pytest.raises(NetinspectError, match="No such file"):
        netinspect.statistics(since=str(tmp_path / "none"))
