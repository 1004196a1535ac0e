"""What is read from text procfs, against sockets that the tests hold and what ss and netstat say of them."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from availability import unavailable
from patience import until
from throwaway import Namespace

from netinspect import procfs
from netinspect.engine.answering import answered
from netinspect.engine.places import Place
from netinspect.errors import NetinspectError
from netinspect.nouns.drops import listing_account


def test_what_is_mounted_in_place_of_a_file_costs_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fifo = str(tmp_path / "fifo")
    os.mkfifo(fifo)
    for reads in (procfs._read, procfs._record):
        assert answered(reads, fifo, 64, within=10) == b"", "nobody waits for a writer"
    for content in (b"", b"\xff 1\n", b"0 0\n", b"9" * 5000 + b" 0 1\n"):
        monkeypatch.setattr(procfs, "_read", lambda *_, content=content: content)
        assert procfs.outer_uid() == os.geteuid()
    monkeypatch.setattr(procfs, "_read", lambda *_: b"nat\n" + b"\0" * 4000)
    assert procfs.legacy_tables() == ["ip nat", "ip6 nat"]


def test_a_file_of_the_account_of_drops_costs_its_malformed_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = ["00000001"] * 15
    lines = [" ".join(columns), "f" * 5000 + " 2", "x " * 15, " ".join(["9" * 5000] * 9)]
    monkeypatch.setattr(listing_account, "network_text", lambda _: "\n".join(lines))
    account = listing_account.Account([place := Place()], None)
    assert {figure.value for figure in account._softnet(place).values()} == {1}
    assert {figure.value for figure in account._queues(place).values()} == {1}
    files = ("softnet_stat", "netfilter/nfnetlink_queue")
    assert account.problems == [f"/proc/net/{file}: a malformed line is left out" for file in files]


@pytest.mark.parametrize(
    ("argument", "name"),
    [
        ("/usr/sbin/sshd", "sshd"),
        ("sshd: root@pts/0", "sshd: root@pts/0"),
        ("./relative/path", "./relative/path"),
        ("/odd/na me\x1b[31m", "na me\x1b[31m"),
        ("", ""),
    ],
)
def test_a_program_is_named_by_argument_0_as_netstat_does(argument: str, name: str) -> None:
    with subprocess.Popen([argument, "-c", "read line"], executable="/bin/sh", stdin=subprocess.PIPE) as child:
        until(lambda: (procfs.program_name(child.pid), procfs.command_name(child.pid)) == (name, "sh"))


def test_kernel_threads_are_distinguished_from_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    for pid in procfs.process_ids():
        if procfs.command_name(pid) == "kthreadd":
            assert not procfs.is_alive_program(pid)
    assert procfs.is_alive_program(os.getpid())
    for status, alive in (
        (b"7 (odd) name) Z 1 7 7 0 -1 4194304 0", False),
        (b"7 (odd) name) S 1 7 7 0 -1 4194304 0", True),
        (b"2 (kthreadd) S 0 0 0 0 -1 2129984 0", False),
    ):
        monkeypatch.setattr(procfs, "_read", lambda _, status=status: status)
        assert procfs.is_alive_program(7) is alive


def test_a_process_has_cgroups() -> None:
    expected = [tuple(line.split(":", 2)[1:]) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    assert procfs.cgroups(procfs.cgroup_lines(os.getpid())) == expected
    odd = b"0::/a:b\n4:cpu,cpuacct:/\xff\n"
    assert procfs.cgroups(odd) == [("", "/a:b"), ("cpu,cpuacct", "/\\xff")]


def test_mounts_of_cgroup_v2_are_found_whatever_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    mountinfo = (
        b"27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
        b"41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime shared:9 - cgroup2 cgroup2 rw\n"
        b"42 31 0:38 /docker/a\\134b /mnt/x rw - cgroup2 none rw\n"
        b"32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
    )
    monkeypatch.setattr(procfs, "_read", lambda _: mountinfo)
    assert procfs.cgroup2_mounts() == [("/", "/sys/fs/cgroup/uni fied"), ("/docker/a\\b", "/mnt/x")]
    assert procfs.cgroup2_mount() == "/sys/fs/cgroup/uni fied"
    monkeypatch.setattr(procfs, "_read", lambda _: b"")
    assert procfs.cgroup2_mount() is None


def test_the_kernel_is_asked_which_protocols_it_has() -> None:
    assert procfs.has_protocol("tcp")
    assert procfs.has_protocol("unix")
    assert not procfs.has_protocol("carrier-pigeon")


def test_sockets_are_counted_where_the_kernel_counts_all_of_them(namespace: Namespace) -> None:
    assert procfs.sockets_in_use("vsock") is procfs.sockets_in_use("tcp") is None
    if not procfs.has_protocol("xdp"):
        assert procfs.sockets_in_use("xdp") is None
        return
    assert namespace.call(lambda: procfs.sockets_in_use("xdp")) == 0
    with namespace.call(xdp_socket), namespace.call(xdp_socket):
        assert namespace.call(lambda: procfs.sockets_in_use("xdp")) == 2
        assert procfs.sockets_in_use("xdp") == 0


def xdp_socket() -> socket.socket:
    return socket.socket(44, socket.SOCK_RAW)  # AF_XDP


def test_sockets_that_cannot_be_listed_matter_where_there_are_any(namespace: Namespace) -> None:
    def listed(*options: str) -> tuple[int, str]:
        result = namespace.netinspect("sockets", *options, check=False)
        return result.returncode, "".join(line for line in result.stderr.splitlines() if " xdp " in f" {line}")

    if not procfs.has_protocol("xdp") or listed("--xdp", "-a") == (0, ""):
        unavailable("this kernel has no AF_XDP, or xsk_diag for it")
    for options in ((), ("-a",), ("--xdp", "-a")):
        status, said = listed(*options)
        assert (status, said.endswith("but /proc/net/protocols counts none")) == (0, True), (options, said)
    with namespace.call(xdp_socket):
        assert listed("-t", "-a") == (0, "")
        for options, expected in (((), 0), (("-a",), 3), (("--xdp", "-a"), 3), (("--xdp",), 3)):
            status, said = listed(*options)
            assert (status, "(1 according to /proc/net/protocols) are not listed" in said) == (expected, True), (
                options,
                said,
            )


# --- raw sockets ------------------------------------------------------------------------------------------------------


@pytest.fixture
def raw(namespace: Namespace) -> Iterator[list[socket.socket]]:
    """Raw sockets of both families: bound, connected, unbound, and one with an unread packet."""

    def make() -> list[socket.socket]:
        icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        bound = socket.socket(socket.AF_INET, socket.SOCK_RAW, 200)
        bound.bind(("127.0.0.2", 0))
        connected = socket.socket(socket.AF_INET, socket.SOCK_RAW, 201)
        connected.connect(("127.0.0.3", 0))
        bound6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 202)
        bound6.bind(("::1", 0))
        connected6 = socket.socket(socket.AF_INET6, socket.SOCK_RAW, 203)
        connected6.connect(("::1", 0))
        connected6.send(b"unread by itself")
        return [icmp, bound, connected, bound6, connected6]

    opened = namespace.call(make)
    yield opened
    for one in opened:
        one.close()


def test_raw_sockets_are_those_of_the_namespace_that_this_thread_is_in(
    namespace: Namespace, raw: list[socket.socket]
) -> None:
    found = namespace.call(lambda: [*procfs.raw_sockets("inet"), *procfs.raw_sockets("inet6")])
    rows = {
        (one.local_address, one.local_port, one.remote_address, one.remote_port, one.state, one.inode): one
        for one in found
    }
    icmp, bound, connected, bound6, connected6 = (os.fstat(one.fileno()).st_ino for one in raw)
    unread = rows[("::1", 203, "::1", 0, "ESTABLISHED", connected6)]
    assert set(rows) == {
        ("0.0.0.0", 1, "0.0.0.0", 0, "UNCONNECTED", icmp),
        ("127.0.0.2", 200, "0.0.0.0", 0, "UNCONNECTED", bound),
        ("127.0.0.1", 201, "127.0.0.3", 0, "ESTABLISHED", connected),
        ("::1", 202, "::", 0, "UNCONNECTED", bound6),
        ("::1", 203, "::1", 0, "ESTABLISHED", connected6),
    }
    assert unread.recv_queue > 0
    assert unread.uid == os.geteuid()
    assert {(one.protocol, one.type, one.source, one.cookie) for one in found} == {("raw", "raw", "procfs", None)}
    assert {one.family for one in found} == {"inet", "inet6"}
    assert list(procfs.raw_sockets("inet")) == []


def test_raw_sockets_are_those_that_netstat_shows(
    namespace: Namespace, raw: list[socket.socket], need: Callable[[str], None]
) -> None:
    need("netstat")
    lines = [line.split() for line in namespace.run("netstat", "-wane").stdout.splitlines() if line.startswith("raw")]
    theirs = {(int(line[1]), int(line[2]), line[3], int(line[7])) for line in lines}
    found = namespace.call(lambda: [*procfs.raw_sockets("inet"), *procfs.raw_sockets("inet6")])
    ours = {(one.recv_queue, one.send_queue, f"{one.local_address}:{one.local_port}", one.inode) for one in found}
    assert ours == theirs


def test_raw_sockets_are_those_that_ss_shows(
    namespace: Namespace, raw: list[socket.socket], need: Callable[[str], None]
) -> None:
    need("ss")
    lines = [line.split() for line in namespace.run("ss", "-Hwan").stdout.splitlines()]
    theirs = {(line[0], int(line[1]), int(line[2]), line[3]) for line in lines}
    found = namespace.call(lambda: [*procfs.raw_sockets("inet"), *procfs.raw_sockets("inet6")])
    ours = set()
    for one in found:
        host = f"[{one.local_address}]" if one.family == "inet6" else one.local_address
        state = {"UNCONNECTED": "UNCONN", "ESTABLISHED": "ESTAB"}[one.state]
        ours.add((state, one.recv_queue, one.send_queue, f"{host}:{one.local_port}"))
    assert ours == theirs


@pytest.mark.parametrize(
    "line",
    [
        "0: nonsense",
        "",
        "1: 0100007F:0001 00000000:0000 07 zz:00000000 a b 0 0 7 2 0 0",
        "1: 0100007F:0001 -0000001:0000 07 00000000:00000000 a b 0 0 7 2 0 0",
    ],
)
def test_a_line_that_makes_no_sense_is_one_clear_error(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procfs, "_lines", lambda _: [line])
    with pytest.raises(NetinspectError, match="malformed line"):
        procfs.raw_sockets("inet")


def test_a_family_that_the_kernel_lacks_has_no_raw_sockets() -> None:
    assert procfs._lines("no-such-file") == []


@pytest.mark.parametrize("around", ["/", "/far", "/far/net"])
def test_what_may_hang_is_not_looked_at(monkeypatch: pytest.MonkeyPatch, around: str) -> None:
    """A namespace that is mounted below, or under, what another program must answer for: anybody can mount such."""
    points = ("/far/net", "/far/b", "/near/net")
    lines = [f"41 31 0:4 net:[4026531840] {point} rw - nsfs nsfs rw\n".encode() for point in points]
    lines.append(f"42 31 0:38 / {around} rw - fuse.x x rw\n".encode())
    monkeypatch.setattr(procfs, "_read", lambda _: b"".join(lines))
    found = procfs.network_namespace_mounts([])
    kept = {"/": [], "/far": ["/near/net"], "/far/net": ["/far/b", "/near/net"]}
    assert found == [(point, 4026531840, point in kept[around]) for point in points]
