"""The suite in processes side by side (`make test`): each is pytest with some of the paths.

They are three for two processors, since tests wait as well. Each has namespaces of its own, so that no test sees what
another part does. What all processes of a machine share is in one part: the labs with their registry, orphans and
signals, and packets that the kernel drops.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

TESTS = Path(__file__).parent
PARTS = (
    {
        "lab",
        "nouns/conntrack",
        "nouns/drops",
        "nouns/groups",
        "nouns/sockets",
        "testing",
        "waiting",
        "test_examples.py",
        "test_readme.py",
        "test_signals.py",
    },
    {"fuzz", "netfilter", "nouns/nat", "nouns/path", "snapshots", "test_structure.py", "top"},
)
"""Each about as much work as all the others, of which there may come more."""


def entries() -> list[str]:
    """The directories and files that have tests."""
    found = [path for path in TESTS.iterdir() if path.is_dir() and path.name != "nouns"]
    found += [path for path in (TESTS / "nouns").iterdir() if path.is_dir()]
    found = [path for path in found if any(path.rglob("test_*.py"))]
    found += [*TESTS.glob("test_*.py"), *(TESTS / "nouns").glob("test_*.py")]
    return sorted(str(path.relative_to(TESTS)) for path in found)


def parts() -> list[list[str]]:
    """The entries of each part, the last with all that the others do not name."""
    every = entries()
    named = [[entry for entry in every if entry in part] for part in PARTS]
    return [*named, [entry for entry in every if not any(entry in part for part in PARTS)]]


def started(command: list[str], output: IO[bytes] | None) -> subprocess.Popen[bytes]:
    """A part that runs."""
    return subprocess.Popen(command, stdout=output, stderr=output and subprocess.STDOUT, stdin=subprocess.DEVNULL)


def main(options: list[str]) -> int:
    """Runs all parts, with these options for each; the output of all but the first comes at the end.

    The exit status of one that failed, else 0."""
    running: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as stack:
        outputs: list[IO[bytes] | None] = [None]
        outputs += [stack.enter_context(tempfile.TemporaryFile()) for _ in PARTS]
        try:
            for number, (part, output) in enumerate(zip(parts(), outputs, strict=True)):
                command = [sys.executable, "-m", "pytest", *options, "-o", f"cache_dir=.pytest_cache/{number}"]
                running.append(started(command + [str(TESTS / entry) for entry in part], output))
            statuses = [process.wait() for process in running]
        except BaseException:
            for process in running:
                process.terminate()
                process.wait()
            raise
        sys.stdout.flush()
        for output in filter(None, outputs):
            output.seek(0)
            while piece := output.read(1 << 16):
                os.write(1, piece)
    return next(filter(None, statuses), 0)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
