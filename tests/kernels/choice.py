"""Which tests are run on other kernels."""

from __future__ import annotations

from pathlib import Path

import s390x

_OF_NO_KERNEL = (
    "api/test_tabular.py api/test_typed_api.py completion engine/containers/test_engines.py engine/test_calls.py "
    "engine/test_faults.py engine/test_files.py engine/test_names.py engine/test_options.py "
    "engine/test_quoting.py engine/test_rendering.py engine/test_screen.py engine/test_terminal_tables.py "
    "engine/test_text.py engine/test_within.py fuzz kernels lab/test_lab_registry.py lab/test_lab_topology.py "
    "manual netstat/test_netstat_readers.py nouns/path/test_path_words.py nouns/sockets/test_socket_names.py "
    "nouns/sockets/test_sockets_command.py snapshots test_benchmarks.py test_bytecode.py test_docs.py "
    "test_examples.py test_readme.py test_schemas.py test_script.py test_signals.py test_startup.py "
    "test_structure.py testing/test_testing_plugin.py top/test_live.py top/test_live_screen.py top/test_model.py"
)
"""Shells, terminals, files, texts, signals, the package and its documents: they are the same on every kernel."""
HANGS = ("tests/nouns/routing/test_routes_churn.py",)
"""What hangs a guest whose programs come to their kernel by seccomp: two processes take turns for ever."""
SMOKE = (
    "tests/nouns/capabilities/test_capabilities.py",
    "tests/nouns/links/test_links.py",
    "tests/nouns/links/test_link_kinds.py",
    "tests/nouns/routing/test_rules.py",
    "tests/nouns/routing/test_neighbours.py",
    "tests/nouns/routing/test_route_refusals.py",
    "tests/nouns/sockets/test_inet_diag.py",
    "tests/nouns/sockets/test_other_diag.py",
    "tests/netstat/test_netstat_layout.py",
)
"""What `make test-kernels PART=smoke` runs: each noun's listing against other programs, in minutes."""


def is_of_kernels(file: str) -> bool:
    """Whether what a file of tests finds may differ from kernel to kernel."""
    names = (f"tests/{part}" for part in _OF_NO_KERNEL.split())
    return not any(file == name or file.startswith(f"{name}/") for name in names)


def below(tree: Path, part: str | Path) -> list[str]:
    """The files of tests that a path stands for, in order: those below a directory, or itself."""
    path = tree / part
    found = sorted(path.rglob("test_*.py")) if path.is_dir() else [path]
    return [str(file.relative_to(tree)) for file in found]


def files_for(kernel: str, tree: Path) -> list[str]:
    """The files of tests that are run on a kernel by default: on s390x, which is emulated, a part of them."""
    parts = s390x.PARTS if kernel == s390x.NAME else ("",)
    return [name for part in parts for name in below(tree, f"tests/{part}") if is_of_kernels(name)]
