"""The one reader and the one writer of files: nothing hangs, nothing is half-written, nobody else's file is touched."""

from __future__ import annotations

import ast
import errno
import os
import posix
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from availability import unavailable
from hypothesis import given
from hypothesis import strategies as st
from throwaway import NETINSPECT, Namespace

import netinspect
from netinspect.engine import files, names, typed
from netinspect.engine.files import lines, open_regular, read, table_lines, write_file
from netinspect.engine.namespaces import open_namespace
from netinspect.errors import FileError, NamespaceError, OutputError
from netinspect.nouns.routing.names import RoutingNames

NOBODY = 65534
DEAD_MOUNT = str(Path(__file__).parents[1] / "support/dead_mount.py")


def fill(put: Callable[[bytes], object]) -> int:
    put(b"new")
    put(b" text")
    return 7


def others(path: Path) -> None:
    """Gives a file to another user."""
    if os.geteuid() != 0 or Path("/proc/self/uid_map").read_text().split()[2] == "1":
        unavailable("only root has other users")
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


# Writing


def test_a_file_is_replaced_as_a_whole_and_keeps_who_may_do_what(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert write_file(str(path), fill) == 7
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask
    for mode in (0o600, 0o640, 0o666):
        path.chmod(mode)
        before = path.stat()
        kept = path.open()
        write_file(str(path), lambda put, mode=mode: put(f"{mode:o}".encode()))  # type: ignore[misc]
        assert path.read_text() == f"{mode:o}"
        assert kept.read() != f"{mode:o}", "who reads the old file goes on with it"
        after = path.stat()
        assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
        assert after.st_ino != before.st_ino
        kept.close()
    assert os.listdir(tmp_path) == ["file"]


def test_an_owner_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    path.chmod(0o640)
    others(path)
    write_file(str(path), fill)
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (NOBODY, NOBODY, 0o640)


def test_what_is_no_regular_file_is_written_to_or_refused(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()))
    reader.start()
    write_file(str(fifo), fill)
    reader.join(5)
    assert got == [b"new text"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    with pytest.raises(OutputError, match="has no reader"):
        write_file(str(fifo), fill)
    with pytest.raises(OutputError, match="No space left"):
        write_file("/dev/full", fill)
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)
    with pytest.raises(OutputError, match="is a directory"):
        write_file(f"{tmp_path}/", fill)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        with pytest.raises(OutputError, match="is a socket"):
            write_file(str(tmp_path / "socket"), fill)
    for impossible in ("", "a\0b", str(tmp_path / ("x" * 300)), str(tmp_path / "fifo" / "x")):
        with pytest.raises(OutputError):
            write_file(impossible, fill)
    assert sorted(os.listdir(tmp_path)) == ["fifo", "socket"]


def test_a_link_is_followed_and_stays(tmp_path: Path) -> None:
    (tmp_path / "directory").mkdir()
    (tmp_path / "directory" / "link").symlink_to("../file")
    (tmp_path / "far").symlink_to(tmp_path / "directory" / "link")
    write_file(str(tmp_path / "far"), fill)
    assert (tmp_path / "file").read_bytes() == b"new text"
    assert (tmp_path / "far").is_symlink()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match="too many"):
        write_file(str(tmp_path / "loop"), fill)


