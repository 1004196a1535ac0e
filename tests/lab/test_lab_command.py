"""``netinspect lab`` and ``netns-lab/lab`` on the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab_needs import topology_works
from patience import until

from netinspect import main
from netinspect.environment import Environment, of_process
from netinspect.lab import registry
from netinspect.lab.command import COMMAND
from netinspect.lab.command_actions import _progress, _working
from netinspect.lab.traffic import scenario_names

SCRIPT = Path(__file__).parents[2] / "netns-lab" / "lab"
Run = Callable[..., "tuple[int, str, str]"]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv(registry.DIRECTORY, str(tmp_path / "labs"))
    yield tmp_path / "labs"
    for state in registry.labs():
        registry.down(state)


@pytest.fixture
def run(place: Path, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line in this process: exit status, standard output and error."""

    def call(*argv: str) -> tuple[int, str, str]:
        capfd.readouterr()
        status = main.run(["lab", *argv], of_process())
        return status, *capfd.readouterr()

    return call


def command(*argv: str) -> subprocess.CompletedProcess[str]:
    """Runs the script."""
    return subprocess.run([sys.executable, str(SCRIPT), *argv], capture_output=True, text=True, timeout=30)


def test_list_shows_topologies_and_scenarios_and_which_fits_which(run: Run) -> None:
    status, output, _ = run("list")
    assert status == 0
    for name in ("pair", "gateway", "scale", *scenario_names()):
        assert f"\n  {name} " in output
    pair = output.split("\n  pair ")[1].split("\n  pmtu")[0]
    assert "traffic: bulk, fragments, half-closed, idle, refused, request, syn, udp, unix" in pair


def test_list_needs_no_docstrings() -> None:
    result = subprocess.run([sys.executable, "-OO", "-m", "netinspect", "lab", "list"], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_a_lab_lives_from_up_to_down(run: Run) -> None:
    topology_works("gateway")
    assert run("status") == (0, "no lab is up\n", "")
    assert run("up", "gateway", "--name", "mine") == (0, "mine: lan1, lan2, gateway, wan\n", "")
    _, output, _ = run("status")
    assert "mine" in output
    assert "lan1 lan2 gateway wan" in output
    _, output, _ = run("status", "mine")
    assert "203.0.113.100 2001:db8::100" in output
    (described,) = json.loads(run("status", "-j")[1])
    assert os.path.exists(described["hosts"][0]["netns"])
    status, output, _ = run("traffic", "mine", "request")
    assert status == 0
    assert output.startswith("request: 20 connections, 80,740 bytes; ")
    assert run("down", "mine") == (0, "mine is down\n", "")
    assert run("down", "mine") == (0, "no lab 'mine' is up\n", "")
    assert run("down", "--all") == (0, "no lab is up\n", "")
    assert run("sweep") == (0, "nothing to remove\n", "")


def test_down_without_a_name_takes_the_only_lab_and_asks_when_there_are_several(run: Run) -> None:
    run("up", "pair")
    run("up", "pair")
    status, _, errors = run("down")
    assert status == 1
    assert "pair, pair-2 are up" in errors or "pair-2, pair are up" in errors
    run("down", "pair-2")
    assert run("down")[:2] == (0, "pair is down\n")


def test_exec_becomes_the_command_with_its_exit_status(run: Run) -> None:
    run("up", "pair")
    done = command("exec", "pair", "server", "--", "sh", "-c", "cat /proc/net/if_inet6; exit 7")
    assert done.returncode == 7
    assert "fd000000000000000000000000000002" in done.stdout
    assert command("exec", "pair", "server", "--", "/nonexistent/command").returncode == 127
    wrong = command("exec", "pair", "nobody", "--", "true")
    assert (wrong.returncode, wrong.stderr) == (
        1,
        "netinspect: lab pair has no host 'nobody': it has client, server\n",
    )


def test_shell_starts_the_users_shell_on_a_host(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run("up", "pair")
    monkeypatch.setenv("SHELL", "/bin/sh")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "shell", "pair", "server"],
        input="cat /proc/net/if_inet6\n",
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert "fd000000000000000000000000000002" in done.stdout


def test_run_does_all_in_one(place: Path) -> None:
    done = command("run", "pair", "idle", "--host", "server", "--", "sh", "-c", "grep -c ' 01 ' /proc/net/tcp; exit 5")
    assert done.returncode == 5
    assert done.stdout == "5\n"
    assert done.stderr.startswith("idle: 10 connections; ")
    assert command("run", "pair", "idle", "--", "/nonexistent/command").returncode == 127
    assert command("run", "pair", "idle", "--", "sh", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL


def test_parameters_are_set_on_the_command_line(run: Run) -> None:
    assert run("up", "scale", "--set", "sockets=20", "--set", "routes=0", "--set", "flows=0")[0] == 0
    assert command("exec", "scale", "big", "--", "sh", "-c", "grep -c ' 01 ' /proc/net/tcp").stdout == "20\n"


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (("up", "nothing"), 2, "no topology 'nothing'"),
        (("up", "/nonexistent.toml"), 2, "/nonexistent.toml: No such file or directory"),
        (("up", "scale", "--set", "sockets=many"), 2, "--set 'sockets=many': give PARAMETER=NUMBER"),
        (("up", "scale", "--set", "planets=9"), 2, "no parameter 'planets': it has sockets, routes, flows"),
        (("frobnicate",), 2, "no command 'frobnicate': list, up, down, "),
        (("up",), 2, "lab up: TOPOLOGY is missing"),
        (("exec", "pair", "client"), 2, "lab exec: COMMAND is missing"),
        (("status", "pair", "client"), 2, "lab status: unexpected operand 'client'"),
        (("down", "pair", "--all"), 2, "lab down takes a NAME or --all, not both"),
        (("traffic", "pair", "idle", "--hold", "nan"), 2, "--hold takes a number of seconds, not 'nan'"),
        (("up", "pair", "--name", "../../etc/x"), 1, "is not a valid lab name"),
        (("traffic", "nothing", "idle"), 1, "no lab 'nothing' is up"),
        (("run", "pair", "nothing", "--", "true"), 1, "no scenario 'nothing'"),
        (("run", "pair", "redirect", "--", "true"), 1, "needs a host in the role of router and neighbour"),
    ],
)
def test_mistakes_are_one_line_and_an_exit_status(run: Run, argv: tuple[str, ...], status: int, message: str) -> None:
    seen = run(*argv)
    assert seen[0] == status
    assert seen[1] == ""
    assert seen[2].startswith("netinspect: ")
    assert seen[2].count("\n") == 1
    assert message in seen[2]


