"""Namespaces by name, process and path, and the list of all of them."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from errno import EINVAL, ENOMEM, EPERM
from pathlib import Path

import pytest
from patience import eventually, until
from throwaway import NETINSPECT, Namespace

from netinspect.engine import namespaces
from netinspect.engine.columns import Batch
from netinspect.engine.namespaces import every_namespace, inside, open_namespace
from netinspect.engine.places import EveryPlace, Place, in_places
from netinspect.errors import NamespaceError, NamespaceGoneError, NetlinkError
from netinspect.nouns.sockets.listing import Query, SocketListing


def current() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


def test_only_the_calling_thread_moves_and_it_moves_back_even_after_an_error(namespace: Namespace) -> None:
    home = current()
    assert namespace.call(current) == os.fstat(namespace.descriptor).st_ino != home
    with pytest.raises(ZeroDivisionError):
        inside(namespace.descriptor, lambda: 1 // 0)
    assert current() == home


@pytest.mark.parametrize(("number", "here"), [(EPERM, True), (ENOMEM, False), (EINVAL, False)])
def test_where_one_may_not_enter_the_namespace_that_one_is_in_is_read_all_the_same(
    monkeypatch: pytest.MonkeyPatch, number: int, here: bool
) -> None:
    def refuse(descriptor: int, kind: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(namespaces, "_calls", [refuse])
    descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if here:
            assert inside(descriptor, current) == current()
        else:
            with pytest.raises(NamespaceError, match=re.escape(os.strerror(number))):
                inside(descriptor, current)
    finally:
        os.close(descriptor)


def test_a_namespace_is_opened_by_process_id_and_by_path(namespace: Namespace) -> None:
    with namespace.popen(["sleep", "20"]) as sleeper:
        while Path(f"/proc/{sleeper.pid}/comm").read_text() != "sleep\n":
            pass
        for name in (str(sleeper.pid), f"/proc/{sleeper.pid}/ns/net", namespace.path):
            descriptor = open_namespace(name)
            assert os.fstat(descriptor).st_ino == os.fstat(namespace.descriptor).st_ino
            os.close(descriptor)
        found = {label: path for label, path, _ in every_namespace()[0]}
        assert os.stat(found[str(sleeper.pid)]).st_ino == os.fstat(namespace.descriptor).st_ino
        sleeper.kill()


FIRST_ENDED = """
import ctypes, sys, threading
threading.Thread(target=sys.stdin.read).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_process_whose_first_thread_has_ended_is_named_by_its_id(namespace: Namespace) -> None:
    with namespace.popen([sys.executable, "-c", FIRST_ENDED], stdin=subprocess.PIPE) as process:
        assert process.stdin
        until(lambda: not os.path.exists(f"/proc/{process.pid}/ns/net"), "end of the first thread")
        descriptor = open_namespace(str(process.pid))
        assert os.path.sameopenfile(descriptor, namespace.descriptor or -1)
        os.close(descriptor)
    with pytest.raises(NamespaceError, match="no network namespace"):
        open_namespace(str(process.pid))


def test_a_namespace_is_opened_and_listed_by_name(namespace: Namespace, tmp_path: Path) -> None:
    # The suite has a mount namespace of its own: what is mounted over /run/netns is seen here alone.
    os.makedirs("/run/netns", exist_ok=True) if os.access("/run", os.W_OK) else None
    if not os.path.isdir("/run/netns"):
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        os.makedirs("/run/netns")
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run/netns"], check=True)
    try:
        Path("/run/netns/blue").touch()
        Path("/run/netns/removed").touch()
        subprocess.run(["mount", "--bind", namespace.path, "/run/netns/blue"], check=True)
        descriptor = open_namespace("blue")
        assert os.fstat(descriptor).st_ino == os.fstat(namespace.descriptor).st_ino
        os.close(descriptor)
        labels = [label for label, *_ in every_namespace()[0]]
        assert "blue" in labels
        assert "removed" not in labels
        with pytest.raises(NamespaceError, match="not a network namespace"):
            open_namespace("removed")
    finally:
        subprocess.run(["umount", "-R", "--lazy", "/run/netns"], check=True)


