"""The files of labs that stay up: whose they are, what is removed, and what a lab's holder keeps of its caller's."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from unittest import mock

import pytest

from netinspect import main
from netinspect.environment import of_process
from netinspect.lab import registry
from netinspect.lab.errors import LabError
from netinspect.lab.processes import Holder
from netinspect.lab.topology_file import load
from netinspect.waiting.until import until

NETINSPECT = (sys.executable, "-m", "netinspect")
ELSEWHERE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")
"""Runs a command in a pid namespace of its own, where the ids of processes outside mean nothing."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    chosen = tmp_path / "home"
    chosen.mkdir(mode=0o700)
    monkeypatch.setenv(registry.DIRECTORY, str(chosen))
    yield chosen
    if not chosen.is_symlink() and chosen.stat().st_mode & 0o022 == 0:
        for state in registry.labs():
            registry.down(state)


def run(*arguments: str) -> int:
    return main.run(["lab", *arguments], of_process())


def test_what_else_is_in_the_chosen_directory_stays(place: Path) -> None:
    (place / ".ssh").mkdir()
    for name in (".bashrc", ".netrc.4000000", "package.json", "notes.txt", f".draft-1-2-{3}"):
        (place / name).write_text('{"precious": true}')
    before = sorted(os.listdir(place))
    for arguments in (("up", "pair"), ("run", "pair", "request", "--", "true"), ("down", "--all"), ("sweep",)):
        assert run(*arguments) == 0
    assert sorted(os.listdir(place)) == sorted([*before, registry.OWN])
    assert os.listdir(place / registry.OWN) == [registry.MARKER]
    assert (place / registry.OWN).stat().st_mode & 0o777 == 0o700


def test_what_is_no_labs_file_stays_in_the_registry_too(place: Path, tmp_path: Path) -> None:
    state = registry.up(load("pair"))
    own = place / registry.OWN
    dead = json.loads((own / "pair.json").read_text())
    dead["holder"][1] -= 1
    target = tmp_path / "target.json"
    target.write_text(json.dumps({**dead, "name": "link"}))
    (own / "link.json").symlink_to(target)
    (own / "directory.json").mkdir()
    os.mkfifo(own / "fifo.json")
    for name, text in (
        ("settings.json", '{"a": 1}'),
        ("list.json", "[]"),
        ("deep.json", "[" * 100_000),
        ("number.json", "1" * 100_000),
        ("renamed.json", json.dumps(dead)),
        ("typed.json", json.dumps({**dead, "name": "typed", "hosts": {"a": 7}})),
        ("notes", "mine"),
        (".hidden.1", "mine"),
    ):
        (own / name).write_text(text)
    before = sorted(os.listdir(own))
    (own / "dead.json").write_text(json.dumps({**dead, "name": "dead"}))
    (own / f".draft-{Holder.current().space}-4194305-7").write_text("{}")
    assert [up.name for up in registry.labs()] == ["pair"]
    assert registry.sweep() == 2
    assert sorted(os.listdir(own)) == before
    registry.down(state)
    assert sorted(os.listdir(own)) == [name for name in before if name != "pair.json"]
    assert target.exists()


def test_a_directory_that_is_not_ours_alone_is_refused(place: Path, tmp_path: Path) -> None:
    own = place / registry.OWN
    own.mkdir(mode=0o700)
    (own / "thesis.txt").write_text("mine")
    with pytest.raises(LabError, match=r"has files of other programs, such as 'thesis\.txt'"):
        registry.sweep()
    (own / "thesis.txt").unlink()
    own.chmod(0o750)
    with pytest.raises(LabError, match="not a directory that only you may enter"):
        registry.sweep()
    own.rmdir()
    (tmp_path / "other").mkdir(mode=0o700)
    own.symlink_to(tmp_path / "other")
    with pytest.raises(LabError, match="not a directory that only you may enter"):
        registry.sweep()
    own.unlink()
    own.write_text("a file")
    with pytest.raises(LabError, match="File exists"):
        registry.sweep()
    own.unlink()
    place.rmdir()
    place.symlink_to(tmp_path / "other")
    with pytest.raises(LabError, match="not a directory that only you may write to"):
        registry.sweep()
    assert os.listdir(tmp_path / "other") == []


