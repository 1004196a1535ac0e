"""The direction of the imports, where numbers and procfs live, and what the hot paths may load."""

from __future__ import annotations

import ast
import marshal
import re
import runpy
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from import_budget import HEAVY, SITE

from netinspect.engine.containers.namespaces import running

PACKAGE = Path(__file__).parent.parent / "netinspect"
MODULES = sorted(PACKAGE.rglob("*.py"))

MOST_MODULES = 35
MOST_BYTES = 403_800
"""Modules of ours that listing a few TCP sockets loads, and their bytecode in Python 3.11."""

PACKAGES = {
    "bytecode": set(),
    "startup": set(),
    "errors": set(),
    "errors_rare": {"errors", "records"},
    "records": {"startup"},
    "uapi": set(),
    "engine": {"startup", "errors", "environment", "records", "uapi", "procfs"},
    "environment": {"errors", "engine"},
    "procfs": {"errors", "uapi", "engine", "nouns"},
    "netfilter": {"startup", "errors", "records", "uapi", "engine", "procfs"},
    "nouns": {"startup", "errors", "environment", "records", "uapi", "engine", "procfs", "netfilter", "", "netstat"},
    "netstat": {"errors", "environment", "records", "uapi", "engine", "procfs", "nouns", ""},
    "lab": {"errors", "environment", "uapi", "engine", "lab_directory"},
    "lab_directory": {"engine", "procfs"},
    "lab_places": {"errors", "lab", "lab_directory"},
    "waiting": {"errors", "environment", "records", "uapi", "engine", "nouns"},
    "snapshots": {"errors", "environment", "records", "uapi", "engine", "nouns", "waiting", ""},
    "top": {"errors", "environment", "records", "engine", "nouns", "manual"},
    "testing": {"errors", "records", "engine", "nouns", "lab", "waiting"},
    "conditions": {"errors", "waiting"},
    "api": {"conditions", "errors", "records", "engine", "nouns", "waiting", "snapshots"},
    "completion": {"errors", "records", "engine", "main", "", "nouns", "manual", "lab_directory", "netstat", "waiting"},
    "manual": {"errors", "environment", "records", "engine", "main", "", "nouns", "lab_directory", "procfs"},
}
"""Which packages a package may import from beside itself. The root, "", has the version.

The lab makes networks and looks at none: `testing` does, by the conditions of `waiting`, in a host's namespace.
"""

BELOW = ("startup", "errors", "records", "uapi", "procfs", "netfilter", "engine")
"""What every layer of a noun may import."""

LAYERS = {
    "request": {"request", "decode", "filter"},
    "decode": {"request", "decode"},
    "counters": {"decode"},
    "names": {"names"},
    "filter": {"request", "decode", "filter"},
    "owners": {"request", "decode", "listing", "owners"},
    "peers": {"owners", "peers"},
    "listing": {"request", "decode", "filter", "names", "owners", "peers", "listing", "counters"},
    "events": {"request", "decode", "filter", "names", "owners", "peers", "listing", "events"},
    # Their evidence is text: rules and routes are written there as everywhere.
    "walk": {"request", "decode", "filter", "names", "owners", "listing", "walk", "render"},
    "diagnose": {"request", "decode", "filter", "names", "owners", "listing", "walk", "diagnose", "render"},
    "render": {"render"},
}
"""What the layers of nouns may import of nouns; the first word of a module's name is its layer.

``command`` may import every layer.
"""


def name_of(path: Path) -> str:
    """The dotted name of a module within the package; that of a package has no more than its folders."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip(".")


def imports(path: Path) -> set[str]:
    """The modules of this package that a module imports when it is loaded or later, except annotations."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = [ast.Pass()]
    package = path.relative_to(PACKAGE).parent.parts
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join((*package[: len(package) - node.level + 1], *filter(None, [node.module])))
            for alias in node.names:
                inside = f"{base}.{alias.name}".lstrip(".")
                found.add(inside if inside in NAMES else base)
    return found


NAMES = {name_of(path): path for path in MODULES}
IMPORTS = {name: imports(path) for name, path in NAMES.items()}


def layer_of(name: str) -> str | None:
    """The layer of a noun's module, as ``decode`` of ``nouns.links.decode_kinds``; None for what is of no noun."""
    parts = name.split(".")
    return parts[-1].partition("_")[0] if parts[0] == "nouns" and len(parts) > 2 else None


