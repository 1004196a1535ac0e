"""The walk over all descriptors, against sockets that the tests hold."""

from __future__ import annotations

import ctypes
import errno
import os
import posix
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

from netinspect import procfs
from netinspect.engine import answering, descriptors
from netinspect.errors import NetinspectError

CLONE_FILES = 0x400


@pytest.fixture(autouse=True)
def walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many files are open on this machine, the kernel is not asked for all at once: that has its own tests."""
    monkeypatch.setattr(descriptors, "_MANY", 1 << 62)


def held_by_us() -> dict[int, int]:
    """Descriptor and inode of each socket of this process, as the walk over all processes finds them."""
    holders, _ = descriptors.socket_holders()
    assert [holder.pid for holder in holders] == sorted({holder.pid for holder in holders})
    mine = [holder for holder in holders if holder.pid == os.getpid()]
    return dict(zip(mine[0].descriptors, mine[0].inodes, strict=True)) if mine else {}


def inodes(*opened: socket.socket) -> dict[int, int]:
    return {one.fileno(): os.fstat(one.fileno()).st_ino for one in opened}


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """More sockets than are asked for by number, with others closed in between, and one with a high descriptor."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = [socket.socket(socket.AF_UNIX) for _ in range(300)]
    for gap in opened[::7]:
        gap.close()
    high = socket.socket(fileno=os.dup2(opened[1].fileno(), min(limit, 20_000) - 1))
    opened.append(high)
    open_ones = [one for one in opened if one.fileno() >= 0]
    yield open_ones
    for one in open_ones:
        one.close()


@pytest.mark.parametrize("chunk", [16, 1024])
@pytest.mark.parametrize("counted", [True, False])
def test_every_descriptor_of_a_socket_is_found_by_every_way_of_looking(
    sockets: list[socket.socket], monkeypatch: pytest.MonkeyPatch, chunk: int, counted: bool
) -> None:
    monkeypatch.setattr(descriptors, "_CHUNK", chunk)
    if not counted:  # as before Linux 6.2
        monkeypatch.setattr(descriptors, "counts_descriptors", lambda: False)
    assert inodes(*sockets).items() <= held_by_us().items()


def test_no_thread_to_be_had_is_no_obstacle(sockets: list[socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(descriptors, "_CHUNK", 16)
    monkeypatch.setattr(answering, "start_new_thread", refuse)
    assert inodes(*sockets).items() <= held_by_us().items()
    monkeypatch.setattr(answering, "start_new_thread", lambda *_: 0)  # one that had no memory to begin with
    with pytest.raises(MemoryError):
        held_by_us()


def test_a_failing_helper_loses_nothing(sockets: list[socket.socket], monkeypatch: pytest.MonkeyPatch) -> None:
    import _thread

    me = _thread.get_ident()
    read = descriptors._Part.read

    def fail_elsewhere(part: descriptors._Part) -> None:
        if _thread.get_ident() != me:
            raise SystemExit  # the one exception that a thread ends with in silence
        read(part)

    monkeypatch.setattr(descriptors, "_CHUNK", 16)
    monkeypatch.setattr(descriptors._Part, "read", fail_elsewhere)
    assert inodes(*sockets).items() <= held_by_us().items()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.ELOOP, errno.ENOMEM, errno.EPERM, errno.EACCES])