def test_an_open_file_is_written_at_its_end(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w+") as file:
        file.write("old ")
        file.flush()
        write_file(f"/dev/fd/{file.fileno()}", fill)
        file.seek(0)
        assert file.read() == "old new text"
    result = subprocess.run([*NETINSPECT, "stats", "--save", "/dev/stdout"], capture_output=True, check=True)
    assert result.stdout.startswith(b'{"netinspect_sample"')


@pytest.mark.parametrize("make", ["link", "fifo", "file", "directory_link"])
def test_what_others_put_where_everybody_may_write_is_left_alone(tmp_path: Path, make: str) -> None:
    (tmp_path / "victim").write_text("precious")
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    path = planted = shared / "sample"
    if make == "link":
        planted.symlink_to(tmp_path / "victim")
    elif make == "fifo":
        os.mkfifo(planted, 0o666)
    elif make == "file":
        planted.write_text("theirs")
    else:
        planted.symlink_to(tmp_path)
        path = planted / "victim"
    others(planted)
    with pytest.raises(OutputError, match=r"refusing to replace .* of another user"):
        write_file(str(path), fill)
    assert (tmp_path / "victim").read_text() == "precious"
    assert os.listdir(shared) == ["sample"]
    write_file(str(shared / "ours"), fill)
    write_file(str(shared / "ours"), fill)


def test_nothing_is_left_whatever_goes_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def fail(put: Callable[[bytes], object]) -> None:
        put(b"half")
        assert len(os.listdir(tmp_path)) == 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_file(str(path), fail)

    def no_room(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    for call in ("write", "fsync", "rename", "fchmod"):
        with monkeypatch.context() as patched:
            patched.setattr(posix, call, no_room)
            with pytest.raises(OutputError, match="No space left"):
                write_file(str(path), fill)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_signals_wait_while_the_file_takes_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masks = []
    rename = os.rename

    def look(*arguments: str, **options: int) -> None:
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        rename(*arguments, **options)

    monkeypatch.setattr(posix, "rename", look)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    write_file(str(tmp_path / "file"), fill)
    assert masks[0] >= {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


# Reading


def test_only_what_ends_is_read(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with (tmp_path / "large").open("wb") as large:
        large.truncate(3 << 30)
    for path, said in ((fifo, "a FIFO"), (Path("/dev/zero"), "a character device"), (tmp_path, "a directory")):
        with pytest.raises(FileError, match=said):
            read(str(path))
        assert table_lines(str(path)) == []
        assert said in files.notes.pop(str(path))
    with pytest.raises(FileError, match="too large"):
        read(large.name)
    with pytest.raises(FileError, match="too large"):
        list(lines(large.name))
    with pytest.raises(FileError, match="a character device"):
        list(lines("/dev/zero"))
    with pytest.raises(FileError, match="without a writer"):
        list(lines(str(fifo)))
    assert read("/dev/null") == b""
    assert table_lines(str(tmp_path / "none")) == []
    assert files.notes == {}
    for impossible in ("a\0b", "\udcff\ud800"):
        with pytest.raises(FileError):
            read(impossible)


def test_a_pipe_is_read_to_its_end(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    text = b"".join(b"%d\n" % number for number in range(50_000)) + b"\n\nend"
    writer = threading.Thread(target=lambda: fifo.write_bytes(text))
    writer.start()
    assert list(lines(str(fifo))) == text.split(b"\n")
    writer.join(5)
    (tmp_path / "file").write_bytes(text)
    assert list(lines(str(tmp_path / "file"))) == text.split(b"\n")


def test_endless_input_is_refused() -> None:
    with open("/dev/zero", "rb") as zeros:
        result = subprocess.run([*NETINSPECT, "diff", "-"], stdin=zeros, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert result.stderr == "netinspect: -: has a line of more than 16 MiB\n"


def test_what_never_answers_can_be_interrupted(namespace: Namespace, tmp_path: Path) -> None:
    """A file system whose server is gone; paths there that nobody typed are waited for a short time."""
    if not os.access("/dev/fuse", os.W_OK):
        unavailable("a file system without a server takes root and /dev/fuse")
    dead = tmp_path / "dead"
    dead.mkdir()
    at = f"{dead}/x"
    commands = {
        f"sockets -N {at}": signal.SIGINT,
        f"snapshot {at}": signal.SIGTERM,
        f"stats --since {at}": signal.SIGINT,
        f"lab up {at}+fault.toml": signal.SIGTERM,
        "lab status": signal.SIGINT,
        "sockets --container X": 0,
        "completion --values namespaces bash": 0,
    }
    started = [
        namespace.popen(
            [sys.executable, DEAD_MOUNT, str(dead), str(int(number)), *NETINSPECT, *command.split()],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "NETINSPECT_LAB_DIRECTORY" if number else "XDG_RUNTIME_DIR": str(dead)},
        )
        for command, number in commands.items()
    ]
    for (command, number), process in zip(commands.items(), started, strict=True):
        out, err = process.communicate(timeout=60)
        if number:
            said = "netinspect: interrupted\n" if number == signal.SIGINT else ""
            assert (process.returncode, out, err) == (128 + number, "", said), command
        else:
            assert process.returncode in (0, 2), (command, process.returncode, err)
            assert "--container" not in command or "does not answer" in err


def test_a_namespace_is_no_fifo_and_no_device(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for path in (str(tmp_path / "fifo"), "/dev/zero", "/dev/null", "/dev", str(tmp_path / "fifo") + "/x", "a/\0"):
        with pytest.raises(NamespaceError):
            open_namespace(path)
    os.close(open_regular("/proc/self/ns/net"))


# Tables of names, as the machine has them: each test has mounts of its own.


@pytest.mark.parametrize("kind", ["fifo", "large"])
def test_tables_of_names_that_cannot_be_read_cost_the_names(namespace: Namespace, tmp_path: Path, kind: str) -> None:
    bad = tmp_path / "bad"
    if kind == "fifo":
        os.mkfifo(bad)
    else:
        with bad.open("wb") as file:
            file.truncate(3 << 30)
    listener = namespace.call(lambda: socket.create_server(("127.0.0.1", 22)))
    said = "is a FIFO" if kind == "fifo" else "too large"
    tables = ("services", "passwd", "networks", "nsswitch.conf")
    commands = {
        "sockets -tl --numeric-hosts": "services",
        "sockets -tle --numeric-hosts": "passwd",
        "sockets -tl --user root --numeric-hosts": "passwd",
        "sockets -t sport=:ssh": "services",
        "netstat -r": "networks",
        "netstat -tle --numeric-hosts": "passwd",
        "assert listening :ssh": "services",
        "conntrack --port ssh": "services",
        "routes": "rt_tables",
    }
    mounts = " && ".join(f"mount --bind {bad} /etc/{name}" for name in tables if Path(f"/etc/{name}").exists())
    tables_of_routes = tmp_path / "iproute2"
    tables_of_routes.mkdir()
    (tables_of_routes / "rt_tables").symlink_to(bad)
    if Path("/etc/iproute2").is_dir():
        mounts += f" && mount --bind {tables_of_routes} /etc/iproute2"
    with listener:
        for command, table in commands.items():
            words = command.split()
            shell = ["unshare", "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh", *NETINSPECT, *words]
            result = namespace.run(*shell, check=False, timeout=30)
            assert "internal" not in result.stderr
            assert "mistake" not in result.stderr, result.stderr
            if table != "networks" or Path("/etc/networks").exists():
                assert said in result.stderr or command == "routes", (command, result.stderr, result.stdout)
            if result.returncode == 0 and words[0] == "sockets":
                assert ":22" in result.stdout


def test_numbers_of_many_digits_are_none(tmp_path: Path) -> None:
    path = tmp_path / "services"
    path.write_text(f"one 1/tcp\nmany {'9' * 400_000}/tcp\ntwo 2/tcp\n")
    assert dict(names.ServiceNames("tcp", path=str(path))) == {0: "*", 1: "one", 2: "two"}
    table = RoutingNames("rt_tables")
    path.write_text(f"{'9' * 400_000} many\n77 some\n")
    table._read(str(path))
    assert table[77] == "some"
    assert "many" not in table.values()


# JSON of others


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_what_json_has_is_read_or_refused(value: object) -> None:
    import json

    text = json.dumps(value)
    try:
        assert typed.parse(text.encode()) == value
    except ValueError:
        assert typed._may_have_large_number(text.encode()) or "NaN" in text or "Infinity" in text


@pytest.mark.parametrize(
    "text", ["9" * 400_000, "-" + "9" * 21, str(1 << 64), "1e999", "9" * 400 + ".5", "NaN", "-Infinity", "[" * 100_000]
)
def test_numbers_that_no_kernel_has_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"number|nested"):
        typed.parse(text.encode())


def test_files_are_opened_in_one_module() -> None:
    package = Path(netinspect.__file__).parent
    opens = {"open", "read_text", "read_bytes", "write_text", "write_bytes", "mkstemp", "NamedTemporaryFile"}
    for path in package.rglob("*.py"):
        if path.relative_to(package).parts[0] in ("lab", "testing", "procfs.py"):
            continue  # the kernel's files, and what the lab owns
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                bare = isinstance(node.func, ast.Name) or name != "open"
                assert not (bare and name in opens), f"{path}:{node.lineno}: files are read and written by engine.files"


def test_a_file_of_the_kernels_that_has_nothing_yet_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/proc/kmsg and the like are regular files of which a read says that it would wait."""

    def would_wait(*_: object) -> bytes:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    path = tmp_path / "kmsg"
    path.touch()
    monkeypatch.setattr(posix, "read", would_wait)
    with pytest.raises(FileError, match="temporarily unavailable"):
        list(lines(str(path)))


def test_a_device_without_a_terminal_is_no_fifo() -> None:
    child = os.fork()
    if child == 0:
        os.setsid()
        try:
            write_file("/dev/tty", fill)
        except OutputError as error:
            os._exit(str(error) != f"/dev/tty: {os.strerror(errno.ENXIO)}")
        os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def test_a_file_to_write_has_a_name() -> None:
    with pytest.raises(OutputError, match="empty"):
        write_file("", lambda put: put(b"x"))
