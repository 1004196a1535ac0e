"""What is compared with what, at which sizes, and which ratio is the goal."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

NETINSPECT = str(Path(sys.executable).with_name("netinspect"))
ITERATE = Path(__file__).with_name("iterate.py")


class Goals(NamedTuple):
    """The most that a ratio should be, each None where none is set."""

    wall: float | None = None
    busy: float | None = None
    """Of wall time, while every processor is kept busy by another process."""
    processor: float | None = None
    """Of user and system time."""


NO_GOALS = Goals()


class Case(NamedTuple):
    """Two commands over one table. Commands are as a shell has them, ``api LIBRARY NOUN`` is iterate.py."""

    table: str
    ours: str
    peer: str
    goals: Goals = NO_GOALS
    name: str = ""


class Series(NamedTuple):
    """A command whose time is taken at growing sizes of a table."""

    table: str
    command: str


class Scale(NamedTuple):
    """Rows of each table for the comparisons, and for the growth of each; how long a case is repeated, in seconds."""

    rows: dict[str, int]
    growth: dict[str, tuple[int, ...]]
    seconds: float
    events: tuple[int, float]
    """Conntrack events a second, and for how many seconds."""


TABLES = ("sockets", "routes", "flows")
OTHER_TABLES = {"routes6": (1_000, 10_000, 100_000), "links": (100, 1_000, 10_000)}
"""What grows too, as far as it can be made in a short time."""

_ROWS = {
    "idle": 0,
    "sockets": 40_000,
    "peers": 40_000,
    "processes": 1_500,
    "routes": 200_000,
    "routes6": 50_000,
    "mixed": 100_000,
    "flows": 100_000,
    "links": 1_000,
    "namespaces": 1_000,
}
"""What is compared, at the sizes that the goals are for."""

SCALES = {
    "tiny": Scale(
        {
            "idle": 0,
            "sockets": 100,
            "peers": 100,
            "processes": 20,
            "routes": 100,
            "routes6": 100,
            "mixed": 100,
            "flows": 100,
            "links": 10,
            "namespaces": 3,
        },
        dict.fromkeys((*TABLES, *OTHER_TABLES), (50, 100)),
        0.0,
        (300, 0.3),
    ),
    "default": Scale(_ROWS, dict.fromkeys(TABLES, (1_000, 10_000, 100_000)) | OTHER_TABLES, 4.0, (50_000, 20.0)),
    "large": Scale(
        _ROWS, dict.fromkeys(TABLES, (1_000, 10_000, 100_000, 1_000_000)) | OTHER_TABLES, 10.0, (50_000, 20.0)
    ),
}

_START = Goals(1.3, None, 1.3)
_OTHERS = "every connection from another address"
_SHAPES = "routes of many shapes"
_SMALL = "many small processes"

CASES = (
    Case("idle", "netinspect sockets -tan", "python -c pass", _START, "start-up: TCP sockets of an idle namespace"),
    Case("idle", "netinspect sockets -uan", "python -c pass", _START, "start-up: UDP sockets of an idle namespace"),
    Case("idle", "netinspect routes -n", "python -c pass", _START, "start-up: routes of an idle namespace"),
    Case("sockets", "netinspect sockets -tan", "ss -Htan", Goals(0.72, 0.9, 0.9)),
    Case("sockets", "netinspect netstat -tan", "netstat -tan", Goals(0.36, 0.45, 0.45)),
    Case("sockets", "netinspect sockets -tanp", "ss -Htanp", Goals(0.45, None, 0.5)),
    Case("sockets", "netinspect netstat -tanp", "netstat -tanp", Goals(0.5)),
    Case("sockets", "netinspect sockets -tani", "ss -Htani", Goals(0.9, 1.0, 1.0)),
    Case("sockets", "netinspect sockets -tanm", "ss -Htanm", Goals(0.9, 1.0, 1.0)),
    Case("sockets", "netinspect sockets -tano", "ss -Htano", Goals(0.9, 1.0, 1.0)),
    Case("sockets", "netinspect sockets -tane", "ss -Htane", Goals(0.9, 1.0, 1.0)),
    Case("sockets", "netinspect sockets -ta --format ndjson", "ss -Htan", Goals(1.2)),
    Case("sockets", "netinspect sockets -ta --format json", "ss -Htan"),
    Case("sockets", "netinspect sockets -ta --format csv", "ss -Htan"),
    Case("sockets", "netinspect sockets -tai --format ndjson", "ss -Htani"),
    Case("sockets", "netinspect sockets -tan 'sport < 36000'", "ss -Htan 'sport < 36000'", NO_GOALS, "some of many"),
    Case(
        "sockets",
        "netinspect sockets -tan 'sport = :{port} or dport = :{port}'",
        "ss -Htan 'sport = :{port} or dport = :{port}'",
        Goals(1.6, None, 1.6),
        "a few of many",
    ),
    Case("sockets", "netinspect sockets -tan --sort local_port", "ss -Htan", NO_GOALS, "sorted"),
    Case("sockets", "netinspect sockets -tas", "ss -Htan", NO_GOALS, "counts alone"),
    Case("sockets", "api netinspect sockets", "api pyroute2 sockets", Goals(0.03, None, 0.03)),
    Case("sockets", "api netinspect sockets", "api psutil sockets"),
    Case("peers", "netinspect sockets -tan", "ss -Htan", Goals(0.9, 1.0, 1.0), _OTHERS),
    Case("peers", "netinspect netstat -tan", "netstat -tan", NO_GOALS, _OTHERS),
    Case("peers", "netinspect sockets -ta --format ndjson", "ss -Htan", NO_GOALS, _OTHERS),
    Case("processes", "netinspect sockets -tanp", "ss -Htanp", Goals(1.0, None, 1.0), _SMALL),
    Case("processes", "netinspect netstat -tanp", "netstat -tanp", NO_GOALS, _SMALL),
    Case("routes", "netinspect routes -n", "ip route", Goals(0.45, None, 0.7)),
    Case("routes", "netinspect netstat -rn", "netstat -rn", Goals(0.7)),
    Case("routes", "netinspect routes -j", "ip -j route", Goals(1.0)),
    Case("routes", "api netinspect routes", "api pyroute2 routes", Goals(0.03, None, 0.03)),
    Case(
        "routes",
        "netinspect routes -4n root 16.5.0.0/16",
        "ip route list root 16.5.0.0/16",
        Goals(1.0, None, 1.1),
        "a few of many",
    ),
    Case("routes6", "netinspect routes -6n", "ip -6 route", Goals(1.0)),
    Case("routes6", "netinspect netstat -6rn", "netstat -6rn"),
    Case("mixed", "netinspect routes -4n", "ip route", Goals(1.1, None, 1.2), _SHAPES),
    Case("mixed", "netinspect routes -4 --format ndjson", "ip -j route", NO_GOALS, _SHAPES),
    Case("mixed", "netinspect netstat -rn", "netstat -rn", NO_GOALS, _SHAPES),
    Case("links", "netinspect links", "ip -s link", Goals(1.8, None, 2.0)),
    Case("links", "netinspect netstat -i", "netstat -i"),
    Case("links", "netinspect addresses", "ip address", Goals(1.8, None, 2.0)),
    Case("links", "netinspect groups", "ip maddress", Goals(1.8, None, 2.0)),
    Case("flows", "netinspect conntrack -n", "conntrack -L", Goals(0.75, 0.9, 0.9)),
    Case("flows", "netinspect conntrack --format ndjson", "conntrack -L -o xml"),
    Case("flows", "api netinspect flows", "api pyroute2 flows", Goals(0.03, None, 0.03)),
    Case("namespaces", "netinspect sockets -tan --all-netns", "ip -all netns exec ss -Htan", Goals(0.1, None, 0.2)),
)
"""``{port}`` is the port of one connection of the table."""

GROWTH = (
    Series("sockets", "netinspect sockets -tan"),
    Series("sockets", "netinspect netstat -tan"),
    Series("sockets", "netinspect sockets -tanp"),
    Series("sockets", "netinspect sockets -tani"),
    Series("sockets", "ss -Htan"),
    Series("sockets", "netstat -tan"),
    Series("sockets", "ss -Htanp"),
    Series("sockets", "ss -Htani"),
    Series("sockets", "api psutil sockets"),
    Series("sockets", "api pyroute2 sockets"),
    Series("routes", "netinspect routes -n"),
    Series("routes", "netinspect netstat -rn"),
    Series("routes", "ip route"),
    Series("routes", "netstat -rn"),
    Series("routes", "api pyroute2 routes"),
    Series("routes6", "netinspect routes -6n"),
    Series("routes6", "ip -6 route"),
    Series("flows", "netinspect conntrack -n"),
    Series("flows", "netinspect conntrack --format ndjson"),
    Series("flows", "conntrack -L"),
    Series("flows", "api pyroute2 flows"),
    Series("links", "netinspect links"),
    Series("links", "ip -s link"),
)


def words(command: str) -> list[str] | None:
    """The command as exec(3) takes it; None where it is not installed."""
    from shlex import split

    program, *arguments = split(command)
    if program == "netinspect":
        return [NETINSPECT, *arguments]
    if program == "python":
        return [sys.executable, *arguments]
    if program == "api":
        return [sys.executable, str(ITERATE), *arguments] if find_spec(arguments[0]) else None
    found = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    return [found, *arguments] if found else None
