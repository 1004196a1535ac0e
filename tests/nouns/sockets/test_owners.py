"""Who owns a socket: processes that share, pass on, close and hide sockets, and what ss and netstat make of them."""

from __future__ import annotations

import array
import ctypes
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from availability import unavailable
from owning import answer_of_child, child, dumped, inode, scanned
from tcp_states import every_socket
from throwaway import CLONE_NEWNS, Namespace, unshare

from netinspect import procfs
from netinspect.engine import descriptors
from netinspect.engine.columns import Batch
from netinspect.engine.text import printable, text
from netinspect.nouns.sockets import owners as owners_module
from netinspect.nouns.sockets.listing import ALL_STATES, Query, SocketListing
from netinspect.nouns.sockets.owners import merged
from netinspect.records import Socket

CLONE_NEWPID = 0x20000000
PR_SET_NAME = 15
LIBC = ctypes.CDLL(None, use_errno=True)


def never() -> list[Batch]:
    raise AssertionError("there is nothing to dump again for")


def owned(namespace: Namespace | None, *protocols: str) -> dict[int, Socket]:
    """The sockets with their owners, by inode."""
    joined = scanned().joined(dumped(namespace, *protocols), lambda: dumped(namespace, *protocols))
    return {record.inode: record for batch in joined for record in batch}


def held(record: Socket) -> list[tuple[int, int]]:
    assert record.processes is not None
    return [(process.pid, process.fd) for process in record.processes]


