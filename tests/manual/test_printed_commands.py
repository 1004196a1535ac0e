"""Commands that are printed as advice: each is one that runs as it stands, and no name of the machine is in it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from throwaway import NETINSPECT, Namespace

from netinspect.nouns.statistics.listing_health import CHECKS

HOSTILE = ("$(>x)", "`>x`", ";>x;#", "-n", "a'b", 'a"b', "x|y")


@pytest.fixture
def hostile(namespace: Namespace) -> Namespace:
    """A namespace whose interfaces are called what a shell could take for something of its own."""
    for name in HOSTILE:
        namespace.run("ip", "link", "add", "name", name, "up", "type", "bridge")
    return namespace


def quoted(text: str) -> list[str]:
    """The commands that stand between backticks, but for those with something to be filled in."""
    return [found for found in re.findall(r"`([^`]+)`", text) if not re.search(r"[A-Z]{3,}|…", found)]


def test_advice_names_nothing_of_the_machine_and_its_commands_run(hostile: Namespace, tmp_path: Path) -> None:
    health = json.loads(hostile.netinspect("stats", "health", "-j", check=False).stdout)
    assert [check["check"] for check in health] == [check.name for check in CHECKS]
    features = json.loads(hostile.netinspect("capabilities", "-j", check=False).stdout)
    lab = hostile.netinspect("lab", "list").stdout + hostile.netinspect("lab", "status").stdout
    advice = [check["advice"] for check in health] + [found["remedy"] or "" for found in features] + [lab]
    assert not any(name in text for text in advice for name in HOSTILE if name != "-n")
    commands = sorted({command for text in advice for command in quoted(text)})
    assert len(commands) > 8
    for command in commands:
        subprocess.run(["sh", "-nc", command], check=True)
        if re.match(r"netinspect (?!sockets|path$)", command):
            words = command.replace("netinspect", " ".join(NETINSPECT), 1)
            done = hostile.run("sh", "-c", words, check=False, cwd=tmp_path)
            assert done.returncode in (0, 1, 3), (command, done.stderr)
            assert "--help" not in done.stderr, (command, done.stderr)  # no bad usage
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_quoted_in_the_command_that_makes_it(tmp_path: Path) -> None:
    name = "a b;>x;'$(>y)\n"
    missing = subprocess.run(
        [*NETINSPECT, "stats", "--since", "sa mple;>x"], capture_output=True, text=True, cwd=tmp_path
    )
    assert missing.returncode == 1
    (command,) = re.findall(r"`([^`]+)` creates a sample", missing.stderr)
    assert command == "netinspect stats --save 'sa mple;>x'"
    for refused in (name, "."):  # no word of a shell's, and what is there already
        found = subprocess.run([*NETINSPECT, "stats", "--since", refused], capture_output=True, text=True, cwd=tmp_path)
        assert found.returncode == 1
        assert "creates a sample" not in found.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_command_that_was_meant_has_the_words_that_were_given(shell: str, tmp_path: Path) -> None:
    words = ["socket", "-t", "sport = :22\n", "$(>x)", "a'b\t", "\x1b[2J", "`>x`"]
    done = subprocess.run([*NETINSPECT, *words], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    line = done.stderr.partition("; try: ")[2]
    if not line:  # a line end at the end of a word is nothing that a shell can write
        words[2] = "sport = :22"
        done = subprocess.run([*NETINSPECT, *words], capture_output=True, text=True, cwd=tmp_path)
        line = done.stderr.partition("; try: ")[2]
    assert line.count("\n") == 1
    shown = subprocess.run(
        [shell, "-c", f"netinspect() {{ printf '%s\\0' \"$@\"; }}; {line}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert shown.stdout.split("\0")[1:-1] == words[1:]
    assert list(tmp_path.iterdir()) == []
