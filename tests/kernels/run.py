"""The suite on other kernels: ``python tests/kernels/run.py --kernel 6.12 tests/nouns/links``.

What is skipped in a guest is compared with skips/KERNEL.txt, so that no skip creeps in; --accept writes that list anew
for the files that were run, and docs/kernels.md.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import choice
import guest
import made
import packages
import programs
import table

LISTS = guest.HERE / "skips"
SECONDS = 3600.0
GUESTS = 3
"""On two processors: two guests of user-mode-linux leave a third of them idle."""
_ended = False
_WHOLE = (0, 1, 5)
"""How pytest ends where a file came to its end: all passed, some failed, there were none."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--kernel",
        action="append",
        choices=(*made.KERNELS, made.HOST),
        help="all of them by default, but for host, which is this machine without a guest",
    )
    parser.add_argument("--guests", type=int, default=GUESTS, help=f"how many at once (default: {GUESTS})")
    parser.add_argument("--accept", action="store_true", help="write the list of skips and docs/kernels.md anew")
    parser.add_argument("--out", type=Path, help="keep what each guest wrote in this directory")
    parser.add_argument("parts", nargs="*", help="files and directories of tests, or smoke; all by default")
    options = parser.parse_args()
    # Guests end with us, whatever ends us.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _end)
    # Guests write nothing here: what is not compiled they compile anew for each program.
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "netinspect", "netns-lab", "tests"], cwd=guest.TREE, check=True
    )
    bad = 0
    try:
        programs.make(made.CACHE)
    except packages.Missing as error:
        print(f"programs that this machine lacks: {error}", file=sys.stderr)
        bad += 1
    there = [name for name in made.KERNELS if name != made.BUILT or made.built().exists()]
    kernels = []
    for version in options.kernel or there:
        try:
            made.release(version)
            kernels.append(version)
        except packages.Missing as error:
            print(f"{version}: {error}", file=sys.stderr)
            bad += 1
    place = Path(tempfile.mkdtemp(prefix="netinspect-guests-")) if options.out is None else options.out.resolve()
    try:
        # The guests of the next kernel begin as soon as one of this kernel's has ended.
        with ThreadPoolExecutor(options.guests) as pool:
            runs = [_Kernel(version, options, place, pool) for version in kernels]
            bad += sum(run.report(options.accept) for run in runs)
    finally:
        if options.out is None:
            shutil.rmtree(place, ignore_errors=True)
    return bad > 0


def _end(number: int, _: object) -> None:
    global _ended
    _ended = True
    guest.end_all()
    raise SystemExit(128 + number)


def _files(version: str, parts: Sequence[str]) -> list[str]:
    """The files of tests of these parts, by default all that may differ from kernel to kernel."""
    if not parts:
        return choice.files_for(version, guest.TREE)
    named = [path for part in parts for path in (choice.SMOKE if part == "smoke" else [Path(part).resolve()])]
    return [*dict.fromkeys(name for path in named for name in choice.below(guest.TREE, path))]