@pytest.fixture
def all_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where every process can be read: the first process of a container may refuse even root."""
    walk = descriptors.socket_holders

    def readable(*arguments: Any, **options: Any) -> tuple[list[descriptors.Holder], descriptors.Unseen]:
        return walk(*arguments, **options)[0], descriptors.Unseen()

    monkeypatch.setattr(owners_module, "socket_holders", readable)
    monkeypatch.setattr(owners_module, "processes_hidden", lambda: False)
    monkeypatch.setattr(owners_module, "in_initial_pid_namespace", lambda: True)


# --- holders ----------------------------------------------------------------------------------------------------------


def test_every_process_and_descriptor_that_holds_a_socket_is_listed(namespace: Namespace) -> None:
    listener = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    first, second = listener.fileno(), os.dup(listener.fileno())
    with child(lambda: None) as same, child(lambda: os.close(second)) as fewer:
        record = owned(namespace, "tcp")[inode(listener)]
    os.close(second)
    listener.close()
    expected = [(os.getpid(), first), (os.getpid(), second), (same, first), (same, second), (fewer, first)]
    assert sorted(held(record)) == sorted(expected)
    assert [pid for pid, _ in held(record)] == sorted(pid for pid, _ in expected)
    assert record.owner_reason is None


def test_a_socket_passed_to_another_process_is_held_by_that_one(namespace: Namespace, all_seen: None) -> None:
    ours, theirs = socket.socketpair()
    passed = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    number = inode(passed)
    ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [passed.fileno()]))])
    passed.close()
    # On its way no process has it: only the kernel does, in the queue of that socket, where it stays.
    queue = theirs.fileno()
    for _ in range(2):
        on_the_way = owned(namespace, "tcp")[number]
        assert on_the_way.owner_reason == "in flight"
        assert [(one.pid, one.fd, one.via) for one in on_the_way.processes or ()] == [(os.getpid(), queue, "in flight")]
    with child(lambda: theirs.recvmsg(1, socket.CMSG_SPACE(4))) as pid:
        arrived = owned(namespace, "tcp")[number]
    assert [holder for holder, _ in held(arrived)] == [pid]
    ours.close()
    theirs.close()


def test_texts_have_the_forms_of_ss_and_netstat(namespace: Namespace) -> None:
    listener = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    fd, number = listener.fileno(), inode(listener)
    with child(lambda: None) as pid:
        owners = scanned()
        programs, text = owners.programs([number, 1]), owners.texts([number, 1])
    listener.close()
    name = procfs.command_name(os.getpid())
    first, second = sorted((os.getpid(), pid))  # ids begin anew when the highest has been given
    assert re.sub(r",(unit|container)=[^,)]*", "", text[0]) == (
        f'users:(("{name}",pid={first},fd={fd}),("{name}",pid={second},fd={fd}))'
    )
    assert text[1] == ""
    assert programs == [f"{first}/{procfs.program_name(os.getpid())}"[:19], "-"]


def test_a_process_that_ends_after_the_scan_holds_nothing(namespace: Namespace, all_seen: None) -> None:
    lone, shared = namespace.call(lambda: [socket.create_server(("127.0.0.1", 0)) for _ in range(2)])
    numbers = [inode(lone), inode(shared)]
    with ExitStack() as ending:
        ending.enter_context(child(lambda: None))
        with child(lone.close) as kept:
            fd = shared.fileno()
            lone.close()
            shared.close()
            before, owners, unasked = dumped(namespace, "tcp"), scanned(), scanned()
            assert [inode for inode, _, _ in owners.descriptors() if inode in numbers].count(numbers[1]) == 2
            ending.close()
            joined = owners.joined(before, lambda: dumped(namespace, "tcp"))
            records = {record.inode: record for batch in joined for record in batch}
            program = f"{kept}/{procfs.program_name(kept)}"[:19]
            assert unasked.programs(numbers) == ["-", program]
            assert list(map(len, map(unasked.processes, numbers))) == [0, 1]
    assert [(held(records[number]), records[number].owner_reason) for number in numbers] == [
        ([], "gone"),
        ([(kept, fd)], None),
    ]


def test_texts_of_several_sockets_become_one() -> None:
    assert merged('users:(("a",pid=1,fd=2))') == 'users:(("a",pid=1,fd=2))'
    assert merged('users:(("a",pid=1,fd=2))', 'users:(("b",pid=3,fd=4))') == 'users:(("a",pid=1,fd=2),("b",pid=3,fd=4))'


@pytest.mark.parametrize("name", [b"\x1b[31m\nx", b"\xff\xfe", b'a",pid=1,fd=3', "\u202eevil".encode(), b"%s%n{}"])
def test_a_name_chosen_by_a_process_does_no_harm(namespace: Namespace, name: bytes) -> None:
    listener = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    number = inode(listener)
    with child(lambda: LIBC.prctl(PR_SET_NAME, name)) as pid:
        owners = scanned()
        processes = {process.pid: process for process in owners.processes(number)}
    listener.close()
    # The record has the name as it is, valid UTF-8 in any case.
    assert processes[pid].name == text(name)
    processes[pid].name.encode()
    shown = printable(*owners.texts([number]))
    # And the text cannot be read as another holder.
    assert {int(found) for found in re.findall(r'(?<!\\)",pid=(\d+)', shown)} == {os.getpid(), pid}


# --- reasons ----------------------------------------------------------------------------------------------------------


def test_each_socket_has_a_holder_or_the_reason_why_not(namespace: Namespace) -> None:
    with TemporaryDirectory() as directory, every_socket(namespace, directory) as made:
        batches = dumped(namespace, "tcp", "udp", "unix", "packet")
        records = [record for batch in scanned().joined(batches, never) for record in batch]
        for expected in made:
            if expected.protocol not in ("tcp", "udp", "unix", "packet"):
                continue
            matching = [
                record
                for record in records
                if record.inode == expected.inode
                and (expected.inode or (record.local_port, record.state) == (expected.local_port, expected.state))
            ]
            assert matching, expected.label
            if expected.inode:
                assert os.getpid() in [pid for pid, _ in held(matching[0])], expected.label
                assert matching[0].owner_reason is None
            else:
                accepted = expected.state not in ("SYN_RECV", "ESTABLISHED", "CLOSE_WAIT")
                assert matching[0].processes == ()
                assert matching[0].owner_reason == ("orphaned" if accepted else "not accepted"), expected.label


def test_a_socket_younger_than_the_scan_is_found_by_a_second_look_and_comes_last(namespace: Namespace) -> None:
    old = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    owners = scanned()
    ours, theirs = socket.socketpair()

    def open_another() -> socket.socket:
        young = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
        theirs.sendall(str(inode(young)).encode())
        return young

    with child(open_another) as pid:
        number = int(ours.recv(20))
        batches = owners.joined(dumped(namespace, "tcp"), never)
        records = [record for batch in batches for record in batch]
    assert [record.inode for record in records] == [inode(old), number]
    assert [holder for holder, _ in held(records[1])] == [pid]
    old.close()
    ours.close()
    theirs.close()


def test_rows_with_known_holders_do_not_wait_for_the_others(namespace: Namespace) -> None:
    known = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    owners = scanned()
    (batch,) = dumped(namespace, "tcp")

    def feed() -> Iterator[Batch]:
        yield batch
        raise AssertionError("asked for more before giving what is known")

    assert [record.inode for record in next(owners.joined(feed(), never))] == [inode(known)]
    known.close()


def test_a_socket_closed_meanwhile_is_gone_and_one_that_stays_is_the_kernels(
    namespace: Namespace, all_seen: None
) -> None:
    closing, passed = namespace.call(lambda: [socket.create_server(("127.0.0.1", 0)) for _ in range(2)])
    gone, kept = inode(closing), inode(passed)
    ours, theirs = socket.socketpair()
    ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [passed.fileno()]))])
    passed.close()
    before = dumped(namespace, "tcp")
    closing.close()
    joined = scanned().joined(before, lambda: dumped(namespace, "tcp"))
    reasons = {record.inode: record.owner_reason for batch in joined for record in batch}
    assert reasons == {gone: "gone", kept: "in flight"}
    ours.close()
    theirs.close()


def test_a_socket_on_its_way_is_found_in_the_queue_wherever_it_is(namespace: Namespace) -> None:
    """A listener that is passed on belongs to nobody until it is received: the queue where it waits is named."""

    def passed(through: socket.socket, *descriptors: int) -> None:
        through.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))])

    first, nested, second, dgram = namespace.call(lambda: [socket.create_server(("127.0.0.1", 0)) for _ in range(4)])
    numbers = [inode(one) for one in (first, nested, second, dgram)]
    with ExitStack() as opened:

        def pair(kind: int = socket.SOCK_STREAM) -> tuple[socket.socket, socket.socket]:
            ours, theirs = socket.socketpair(type=kind)
            return opened.enter_context(ours), opened.enter_context(theirs)

        ours, theirs = pair()
        ours.send(b"unread before it")
        passed(ours, first.fileno(), sys.stderr.fileno())
        passed(ours, second.fileno())  # behind another message with descriptors
        inner, outer = pair()
        passed(inner, nested.fileno())
        into, within = pair(socket.SOCK_SEQPACKET)
        passed(into, outer.fileno())
        there, here = pair(socket.SOCK_DGRAM)
        passed(there, dgram.fileno())
        for one in (first, nested, second, dgram, outer):
            one.close()
        before = sorted(os.listdir("/proc/self/fd"))
        found = owned(namespace, "tcp")
        assert sorted(os.listdir("/proc/self/fd")) == before
        holders = [[(one.fd, one.via) for one in found[number].processes or ()] for number in numbers]
        assert holders == [
            [(theirs.fileno(), "in flight")],
            [(within.fileno(), "in flight")],
            [],
            [(here.fileno(), "in flight")],
        ]
        assert found[numbers[2]].owner_reason in ("in flight or kernel", "no permission")
        (text,) = [
            line
            for line in namespace.netinspect("sockets", "-tlnpH", check=False).stdout.splitlines()
            if f",fd={within.fileno()},via=in flight" in line
        ]
        assert str(found[numbers[1]].local_port) in text
        # What was looked at is received all the same.
        assert theirs.recv(64, socket.MSG_PEEK) == b"unread before itx"
        _, received, _, _ = within.recvmsg(1, socket.CMSG_SPACE(4))
        assert len(received) == 1
        os.close(int.from_bytes(received[0][2][:4], sys.byteorder))


def test_what_looks_ahead_in_its_queue_is_left_alone(namespace: Namespace) -> None:
    """A look would move SO_PEEK_OFF."""
    listener = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    number = inode(listener)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setsockopt(socket.SOL_SOCKET, 42, 0)
        ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener.fileno()]))])
        listener.close()
        assert owned(namespace, "tcp")[number].processes == ()
        assert theirs.getsockopt(socket.SOL_SOCKET, 42) == 0


def test_the_kernels_own_sockets_of_tunnels_are_known_as_such(namespace: Namespace) -> None:
    """Where some process may not be seen, too: that is not why nobody holds them."""
    if namespace.run("ip", "link", "add", "vx0", "type", "vxlan", "id", "5", "dstport", "4790", check=False).returncode:
        unavailable("this kernel has no VXLAN")
    namespace.run("ip", "link", "set", "vx0", "up")
    result = namespace.netinspect("sockets", "-uanp", "--format", "ndjson")  # status 0: no owner is missing
    reasons = {row["local_port"]: row["owner_reason"] for row in map(json.loads, result.stdout.splitlines())}
    assert reasons == {4790: "kernel"}


def test_a_listing_shows_its_own_socket_and_the_kernels_netlink_sockets_as_such(namespace: Namespace) -> None:
    def list_them() -> list[Socket]:
        batches = SocketListing(Query(["netlink"], states=ALL_STATES)).batches()
        return [record for batch in owners.joined(batches, never) for record in batch]

    owners = scanned()
    records = namespace.call(list_them)
    assert {record.owner_reason for record in records if record.local_port == 0} == {"kernel"}
    mine = [record for record in records if record.local_port]
    assert mine
    assert [[process.pid for process in record.processes or ()] for record in mine] == [[os.getpid()]] * len(mine)


def _without_privileges() -> None:
    # Version 3 of struct __user_cap_header_struct (linux/capability.h), this process, and three empty sets.
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if LIBC.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _as_nobody() -> None:
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)


with open("/proc/self/uid_map") as _file:
    # In an ordinary user's namespace there is no second user to become.
    _LOWER = [_without_privileges, _as_nobody] if int(_file.readline().split()[2]) > 65534 else [_without_privileges]


@pytest.mark.parametrize("lower", _LOWER)
def test_processes_that_may_not_be_read_are_counted_and_named_as_the_reason(
    namespace: Namespace, lower: Callable[[], None]
) -> None:
    listener = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))

    def look() -> object:
        batches = dumped(namespace, "tcp")
        listener.close()
        lower()
        owners = scanned()
        records = [record for batch in owners.joined(batches, lambda: batches) for record in batch]
        answers = [(record.processes, record.owner_reason) for record in records]
        return len(owners.unseen.refused), answers, owners.texts([number])

    number = inode(listener)
    unreadable, answers, texts = answer_of_child(look)
    assert unreadable >= 1
    assert (answers, texts) == ([[[], "no permission"]], [""])
    listener.close()


def test_a_holder_in_another_pid_namespace_is_reported(namespace: Namespace) -> None:
    listener = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))

    def look() -> object:
        if LIBC.mount(b"proc", b"/proc", b"proc", 0, None) != 0:
            raise OSError(ctypes.get_errno(), "mount")
        own = socket.socketpair()
        owners = scanned()
        reasons = {
            record.inode: record.owner_reason for batch in owners.joined(batches, lambda: batches) for record in batch
        }
        return len(owners.unseen.refused), [process.pid for process in owners.processes(inode(own[0]))], reasons[number]

    def move() -> object:
        listener.close()
        unshare(CLONE_NEWPID | CLONE_NEWNS)
        LIBC.mount(b"none", b"/", None, 0x4000 | 0x40000, None)  # MS_REC | MS_PRIVATE
        return answer_of_child(look)

    number = inode(listener)
    batches = dumped(namespace, "tcp")
    try:
        answer = answer_of_child(move)
    except OSError as error:
        unavailable(f"mounting /proc in a pid namespace: {error.strerror}")
    assert answer == [0, [1], "other pid namespace"]
    listener.close()


@pytest.mark.parametrize("lower", _LOWER)
def test_processes_that_proc_hides_are_a_matter_of_permission(namespace: Namespace, lower: Callable[[], None]) -> None:
    listener = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))

    def look() -> object:
        if LIBC.mount(b"proc", b"/proc", b"proc", 0, b"hidepid=2") != 0:
            raise OSError(ctypes.get_errno(), "mount")
        return answer_of_child(in_the_dark)

    def in_the_dark() -> object:
        lower()
        owners = scanned()
        return len(owners.unseen.refused), [
            one.owner_reason for batch in owners.joined(batches, lambda: batches) for one in batch
        ]

    def move() -> object:
        listener.close()
        unshare(CLONE_NEWPID | CLONE_NEWNS)
        LIBC.mount(b"none", b"/", None, 0x4000 | 0x40000, None)  # MS_REC | MS_PRIVATE
        return answer_of_child(look)

    batches = dumped(namespace, "tcp")
    unreadable, reasons = answer_of_child(move)
    assert reasons == ["no permission"]
    # The processes of another user are not even there to be counted.
    assert lower is _without_privileges or unreadable == 0
    listener.close()


def test_tables_have_the_reason_in_the_place_of_the_owner(namespace: Namespace) -> None:
    listener = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    client = namespace.call(lambda: socket.create_connection(listener.getsockname()))
    texts: list[str] = []
    programs: list[str] = []
    for batch in scanned().joined(dumped(namespace, "tcp"), never):
        texts += batch.values("owners")
        programs += batch.values("program")
    mine = f"{os.getpid()}/{procfs.program_name(os.getpid())}"[:19]
    assert sorted(programs) == ["-", mine, mine]
    assert sorted(text.startswith("users:((") for text in texts) == [False, True, True]
    assert "(not accepted)" in texts
    client.close()
    listener.close()


# --- against ss and netstat -------------------------------------------------------------------------------------------

SERVER = r"""
import os, socket, sys
opened = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(opened.getsockname())
server = opened.accept()[0]
if os.fork() == 0:
    client.close()