def test_the_current_namespace_comes_first_and_none_comes_twice() -> None:
    def check() -> None:
        found, _ = every_namespace()
        # Others come and go meanwhile: a path may lead nowhere, or elsewhere.
        inodes = [os.stat(path).st_ino if os.path.exists(path) else 0 for _, path, _ in found]
        assert inodes == [identity[1] for *_, identity in found]
        assert inodes[0] == current()
        assert len(set(inodes)) == len(inodes)

    eventually(check)


def found_by(process: subprocess.Popen[str]) -> Place:
    (place,) = [place for place in EveryPlace() if place.label == str(process.pid)]
    return place


def test_a_process_that_goes_elsewhere_does_not_make_a_namespace_come_twice(namespace: Namespace) -> None:
    script = "echo; read go; exec unshare --net sh -c 'echo; read end'"
    with namespace.popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        alone = found_by(process)
        with namespace.popen(["sleep", "20"]) as other:
            while Path(f"/proc/{other.pid}/comm").read_text() != "sleep\n":
                pass
            place = found_by(process)
            process.stdin.write("go\n")
            process.stdin.flush()
            process.stdout.readline()
            with place:
                assert (place.label, place.call(current)) == (str(other.pid), os.fstat(namespace.descriptor).st_ino)
            other.kill()
        with alone:  # nobody is in it any more, but the suite has it open
            assert "/fd/" in (alone.label or "")
            assert alone.call(current) == os.fstat(namespace.descriptor).st_ino
        assert found_by(process).label
        process.stdin.close()


def test_the_processes_of_a_namespace_may_end(namespace: Namespace) -> None:
    script = "exec unshare --net sh -c 'echo; read end'"
    with namespace.popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        place = found_by(process)
        process.stdin.close()
        process.wait()
        # The kernel may give its number to the next namespace, at once: here it is one that none ever has.
        assert place._identity is not None
        place._identity = (place._identity[0], 1)
        with pytest.raises(NamespaceGoneError, match="is gone"):
            place.open()
        assert list(in_places([place, place], lambda _: pytest.fail("opened"), pytest.fail)) == []


