"""Fuzzes every decoder, parser and reader of files: `make fuzz SECONDS=60`, or `python tests/fuzz/run.py TARGET …`.

With atheris (the extra ``fuzz``) inputs are led by what code they reach; without it they are made of the corpus at
random. Each target has a process of its own, so that memory and time are its own. An input that leads to anything but
records or NetinspectError is written to the directory that ``--faults`` names, and the run fails. At the end there is,
for each target: inputs, the slowest of them, and the memory that grew.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import os
import resource
import subprocess
import sys
import time
import traceback
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "support"), str(HERE.parent.parent)]

SLOWEST, SLOWEST_COMMAND = 0.1, 0.5
"""Seconds that no input may take: a command also asks the real machine, as for what its kernel was built with."""
_MEMORY = 2 << 30


class Run:
    """One target's run: what it read, and what was wrong."""

    def __init__(self, name: str, seconds: float, faults: Path, seed: int) -> None:
        from fuzz_inputs import seeds
        from fuzz_targets import MESSAGES, TARGETS

        self.name = name
        self.limit = SLOWEST_COMMAND if name == "commands" else SLOWEST
        self.until = time.monotonic() + seconds
        self.faults = faults
        self.messages = name in MESSAGES
        self.read = TARGETS[name].read
        self.seeds = seeds(name) or [b""]
        self.random = Random(seed)
        self.inputs = self.refused = self.wrong = 0
        self.slowest = 0.0
        self.kinds: set[str] = set()
        self.memory = 0

    def one(self, data: bytes) -> None:
        """Reads one input."""
        from netinspect.errors import NetinspectError

        self.inputs += 1
        began = time.process_time()
        try:
            self.read(data)
        except NetinspectError:
            self.refused += 1
        except Exception:
            self._keep(data, traceback.format_exc())
        took = time.process_time() - began
        if took > self.slowest:
            if took > self.limit:
                # Whatever came between, such as a collection of garbage, does not come twice.
                gc.collect()
                began = time.process_time()
                try:
                    self.read(data)
                except Exception:
                    pass
                took = min(took, time.process_time() - began)
                if took > self.limit:
                    self._keep(data, f"{took:.3f} s for {len(data)} bytes")
            self.slowest = max(self.slowest, took)
        if self.inputs == 2000:
            self.memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def _keep(self, data: bytes, why: str) -> None:
        self.wrong += 1
        kind = "".join(why.splitlines()[-3:])[-400:]
        if kind in self.kinds or len(self.kinds) >= 20:
            return
        self.kinds.add(kind)
        self.faults.mkdir(parents=True, exist_ok=True)
        path = self.faults / f"{self.name}-{len(self.kinds)}"
        path.write_bytes(data)
        path.with_suffix(".txt").write_text(why)

    def report(self) -> dict[str, object]:
        """The figures."""
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - self.memory if self.memory else 0
        return {
            "target": self.name,
            "inputs": self.inputs,
            "refused": self.refused,
            "wrong": self.wrong,
            "slowest_ms": round(self.slowest * 1000, 2),
            "grown_kib": grown,
        }

    def _watch(self) -> None:
        """Ends the process where an input hangs, and shows where that is."""
        faulthandler.dump_traceback_later(2 * max(self.until - time.monotonic(), 0) + 30, exit=True)

    def at_random(self) -> None:
        """Until the time is over: inputs made of the corpus."""
        from fuzz_inputs import mutated_message, mutated_text

        make = mutated_message if self.messages else mutated_text
        for seed in self.seeds:
            self.one(seed)
        self.slowest = 0.0  # the first inputs load modules
        self._watch()
        while time.monotonic() < self.until:
            for _ in range(100):
                self.one(make(self.random, self.seeds))

    def guided(self, scratch: Path) -> None:
        """Until the time is over: inputs that reach new code. Ends the process."""
        began = time.monotonic()
        import atheris
        from fuzz_inputs import mutated_message

        with atheris.instrument_imports(include=["netinspect"], enable_loader_override=False):
            for name in [name for name in sys.modules if name.startswith("netinspect")]:
                del sys.modules[name]
            for name in ("fuzz_targets", "fuzz_readers", "fuzz_commands"):  # they have modules of before
                sys.modules.pop(name, None)
            from fuzz_targets import TARGETS

            self.read = TARGETS[self.name].read
            for seed in self.seeds:
                self.one(seed)  # what is loaded when it is first needed is instrumented too
        self.slowest = 0.0
        self.until += time.monotonic() - began
        self._watch()
        directory = scratch / self.name
        directory.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(self.seeds):
            (directory / f"seed-{number}").write_bytes(seed)

        def mutate(data: bytes, size: int, seed: int) -> bytes:
            random = Random(seed)
            if self.messages and len(data) >= 20 and random.random() < 0.5:
                return mutated_message(random, [data, *self.seeds])[:size]
            made: bytes = atheris.Mutate(data, size)
            return made

        def one(data: bytes) -> None:
            self.one(data)
            if time.monotonic() > self.until:
                print(json.dumps(self.report()), flush=True)
                os._exit(0)

        arguments = [
            sys.argv[0],
            str(directory),
            "-max_len=65536",
            "-rss_limit_mb=2048",
            "-verbosity=0",
            "-print_final_stats=0",
        ]
        atheris.Setup(arguments, one, custom_mutator=mutate)
        atheris.Fuzz()


def run_one(name: str, seconds: float, faults: Path, seed: int, scratch: Path | None) -> None:
    """One target, in this process."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY * 4, _MEMORY * 4))
    run = Run(name, seconds, faults, seed)
    if scratch is not None:
        run.guided(scratch)
    else:
        run.at_random()
        print(json.dumps(run.report()), flush=True)


def main() -> int:
    """Runs the targets one after the other; 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", help="all of them by default")
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--faults", type=Path, default=Path("fuzz-faults"))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--plain", action="store_true", help="at random, even where there is atheris")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    from fuzz_targets import TARGETS

    names = options.targets or list(TARGETS)
    try:
        import atheris  # noqa: F401
    except ImportError:
        options.plain = True
    scratch = None if options.plain else options.faults / "corpus"
    each = options.seconds / len(names)
    if options.alone:
        run_one(names[0], options.seconds, options.faults, options.seed, scratch)
        return 0
    way = "at random" if options.plain else "by coverage"
    print(f"{len(names)} targets, {each:.1f} s each, {way}, seed {options.seed}")
    total = wrong = 0
    slowest = 0.0
    for name in names:
        arguments = [
            sys.executable,
            __file__,
            "--alone",
            f"--seconds={each}",
            f"--faults={options.faults}",
            f"--seed={options.seed}",
        ]
        done = subprocess.run(
            [*arguments, *(["--plain"] if options.plain else []), name],
            capture_output=True,
            text=True,
            check=False,
            timeout=each * 3 + 600,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if not lines:
            wrong += 1
            print(f"{name}: no report, status {done.returncode}\n{done.stderr[-2000:]}")
            continue
        report = json.loads(lines[-1])
        total += report["inputs"]
        wrong += report["wrong"]
        slowest = max(slowest, report["slowest_ms"])
        print(" ".join(f"{key}={value}" for key, value in report.items()), flush=True)
    print(f"{total} inputs, slowest {slowest} ms, {wrong} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