def test_every_option_of_every_command_is_in_its_help_and_in_the_man_page(
    run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    overview = run("--help")[1]
    assert main.run(["help", "--man"], of_process()) == 0
    manual = capfd.readouterr()[0].replace("\\-", "-")
    for command in COMMAND.commands:
        assert f"\n  {command.name}" in overview
        status, text, _ = run(command.name.removeprefix("lab "), "--help")
        assert status == 0
        assert main.run(["help", *command.name.split()], of_process()) == 0
        assert capfd.readouterr()[0] == text
        section = manual.split(f'.SS "netinspect {command.name} [options]')[1].split(".SS")[0]
        for option in command.options():
            assert f"--{option.long}" in text
            assert f"--{option.long}" in section


def test_output_reaches_a_pipe(place: Path) -> None:
    """Python keeps back what is printed to a pipe, and is not asked for it when the program ends at once."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    for program in ([sys.executable, str(SCRIPT)], [sys.executable, "-m", "netinspect", "lab"]):
        done = subprocess.run([*program, "status"], capture_output=True, text=True, timeout=30, env=environment)
        assert (done.returncode, done.stdout, done.stderr) == (0, "no lab is up\n", "")


def test_control_characters_in_arguments_never_reach_the_terminal(run: Run) -> None:
    for argv in (("up", "\x1b[31m"), ("traffic", "\x1b[31m", "idle"), ("down", "\x1b[31m")):
        _, output, errors = run(*argv)
        assert "\x1b" not in output + errors


def test_a_control_character_in_a_topology_is_escaped_once(run: Run, tmp_path: Path) -> None:
    (tmp_path / "odd.toml").write_text('[hosts."a\\u001bb".interfaces.eth0]\naddresses = []\n')
    _, _, errors = run("up", str(tmp_path / "odd.toml"))
    assert "odd.toml:1: hosts.a\\x1bb: " in errors


def test_a_directory_that_others_may_write_to_is_refused(run: Run, place: Path) -> None:
    place.mkdir()
    place.chmod(0o777)
    status, _, errors = run("up", "pair")
    assert status == 1
    assert "is not a directory that only you may write to" in errors
    place.chmod(0o700)


def test_a_terminated_run_takes_its_lab_down(place: Path) -> None:
    with subprocess.Popen(
        [sys.executable, str(SCRIPT), "run", "pair", "idle", "--", "sh", "-c", "echo started; sleep 60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.terminate()
        # The pipe ends when nobody holds it any more: the command inside has gone too.
        assert process.stdout.read() == ""
        assert process.wait(10) == 128 + signal.SIGTERM


def test_long_work_has_a_line_on_a_terminal_until_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    for terminal in (True, False):
        said: list[bytes] = []
        environment = Environment(lambda _: None, said.append, terminal, 80)
        with _working(environment, "building the lab"):
            if terminal:
                until(lambda said=said: any(b"building the lab" in line for line in said))
            _progress(environment)("1 of 2")
            if terminal:
                until(lambda said=said: any(b"1 of 2" in line for line in said))
        assert all(line.startswith(b"\r") and not line.endswith(b"\n") for line in said) is terminal
        assert said[-1] == (b"\r\x1b[K" if terminal else "… 1 of 2\n".encode())