@pytest.mark.parametrize("call", ["open", "readlink", "stat", "fstat"])
def test_what_cannot_be_read_of_one_process_is_left_out_and_reported(
    sockets: list[socket.socket], monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    if call == "fstat" and not procfs.counts_descriptors():
        unavailable("this kernel does not count descriptors (Linux 6.2)")
    failing = subprocess.Popen(["sleep", "60"])
    listed = os.listdir(f"/proc/{failing.pid}/fd")
    real = getattr(os, call)
    directories: set[int] = set()

    def fail(what: object, *rest: object, **options: int) -> object:
        ours = f"/proc/{failing.pid}/" in str(what) or options.get("dir_fd") in directories or what in directories
        if ours and not (call == "readlink" and what == listed[0]):
            raise OSError(number, os.strerror(number))
        return real(what, *rest, **options)

    open_ = os.open

    def remember(path: str, flags: int, **options: int) -> int:
        opened = open_(path, flags, **options)
        (directories.add if f"/proc/{failing.pid}/" in str(path) else directories.discard)(opened)
        return opened

    monkeypatch.setattr(posix, call, fail)
    if call != "open":
        monkeypatch.setattr(posix, "open", remember)
    try:
        holders, unseen = descriptors.socket_holders(deep=True)
    finally:
        monkeypatch.undo()
        failing.kill()
        failing.wait()
    assert os.getpid() in [holder.pid for holder in holders]
    if call == "stat" and failing.pid not in (*unseen.refused, *unseen.failed):
        return  # of the threads it was, and it is alone
    refused = number in (errno.EPERM, errno.EACCES)
    assert (failing.pid in unseen.refused, unseen.failed.get(failing.pid)) == (
        (True, None) if refused else (False, os.strerror(number))
    )
    assert len(unseen.texts({failing.pid})) == 1
    assert ("may not be seen" if refused else os.strerror(number)) in unseen.texts({failing.pid})[0]


def test_a_path_that_is_too_long_is_not_a_socket(tmp_path: Path) -> None:
    home = os.open(".", os.O_RDONLY)
    try:
        os.chdir(tmp_path)
        for _ in range(25):
            os.mkdir("d" * 200)
            os.chdir("d" * 200)
        deep = os.open("f", os.O_CREAT | os.O_RDWR)
        with pytest.raises(OSError, match="too long"):
            os.readlink(f"/proc/self/fd/{deep}")
        with socket.socket() as opened:
            holders, unseen = descriptors.socket_holders([os.getpid()])
            number = os.fstat(opened.fileno()).st_ino
        assert number in holders[0].inodes
        assert not unseen
        os.close(deep)
    finally:
        os.fchdir(home)
        os.close(home)


def test_nothing_but_sockets_is_taken_for_one(tmp_path: Path) -> None:
    path = tmp_path / "socket:[77]"
    path.touch()
    with path.open() as file, socket.socket() as opened:
        held = held_by_us()
        assert file.fileno() not in held
        assert held[opened.fileno()] == os.fstat(opened.fileno()).st_ino


def test_a_process_that_has_ended_is_left_out() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    assert descriptors.socket_holders([child.pid]) == ([], descriptors.Unseen())
    assert procfs.command_name(child.pid) is None
    assert procfs.program_name(child.pid) is None
    assert procfs.cgroups(procfs.cgroup_lines(child.pid)) == []


def test_a_zombie_keeps_nothing_from_us() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert descriptors.socket_holders([child.pid]) == ([], descriptors.Unseen())
    child.wait()


def test_a_process_lives_on_when_its_first_thread_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    # The thread tells its socket, the first thread ends alone, and the process stays until its standard input ends.
    code = (
        "import ctypes, os, socket, sys, threading\n"
        "opened = socket.socket()\n"
        "print(os.fstat(opened.fileno()).st_ino, flush=True)\n"
        "threading.Thread(target=sys.stdin.read).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(["python3", "-c", code], **pipes) as child:  # type: ignore[call-overload]
        inode = int(child.stdout.readline())
        until(lambda: Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
        program = procfs.program_name(child.pid)
        found = []
        for counted in (True, False):  # Linux before 6.2 does not count descriptors
            if not counted:
                monkeypatch.setattr(descriptors, "counts_descriptors", lambda: False)
            for deep in (False, True):
                holders, unseen = descriptors.socket_holders([child.pid], deep=deep)
                found.append(([holder.inodes for holder in holders], bool(unseen)))
        child.kill()
    assert program == "python3"
    assert found == [([[inode]], False)] * 4


@pytest.mark.parametrize("compared", [True, False])
def test_threads_with_their_own_descriptor_table_are_read_on_request(
    monkeypatch: pytest.MonkeyPatch, compared: bool
) -> None:
    if not compared:  # a kernel without kcmp(2), or another machine
        monkeypatch.setattr(descriptors, "_KCMP", {})
    opened: list[tuple[int, int, int]] = []
    ready, done = threading.Event(), threading.Event()

    def hold() -> None:
        unshare(CLONE_FILES)
        own = socket.socket()
        opened.append((threading.get_native_id(), own.fileno(), os.fstat(own.fileno()).st_ino))
        ready.set()
        done.wait(20)
        own.close()

    others = [threading.Thread(target=done.wait, args=(20,)) for _ in range(3)]
    thread = threading.Thread(target=hold)
    for started in (*others, thread):
        started.start()
    ready.wait(20)
    with socket.socket() as shared:  # both tables have the same number of descriptors
        number = os.fstat(shared.fileno()).st_ino
        without, _ = descriptors.socket_holders([os.getpid()])
        holders, unseen = descriptors.socket_holders([os.getpid()], deep=True)
        done.set()
        for started in (*others, thread):
            started.join()
    tid, *own = opened[0]
    found = [(holder.via, pair) for holder in holders for pair in zip(holder.descriptors, holder.inodes, strict=True)]
    assert opened[0][2] not in [inode for holder in without for inode in holder.inodes]
    assert (f"thread {tid}", tuple(own)) in found
    assert [via for via, pair in found if pair[1] == number] == [None]  # what is in both tables is one holder
    assert len(found) == len(set(found))
    assert not unseen


def test_without_proc_there_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posix, "listdir", lambda _: ["meminfo"])
    with pytest.raises(NetinspectError, match="mount it"):
        descriptors.socket_holders()


def test_kernel_threads_and_zombies_have_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    assert procfs.may_have_files(os.getpid())
    assert not procfs.may_have_files(0)
    for pid in procfs.process_ids():
        if procfs.command_name(pid) == "kthreadd":
            assert not procfs.may_have_files(pid)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(posix, "stat", refuse)
    assert procfs.may_have_files(1)


IO_URING_SETUP, IO_URING_REGISTER, IORING_REGISTER_FILES = 425, 427, 2
"""asm-generic/unistd.h, linux/io_uring.h"""


@pytest.mark.parametrize("compared", [True, False])
def test_a_socket_that_only_an_io_uring_holds_is_found(monkeypatch: pytest.MonkeyPatch, compared: bool) -> None:
    """Once, also where there is a second thread and the kernel does not say that it shares the descriptors."""
    if not compared:
        monkeypatch.setattr(descriptors, "_comparison", lambda: lambda thread, other: False)
    ended = threading.Event()
    thread = threading.Thread(target=ended.wait)
    thread.start()
    libc = ctypes.CDLL(None, use_errno=True)
    ring = libc.syscall(IO_URING_SETUP, 4, ctypes.create_string_buffer(256))
    if ring < 0:
        ended.set()
        unavailable(f"io_uring: {os.strerror(ctypes.get_errno())}")
    try:
        opened = socket.socket()
        number = os.fstat(opened.fileno()).st_ino
        file = ctypes.c_int(opened.fileno())
        assert libc.syscall(IO_URING_REGISTER, ring, IORING_REGISTER_FILES, ctypes.byref(file), 1) == 0
        opened.close()
        with open(f"/proc/self/fdinfo/{ring}") as information:
            if f"socket:[{number}]" not in information.read():
                unavailable("this kernel names the sockets of an io_uring by their protocol only")
        holders, _ = descriptors.socket_holders([os.getpid()], deep=True)
        held = [
            (holder.via, pair) for holder in holders for pair in zip(holder.descriptors, holder.inodes, strict=True)
        ]
        assert [found for found in held if found[1][1] == number] == [(descriptors.IO_URING, (ring, number))]
    finally:
        os.close(ring)
        ended.set()
        thread.join()


def test_a_busy_ring_is_asked_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    answers = [b"UserFiles:\t2\n", b"UserFiles:\t2\n    0: socket:[77]\n    1: /dev/null\nUserBufs:\t0\n"]
    path = tmp_path / "ring"
    monkeypatch.setattr(procfs, "_read", lambda _: answers.pop(0))
    assert procfs.registered_files(str(path)) == ([77], True)
    monkeypatch.undo()
    path.write_bytes(b"UserFiles:\t0\nSqMask:\t3\n")
    assert procfs.registered_files(str(path)) == ([], True)
    path.write_bytes(b"UserFiles:\t2\n")
    assert procfs.registered_files(str(path)) == ([], False)


def test_a_ring_whose_sockets_have_no_number_may_hold_any(monkeypatch: pytest.MonkeyPatch) -> None:
    # As Linux 6.12 has it: the name of the file, which is the protocol of a socket.
    text = b"UserFiles:\t3\n    0: data.db\n    1: <none>\n    2: TCPv6\n"
    monkeypatch.setattr(procfs, "_read", lambda _: text)
    assert procfs.registered_files("") == ([], False)
    libc = ctypes.CDLL(None, use_errno=True)
    ring = libc.syscall(IO_URING_SETUP, 4, ctypes.create_string_buffer(256))
    if ring < 0:
        unavailable(f"io_uring: {os.strerror(ctypes.get_errno())}")
    try:
        holders, unseen = descriptors.socket_holders([os.getpid()], deep=True)
        assert descriptors.IO_URING not in {holder.via for holder in holders}
        assert unseen.texts() == [
            "open files of 1 process could not be read (the kernel does not name the sockets of an io_uring)"
        ]
    finally:
        os.close(ring)


def test_what_is_mounted_over_a_process_is_not_taken_for_its_descriptors(tmp_path: Path) -> None:
    for name, target in (
        ("3", "socket:[7]"),
        ("4", "socket:[x]"),
        ("5", "/socket:[8]"),
        ("x", "socket:[9]"),
        ("9" * 20, "socket:[1]"),
    ):
        (tmp_path / name).symlink_to(target)
    directory = os.open(tmp_path, os.O_RDONLY)
    try:
        numbers = sorted(descriptors._listed(directory))
        assert numbers == [3, 4, 5]
        errors: list[OSError] = []
        assert descriptors._sockets(directory, numbers, False, errors)[:2] == ([3], [7])
        assert errors == []
    finally:
        os.close(directory)