class _Kernel:
    """The files on one kernel, shared among its guests."""

    def __init__(self, version: str, options: argparse.Namespace, place: Path, pool: ThreadPoolExecutor) -> None:
        files = _files(version, options.parts)
        guests = 1 if version == made.HOST else options.guests
        self.version = version
        self.files = files
        self._place = place
        self._began = 0.0
        shares = [share for n in range(guests) if (share := files[n::guests])]
        self._parts = [pool.submit(self._run, share, n) for n, share in enumerate(shares)]

    def _run(self, share: list[str], number: int) -> list[dict[str, Any]]:
        if _ended:
            return []
        self._began = self._began or time.monotonic()
        return _share(self.version, share, self._place / f"{self.version}-{number}")

    def report(self, accept: bool) -> int:
        """Waits for its guests and shows what came of the tests; returns how much is wrong."""
        results = [line for part in self._parts for line in part.result()]
        version, files = self.version, self.files
        found = self._place / f"{version}-0" / "capabilities"
        capabilities = json.loads(found.read_text()) if found.exists() else []
        tests = [line for line in results if "test" in line]
        failed = [line for line in tests if line["outcome"] == "failed"]
        for line in failed:
            print(f"==== {version}: {line['test']}\n{line['reason']}")
        ended = {line["file"]: line["status"] for line in results if "file" in line}
        broken = [name for name in files if ended.get(name) not in _WHOLE]
        for name in broken:
            print(f"{version}: {name} did not come to its end")
        skips = {line["test"]: " ".join(line["reason"].split()) for line in tests if line["outcome"] == "skipped"}
        crept = _compare(version, {name for name in files if name not in broken}, skips, accept=accept)
        if accept and capabilities:
            table.keep(version, made.release(version), capabilities, _by_file(files, tests, broken))
        print(
            f"{version}: {sum(line['outcome'] == 'passed' for line in tests)} passed, {len(failed)} failed, "
            f"{len(skips)} skipped in {len(files)} files, {time.monotonic() - self._began:.0f} s",
            flush=True,
        )
        return len(failed) + len(broken) + crept


def _by_file(files: list[str], tests: list[dict[str, Any]], broken: list[str]) -> dict[str, dict[str, int]]:
    counts = {name: {"passed": 0, "skipped": 0, "failed": 0, "not ended": int(name in broken)} for name in files}
    for line in tests:
        counts[line["test"].split("::")[0]][line["outcome"]] += 1
    return counts


def _share(version: str, files: list[str], out: Path) -> list[dict[str, Any]]:
    """Runs files in a guest. What it dies of, or hangs in, and what it did not come to run in a plain one, once."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "results").write_text("")
    for plain in (False, True):
        ended = {line["file"] for line in _lines(out) if line.get("status") in _WHOLE}
        left = [name for name in files if name not in ended]
        if _ended or (not left and (out / "capabilities").exists()):
            break
        fast = [name for name in left if name not in choice.HANGS]
        if plain and fast:
            print(f"{version}: once more: {' '.join(fast)}", file=sys.stderr)
        (out / "files").write_text("\n".join(left if plain else fast))
        status = guest.run(version, ".venv/bin/python tests/kernels/inside.py", out, seconds=SECONDS, plain=plain)
        if status is None and not _ended:
            print(f"{version}: a guest died: {_last(out / 'console')}", file=sys.stderr)
    # Of a file that ran twice, the outcomes of the second time count.
    return list({line.get("test") or line["file"]: line for line in _lines(out)}.values())


def _lines(out: Path) -> list[dict[str, Any]]:
    lines = (out / "results").read_text(encoding="utf-8", errors="replace").splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]


def _last(console: Path) -> str:
    return " / ".join(console.read_text(errors="replace").splitlines()[-3:])


def _compare(version: str, files: set[str], skips: dict[str, str], *, accept: bool) -> int:
    """Holds the skips of these files against the list; returns how many are not on it, or on it without need."""
    path = LISTS / f"{version}.txt"
    known = dict(line.split("  # ", 1) for line in path.read_text().splitlines()) if path.exists() else {}
    here = {test: reason for test, reason in known.items() if test.split("::")[0] in files}
    if accept:
        elsewhere = known.keys() - here.keys()
        kept = {test: known[test] for test in elsewhere if choice.is_of_kernels(test.split("::")[0])} | skips
        path.write_text("".join(f"{test}  # {kept[test]}\n" for test in sorted(kept)))
        return 0
    for test in sorted(skips.keys() - here.keys()):
        print(f"{version}: a new skip: {test}: {skips[test]}")
    for test in sorted(here.keys() - skips.keys()):
        print(f"{version}: no longer skipped (--accept writes the list anew): {test}")
    return len(skips.keys() ^ here.keys())


if __name__ == "__main__":
    sys.exit(main())
