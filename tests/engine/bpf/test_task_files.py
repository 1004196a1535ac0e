"""Who holds which sockets by one look of the kernel's: what /proc shows, and nothing where it cannot be."""

from __future__ import annotations

import os
import resource
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from availability import unavailable
from patience import until
from throwaway import unshare
from types_by_hand import some

from netinspect import procfs
from netinspect.engine import descriptors
from netinspect.engine.bpf import task_files
from netinspect.engine.bpf.task_files import Unsuitable, _Reading, _Types
from netinspect.engine.descriptors import Holder
from netinspect.engine.text import in_quotes, text
from netinspect.errors import NetinspectError
from netinspect.nouns.sockets import owners as owners_module
from netinspect.nouns.sockets.owners import Owners

_CLONE_FILES = 0x400
_LEADERLESS = (
    "import ctypes, socket, sys, threading\n"
    "opened = [socket.socket() for _ in range(3)]\n"
    "threading.Thread(target=sys.stdin.read).start()\n"
    "ctypes.CDLL(None).pthread_exit(None)\n"
)
"""Its first thread ends; the process and its sockets stay until its standard input ends."""


@pytest.fixture
def crowd() -> Iterator[set[int]]:
    """Processes with sockets: this one, a thread of which has a table of its own, a child, and one without a leader."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = min(limits[1], 16_384) if limits[1] != resource.RLIM_INFINITY else 16_384
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], most), limits[1]))
    opened = [socket.socket(socket.AF_UNIX) for _ in range(2000)]
    for gap in opened[::7]:
        gap.close()
    ready, done = threading.Event(), threading.Event()

    def hold() -> None:
        unshare(_CLONE_FILES)
        with socket.socket():
            ready.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    ready.wait(20)
    kept = opened[1].fileno()
    child = subprocess.Popen(["cat"], stdin=subprocess.PIPE, pass_fds=[kept, os.dup2(kept, most - 1)])
    os.close(most - 1)
    lone = subprocess.Popen(["python3", "-c", _LEADERLESS], stdin=subprocess.PIPE)
    try:
        until(lambda: Path(f"/proc/{lone.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
        until(lambda: procfs.command_name(child.pid) == "cat")
        yield {os.getpid(), child.pid, lone.pid}
    finally:
        done.set()
        thread.join()
        for process in (child, lone):
            process.kill()
            process.communicate()
        for one in opened:
            one.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def shown(holders: list[Holder]) -> list[tuple[object, ...]]:
    return [(holder.pid, holder.descriptors, holder.inodes, holder.via) for holder in holders]


def listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has the kernel list them, however few there are; skips where it cannot."""
    monkeypatch.setattr(task_files, "_made", None)
    try:
        task_files.held_sockets()
    except Unsuitable as error:
        unavailable(f"descriptors cannot be listed at once here: {error}")
    monkeypatch.setattr(descriptors, "_MANY", 0)


