"""The Python API, on sockets that the tests open in a namespace of their own."""

from __future__ import annotations

import gc
import os
import socket
from pathlib import Path
from typing import Any

import pytest
from throwaway import Namespace

import netinspect
from netinspect.errors import NamespaceError, UsageError
from netinspect.records import Process, Socket


def listener(namespace: Namespace, address: str = "127.0.0.1") -> socket.socket:
    return namespace.call(lambda: socket.create_server((address, 0)))


def test_sockets_yields_frozen_records_with_their_owners(namespace: Namespace) -> None:
    with listener(namespace) as opened, netinspect.sockets(["tcp"], netns=namespace.path, processes=True) as found:
        records = list(found)
        port = opened.getsockname()[1]
    assert [(record.state, record.local_port) for record in records] == [("LISTEN", port)]
    assert isinstance(records[0], Socket)
    [holder] = records[0].processes or ()
    assert isinstance(holder, Process)
    assert (holder.pid, holder.name) == (os.getpid(), Path("/proc/self/comm").read_text().strip())
    with pytest.raises(AttributeError):
        records[0].state = "CLOSE"  # type: ignore[misc]


def test_a_listing_that_is_closed_early_leaves_no_descriptor_open(namespace: Namespace) -> None:
    kept = [listener(namespace) for _ in range(2)]
    gc.collect()
    before = os.listdir("/proc/self/fd")
    found = netinspect.sockets(["tcp", "udp"], netns=namespace.path)
    next(found)
    found.close()
    found.close()
    assert list(found) == []
    assert os.listdir("/proc/self/fd") == before
    for opened in kept:
        opened.close()


def test_filters_states_and_families_select(namespace: Namespace) -> None:
    with listener(namespace) as opened, socket.socket() as client:
        client_inside = namespace.call(lambda: socket.create_connection(opened.getsockname()))
        port = opened.getsockname()[1]
        path = namespace.path
        assert {s.state for s in netinspect.sockets(["tcp"], states=["listen"], netns=path)} == {"LISTEN"}
        assert [s.remote_port for s in netinspect.sockets(["tcp"], filter=f"dport = :{port}", netns=path)] == [port]
        assert list(netinspect.sockets(["tcp"], families=["inet6"], netns=path)) == []
        assert len(list(netinspect.sockets(["tcp"], filter="state listening", netns=path))) == 1
        assert len(list(netinspect.sockets(["tcp"], pids=[os.getpid()], netns=path))) == 2
        assert len(list(netinspect.sockets(["tcp"], users=[os.geteuid()], netns=path))) >= 2
        client_inside.close()
        client.close()


def test_one_value_may_stand_alone_and_many_may_come_from_a_generator(namespace: Namespace) -> None:
    with listener(namespace):
        path, name = namespace.path, Path("/proc/self/comm").read_text().strip()
        me = os.getpid()
        for arguments in ({"pids": me}, {"process_names": name}, {"users": os.geteuid()}, {"families": "inet"}):
            assert len(list(netinspect.sockets("tcp", states="listen", netns=path, **arguments))) == 1  # type: ignore[arg-type]
        assert list(netinspect.sockets("tcp", process_names="*no-such-name", netns=path)) == []
        for protocols in (iter(["tcp"]), {"tcp"}):
            assert len(list(netinspect.sockets(protocols, netns=path))) == 1


def test_rows_of_several_namespaces_are_labelled(namespace: Namespace) -> None:
    other = Namespace()
    with listener(namespace), listener(other):
        found = list(netinspect.sockets(["tcp"], netns=[namespace.path, other.path]))
    other.close()
    assert [record.netns for record in found] == [namespace.path, other.path]


