"""docs/kernels.md: what each kernel has and how the suite ended there, of results.json, which the runs keep."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import choice
import guest

RESULTS = guest.HERE / "results.json"
DOCUMENT = guest.TREE / "docs" / "kernels.md"
HEAD = """\
# Kernels

`make test-kernels` runs the suite on other kernels, in guests of user-mode-linux, and on s390x, which is big-endian, in
qemu (see [testing](testing.md)). `tests/kernels/run.py --accept` makes this page of the results: do not edit it.

## Features

The output of `netinspect capabilities` in each guest, as root, with the modules loaded, and accounting and timestamps
on. If a kernel lacks a feature, the table names its option. 6.1-net is the kernel of `make kernel`, host
the machine of the run.
"""
TESTS = """
## The suite

Tests that passed, and those skipped because the kernel lacks the feature: `tests/kernels/skips/` lists the reasons.
What says nothing of a kernel (shells, terminals, the package) is not run there, and on s390x, which is emulated, only
the decoders and each noun's listing are.
"""


def read() -> dict[str, Any]:
    """By kernel: release, capabilities, and outcomes of tests by file."""
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return found


def keep(version: str, release: str, capabilities: list[dict[str, Any]], tests: dict[str, dict[str, int]]) -> None:
    """Puts in what a run has found, and writes the page anew."""
    results = read()
    one = results.setdefault(version, {"tests": {}})
    one["release"] = release
    one["capabilities"] = {f"{row['view']}: {row['name']}": _cell(row) for row in capabilities}
    one["tests"] |= tests
    ordered = dict(
        sorted(results.items(), key=lambda item: [int(part) for part in re.findall(r"\d+", item[1]["release"])])
    )
    RESULTS.write_text(json.dumps(ordered, indent=1, sort_keys=False) + "\n")
    DOCUMENT.write_text(_page(ordered))


def _cell(row: dict[str, Any]) -> str:
    if row["state"] == "yes":
        return "works"
    option = re.search(r"CONFIG_\w+|(until )?Linux [\d.]+", f"{row['evidence']} {row['remedy']} {row['lost']}")
    if row["state"] == "partial":
        return f"in part ({option[0]})" if option else "in part"
    return f"not in this kernel ({option[0]})" if option else f"{row['state']}: {row['evidence']}"


def _page(results: dict[str, Any]) -> str:
    features = dict.fromkeys(feature for one in results.values() for feature in one["capabilities"])
    rows = [[feature, *(one["capabilities"].get(feature, "-") for one in results.values())] for feature in features]
    kernels = [f"{name} ({one['release']})" for name, one in results.items()]
    page = HEAD + _table(["", *kernels], rows)
    files = {kernel: choice.files_for(kernel, guest.TREE) for kernel in results}
    folders = sorted({str(Path(name).parent) for found in files.values() for name in found})
    rows = [
        [folder, *(_counts(folder, files[kernel], one["tests"]) for kernel, one in results.items())]
        for folder in folders
    ]
    return page + TESTS + _table(["", *kernels], rows)


def _counts(folder: str, files: list[str], tests: dict[str, dict[str, int]]) -> str:
    """The tests of a folder, of the files that are run on a kernel and have been."""
    there = [name for name in files if str(Path(name).parent) == folder]
    run = [tests[name] for name in there if name in tests]
    counts = Counter[str]()
    for found in run:
        counts.update(found)
    words = [f"{number} {outcome}" for outcome, number in counts.items() if number]
    if len(run) < len(there):
        words.append(f"{len(there) - len(run)} of {len(there)} files not run")
    return ", ".join(words) or "-"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n" + "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