KEPT = r"""
import ctypes, fcntl, os, socket, struct, sys, threading
libc = ctypes.CDLL(None)
home = os.open("/proc/self/ns/net", 0)
def enter(port):
    assert libc.unshare(0x40000000) == 0
    return socket.create_server(("0.0.0.0", port)), os.open("/proc/thread-self/ns/net", 0)
def stay():
    opened, own = enter(7503)
    os.close(own)
    kept.append(opened)
    ready.set()
    sys.stdin.read()
def own_table():
    assert libc.unshare(0x400) == 0  # CLONE_FILES
    here = os.open("/proc/thread-self/ns/net", 0)
    opened, _ = enter(7505)
    libc.setns(here, 0)
    kept.append(opened)
    tables.set()
    threading.Event().wait()
kept, ready, tables = [], threading.Event(), threading.Event()
kept += enter(7501)
libc.setns(home, 0)
opened, own = enter(7502)
assert libc.mount(b"/proc/thread-self/ns/net", sys.argv[1].encode(), None, 4096, None) == 0
os.close(own)
kept.append(opened)
libc.setns(home, 0)
opened, own = enter(7504)
os.close(own)
kept.append(opened)
libc.setns(home, 0)
for target, event in ((stay, ready), (own_table, tables)):
    other = threading.Thread(target=target, daemon=True)
    other.start()
    event.wait()
    print(other.native_id, end=" ")
print(kept[3].fileno(), end=" ")
sender, receiver = socket.socketpair()
inner, queue = socket.socketpair()
assert libc.unshare(0x40000000) == 0
own = os.open("/proc/thread-self/ns/net", 0)
socket.send_fds(inner, [b"x"], [own])
socket.send_fds(sender, [b"x"], [queue.fileno()])  # a queue within a queue
os.close(own)
queue.close()
libc.setns(home, 0)
print(receiver.fileno(), end=" ")
assert libc.unshare(0x40000000) == 0
tun = -1
if os.access("/dev/net/tun", os.R_OK | os.W_OK):
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"kept", 0x1001))  # TUNSETIFF: tun, no information
libc.setns(home, 0)
print(tun, end=" ")
# One mounted where another mount hides it.
assert libc.unshare(0x40000000) == 0
assert libc.mount(b"/proc/thread-self/ns/net", sys.argv[2].encode() + b"/n", None, 4096, None) == 0
assert libc.mount(b"none", sys.argv[2].encode(), b"tmpfs", 0, None) == 0
libc.setns(home, 0)
# One mounted in a mount namespace whose first process has another root, below which it is not.
told, tell = os.pipe()
if os.fork() == 0:
    assert libc.unshare(0x20000) == 0
    assert libc.mount(b"none", b"/", None, 0x44000, None) == 0  # private, with all below
    second = os.fork()
    if second == 0:
        assert libc.unshare(0x40000000) == 0
        assert libc.mount(b"/proc/thread-self/ns/net", sys.argv[3].encode(), None, 4096, None) == 0
        libc.setns(home, 0)
        os.write(tell, b"%d" % os.getpid())
    else:
        os.chroot(os.path.dirname(sys.argv[2]) + "/empty")
    os.read(0, 1)  # the lock of sys.stdin is held by a thread
    os._exit(0)
print(os.read(told, 20).decode(), flush=True)
sys.stdin.read()
"""


def test_namespaces_without_a_process_are_found_by_what_keeps_them(namespace: Namespace, tmp_path: Path) -> None:
    mount = tmp_path / "a mount"
    mount.touch()
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "n").touch()
    (tmp_path / "empty").mkdir()
    private = tmp_path / "private"
    private.touch()
    arguments = [sys.executable, "-c", KEPT, str(mount), str(hidden), str(private)]
    with namespace.popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdin
            assert process.stdout
            thread, own_table, by_socket, receiver, tun, second = process.stdout.readline().split()
            everything = namespace.netinspect("links", "-j", "--all-netns", check=False)
            labels = {}
            for port in (7501, 7502, 7503, 7504, 7505):
                rows = json.loads(
                    namespace.netinspect("sockets", "-tlnj", "--all-netns", f"sport = :{port}", check=False).stdout
                )
                labels[port] = [row["netns"] for row in rows]
                again = namespace.netinspect("sockets", "-tlnH", "-N", labels[port][0]).stdout
                assert f":{port} " in again
        finally:
            process.communicate("")
            for mounted in (mount, hidden, hidden / "n"):
                subprocess.run(["umount", str(mounted)], check=False)
    assert re.fullmatch(rf"/proc/{process.pid}/fd/\d+", labels[7501][0])
    assert labels[7502] == [str(mount)]
    assert labels[7503] == [thread]
    assert labels[7504] == [f"/proc/{process.pid}/fd/{by_socket}"]  # util-linux #3200
    assert re.fullmatch(rf"/proc/{own_table}/fd/\d+", labels[7505][0])
    assert list(map(len, labels.values())) == [1] * 5
    by_tun = {f"/proc/{process.pid}/fd/{tun}"} if int(tun) >= 0 else set()
    assert by_tun <= {row["netns"] for row in json.loads(everything.stdout) if row["name"] == "kept"}
    assert f"/proc/{second}/root{private}" in {row["netns"] for row in json.loads(everything.stdout)}
    # What is on its way has no path to be opened by: that it is there is said.
    unlisted = (
        r"network namespaces that only a descriptor on its way to a process keeps are not listed: \d+, in the queue"
    )
    assert re.search(rf"{unlisted} of .*/proc/{process.pid}/fd/{receiver}\b", everything.stderr)
    out_of_reach = r"network namespaces mounted where they cannot be reached are not listed: \d+, at"
    assert re.search(rf"{out_of_reach} .*{re.escape(str(hidden))}/n\b", everything.stderr)