def test_the_kernel_lists_at_once_what_procfs_shows(crowd: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
    listed_at_once(monkeypatch)
    for _ in range(5):
        found, _ = descriptors.socket_holders()
        assert [holder.pid for holder in found] == sorted({holder.pid for holder in found})
        ours = [holder for holder in found if holder.pid in crowd]
        assert shown(ours) == shown(descriptors.socket_holders(sorted(crowd))[0])
        assert len(ours) == len(crowd)
        # This one has a thread apart, and the last one no leader: of both procfs is asked.
        told = [(text(holder.name), holder.group) for holder in ours if holder.name is not None]
        assert [name for name, _ in told] == ["cat"]
        assert all(group for _, group in told)


def test_what_is_younger_is_found_by_a_second_look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    listed_at_once(monkeypatch)
    looks: list[bool] = []
    look = owners_module.socket_holders

    def noted(pids: object = None, *, deep: bool = False) -> tuple[list[Holder], descriptors.Unseen]:
        looks.append(deep)
        return look(pids, deep=deep)  # type: ignore[arg-type]

    monkeypatch.setattr(owners_module, "socket_holders", noted)
    owners = Owners()
    owners.scan()
    code = "import os, socket, sys; one = socket.socket(); print(os.fstat(3).st_ino, flush=True); sys.stdin.read()"
    with subprocess.Popen(["python3", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        inode = int(child.stdout.readline())
        owners._look_again({inode}, list)
        (holder,) = owners.processes(inode)
        assert (holder.pid, holder.fd) == (child.pid, 3)
        assert looks == [False, False]
        owners._look_again({inode, 1}, list)  # nobody holds this one
        assert looks == [False, False, False, True]
        child.kill()


def test_where_the_kernel_does_not_allow_it_procfs_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(descriptors, "_MANY", 0)
    monkeypatch.setattr(posix_module := descriptors.posix, "geteuid", lambda: 0)
    assert posix_module.geteuid() == 0
    broken, cut, empty = (tmp_path / name for name in ("types", "cut", "empty"))
    broken.write_bytes(some().data())
    cut.write_bytes(some().data()[:-1])
    empty.touch()
    asked: list[object] = []
    types = task_files._types
    monkeypatch.setattr(task_files, "_types", lambda: asked.append(1) or types())
    with socket.socket() as opened:
        for path in (tmp_path / "none", broken, cut, empty):
            monkeypatch.setattr(task_files, "VMLINUX", str(path))
            monkeypatch.setattr(task_files, "_made", None)
            for _ in range(2):
                holders, _ = descriptors.socket_holders()
                (mine,) = [holder for holder in holders if holder.pid == os.getpid()]
                assert os.fstat(opened.fileno()).st_ino in mine.inodes
                assert mine.name is None
    assert len(asked) <= 4  # what was refused once is not asked for again


def test_single_types_are_found_where_they_stand() -> None:
    whole = some()
    prototype = whole.add("", 13, 0, *(0, 1) * 2, members=2)
    number = whole.add("iterator", 12, prototype)
    types = _Types(whole.data())
    assert types.offsets("outer", "last", "first") == [16, 0]
    assert types.function("iterator") == number
    for structure, member, why in (
        ("outer", "either", "not all"),  # in one of its members
        ("outer", "nowhere", "no nowhere"),
        ("nowhere", "first", "no nowhere"),
        ("reasons", "first", "no reasons"),
    ):
        with pytest.raises(ValueError, match=why):
            types.offsets(structure, member)
    for bits in ("a", "b"):
        with pytest.raises(ValueError, match="are bits"):
            types.offsets("bits", bits)
    with pytest.raises(ValueError, match="no outer"):
        types.function("outer")
    for broken in (b"", whole.data()[:20], b"\0" + whole.data()[1:], whole.data()[:-1]):
        with pytest.raises(NetinspectError, match="the kernel's types"):
            _Types(broken)


def test_records_of_one_process_may_come_in_several_answers() -> None:
    def record(pid: int, thread: int, descriptor: int, name: bytes = b"name") -> bytes:
        return (
            task_files.array("I", (pid, thread, descriptor, 100 + descriptor)).tobytes()
            + bytes(8)
            + name.ljust(16, b"\0")
        )

    reading = _Reading()
    reading._take(record(7, 7, 3) + record(7, 7, 4) + record(9, 9, 1, b"other") + record(9, 9, 2))
    reading._take(record(9, 9, 5) + record(9, 12, 6) + record(20, 21, 8) + record(30, 30, 9))
    assert [(held.pid, held.name, held.descriptors, held.inodes) for held in reading._found] == [
        (7, b"name", [3, 4], [103, 104]),
        (9, b"other", [1, 2, 5], [101, 102, 105]),
        (30, b"name", [9], [109]),
    ]
    assert reading._apart == {9, 20}
    with pytest.raises(ValueError, match="parts"):
        reading._take(record(1, 1, 1)[:-4])


def test_processes_of_one_group_have_their_cgroups_in_common_unless_one_has_moved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoded = text(b"%d\xff%")
    places = dict.fromkeys(range(1, 6), b"0::/system.slice/a.service\n") | {6: b"0::/b.service\n", 7: b""}
    read: list[int] = []
    monkeypatch.setattr(owners_module, "has_ended", lambda pid: pid == 7)
    monkeypatch.setattr(owners_module, "cgroup_lines", lambda pid: read.append(pid) or places[pid])

    def texts(groups: dict[int, int]) -> list[str]:
        owners = Owners()
        holders = []
        for pid, group in groups.items():
            holder = Holder(pid, [3], [100 + pid])
            holder.name, holder.group = b"%d\xff%", group
            holders.append(holder)
        owners._add(holders)
        read.clear()
        found = owners.texts([100 + pid for pid in groups])
        assert all(one.startswith(f'users:(("{in_quotes(decoded)}",pid=') for one in found if one)
        return [one.partition("pid=")[2] for one in found]

    def ended(pid: int, unit: str) -> str:
        return f"{pid},fd=3,unit={unit}))"

    assert texts(dict.fromkeys(range(1, 6), 8)) == [ended(pid, "a.service") for pid in range(1, 6)]
    assert read == [1, 5]
    assert Owners().texts([4]) == [""]
    moved = [*(ended(pid, "a.service") for pid in range(1, 6)), ended(6, "b.service")]
    assert texts(dict.fromkeys(range(1, 7), 8)) == moved
    assert texts({1: 8, 6: 9, 7: 8}) == [moved[0], moved[5], ""]
