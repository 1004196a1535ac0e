"""What is compared with what, at which sizes, and which ratio is the goal."""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

NETINSPECT = str(Path(sys.executable).with_name("netinspect"))
ITERATE = Path(__file__).with_name("iterate.py")


class Case(NamedTuple):
    """Two commands over one table. Commands are as a shell has them, ``api LIBRARY NOUN`` is iterate.py."""

    table: str
    ours: str
    peer: str
    goal: float | None = None
    name: str = ""


class Series(NamedTuple):
    """A command whose time is taken at growing sizes of a table."""

    table: str
    command: str


class Scale(NamedTuple):
    """Rows of each table for the comparisons, and for the growth of each."""

    rows: dict[str, int]
    growth: dict[str, tuple[int, ...]]
    seconds: float


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
        },
        dict.fromkeys((*TABLES, *OTHER_TABLES), (50, 100)),
        0.0,
    ),
    "default": Scale(_ROWS, dict.fromkeys(TABLES, (1_000, 10_000, 100_000)) | OTHER_TABLES, 6.0),
    "large": Scale(_ROWS, dict.fromkeys(TABLES, (1_000, 10_000, 100_000, 1_000_000)) | OTHER_TABLES, 10.0),
}

CASES = (
    Case("idle", "netinspect sockets -tan", "python -c pass", 4, "start-up: TCP sockets of an idle namespace"),
    Case("idle", "netinspect sockets -uan", "python -c pass", 4, "start-up: UDP sockets of an idle namespace"),
    Case("idle", "netinspect routes -n", "python -c pass", 4, "start-up: routes of an idle namespace"),
    Case("sockets", "netinspect sockets -tan", "ss -Htan", 0.75),
    Case("sockets", "netinspect netstat -tan", "netstat -tan", 0.42),
    Case("sockets", "netinspect sockets -tanp", "ss -Htanp", 0.5),
    Case("sockets", "netinspect netstat -tanp", "netstat -tanp", 0.5),
    Case("sockets", "netinspect sockets -tani", "ss -Htani", 0.9),
    Case("sockets", "netinspect sockets -tanm", "ss -Htanm"),
    Case("sockets", "netinspect sockets -tano", "ss -Htano"),
    Case("sockets", "netinspect sockets -tane", "ss -Htane"),
    Case("sockets", "netinspect sockets -ta --format ndjson", "ss -Htan", 1.2),
    Case("sockets", "netinspect sockets -ta --format json", "ss -Htan"),
    Case("sockets", "netinspect sockets -ta --format csv", "ss -Htan"),
    Case("sockets", "netinspect sockets -tai --format ndjson", "ss -Htani"),
    Case(
        "sockets", "netinspect sockets -tan 'sport < 36000'", "ss -Htan 'sport < 36000'", None, "filter in the kernel"
    ),
    Case("sockets", "netinspect sockets -tan --sort local_port", "ss -Htan", None, "sorted"),
    Case("sockets", "netinspect sockets -tas", "ss -Htan", None, "counts alone"),
    Case("sockets", "api netinspect sockets", "api pyroute2 sockets", 0.05),
    Case("sockets", "api netinspect sockets", "api psutil sockets"),
    Case("peers", "netinspect sockets -tan", "ss -Htan", None, "each connection from another address"),
    Case("peers", "netinspect netstat -tan", "netstat -tan", None, "each connection from another address"),
    Case("peers", "netinspect sockets -ta --format ndjson", "ss -Htan", None, "each connection from another address"),
    Case("processes", "netinspect sockets -tanp", "ss -Htanp", None, "many small processes"),
    Case("processes", "netinspect netstat -tanp", "netstat -tanp", None, "many small processes"),
    Case("routes", "netinspect routes -n", "ip route", 0.9),
    Case("routes", "netinspect netstat -rn", "netstat -rn", 0.7),
    Case("routes", "netinspect routes -j", "ip -j route", 1.0),
    Case("routes", "api netinspect routes", "api pyroute2 routes", 0.05),
    Case("routes6", "netinspect routes -6n", "ip -6 route", 1.0),
    Case("routes6", "netinspect netstat -6rn", "netstat -6rn"),
    Case("routes", "netinspect routes -4n root 16.5.0.0/16", "ip route list root 16.5.0.0/16", None, "a few of many"),
    Case("mixed", "netinspect routes -4n", "ip route", None, "routes of many shapes"),
    Case("mixed", "netinspect routes -4 --format ndjson", "ip -j route", None, "routes of many shapes"),
    Case("mixed", "netinspect netstat -rn", "netstat -rn", None, "routes of many shapes"),
    Case("links", "netinspect links", "ip -s link", 1.5),
    Case("links", "netinspect netstat -i", "netstat -i"),
    Case("links", "netinspect addresses", "ip address"),
    Case("links", "netinspect groups", "ip maddress"),
    Case("flows", "netinspect conntrack -n", "conntrack -L", 0.9),
    Case("flows", "netinspect conntrack --format ndjson", "conntrack -L -o xml"),
    Case("flows", "api netinspect flows", "api pyroute2 flows", 0.05),
)

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
