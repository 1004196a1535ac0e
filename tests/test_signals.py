"""Signals at random moments of every command: a quiet end with 128 and the signal's number, and nothing half-done.

Two moments of each here; ``make signals MOMENTS=1000`` takes as many of each. The moments begin when the program has
control: before that it is Python that starts.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from throwaway import NETINSPECT, Namespace

from netinspect.lab.registry import DIRECTORY

MOMENTS = int(os.environ.get("NETINSPECT_SIGNAL_MOMENTS", "2"))
"""Of each command."""
SEED = int(os.environ.get("NETINSPECT_SIGNAL_SEED", "1"))
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

COMMANDS = (
    "sockets -a",
    "sockets -tuanp -j",
    "sockets -ta --watch 0.05",
    "routes -t all",
    "links --rates 0.1 -j",
    "addresses",
    "neighbours -a",
    "rules --all-netns",
    "netstat -anp",
    "netstat -s",
    "conntrack",
    "conntrack events --for 0.3 -j",
    "conntrack monitor --interval 0.1 --for 0.3",
    "groups --sockets",
    "groups watch --for 0.3 -j",
    "nat diagnose --sample 0.2",
    "stats --rates 0.1",
    "stats explain -j",
    "explain CLOSE_WAIT",
    "capabilities",
    "wait listening :9 --timeout 0.3",
    "assert not listening :9",
    "snapshot -",
    "nat diagnose udp 127.0.0.1:9 127.0.0.1:10",
    "path 127.0.0.1 127.0.0.1:9",
    "path udp 127.0.0.1 127.0.0.1:9 -j",
    "path udp 127.0.0.1 127.0.0.1:9 --probe --yes --for 0.3",
    "path udp 127.0.0.1 127.0.0.1:9 --watch --for 0.3",
    "drops --for 0.3",
    "drops count --for 0.3 --interval 0.1 -j",
    "drops account --interval 0.1",
    "lab list",
    "lab status",
    "lab sweep",
    "schema sockets",
    "help --man",
    "top --interval 0.1",
    "nat",
    "nat outside -j",
    "stats health",
    "conntrack top",
    "conntrack expectations",
    "groups routes",
    "groups bridge -j",
    "routes get 127.0.0.1",
    "links --tree --all-netns",
    "completion bash",
    "completion --values interfaces",
)


def has_handler(process: subprocess.Popen[str]) -> bool:
    """Whether the program handles signals by now (proc(5): SigCgt)."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return False
    caught = int(status.partition("SigCgt:")[2].split()[0], 16)
    return bool(caught >> signal.SIGHUP - 1 & 1)


