"""Signals at random moments of every command: a quiet end with 128 and the signal's number, and nothing half-done.

A few moments of each here; ``make signals MOMENTS=1000`` takes more. The moments begin when the program has control:
before that it is Python that starts.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
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
    "lab list",
    "schema sockets",
    "help --man",
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
    if "--watch" not in arguments:
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
    status, output, _ = interrupted(
        namespace, ["conntrack", "monitor", "--interval", "0.1", "-j"], signal.SIGTERM, 0.8, dict(os.environ)
    )
    assert status == 128 + signal.SIGTERM
    assert json.loads(output)
