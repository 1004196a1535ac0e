"""The live view on a terminal that is rendered: rows fit, and whatever ends it leaves the terminal as it was."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from terminals import SIZES, Terminal
from throwaway import NETINSPECT, Namespace

pytest.importorskip("textual")

_TABS = {
    "1 Sockets": "Local",
    "2 Flows": "Source",
    "3 NAT": "Inside",
    "4 Links": "Name",
    "5 Drops": "Layer",
    "6 Health": "Last minute",
}
"""The tabs, and a column of each."""
_LEFT = b"\x1b[?1049l"
_WITHOUT = "import sys; sys.modules['textual'] = None; from netinspect.main import main; main()"


@pytest.fixture
def port(namespace: Namespace) -> Iterator[int]:
    """The port of a listener, to which there is a connection."""

    def connect() -> list[socket.socket]:
        server = socket.create_server(("127.0.0.1", 0))
        client = socket.create_connection(server.getsockname())
        return [server, client, server.accept()[0]]

    made = namespace.call(connect)
    yield made[0].getsockname()[1]
    for one in made:
        one.close()


def opened(namespace: Namespace, *arguments: str, columns: int = 80, lines: int = 24) -> Terminal:
    argv = [*NETINSPECT, "top", "-N", namespace.path, *arguments]
    return Terminal(argv, columns, lines)


def shows_rows(terminal: Terminal, port: int) -> None:
    terminal.shows(f":{port}", "Local", *_TABS)


@pytest.mark.parametrize(("columns", "lines"), SIZES)
def test_no_row_is_wrapped(namespace: Namespace, port: int, columns: int, lines: int) -> None:
    with opened(namespace, columns=columns, lines=lines) as terminal:
        before = terminal.flags
        shows_rows(terminal, port)
        for number, (tab, column) in enumerate(_TABS.items(), 1):
            if columns > 80 and number not in (2, 6):
                continue  # a large screen takes long to render
            terminal.type(str(number))
            terminal.shows(column)
            terminal.until(lambda: "asking" not in terminal.text and "soon" not in terminal.text, tab)
            assert terminal.lines[0].startswith("netinspect top")
            assert tab in terminal.lines[1]
            assert column in terminal.lines[2]
            assert terminal.lines[-1].startswith(" q  quit")
            assert len(terminal.lines) == lines
        terminal.type("1")
        shows_rows(terminal, port)
        terminal.until(lambda: sum(f":{port}" in line for line in terminal.lines) == 2)
        terminal.type("\r")
        terminal.shows("netinspect top: one of sockets", "Proto", "Esc")
        terminal.type("\x1b")
        shows_rows(terminal, port)
        terminal.type("q")
        assert terminal.end() == 0
        assert terminal.flags == before
        assert _LEFT in terminal.raw
        assert terminal.scrolled == []


def test_it_is_resized_suspended_and_goes_on(namespace: Namespace, port: int) -> None:
    with opened(namespace) as terminal:
        before = terminal.flags
        shows_rows(terminal, port)
        terminal.resize(100, 30)
        terminal.until(lambda: len(terminal.lines) == 30 and terminal.lines[-1].startswith(" q  quit"))
        state = Path(f"/proc/{terminal.process.pid}/stat")
        terminal.type("\x1a")
        terminal.until(lambda: state.read_text().rpartition(")")[2].split()[0] == "T", "the stop")
        terminal.until(lambda: _LEFT in terminal.raw)
        assert terminal.flags == before
        entered = terminal.raw.count(b"\x1b[?1049h")
        os.kill(terminal.process.pid, signal.SIGCONT)
        terminal.until(lambda: terminal.raw.count(b"\x1b[?1049h") > entered)
        shows_rows(terminal, port)
        terminal.type("\x03")
        assert terminal.end() == 130
        assert terminal.flags == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_leaves_the_terminal_in_order(namespace: Namespace, port: int, number: signal.Signals) -> None:
    with opened(namespace) as terminal:
        before = terminal.flags
        shows_rows(terminal, port)
        os.kill(terminal.process.pid, number)
        assert terminal.end() == 128 + number
        assert terminal.flags == before
        assert terminal.raw.rindex(_LEFT) > terminal.raw.rindex(b"\x1b[?1049h")
        assert b"Traceback" not in terminal.raw


def test_without_textual_there_is_a_table(namespace: Namespace, port: int) -> None:
    argv = [sys.executable, "-c", _WITHOUT, "top", "-N", namespace.path, "-n", "-i", "0.2"]
    with Terminal(argv, 120, 24) as terminal:
        terminal.shows(f"127.0.0.1:{port}", "pip install 'netinspect[top]'", "--plain")
        terminal.type("\x03")
        assert terminal.end() == 130


@pytest.mark.parametrize("arguments", [("--plain",), ("--limit", "1"), ("--columns", "state,rate")], ids=" ".join)
def test_what_is_a_table_all_the_same(namespace: Namespace, port: int, arguments: tuple[str, ...]) -> None:
    with opened(namespace, *arguments) as terminal:
        terminal.shows("ESTABLISHED", "every 1 s")
        assert "1 Sockets" not in terminal.text
        terminal.type("\x03")
        assert terminal.end() == 130
        assert "netinspect[top]" not in terminal.text


def test_what_fails_is_one_line(namespace: Namespace) -> None:
    program = (
        "from netinspect.top.links import Links\n"
        "def fail(self, group): raise ZeroDivisionError('no')\n"
        "Links.sample = fail\n"
        "from netinspect.main import main; main()"
    )
    with Terminal([sys.executable, "-c", program, "top", "-N", namespace.path], 120, 24) as terminal:
        before = terminal.flags
        terminal.shows("4 Links")
        terminal.type("4")
        assert terminal.end() == 1
        assert terminal.flags == before
        last = terminal.raw[terminal.raw.rindex(_LEFT) :]
        assert b"netinspect: internal error: ZeroDivisionError('no')" in last
        assert b"Traceback" not in terminal.raw