def test_a_holder_keeps_nothing_of_its_callers(place: Path, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    lock = os.open(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    subprocess.run(
        [*NETINSPECT, "lab", "up", "pair"], pass_fds=(writing, lock), cwd=tmp_path, check=True, capture_output=True
    )
    os.close(writing)
    os.close(lock)
    (state,) = registry.labs()
    process = f"/proc/{state.holder.pid}"
    assert os.readlink(f"{process}/cwd") == "/"
    with open(reading, "rb") as pipe:
        assert pipe.read() == b""  # it ends: nobody else has it
    with open(tmp_path / "lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    ours = ("/dev/null", "net:[", "user:[", "socket:[", str(place / registry.OWN))

    def kept() -> list[str]:
        found = []
        for number in os.listdir(f"{process}/fd"):
            with suppress(OSError):
                found.append(os.readlink(f"{process}/fd/{number}"))
        return found

    # The pipes to its caller are closed a moment after that has gone.
    until(kept, lambda links: all(link.startswith(ours) for link in links), 5)
    assert [link for link in kept() if not link.startswith(ours)] == []
    assert kept().count("/dev/null") == 3
    # The same where the caller is a program that goes on.
    with open(tmp_path / "other", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        second = registry.up(load("pair"))
    with open(tmp_path / "other") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    registry.down(second)
    registry.down(state)


def test_a_lab_is_not_forgotten_in_another_pid_namespace(place: Path, need: Callable[[str], None]) -> None:
    need("unshare")
    state = registry.up(load("pair"), "outside")

    def there(*arguments: str) -> tuple[int, str]:
        done = subprocess.run([*ELSEWHERE, *NETINSPECT, "lab", *arguments], capture_output=True, text=True, timeout=20)
        return done.returncode, done.stdout + done.stderr

    assert there("sweep") == (0, "nothing to remove\n")
    status, text = there("status")
    assert status == 0
    assert f"{state.holder.pid} (elsewhere)" in text
    ((described,),) = [json.loads(there("status", "-j")[1])]
    assert (described["name"], described["holder"], described["hosts"][0]["netns"]) == ("outside", None, None)
    for arguments in (("down", "outside"), ("down", "--all"), ("exec", "outside", "client", "--", "true")):
        status, text = there(*arguments)
        assert status == 1
        assert "lab outside is held by process" in text
        assert text.count("\n") == 1
    assert there("up", "pair", "--name", "outside")[1].endswith(
        "a lab 'outside' is already up: take it down, or choose another name\n"
    )
    assert there("run", "pair", "request", "--", "true")[0] == 0
    assert [up.name for up in registry.labs()] == ["outside"]
    assert state.holder.alive
    # From the outside what is up inside is seen, and can be taken down.
    inside = subprocess.Popen(
        [*ELSEWHERE, "sh", "-c", f"{' '.join(NETINSPECT)} lab up pair --name inside; cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert inside.stdout is not None
    assert inside.stdout.readline() == "inside: client, server\n"
    found = registry.find("inside")
    assert found.holder.local not in (None, found.holder.pid)
    assert run("exec-nothing") == 2
    done = subprocess.run(
        [*NETINSPECT, "lab", "exec", "inside", "client", "--", "cat", "/proc/net/if_inet6"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    if os.geteuid() == 0:
        assert "fd000000000000000000000000000001" in done.stdout
        registry.down(found)
    inside.kill()
    inside.communicate()
    registry.down(state)


def test_where_proc_shows_another_pid_namespace_nobody_is_killed(place: Path, need: Callable[[str], None]) -> None:
    need("unshare")
    state = registry.up(load("pair"), "outside")
    for arguments, status in ((("sweep",), 0), (("status",), 0), (("down", "outside"), 1)):
        command = [*ELSEWHERE[:-1], *NETINSPECT, "lab", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        assert done.returncode == status, done
        assert done.stderr.count("\n") == status
    assert registry.labs() == [state]
    registry.down(state)


def test_the_root_of_a_users_own_namespace_has_its_labs_where_that_user_has_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(registry.DIRECTORY, raising=False)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # as where the suite is an ordinary user's
    (line,) = Path("/proc/self/uid_map").read_text().splitlines()
    inside, outside, _ = map(int, line.split())
    assert str(registry.directory()) == f"/tmp/{registry.OWN}-{os.geteuid() - inside + outside}"


def test_a_registry_that_no_lab_came_of_goes(place: Path) -> None:
    assert registry.labs() == []
    assert not list(place.iterdir())
    state = registry.up(load("pair"), "stays")
    try:
        assert [one.name for one in registry.labs()] == ["stays"]
        assert {path.name for path in place.iterdir()} == {registry.OWN}
    finally:
        registry.down(state)


def test_a_full_file_system_is_one_line_and_leaves_nothing(place: Path, need: Callable[[str], None]) -> None:
    need("unshare")
    script = 'mount -t tmpfs -o size=4k,mode=700 none "$0" && cd "$0" && head -c 4096 /dev/zero >full && "$@"; ls'
    command = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(place), *NETINSPECT)
    result = subprocess.run([*command, "lab", "up", "pair"], capture_output=True, text=True, timeout=60)
    assert result.stderr == f"netinspect: {place / registry.OWN}: No space left on device\n"
    assert result.stdout == "full\n"


def test_a_file_that_is_let_in_by_half_is_no_lab(place: Path) -> None:
    """What the limit of a file's size cuts is not linked, and nobody holds a lab that none can find."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))

    command = [*NETINSPECT, "lab", "up", "pair", "--name", "half"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, preexec_fn=limited)
    own = place / registry.OWN
    assert (result.returncode, result.stderr) == (1, f"netinspect: {own}: File too large\n")
    assert not own.exists() or os.listdir(own) == [registry.MARKER]
    own.mkdir(mode=0o700, exist_ok=True)
    (own / "half.json").write_text('{"name": "ha')
    (own / registry.MARKER).touch()
    with pytest.raises(LabError, match=r"/half\.json is in the way: it is not a lab's file"):
        registry.up(load("pair"), "half")


def test_what_cannot_be_kept_of_faults_leaves_no_draft(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = registry.up(load("pair"))
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with registry.Registry() as own:
        monkeypatch.setattr(registry.json, "dump", mock.Mock(side_effect=full))
        for _ in range(2):
            with pytest.raises(LabError, match="No space left"):
                own.write_broken("pair", state.holder, mock.Mock(as_json=dict))
        assert sorted(os.listdir(own.descriptor)) == [registry.MARKER, "pair.json"]