def interrupted(
    namespace: Namespace, arguments: list[str], number: signal.Signals, delay: float, environment: dict[str, str]
) -> tuple[int, str, str]:
    """Status, output and errors of a command to which a signal is sent so many seconds after it has control."""
    with namespace.popen(
        [*NETINSPECT, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        while process.poll() is None and not has_handler(process):
            time.sleep(0.0005)
        time.sleep(delay)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def moments(namespace: Namespace, arguments: list[str], environment: dict[str, str]) -> list[float]:
    """Random delays within the time that the command takes."""
    took = 0.5
    if "--watch" not in arguments and arguments[0] != "top":
        began = time.monotonic()
        namespace.run(*NETINSPECT, *arguments, check=False, env=environment)
        took = time.monotonic() - began
    return [random.Random(f"{SEED} {arguments} {at}").uniform(0, took) for at in range(MOMENTS)]


def check(status: int, errors: str, number: signal.Signals, usual: set[int]) -> None:
    """Sees to it that the end was quiet."""
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors
    assert "internal" not in errors
    assert status in {128 + number, *usual}, errors
    if status == 128 + number:
        assert ("netinspect: interrupted\n" in errors) == (number == signal.SIGINT)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_ends_quietly(namespace: Namespace, command: str) -> None:
    arguments, environment = command.split(), dict(os.environ)
    for at, delay in enumerate(moments(namespace, arguments, environment)):
        number = SIGNALS[(at + len(command)) % 3]
        status, _, errors = interrupted(namespace, arguments, number, delay, environment)
        check(status, errors, number, {0, 1, 3, 4})


@pytest.mark.parametrize("command", ["snapshot", "stats --save"])
def test_a_file_is_the_old_one_or_the_new_one_whole(namespace: Namespace, tmp_path: Path, command: str) -> None:
    file, environment = tmp_path / "file", dict(os.environ)
    arguments = [*command.split(), str(file)]
    delays = moments(namespace, arguments, environment)
    whole = len(file.read_text().splitlines())
    for at, delay in enumerate(delays * 3):
        file.write_text("before\n")
        status, _, errors = interrupted(namespace, arguments, SIGNALS[at % 3], delay, environment)
        check(status, errors, SIGNALS[at % 3], {0, 3})
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
        lines = file.read_text().splitlines()
        assert lines == ["before"] or len(lines) >= whole - 2
        if lines != ["before"]:
            json.loads(lines[-1])


def test_a_comparison_ends_quietly(namespace: Namespace, tmp_path: Path) -> None:
    environment, file = dict(os.environ), tmp_path / "before"
    namespace.netinspect("snapshot", str(file))
    arguments = ["diff", str(file)]
    for at, delay in enumerate(moments(namespace, arguments, environment)):
        status, _, errors = interrupted(namespace, arguments, SIGNALS[at % 3], delay, environment)
        check(status, errors, SIGNALS[at % 3], {0, 1})


@pytest.mark.parametrize("command", ["--probe --yes --for 0.5", "--watch --for 0.5"])
def test_a_traced_packet_leaves_no_rule(namespace: Namespace, need: Callable[[str], None], command: str) -> None:
    need("nft")
    environment = dict(os.environ)
    namespace.run("nft", "add table ip kept; add chain ip kept c { type filter hook output priority 0; }")
    before = namespace.run("nft", "list", "ruleset").stdout
    arguments = ["path", "udp", "127.0.0.1", "127.0.0.1:9", *command.split()]
    for at, delay in enumerate(moments(namespace, arguments, environment)):
        number = SIGNALS[at % 3]
        status, _, errors = interrupted(namespace, arguments, number, delay, environment)
        check(status, errors, number, {0, 1, 3, 4})
        assert namespace.run("nft", "list", "ruleset").stdout == before


LAB_COMMANDS = {
    "lab exec pair client -- sleep 0.2": {0},
    "lab traffic pair udp": {0},
    "lab down pair": {0},
}
"""What is done with a lab that is up, and the statuses it ends with where the signal came too late."""


@pytest.mark.parametrize("command", LAB_COMMANDS)
def test_what_is_done_with_a_lab_leaves_it_whole(namespace: Namespace, tmp_path: Path, command: str) -> None:
    environment = {**os.environ, DIRECTORY: str(tmp_path)}

    def lab(*arguments: str) -> str:
        return namespace.run(*NETINSPECT, "lab", *arguments, check=False, env=environment).stdout

    def up() -> list[str]:
        return [state["name"] for state in json.loads(lab("status", "--json"))]

    arguments = command.split()
    lab("up", "pair")
    try:
        for at, delay in enumerate(moments(namespace, arguments, environment)):
            if not up():
                lab("up", "pair")
            number = SIGNALS[at % 3]
            status, _, errors = interrupted(namespace, arguments, number, delay, environment)
            # The command of `lab exec` takes the place of the program, and the signal ends that.
            check(status, errors, number, LAB_COMMANDS[command] | ({-number} if "exec" in command else set()))
            assert up() == ["pair"] or "down" in command
            if up():
                assert lab("exec", "pair", "client", "--", "echo", "here") == "here\n"
    finally:
        lab("down", "--all")
    assert lab("sweep") == "nothing to remove\n"


@pytest.mark.parametrize("command", ["lab run pair idle -- sleep 0.3", "lab up pair"])
def test_a_lab_is_up_whole_or_not_at_all(namespace: Namespace, tmp_path: Path, command: str) -> None:
    environment = {**os.environ, DIRECTORY: str(tmp_path)}

    def lab(*arguments: str) -> str:
        return namespace.run(*NETINSPECT, "lab", *arguments, check=False, env=environment).stdout

    arguments = command.split()
    delays = moments(namespace, arguments, environment)
    lab("down", "--all")
    for at, delay in enumerate(delays):
        number = SIGNALS[(at + 1) % 3]
        # The output ends when nobody holds it any more: what ran in the lab has gone as well.
        status, _, errors = interrupted(namespace, arguments, number, delay, environment)
        check(status, errors, number, {0})
        names = [state["name"] for state in json.loads(lab("status", "--json"))]
        assert names == ([] if "run" in command or not names else ["pair"])
        for name in names:
            assert name in lab("exec", name, "client", "--", "echo", name)
        lab("down", "--all")
        assert lab("sweep") == "nothing to remove\n"


SCRIPTS = Path(__file__).parents[1] / "scripts"
_INTERRUPTED = """import os, signal, sys
sys.stdout.write("loading ")
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGINT)
def main(): print("loaded")
"""


@pytest.mark.parametrize(
    "arguments",
    [["netinspect"], ["-S", "in/netinspect/start.py"], ["-m", "netinspect"]],
    ids=["script", "start", "module"],
)
@pytest.mark.parametrize("ignored", [False, True])
def test_an_interrupt_while_the_program_is_loaded(tmp_path: Path, arguments: list[str], ignored: bool) -> None:
    """As a C program ends, without a word, before the handlers stand; where it is ignored the program goes on."""
    package = tmp_path / "in" / "netinspect"
    package.mkdir(parents=True)
    for script in ("netinspect", "netinspect-python"):
        (tmp_path / script).write_text((SCRIPTS / script).read_text())
    (package / "__init__.py").touch()
    for module in ("__main__.py", "start.py"):
        (package / module).write_text((SCRIPTS.parent / "netinspect" / module).read_text())
    (package / "main.py").write_text(_INTERRUPTED)
    (package / "bytecode.py").write_text("def start() -> None: ...\n")
    result = subprocess.run(
        ["sh", "-c", "trap '' INT; exec \"$@\"" if ignored else 'exec "$@"', "sh", sys.executable, *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(package.parent)},
        capture_output=True,
        text=True,
    )
    assert result.stderr == ""
    assert result.returncode == (0 if ignored else -signal.SIGINT)
    assert result.stdout == ("loading loaded\n" if ignored else "loading ")


_LOST = """import os, signal, sys, time
from netinspect.engine import signals
signals.handle()
signals._SOON = {soon}
class Spins:
    def __del__(self):
        until = time.perf_counter() + 0.0008
        while time.perf_counter() < until: pass
class Lost:
    def __del__(self):
        os.kill(os.getpid(), signal.{name})
        for _ in range(100): pass
with signals.Holding():
    try:
        Lost()
        for _ in range({spins}): Spins()
        time.sleep(20)
        print("lost")
    except signals.Ended as ended:
        sys.exit(signals.status_of(ended))
"""


@pytest.mark.parametrize("number", [*SIGNALS, signal.SIGXCPU], ids=lambda number: number.name)
@pytest.mark.parametrize(("spins", "soon"), [(0, 0.001), (100, 0.001), (0, 0.000_001), (100, 0.000_1)])
def test_a_signal_that_comes_in_a_finalizer_is_not_lost(number: signal.Signals, spins: int, soon: float) -> None:
    """What is raised there is lost, also what is raised where Python says so: in one microsecond it is there still."""
    script = _LOST.format(name=number.name, spins=spins, soon=soon)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (128 + number, "")
    said = {signal.SIGINT: "interrupted\n", signal.SIGXCPU: "processor time is used up (ulimit -t)\n"}.get(number)
    assert done.stderr == (f"netinspect: {said}" if said else "")


def test_an_ignored_signal_stays_ignored(namespace: Namespace) -> None:
    script = "trap '' HUP; exec \"$@\""
    with namespace.popen(
        ["sh", "-c", script, "sh", *NETINSPECT, "links", "--rates", "0.5", "-j"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        time.sleep(0.3)
        process.send_signal(signal.SIGHUP)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(output)


def test_a_document_is_closed(namespace: Namespace) -> None:
    with namespace.popen(
        [*NETINSPECT, "conntrack", "monitor", "--interval", "0.1", "-j"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        output = ""
        while "}" not in output:
            output += process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        output += process.stdout.read()
    assert process.returncode == 128 + signal.SIGTERM
    assert json.loads(output)


def ignored_by(pid: int | str) -> int:
    """The signals that a process ignores (proc_pid_status(5): SigIgn), a bit for each."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn:"))


def test_a_peer_that_goes_away_does_not_end_the_program(namespace: Namespace) -> None:
    """What it writes to a container engine or to a child may find nobody there."""
    with namespace.popen([*NETINSPECT, "links", "--watch", "1000"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        ignored = ignored_by(process.pid)
        process.kill()
    assert ignored >> (signal.SIGPIPE - 1) & 1


def test_a_command_in_a_lab_is_ended_by_its_pipe_as_usual(tmp_path: Path) -> None:
    environment = {**os.environ, DIRECTORY: str(tmp_path)}

    def lab(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*NETINSPECT, "lab", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)

    lab("up", "pair", "--name", "one")
    try:
        lines = lab("exec", "one", "client", "--", "cat", "/proc/self/status").stdout.splitlines()
    finally:
        lab("down", "one")
    ignored = next(int(line.split()[1], 16) for line in lines if line.startswith("SigIgn:"))
    assert not ignored >> (signal.SIGPIPE - 1) & 1