WITHOUT_PTRACE = ("setpriv", "--inh-caps=-all", "--bounding-set=-all,+sys_admin", *NETINSPECT)
"""Enters namespaces, but does not see those of processes that may do more."""
UNSEEN = re.compile(r"the network namespaces of \d+ process(es)? may not be seen")


@pytest.mark.parametrize(
    "words",
    [
        ["assert", "not", "listening", ":1"],
        ["assert", "not", "route", "192.0.2.1"],
        ["assert", "member", "239.255.1.1"],
        ["sockets", "-l"],
        ["groups", "watch", "--for", "0.05"],
    ],
    ids=" ".join,
)
def test_all_commands_report_namespaces_that_are_not_visible(
    words: list[str], namespace: Namespace, need: Callable[[str], None]
) -> None:
    need("setpriv")
    result = namespace.run(*WITHOUT_PTRACE, *words, "--all-netns", check=False)
    assert (result.returncode, len(UNSEEN.findall(result.stderr))) == (3, 1), result.stderr


def test_a_snapshot_reports_namespaces_that_are_not_visible(
    namespace: Namespace, need: Callable[[str], None], tmp_path: Path
) -> None:
    need("setpriv")
    result = namespace.run(*WITHOUT_PTRACE, "snapshot", "--all-netns", "-", check=False)
    assert (result.returncode, len(UNSEEN.findall(result.stderr))) == (3, 1), result.stderr
    end = json.loads(result.stdout.splitlines()[-1])
    assert {"sockets", "routes", "links"} <= {one.partition(":")[0] for one in end["problems"] if UNSEEN.search(one)}
    assert {"sockets", "routes", "links"} <= set(end["incomplete"])


@pytest.mark.parametrize("name", ["nope", "/dev/null", "/", "0", "a/b\0", "..", ""])
def test_what_is_no_namespace_is_one_clear_error(name: str) -> None:
    with pytest.raises(NamespaceError):
        open_namespace(name)


def test_what_goes_wrong_in_one_namespace_takes_nothing_from_the_others(namespace: Namespace) -> None:
    def collect(place: Place) -> Iterator[Batch]:
        if place.label == "bad":
            raise NetlinkError("asking", 5)
        yield from SocketListing(Query(("tcp",)), (Place(namespace.path, place.label),)).batches()

    problems: list[str] = []
    opened = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    client = namespace.call(lambda: socket.create_connection(opened.getsockname()))
    places = [Place(namespace.path, "bad"), Place(namespace.path, "good")]
    found = [row.netns for batch in in_places(places, collect, problems.append) for row in batch]
    assert found == ["good"] * len(found) != []
    assert problems == ["network namespace bad: asking: Input/output error"]
    with pytest.raises(NetlinkError):
        list(in_places(places[:1], collect, problems.append))
    client.close()
    opened.close()


def test_the_process_that_took_over_may_end_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time that it is looked for, somebody else is in it, who ends before it is opened."""
    found = iter(range(10))
    other = (1, 1)

    def every(*, closely: bool) -> tuple[list[tuple[str, str, tuple[int, int]]], int]:
        return [(f"1{next(found)}", "/proc/0/ns/net", other)], 0

    monkeypatch.setattr(namespaces, "every_namespace", every)
    place = Place("/proc/0/ns/net", "10", identity=other)
    with pytest.raises(NamespaceGoneError):
        place.open()
    assert 1 < next(found) < 10
