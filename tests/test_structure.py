"""The direction of the imports, where numbers and procfs live, and what the hot paths may load."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "netinspect"
MODULES = sorted(PACKAGE.rglob("*.py"))

MAY_IMPORT = {
    "netlink": {"errors", "netlink"},
    "decode": {"errors", "netlink", "batch", "records", "decode", "filters"},
    "records": {"records"},
    "render": {"batch", "records", "render", "errors"},
    "joins": {"batch", "records", "joins", "procfs", "errors", "render"},
    "filters": {"errors", "records", "filters", "decode", "procfs", "joins", "namespaces", "render"},
    "collect": {
        *("errors", "netlink", "decode", "batch", "records", "filters", "joins", "procfs", "namespaces", "collect"),
        "render",
    },
}
"""What each room may touch. ``render`` below the commands is render.text, which makes untrusted text printable."""

HEAVY = frozenset(
    (
        *(
            "argparse",
            "asyncio",
            "collections",
            "contextlib",
            "dataclasses",
            "enum",
            "functools",
            "inspect",
            "ipaddress",
            "json",
        ),
        *("logging", "pathlib", "pyroute2", "re", "scapy", "shutil", "signal", "socket", "subprocess", "tabulate"),
        *("tempfile", "threading", "tokenize", "typing", "weakref"),
    )
)
"""Modules that cost milliseconds to load."""


def imports(path: Path) -> set[str]:
    """The rooms of this package that a module imports when it is loaded or later, but for annotations."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    package = path.relative_to(PACKAGE).parent.parts
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found |= {(*base, *(name or "").split("."))[0] for name in names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0]
    if room in MAY_IMPORT:
        assert imports(path) <= MAY_IMPORT[room] | {"__version__"}


def test_only_render_text_is_used_below_the_commands() -> None:
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] in ("joins", "filters", "collect"):
            assert not re.search(r"from \.+render\.(?!text\b)", path.read_text()), path


def test_attribute_numbers_are_in_decode_alone() -> None:
    name = r"(?:INET_DIAG|UNIX_DIAG|PACKET_DIAG|RTA|CTA|IFLA|IFA|NDA|FRA|NFTA)_[A-Z0-9_]+"
    pattern = re.compile(rf"^ *_?{name}(?:: *\w+)? *= *[0-9]", re.MULTILINE)
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] not in ("decode", "lab"):
            assert not pattern.search(path.read_text()), path


def test_text_procfs_is_read_in_one_module() -> None:
    # Namespaces are links, not text; the lab is no part of looking at anything.
    reads = r"""(?:open|listdir|scandir|stat|readlink|exists|read_text|read_bytes)\([^)\n]*["']/proc/"""
    pattern = re.compile(reads + r"(?!(?:self|thread-self|\{pid\})/ns/)")
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] not in ("procfs.py", "lab", "testing"):
            assert not pattern.search(path.read_text()), path


@pytest.mark.parametrize(
    "arguments",
    [
        ["sockets", "-tan"],
        ["sockets", "-tuanp"],
        ["sockets", "-tanime"],
        ["sockets", "-tas"],
        ["sockets", "-tan", "sport < 36000 and dst 10.0.0.0/8"],
        ["netstat", "-tan"],
        ["netstat", "-tanp"],
        ["sockets", "-ta", "--format", "ndjson"],
        ["routes", "-n"],
        ["netstat", "-rn"],
        ["routes", "-6n"],
        ["links"],
        ["links", "-j"],
        ["netstat", "-i"],
        ["addresses"],
        ["neighbours"],
        ["rules"],
        ["groups"],
        ["conntrack", "-n"],
        ["nat"],
    ],
    ids=" ".join,
)
def test_hot_paths_load_nothing_heavy(arguments: list[str]) -> None:
    program = f"import sys; sys.argv[1:] = {arguments!r}; from netinspect.main import main; main()"
    command = [sys.executable, "-I", "-X", "importtime", "-c", program]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    loaded = [line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if line.startswith("import time:")]
    ours = loaded[loaded.index("site") + 1 :]
    assert "netinspect.main" in ours
    assert HEAVY.isdisjoint(ours), HEAVY.intersection(ours)
