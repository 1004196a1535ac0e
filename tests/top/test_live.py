"""The live view, driven by Textual's Pilot over what a kernel has: sockets, flows, links in throwaway namespaces."""

from __future__ import annotations

import asyncio
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from loopback import Connection
from throwaway import NETINSPECT, Namespace

pytest.importorskip("textual")

from textual.events import Key
from textual.keys import _character_to_key
from textual.widgets import Input

from netinspect.environment import Environment
from netinspect.top.command import Top
from netinspect.top.command_view import sources
from netinspect.top.frame import ENDED, NEW
from netinspect.top.view.app import TopApp
from netinspect.top.view.details import Details, Keys

_PATIENCE = 30.0
_EVIL = b"[red]a\n\x1b[31m"
"""A name of a process: markup, a line end and a control sequence, in the 15 bytes that there are."""


class Driven:
    """The view as a test drives it."""

    def __init__(self, app: TopApp, pilot: Any) -> None:
        self.app = app
        self.pilot = pilot

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Waits for a state; the view goes on meanwhile."""
        ends = time.monotonic() + _PATIENCE
        while not condition():
            assert self.app.failure is None, self.app.failure
            assert time.monotonic() < ends, f"{what or condition} never came; the screen:\n{self.text}"
            await self.pilot.pause(0.02)

    async def press(self, *keys: str) -> None:
        """Presses keys, and returns when each has been heard. Pilot's own waits for a process that does nothing."""
        for key in keys:
            name = _character_to_key(key) if len(key) == 1 else key
            character = key if len(key) == 1 else {"slash": "/", "space": " "}.get(key)
            self.app.post_message(Key(name, character))
            for _ in range(3):  # from the app to what has the focus, and back
                await self.pilot.pause(0)
        assert self.app.failure is None, self.app.failure

    async def filter(self, text: str) -> None:
        """Types a filter over what there is, and enters it."""
        focused = self.app.focused
        if focused is None or focused.id != "filter":
            await self.press("slash")
            await self.until(lambda: self.app.focused is not None and self.app.focused.id == "filter")
        entry = self.app.query_one("#filter", Input)
        await self.press(*("backspace",) * len(entry.value), *text)
        await self.until(lambda: entry.value == text)
        await self.press("enter")

    async def click(self, line: int, column: int, times: int = 1) -> None:
        """Clicks at a place of the screen."""
        await self.pilot.click(offset=(column, line), times=times)

    def line_with(self, *texts: str) -> int:
        """The line of the screen that has these texts."""
        return next(number for number, line in enumerate(self.lines) if all(text in line for text in texts))

    async def shows(self, *texts: str) -> None:
        await self.until(lambda: all(text in self.text for text in texts), repr(texts))

    @property
    def lines(self) -> list[str]:
        """The lines of the screen."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def sampled(self) -> bool:
        """Whether the rows have rates."""
        frame = self.app.grid.frame
        return frame is not None and frame.seconds is not None

    def cells(self, title: str) -> list[str]:
        """The cells of a column, in the order of the rows."""
        grid = self.app.grid
        assert grid.frame is not None
        (column,) = [column for column in self.app.source.columns(self.app.group) if column.title == title]
        return [grid.frame.cell(row, column) for row in grid.order]


def drive(
    action: Callable[[Driven], Awaitable[None]],
    *arguments: str,
    size: tuple[int, int] = (120, 30),
    interval: float = 0.2,
) -> TopApp:
    """Runs the view of a command line while an action drives it."""
    environment = Environment(lambda data: None, lambda data: None, False, 80)
    command = Top.read(list(arguments), environment)
    assert command is not None
    app = TopApp(sources(command), interval=interval, group=command.by)

    async def run() -> None:
        async with app.run_test(size=size) as pilot:
            await action(Driven(app, pilot))

    asyncio.run(run())
    assert app.failure is None
    return app


@pytest.fixture
def connection(namespace: Namespace) -> Iterator[Connection]:
    made = Connection(namespace)
    yield made
    made.close()


def of_shell(line: str) -> list[str]:
    """A line for a shell that begins with netinspect, as the words of this one."""
    words = shlex.split(line)
    assert words[0] == "netinspect"
    return [*NETINSPECT, *words[1:]]


def test_the_tab_of_the_sockets(namespace: Namespace, connection: Connection) -> None:
    async def action(view: Driven) -> None:
        grid = view.app.grid
        await view.shows(f"127.0.0.1:{connection.port}", "ESTABLISHED", "1 Sockets", "2 sockets")
        await view.until(lambda: view.sampled)

        # What is sent shows as a rate, the busiest row first.
        def sends() -> bool:
            connection.client.sendall(b"x" * 1000)
            connection.server.recv(1000, socket.MSG_WAITALL)
            if not view.sampled or grid.frame is None:
                return False
            rates = [grid.frame.value(row, "rate") for row in grid.order]
            sent = {grid.frame.value(row, "local_port"): grid.frame.value(row, "sent_rate") for row in grid.order}
            return bool(sent[connection.port]) and rates == sorted(rates, reverse=True)

        await view.until(sends)
        # The process that holds them, which is looked up aside.
        await view.until(lambda: "python" in view.cells("Process")[0] or "pytest" in view.cells("Process")[0])

        # Each column sorts, both ways, and by a click on its title.
        for column in [*view.app.source.columns("")[5:], *view.app.source.columns("")[:5]]:
            await view.press("right")
            await view.until(lambda column=column: view.app.sort == column.name)
            view.app.action_reverse()
        await view.press("r")
        await view.until(lambda: view.app.sort == "rate")
        at = view.line_with("Local", "Remote")
        await view.click(at, view.lines[at].index("Local") + 1)
        await view.until(lambda: view.app.sort == "local")
        assert view.cells("Local") == sorted(view.cells("Local"))
        await view.click(at, view.lines[at].index("Local") + 1)
        await view.until(lambda: view.app.sort == "-local")
        assert view.cells("Local") == sorted(view.cells("Local"), reverse=True)

        # New and ended rows are marked, and those that have ended go.
        other = Connection(namespace)
        await view.until(lambda: NEW in grid.frame.changes.values() if grid.frame else False)
        await view.until(lambda: any(line.startswith("+ ") for line in view.lines))
        await view.until(lambda: f"127.0.0.1:{other.port}" in view.cells("Local"))
        other.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        other.close()
        await view.until(lambda: ENDED in grid.frame.changes.values() if grid.frame else False)
        await view.until(lambda: any(line.startswith("- ") for line in view.lines))

        # Frozen, it is not sampled; then it goes on.
        await view.press("f")
        await view.shows("frozen")
        frame = grid.frame
        await view.pilot.pause(0.5)
        assert grid.frame is frame
        await view.press("space")
        await view.until(lambda: grid.frame is not frame)

        # Filters of sockets; one that is none is said, and can be mended.
        await view.filter("dport = :x")
        await view.shows("neither a port number nor a service name")
        await view.filter(f"sport = :{connection.port}")
        await view.until(lambda: grid.frame is not None and grid.frame.count == 1)
        await view.shows("filter: sport")
        await view.press("slash")
        await view.until(lambda: view.app.focused is not None and view.app.focused.id == "filter")
        await view.press("escape")
        await view.until(lambda: view.app.focused is grid)
        assert view.app.source.filter == f"sport = :{connection.port}"

        # The command that shows the same does show it.
        await view.press("c")
        await view.until(lambda: view.app.clipboard)
        found = subprocess.run(of_shell(view.app.clipboard), capture_output=True, text=True, check=True)
        assert [str(connection.port) in line for line in found.stdout.splitlines()[1:]] == [True]

        # Groups.
        for group in ("process", "remote", "container", "state"):
            await view.press("g")
            await view.until(lambda group=group: view.app.group == group and view.sampled)
            assert view.cells("Sockets") == ["1"]
        assert view.cells("State") == ["ESTABLISHED"]
        await view.press("enter")
        await view.shows("Explain ESTABLISHED", "History")
        await view.press("escape", "G")
        await view.until(lambda: view.app.group == "container")

    drive(action, "-N", namespace.path, "-n")


def test_the_details_of_a_socket(namespace: Namespace, connection: Connection) -> None:
    async def action(view: Driven) -> None:
        await view.until(lambda: view.sampled)
        await view.filter(f"sport = :{connection.port}")
        await view.until(lambda: view.sampled and len(view.app.grid.order) == 1)
        await view.click(view.line_with(f":{connection.port}", "ESTABLISHED"), 5, times=2)
        await view.until(lambda: isinstance(view.app.screen, Details))
        details = view.app.screen
        assert isinstance(details, Details)
        ends = f"127.0.0.1:{connection.server.getsockname()[1]} > 127.0.0.1:{connection.port}"
        await view.shows("History", "Rate", "Cwnd", "Held by", "Other end", ends)
        await view.shows("Explain ESTABLISHED", "Look at:", "cookie")
        assert str(connection.client.fileno()) in view.text
        # Its history goes on.
        length = len(view.app.sampling.history.of(details.key))
        await view.until(lambda: len(view.app.sampling.history.of(details.key)) > length)
        await view.press("c")
        await view.until(lambda: view.app.clipboard == details.command)
        found = subprocess.run(of_shell(details.command), capture_output=True, text=True, check=True)
        assert f"127.0.0.1:{connection.port}" in found.stdout
        assert len(found.stdout.splitlines()) == 2
        connection.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
        await view.shows("it ended, seen at")
        await view.press("r")
        await view.shows("The socket has ended.")
        await view.press("q")
        await view.until(lambda: not isinstance(view.app.screen, Details))
        await view.press("question_mark")
        await view.until(lambda: isinstance(view.app.screen, Keys))
        await view.shows("Ctrl-Z", "suspend")
        await view.press("escape")

    drive(action, "-N", namespace.path, size=(100, 90))


def test_every_tab_and_group(namespace: Namespace, connection: Connection) -> None:
    async def action(view: Driven) -> None:
        for number, source in enumerate(view.app.sources):
            await view.press(str(number + 1))
            for group in source.groups:
                await view.until(lambda group=group: view.app.group == group and view.app.sampled is not None)
                await view.until(lambda: view.sampled or view.app.sampled.error)  # type: ignore[union-attr]
                for _ in source.columns(group):
                    view.app.action_sort(1)
                if view.app.grid.order:
                    await view.press("end", "home", "enter")
                    await view.until(lambda: isinstance(view.app.screen, Details) and not view.app.screen.looking)
                    await view.press("escape")
                words = source.command(group, view.app.sort)
                await view.press("c")
                await view.until(lambda words=words: shlex.split(view.app.clipboard) == words)
                if len(source.groups) > 1:
                    await view.press("g")
        # Links have what loopback carries.
        at = view.line_with("4 Links")
        await view.click(at, view.lines[at].index("4 Links") + 2)
        await view.until(lambda: view.app.source.title == "Links" and view.sampled)
        assert "lo" in view.cells("Name")
        await view.filter("nosuch")
        await view.until(lambda: view.app.source.filter == "nosuch" and view.sampled)
        assert view.app.grid.order == []
        await view.press("tab")
        await view.until(lambda: view.app.source.title == "Drops")
        await view.press("shift+tab")
        await view.until(lambda: view.app.source.title == "Links")

    drive(action, "-N", namespace.path)


def test_untrusted_names(namespace: Namespace) -> None:
    program = (
        "import ctypes, socket, sys; server = socket.create_server(('127.0.0.1', 0));"
        "client = socket.create_connection(server.getsockname()); other = server.accept();"
        f"ctypes.CDLL(None).prctl(15, {_EVIL!r}, 0, 0, 0); print(flush=True); sys.stdin.read()"
    )
    child = namespace.popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    shown = f"{child.pid}/[red]a\\x0a\\x1b[31m"

    async def action(view: Driven) -> None:
        await view.shows(shown)
        assert len(view.lines) == 30
        await view.press("g")
        await view.shows("by process", shown)
        await view.press("G")
        await view.until(lambda: view.app.group == "" and view.sampled)
        await view.press("enter")
        await view.shows("Held by", shown)
        assert "\x1b" not in view.text

    drive(action, "-N", namespace.path, size=(160, 30))
    child.kill()


def test_only_what_is_visible_is_formatted(namespace: Namespace) -> None:
    def bound() -> list[socket.socket]:
        made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(300)]
        for one in made:
            one.connect(("127.0.0.1", 9))
        return made

    held = namespace.call(bound)

    async def action(view: Driven) -> None:
        await view.until(lambda: view.sampled and len(view.app.grid.order) == 300)
        grid, columns = view.app.grid, len(view.app.source.columns(""))
        await view.press("f")
        await view.pilot.pause()
        before = grid.formatted
        await view.press("end")
        await view.until(lambda: round(grid.scroll_y) + grid.size.height == 300)
        await view.until(lambda: grid.cursor == 299)
        assert 0 < grid.formatted - before <= grid.size.height * columns
        await view.press("pageup", "up", "home")
        await view.until(lambda: (grid.cursor, round(grid.scroll_y)) == (0, 0))
        # A cursor that was moved stays on its row, wherever that goes.
        await view.press("down", "down")
        await view.until(lambda: grid.cursor == 2)
        key = grid.key
        await view.press("f")
        frame = grid.frame
        await view.until(lambda: grid.frame is not frame)
        assert grid.key == key

    drive(action, "-N", namespace.path, "-u")
    for one in held:
        one.close()


def test_rooms_of_every_size(namespace: Namespace, connection: Connection) -> None:
    async def action(view: Driven) -> None:
        for size in ((80, 24), (120, 40), (200, 50), (30, 8)):
            await view.pilot.resize_terminal(*size)
            await view.shows(f":{connection.port}"[-3:], "1 Sockets")
            assert len(view.lines) == size[1]
            assert max(map(len, view.lines)) <= size[0]
        await view.pilot.resize_terminal(20, 4)
        await view.shows("too small")
        await view.pilot.resize_terminal(100, 20)
        await view.shows(f"127.0.0.1:{connection.port}")

    drive(action, "-N", namespace.path)


def test_several_namespaces_one_of_which_goes(lab: Any) -> None:
    one, other = Namespace(), Namespace()
    held = [Connection(one), Connection(other)]
    paths = one.path, other.path

    async def action(view: Driven) -> None:
        await view.until(lambda: view.sampled and len(view.app.grid.order) == 4)
        assert set(view.cells("Namespace")) == set(paths)
        for connection in held[1:]:
            connection.close()
        other.close()
        await view.until(lambda: set(view.cells("Namespace")) == {paths[0]})

    drive(action, "-N", paths[0], "-N", paths[1])

    async def alone(view: Driven) -> None:
        await view.until(lambda: view.sampled and len(view.app.grid.order) == 2)
        held[0].close()
        one.close()
        await view.until(lambda: view.app.sampled is not None and "namespace" in view.lines[-2])
        await view.press("2", "1", "question_mark", "escape")

    drive(alone, "-N", paths[0])
