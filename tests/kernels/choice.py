"""Which tests are run on other kernels."""

from __future__ import annotations

from pathlib import Path

_OF_NO_KERNEL = (
    *("tests/kernels", "tests/fuzz", "tests/completion", "tests/manual", "tests/api/test_typed_api.py"),
    *("tests/api/test_tabular.py", "tests/engine/containers/test_engines.py", "tests/engine/test_calls.py"),
    *("tests/engine/test_faults.py", "tests/engine/test_files.py", "tests/engine/test_names.py"),
    *("tests/engine/test_options.py", "tests/engine/test_quoting.py", "tests/engine/test_rendering.py"),
    *("tests/engine/test_screen.py", "tests/engine/test_terminal_tables.py", "tests/engine/test_text.py"),
    *("tests/engine/test_within.py", "tests/lab/test_lab_registry.py", "tests/lab/test_lab_topology.py"),
    *("tests/netstat/test_netstat_readers.py", "tests/nouns/path/test_path_words.py"),
    *("tests/nouns/sockets/test_socket_names.py", "tests/testing/test_testing_plugin.py", "tests/test_benchmarks.py"),
    *("tests/nouns/sockets/test_sockets_command.py", "tests/snapshots", "tests/test_bytecode.py"),
    *("tests/test_docs.py", "tests/test_examples.py", "tests/test_readme.py"),
    *(
        "tests/test_schemas.py",
        "tests/test_script.py",
        "tests/test_signals.py",
        "tests/test_startup.py",
        "tests/test_structure.py",
    ),
    *("tests/top/test_live.py", "tests/top/test_live_screen.py", "tests/top/test_model.py"),
)
"""Shells, terminals, files, texts, signals, the package and its documents: they are the same on every kernel."""
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
    return not any(file == part or file.startswith(f"{part}/") for part in _OF_NO_KERNEL)


def files_of(tree: Path, folder: str = "tests") -> list[str]:
    """The files of tests below a folder that are run by default, in order."""
    found = sorted(str(path.relative_to(tree)) for path in (tree / folder).rglob("test_*.py"))
    return [name for name in found if is_of_kernels(name)]
