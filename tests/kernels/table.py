"""docs/kernels.md: what each kernel has and how the suite ended there, of results.json, which the runs keep."""

from __future__ import annotations

import json
import re
from typing import Any

import guest

RESULTS = guest.HERE / "results.json"
DOCUMENT = guest.TREE / "docs" / "kernels.md"
HEAD = """\
# Kernels

`make test-kernels` runs the suite on other kernels, in guests of user-mode-linux (see [testing](testing.md)). This page
is made by `tests/kernels/run.py --accept` of what came of it: do not edit it.

## What there is

What `netinspect capabilities` tells in each guest, as root, with the modules loaded, and accounting and timestamps
switched on. Where a kernel lacks something, the option that would bring it is named.
"""
TESTS = """
## The suite

Tests that passed, and those skipped since the kernel lacks what they are about: `tests/kernels/skips/` has the reasons.
"""


def read() -> dict[str, Any]:
    """By kernel: release, capabilities, and tests by folder."""
    found: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    return found


def keep(version: str, release: str, capabilities: list[dict[str, Any]], tests: dict[str, dict[str, int]]) -> None:
    """Puts in what a run has found, and writes the page anew."""
    results = read()
    one = results.setdefault(version, {"tests": {}})
    one["release"] = release
    one["capabilities"] = {f"{row['view']}: {row['name']}": _cell(row) for row in capabilities}
    one["tests"] |= tests
    ordered = dict(sorted(results.items(), key=lambda item: [int(part) for part in item[0].split(".")]))
    RESULTS.write_text(json.dumps(ordered, indent=1, sort_keys=False) + "\n")
    DOCUMENT.write_text(_page(ordered))


def _cell(row: dict[str, Any]) -> str:
    if row["state"] == "yes":
        return "works"
    option = re.search(r"CONFIG_\w+", f"{row['evidence']} {row['remedy']}")
    if row["state"] == "partial":
        return f"in part ({option[0]})" if option else "in part"
    return f"not in this kernel ({option[0]})" if option else f"{row['state']}: {row['evidence']}"


def _page(results: dict[str, Any]) -> str:
    features = dict.fromkeys(feature for one in results.values() for feature in one["capabilities"])
    rows = [[feature, *(one["capabilities"].get(feature, "-") for one in results.values())] for feature in features]
    page = HEAD + _table(["", *(one["release"] for one in results.values())], rows)
    folders = sorted({folder for one in results.values() for folder in one["tests"]})
    rows = [[folder, *(_counts(one["tests"].get(folder)) for one in results.values())] for folder in folders]
    return page + TESTS + _table(["", *(one["release"] for one in results.values())], rows)


def _counts(counts: dict[str, int] | None) -> str:
    if counts is None:
        return "not run"
    words = [f"{number} {outcome}" for outcome, number in counts.items() if number]
    return ", ".join(words) or "no tests"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n" + "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)
