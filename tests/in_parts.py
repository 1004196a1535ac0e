"""The suite in two processes side by side, for two processors (`make test`): each is pytest with some of the paths.

Each has namespaces of its own, so that no test sees what the other part does. What all processes of a machine share is
in one part: the labs with their registry, orphans and signals, and packets that the kernel drops.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent
FIRST = {
    *("lab", "nouns/drops", "nouns/nat", "nouns/path", "snapshots", "testing", "waiting"),
    *("test_examples.py", "test_readme.py", "test_signals.py"),
}
"""About as much work as all the others, of which there may come more."""


def entries() -> list[str]:
    """The directories and files that have tests."""
    found = [path for path in TESTS.iterdir() if path.is_dir() and path.name != "nouns"]
    found += [path for path in (TESTS / "nouns").iterdir() if path.is_dir()]
    found = [path for path in found if any(path.rglob("test_*.py"))]
    found += [*TESTS.glob("test_*.py"), *(TESTS / "nouns").glob("test_*.py")]
    return sorted(str(path.relative_to(TESTS)) for path in found)


def main(options: list[str]) -> int:
    """Runs both parts, with these options for each. The exit status of one that failed, else 0."""
    every = entries()
    parts = [[entry for entry in every if (entry in FIRST) == first] for first in (True, False)]
    command = [sys.executable, "-m", "pytest", *options]
    with tempfile.TemporaryFile() as kept:
        commands = [
            [*command, "-o", f"cache_dir=.pytest_cache/{number}", *(str(TESTS / entry) for entry in part)]
            for number, part in enumerate(parts)
        ]
        other = subprocess.Popen(commands[1], stdout=kept, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            status = subprocess.run(commands[0], stdin=subprocess.DEVNULL).returncode
            status = other.wait() or status
        except BaseException:
            other.terminate()
            other.wait()
            raise
        kept.seek(0)
        sys.stdout.flush()
        while part := kept.read(1 << 16):
            os.write(1, part)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
