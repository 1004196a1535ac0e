"""The programs in examples/, run as their users would, on a lab that has something to show."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest
from throwaway import Namespace

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))

SHOWN = {
    "listeners": "127.0.0.1:",
    "slow_peers": "127.0.0.1",
    "nat_by_host": "",
    "route_changes": "10.99.0.0/16",
    "drops_exporter": "netinspect_lost_total{",
}
"""A part of what each prints here."""

ARGUMENTS = {"route_changes": ("ip", "route", "add", "10.99.0.0/16", "dev", "lo")}


@pytest.mark.parametrize("program", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_runs_and_shows_something(namespace: Namespace, program: Path) -> None:
    listener = namespace.call(lambda: socket.create_server(("127.0.0.1", 0)))
    client = namespace.call(lambda: socket.create_connection(listener.getsockname()))
    # A datagram that nobody takes is a drop.
    sender = namespace.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sender.sendto(b"x", ("127.0.0.1", 9))
    result = namespace.run(sys.executable, str(program), *ARGUMENTS.get(program.stem, ()))
    assert SHOWN[program.stem] in result.stdout
    assert result.stderr == ""
    for opened in (sender, client, listener):
        opened.close()


def test_every_example_is_run_here() -> None:
    assert {path.stem for path in EXAMPLES} == set(SHOWN)


def test_an_interface_with_an_odd_name_makes_no_label_of_its_own(namespace: Namespace) -> None:
    program = Path(__file__).parents[1] / "examples" / "drops_exporter.py"
    code = f"""
import runpy, netinspect
from types import SimpleNamespace
counter = SimpleNamespace(group="g", counter="drops", interface={'x"} 1' + chr(92)!r}, value=3)
netinspect.statistics = lambda **_: [counter]
runpy.run_path({str(program)!r})
"""
    result = namespace.run(sys.executable, "-c", code)
    assert result.stdout == 'netinspect_lost_total{group="g",counter="drops",interface="x\\"} 1\\\\"} 3\n'