def test_every_package_is_known() -> None:
    assert {name.partition(".")[0] for name in NAMES} - {"", "main", "start", "__main__"} <= set(PACKAGES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_packages_import_in_one_direction(name: str) -> None:
    package = name.partition(".")[0]
    if package in PACKAGES:
        assert {other.partition(".")[0] for other in IMPORTS[name]} <= {package, *PACKAGES[package]}


@pytest.mark.parametrize("name", sorted(name for name in NAMES if layer_of(name)))
def test_layers_of_nouns_import_one_way(name: str) -> None:
    layer = layer_of(name)
    if layer == "command":
        return
    assert layer in LAYERS, f"no layer is called {layer!r}"
    for other in IMPORTS[name]:
        if other.partition(".")[0] in BELOW:
            continue
        assert layer_of(other) in LAYERS[layer], other


def test_nothing_but_commands_imports_a_command() -> None:
    for name, others in IMPORTS.items():
        if name.rpartition(".")[2].partition("_")[0] in ("command", "main", ""):
            continue
        commands = {other for other in others if other.rpartition(".")[2].partition("_")[0] == "command"}
        assert commands <= {"engine.command"}, name


def test_no_import_escapes_these_tests() -> None:
    # They follow relative imports: none may be written another way, except by tables of what a name loads.
    by_name = {"main", "errors", "records", "api", "engine.output", "lab.traffic"}
    for name, path in NAMES.items():
        if name == "start":  # it is run as a file
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not any(alias.name.partition(".")[0] == "netinspect" for alias in node.names), name
            elif isinstance(node, ast.ImportFrom) and not node.level:
                assert (node.module or "").partition(".")[0] != "netinspect", name
            elif isinstance(node, ast.Name) and node.id in ("__import__", "import_module"):
                assert name in by_name, name


def test_the_module_of_a_nouns_folder_imports_nothing() -> None:
    # It is loaded with each module of the folder, whatever the layer.
    for name, others in IMPORTS.items():
        if re.fullmatch(r"nouns(\.\w+)?|netfilter|uapi|engine", name) and NAMES[name].name == "__init__.py":
            assert not others, name


def test_no_modules_import_each_other_in_a_circle() -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name in done:
            return
        for other in IMPORTS.get(name, ()):
            # A package's own module imports nothing but what it re-exports.
            if other not in (name, ""):
                visit(other, (*path, name))
        done.add(name)

    for name in NAMES:
        visit(name, ())


def test_attribute_numbers_are_in_decoders_alone() -> None:
    name = r"(?:INET_DIAG|UNIX_DIAG|PACKET_DIAG|RTA|CTA|IFLA|IFA|NDA|FRA|NFTA)_[A-Z0-9_]+"
    pattern = re.compile(rf"^ *_?{name}(?:: *\w+)? *= *[0-9]", re.MULTILINE)
    for module, path in NAMES.items():
        package, layer = module.partition(".")[0], layer_of(module)
        if layer not in ("request", "decode") and package not in ("uapi", "engine", "lab", "netfilter"):
            assert not pattern.search(path.read_text()), path


def test_only_the_live_view_knows_textual() -> None:
    imported = re.compile(r"^ *(?:from|import) (?:textual|rich)\b", re.MULTILINE)
    knowing = {name for name, path in NAMES.items() if imported.search(path.read_text())}
    assert knowing
    assert {name.rpartition(".")[0] for name in knowing} == {"top.view"}
    # The model knows nothing of how it is shown.
    for name, others in IMPORTS.items():
        if name.partition(".")[0] == "top" and not name.startswith(("top.view", "top.command")):
            assert not any(other.startswith("top.view") for other in others), name


def test_text_procfs_is_read_in_one_module() -> None:
    # Namespaces are links, not text; the lab is no part of looking at anything.
    reads = r"""(?:open|listdir|scandir|stat|readlink|exists|read_text|read_bytes)\([^)\n]*["']/proc/"""
    pattern = re.compile(reads + r"(?!(?:self|thread-self|\{pid\})/ns/)")
    for path in MODULES:
        if path.relative_to(PACKAGE).parts[0] not in ("bytecode.py", "procfs.py", "lab", "testing"):
            assert not pattern.search(path.read_text()), path


def loaded_by(arguments: list[str]) -> list[str]:
    """What a command line loads, from the command's own start on."""
    # As the script netinspect does it, without the module site, so that what that would load counts as ours.
    start = f"import sys; sys.path.append({str(PACKAGE.parent)!r}); sys.argv[1:] = {arguments!r}"
    command = [sys.executable, "-IS", "-X", "importtime", "-c", f"{start}; from netinspect.main import main; main()"]
    # A thread loads the decoder, which the end cuts short where there is no socket to decode.
    with socket.create_server(("127.0.0.1", 0)):
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    loaded = [line.rpartition("|")[2].strip() for line in result.stderr.splitlines() if line.startswith("import time:")]
    ours = loaded[loaded.index("netinspect") :]
    assert "netinspect.main" in ours
    return ours


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
    ours = loaded_by(arguments)
    # Of an empty table it is to be said whether anything is tracked at all, for which rules may be read, by ctypes.
    # So it is asked whether threads of a process share their descriptors.
    heavy = HEAVY - SITE if arguments[0] in ("conntrack", "nat") or arguments[1:] in (["-tuanp"], ["-tanp"]) else HEAVY
    assert heavy.isdisjoint(ours), heavy.intersection(ours)

    if arguments == ["sockets", "-tan"]:
        # Two threads that import a module at once are two lines of importtime, and one module.
        _is_within_budget(list(dict.fromkeys(name for name in ours if name.split(".")[0] == "netinspect")))


TOML = frozenset(("collections", "contextlib", "enum", "functools", "re", "typing"))
"""What tomllib loads: meanings of drop reasons are TOML."""


@pytest.mark.parametrize(
    ("arguments", "most", "heavy"),
    [
        (["path", "127.0.0.1", "127.0.0.1:9"], 145, frozenset()),
        (["drops", "--for", "0.05"], 100, TOML),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_large_commands_load_what_they_need(arguments: list[str], most: int, heavy: frozenset[str]) -> None:
    ours = loaded_by(arguments)
    if running():  # namespaces of containers are called by names that engines give in JSON
        heavy |= TOML | {"json"}
    assert (HEAVY - SITE) & set(ours) <= heavy
    assert len({name for name in ours if name.partition(".")[0] == "netinspect"}) <= most


def _is_within_budget(modules: Sequence[str]) -> None:
    """Each module costs 0.1 ms however small it is, as much as 10 KB of bytecode that are read and run."""
    paths = [PACKAGE.parent.joinpath(*name.split(".")) for name in modules]
    sources = [(path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text() for path in paths]
    size = sum(len(marshal.dumps(compile(source, "", "exec"))) for source in sources)
    assert len(modules) <= MOST_MODULES, sorted(modules)
    assert size <= MOST_BYTES or sys.version_info >= (3, 12), size


KERNEL_NUMBER = re.compile(
    "_?(?:AF|NLM_F|NLMSG|NLMSGERR|NLA|RTM|RTA|RTNL|IFLA|IFA|NDA|NDTA|FRA|NHA|MDBA|IPMRA|NETNSA|CTA|IPCTNL|NFNL|NFT|NFTA"
    "|(?:INET|UNIX|PACKET|NETLINK|VSOCK|XDP)_DIAG)_[A-Z0-9_]+"
)


def test_each_number_of_the_kernel_is_written_once_in_uapi() -> None:
    seen: dict[str, str] = {}
    twice = []
    for path in MODULES:
        package = path.relative_to(PACKAGE).parts[0]
        for statement in ast.parse(path.read_text()).body:
            targets = statement.targets if isinstance(statement, ast.Assign) else []
            names = [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            value = statement.value if isinstance(statement, ast.Assign) else None
            numbers = value.elts if isinstance(value, ast.Tuple) else [value]
            if not all(isinstance(number, ast.Constant) and isinstance(number.value, int) for number in numbers):
                continue
            for name in filter(KERNEL_NUMBER.fullmatch, names):
                where = name_of(path)
                if package != "uapi" or name in seen:
                    twice.append(f"{name} in {where} {seen.get(name, '')}")
                seen[name] = where
    assert not twice


def test_only_the_engine_asks_which_kind_a_column_is() -> None:
    kinds = re.compile(r"isinstance\([^)]*\b(?:Constant|Array|Plain|Coded|Nested)\b")
    assert [name_of(path) for path in MODULES if kinds.search(path.read_text())] == []


def test_each_test_is_in_one_part_of_the_suite() -> None:
    tests = PACKAGE.parent / "tests"
    suite = runpy.run_path(str(tests / "in_parts.py"))
    every = set(suite["entries"]())
    assert all(part < every for part in suite["PARTS"])
    assert sorted(entry for part in suite["parts"]() for entry in part) == sorted(every)
    for file in tests.rglob("test_*.py"):
        path = file.relative_to(tests)
        assert sum(str(at) in every for at in (path, *path.parents)) == 1, path