os.write(1, b"ready\n")
sys.stdin.read()
"""


@contextmanager
def servers(namespace: Namespace) -> Iterator[None]:
    """Two processes and their children, with names of their own, that share some of their sockets."""
    started = [
        namespace.popen(
            [sys.executable, "-c", f"import os; os.execv({sys.executable!r}, [{name!r}, '-c', {SERVER!r}])"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for name in ("/opt/a/long-name-of-a-program", "./sshd: user@pts/7 [priv]")
    ]
    try:
        for process in started:
            assert process.stdout is not None
            assert [process.stdout.readline() for _ in range(2)] == ["ready\n"] * 2
        yield
    finally:
        for process in started:
            process.communicate("")


def _endpoints(record: Socket) -> tuple[str, str]:
    return f"{record.local_address}:{record.local_port}", f"{record.remote_address}:{record.remote_port or '*'}"


def test_holders_are_those_that_ss_shows(namespace: Namespace, need: Callable[[str], None]) -> None:
    need("ss")
    with servers(namespace):
        lines = [line.split(maxsplit=5) for line in namespace.run("ss", "-Htanp").stdout.splitlines()]
        records = owned(namespace, "tcp").values()
    theirs = {(line[3], line[4]): set(re.findall(r'\("([^"]*)",pid=(\d+),fd=(\d+)\)', line[5])) for line in lines}
    ours = {
        _endpoints(record): {(one.name, str(one.pid), str(one.fd)) for one in record.processes or ()}
        for record in records
    }
    assert ours == theirs
    assert sorted(map(len, ours.values())) == [1, 1, 2, 2, 2, 2]


def test_programs_are_those_that_netstat_shows(namespace: Namespace, need: Callable[[str], None]) -> None:
    need("netstat")
    with servers(namespace):
        lines = namespace.run("netstat", "-tanp").stdout.splitlines()
        records = list(owned(namespace, "tcp").values())
        programs = scanned().programs(record.inode for record in records)
    rows = [line.split(maxsplit=6) for line in lines if line.startswith("tcp")]
    theirs = {(row[3], row[4]): row[6].rstrip() for row in rows}
    ours = dict(zip(map(_endpoints, records), (program.rstrip() for program in programs), strict=True))
    assert ours == theirs
    assert len(set(ours.values())) == 2
