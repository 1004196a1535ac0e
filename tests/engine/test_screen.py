"""The screen of a terminal: the pager, and listings that are repeated."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from terminals import Terminal
from throwaway import NETINSPECT, Namespace

from netinspect.engine.screen import pager_of, rows_of

STATS = [*NETINSPECT, "stats"]
"""Some hundred rows, wherever it runs."""


@pytest.fixture
def pager(tmp_path: Path) -> Callable[[str], str]:
    """Creates a program that records that it ran, and then runs the script."""

    def make(script: str) -> str:
        path = tmp_path / "pager"
        path.write_text(f"#!/bin/sh\necho paged > {tmp_path}/ran\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return make


def test_a_long_listing_goes_through_the_pager(tmp_path: Path, pager: Callable[[str], str]) -> None:
    with Terminal(STATS, environment={"PAGER": pager("exec cat")}) as terminal:
        assert terminal.end() == 0
    assert (tmp_path / "ran").exists()
    assert terminal.everything[0].startswith("Table")
    assert len(terminal.everything) > 100


def test_less_shows_the_first_page_and_is_left(need: Callable[[str], None]) -> None:
    need("less")
    with Terminal(STATS) as terminal:
        before = terminal.flags
        terminal.until(lambda: len(terminal.lines) == 24 and terminal.lines[-1].endswith(":"))
        assert terminal.lines[0].startswith("Table")
        terminal.type("q")
        assert terminal.end() == 0
        assert terminal.flags == before


def test_a_pager_that_is_left_early_is_no_error(namespace: Namespace, pager: Callable[[str], str]) -> None:
    namespace.lab["namespace"].fill("routes", 20_000)
    argv = [*NETINSPECT, "routes", "-n"]
    with Terminal(argv, start=namespace.popen, environment={"NETINSPECT_PAGER": pager("exec head -n 3")}) as terminal:
        assert terminal.end() == 0
    assert len(terminal.everything) == 3
    assert terminal.everything[0].startswith("Destination")


@pytest.mark.parametrize(
    ("options", "environment"),
    [
        ([], {"NETINSPECT_PAGER": "", "PAGER": "/does/not/exist"}),
        ([], {"PAGER": "cat"}),
        ([], {"PAGER": "/does/not/exist"}),
        (["--no-pager"], {"PAGER": "/does/not/exist"}),
    ],
)
def test_without_a_pager_it_is_written_as_it_is(options: list[str], environment: dict[str, str]) -> None:
    with Terminal([*STATS, *options], environment=environment) as terminal:
        assert terminal.end() == 0
    assert terminal.everything[0].startswith("Table")
    assert len(terminal.everything) > 100


def test_a_short_listing_needs_no_pager(tmp_path: Path, pager: Callable[[str], str]) -> None:
    program = pager("exec cat")
    with Terminal([*NETINSPECT, "links", "lo"], environment={"PAGER": program}) as terminal:
        assert terminal.end() == 0
    assert "Name" in terminal.lines[0]
    with subprocess.Popen(STATS, stdout=subprocess.PIPE, env={**os.environ, "PAGER": program}) as process:
        assert process.communicate()[0]
    assert not (tmp_path / "ran").exists()


def test_help_goes_through_it_as_well(tmp_path: Path, pager: Callable[[str], str]) -> None:
    with Terminal([*NETINSPECT, "sockets", "--help"], environment={"PAGER": pager("exec cat")}) as terminal:
        assert terminal.end() == 0
    assert (tmp_path / "ran").exists()
    assert terminal.everything[0].startswith("Usage: netinspect sockets")


def test_a_complaint_follows_the_rows(pager: Callable[[str], str]) -> None:
    argv = [*NETINSPECT, "routes", "-n", "--netns", "/does/not/exist"]
    with Terminal(argv, environment={"PAGER": pager("exec cat")}) as terminal:
        assert terminal.end() == 1
    assert "netinspect: " in terminal.text


def test_the_pager_ends_with_a_signal(tmp_path: Path, pager: Callable[[str], str]) -> None:
    # It reads nothing, and ends in order where it is told to.
    traps = f"trap '' INT\ntrap 'echo left > {tmp_path}/left; exit 0' TERM\necho > {tmp_path}/trapped"
    program = pager(f"{traps}\nwhile :; do sleep 0.05; done")
    with Terminal(STATS, environment={"PAGER": program}) as terminal:
        terminal.until(lambda: (tmp_path / "trapped").exists() or not terminal._read(0.01))
        terminal.type("\x03")  # Ctrl-C is the pager's own business
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.end() == -signal.SIGTERM or terminal.process.returncode == 128 + signal.SIGTERM
    assert (tmp_path / "left").exists()


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"TERM": "xterm"}, ["less", "-FRX"]),
        *(({"TERM": term}, []) for term in ("", "dumb")),
        ({"TERM": "dumb", "PAGER": "more"}, ["more"]),
        ({"PAGER": "less 'of nothing"}, []),
        ({"PAGER": "more -s"}, ["more", "-s"]),
        ({"PAGER": "more", "NETINSPECT_PAGER": "less"}, ["less"]),
        ({"PAGER": "more", "NETINSPECT_PAGER": ""}, []),
        ({"PAGER": "cat"}, []),
        ({"PAGER": "sed 's/a/b/' | less"}, ["/bin/sh", "-c", "sed 's/a/b/' | less"]),
    ],
)
def test_which_pager_it_is(environment: dict[str, str], words: list[str]) -> None:
    assert pager_of(environment) == words


def test_rows_of_a_screen_are_counted() -> None:
    assert rows_of(b"a\nb\n", 80) == 2
    assert rows_of(b"x" * 81 + b"\n", 80) == 2
    assert rows_of(b"\x1b[2m" + b"x" * 80 + b"\x1b[0m\n", 80) == 1
    assert rows_of("文".encode() * 41 + b"\n", 80) == 2
    assert rows_of(b"\n\n", 80) == 2


def test_watch_has_a_screen_of_its_own(namespace: Namespace) -> None:
    namespace.lab["namespace"].fill("routes", 200)
    argv = [*NETINSPECT, "routes", "-n", "--watch", "0.2"]
    with Terminal(argv, start=namespace.popen) as terminal:
        before = terminal.flags
        terminal.shows("every 0.2 s", "more rows")
        assert terminal.raw.startswith(b"\x1b[?1049h")
        assert terminal.lines[0].startswith("netinspect routes -n --watch 0.2")
        assert terminal.lines[1].startswith("Destination")
        assert terminal.lines[23] == f"… {200 - 21} more rows"
        frames = terminal.raw.count(b"every 0.2 s")
        terminal.until(lambda: terminal.raw.count(b"every 0.2 s") > frames + 3)
        terminal.resize(100, 40)
        terminal.until(lambda: terminal.lines[-1] == f"… {200 - 37} more rows" and len(terminal.lines) == 40)
        terminal.type("\x03")
        assert terminal.end() == 130
        assert terminal.raw.endswith(b"\x1b[H\x1b[J\x1b[?25h\x1b[?1049l")
        assert b"interrupted" not in terminal.raw
        assert terminal.scrolled == []
        assert terminal.flags == before


@pytest.mark.parametrize("name", ["dumb", ""])
def test_on_a_terminal_whose_cursor_does_not_move_listings_follow_each_other(namespace: Namespace, name: str) -> None:
    argv = [*NETINSPECT, "links", "--watch", "0.1"]
    with Terminal(argv, 160, 60, start=namespace.popen, environment={"TERM": name}) as terminal:
        terminal.until(lambda: terminal.raw.count(b"Queueing") > 2)
        assert b"\x1b" not in terminal.raw
        assert re.match(rb"\d{4}-\d\d-\d\dT[\d:+-]+\r\n", terminal.raw)
        terminal.type("\x03")
        terminal.end()


def test_watch_marks_what_has_changed(namespace: Namespace) -> None:
    namespace.run("ip", "link", "add", "first", "type", "veth", "peer", "name", "second")
    with Terminal([*NETINSPECT, "links", "--watch", "0.1"], 160, 30, start=namespace.popen) as terminal:
        terminal.shows("first", "second")
        terminal.until(lambda: terminal.raw.count(b"every") > 2)
        assert b"\x1b[7m" not in terminal.raw
        namespace.run("ip", "link", "set", "first", "mtu", "1234")
        terminal.until(lambda: b"\x1b[7m 1234\x1b[0m" in terminal.raw)
        namespace.run("ip", "link", "add", "third", "type", "bridge")
        terminal.until(lambda: b"\x1b[7mthird" in terminal.raw)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_watch_leaves_the_terminal_in_order(namespace: Namespace, number: signal.Signals) -> None:
    with Terminal([*NETINSPECT, "links", "--watch", "0.1"], start=namespace.popen) as terminal:
        terminal.shows("every 0.1 s")
        terminal.process.send_signal(number)
        assert terminal.end() == 128 + number
        assert terminal.raw.endswith(b"\x1b[?25h\x1b[?1049l")


def test_watch_is_stopped_and_goes_on(namespace: Namespace) -> None:
    with Terminal([*NETINSPECT, "links", "--watch", "0.1"], start=namespace.popen) as terminal:
        terminal.shows("every 0.1 s")
        # It is alone on its terminal, and SIGTSTP stops no group without a shell: that it is left and taken shows.
        terminal.process.send_signal(signal.SIGTSTP)
        terminal.until(lambda: b"\x1b[?1049l" in terminal.raw)
        terminal.process.send_signal(signal.SIGCONT)
        terminal.until(lambda: terminal.raw.count(b"\x1b[?1049h") == 2)
        frames = terminal.raw.count(b"every 0.1 s")
        terminal.until(lambda: terminal.raw.count(b"every 0.1 s") > frames)


def test_watch_ends_with_an_error_in_order(namespace: Namespace) -> None:
    namespace.run("ip", "link", "add", "first", "type", "bridge")
    argv = [*NETINSPECT, "addresses", "first", "--watch", "0.1"]
    with Terminal(argv, start=namespace.popen) as terminal:
        terminal.shows("every 0.1 s")
        namespace.run("ip", "link", "del", "first")
        assert terminal.end() == 2
        assert b"\x1b[?1049l" in terminal.raw
        assert terminal.raw.rstrip().endswith(b"no interface 'first'")


def test_what_is_waited_for_shows_and_goes_away(namespace: Namespace) -> None:
    with Terminal([*NETINSPECT, "links", "--rates", "1.2"], start=namespace.popen) as terminal:
        terminal.shows(" … 1 s")
        assert terminal.end() == 0
    assert " … 1 s" not in terminal.text
    assert "Name" in terminal.lines[0]


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("wait link never-there up --timeout 60", "waiting: "),
        ("wait not link lo --timeout 60", "waiting until not: "),
        ("conntrack events", "waiting for events … "),
        ("nat diagnose --sample 2", "watching flows for 2 s"),
    ],
)
def test_a_line_says_what_is_waited_for_and_goes_away(namespace: Namespace, command: str, line: str) -> None:
    with Terminal([*NETINSPECT, *command.split()], start=namespace.popen) as terminal:
        if command.startswith("nat"):
            terminal.until(lambda: line in terminal.text or terminal.process.poll() is not None, line)
        else:
            terminal.shows(line)
            terminal.type("\x03")
        terminal.end()
        assert line not in terminal.text


def test_what_waits_in_a_pipe_says_nothing(namespace: Namespace) -> None:
    result = namespace.run(*NETINSPECT, "wait", "link", "never-there", "up", "--timeout", "0.8", check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert "waiting" not in result.stderr