def test_namespaces_that_may_not_be_seen_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    status = os.stat("/proc/thread-self/ns/net")
    identity = status.st_dev, status.st_ino
    monkeypatch.setattr(
        "netinspect.engine.namespaces.every_namespace", lambda **_: ([("1", "/proc/self/ns/net", identity)], 2)
    )
    found = netinspect.sockets("tcp", all_netns=True)
    assert {record.netns for record in found} <= {"1"}
    (problem,) = found.problems
    assert problem.startswith("the network namespaces of 2 processes ")
    assert problem.endswith(" may not be seen: run as root to list all of them")
    monkeypatch.setattr("netinspect.procfs.processes_hidden", lambda: True)
    monkeypatch.setattr(
        "netinspect.engine.namespaces.every_namespace", lambda **_: ([("1", "/proc/self/ns/net", identity)], 0)
    )
    found = netinspect.sockets("tcp", all_netns=True)
    list(found)
    assert "of processes that /proc hides (proc(5): hidepid)" in found.problems[0]


def test_a_selection_is_incomplete_only_where_a_selected_process_may_not_be_seen(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from netinspect.nouns.sockets import owners

    walk = owners.socket_holders
    first = 1  # a process that is always there, of whatever name
    name = Path(f"/proc/{first}/comm").read_text().strip()
    unseen = owners.Unseen()
    unseen.refused.add(first)
    monkeypatch.setattr(owners, "socket_holders", lambda *pids, **options: (walk(*pids, **options)[0], unseen))

    def problems(**selection: object) -> str:
        found = netinspect.sockets("tcp", netns=namespace.path, **selection)  # type: ignore[arg-type]
        list(found)
        return "; ".join(found.problems)

    assert problems(pids=os.getpid()) == problems(process_names="no-such-name") == ""
    assert "the open files of 1 process may not be seen" in problems(pids=[os.getpid(), first])
    assert "the open files of 1 process may not be seen" in problems(process_names=name)
    monkeypatch.setattr(owners, "processes_hidden", lambda: True)
    assert problems(pids=os.getpid()) == ""
    assert "hidepid" in problems(process_names="no-such-name")


def test_what_the_kernel_cannot_list_is_a_problem_when_it_was_named(namespace: Namespace) -> None:
    found = netinspect.sockets(["sctp", "tcp"], netns=namespace.path)
    list(found)
    assert all("sctp" in problem for problem in found.problems)


@pytest.mark.parametrize(
    "arguments",
    [
        {"protocols": ["tpc"]},
        {"families": ["ipx"]},
        {"states": ["open"]},
        {"filter": "sport ="},
        {"users": ["no-such-user"]},
        {"pids": [4194305]},
        {"netns": "a", "all_netns": True},
    ],
)
def test_a_value_that_makes_no_sense_is_a_usage_error(arguments: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        netinspect.sockets(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["no-such-namespace", "/no/such/file", "/dev/null", "999999999", "a\0b", ""])
def test_a_namespace_that_is_not_there_is_a_namespace_error(name: str) -> None:
    with pytest.raises(NamespaceError):
        list(netinspect.sockets(netns=name))


def test_routes_are_selected_as_the_command_selects_them(namespace: Namespace) -> None:
    for words in (
        "link set lo up",
        "address add 192.0.2.1/24 dev lo",
        "route add 10.1.0.0/16 via 192.0.2.9 src 192.0.2.1",
        "route add 10.2.0.0/16 via 192.0.2.8",
        "route add 10.3.0.0/16 dev lo scope link",
    ):
        namespace.run("ip", *words.split())

    def found(**selected: Any) -> list[str]:
        return [route.destination for route in netinspect.routes(families="inet", netns=namespace.path, **selected)]

    assert found(via="192.0.2.8") == ["10.2.0.0/16"]
    assert found(source="192.0.2.1", via="192.0.2.9") == ["10.1.0.0/16"]
    assert "10.3.0.0/16" in found(scope="link")
    assert found(scope=253) == found(scope="link")
    counts = netinspect.route_counts(netinspect.routes(families="inet", netns=namespace.path))
    assert sum(count.routes for count in counts) == len(found())
    for wrong in ({"via": "nowhere"}, {"scope": "far"}, {"source": "192.0.2"}):
        with pytest.raises(UsageError):
            found(**wrong)


def test_sockets_are_counted(namespace: Namespace) -> None:
    kept = [listener(namespace) for _ in range(3)]
    (count,) = netinspect.socket_counts(netinspect.sockets("tcp", netns=namespace.path))
    assert (count.protocol, count.state, count.sockets) == ("tcp", "LISTEN", 3)
    for opened in kept:
        opened.close()
