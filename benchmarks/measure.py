"""What commands cost, side by side: whole processes, started in turns, so that both meet the same machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from netinspect.lab import Host

LAUNCHER = Path(__file__).with_name("launcher.py")

FEWEST_PAIRS, MOST_PAIRS = 3, 31
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Cost(NamedTuple):
    """What one run of a command took: seconds, and KiB at its peak."""

    wall: float
    user: float
    system: float
    memory: int


class Comparison(NamedTuple):
    """Runs of two commands in turns."""

    ours: list[Cost]
    peer: list[Cost]

    @property
    def ratios(self) -> list[float]:
        """Wall time of ours for that of the peer, for each pair."""
        return [ours.wall / peer.wall for ours, peer in zip(self.ours, self.peer, strict=True)]

    @property
    def ratio(self) -> float:
        return median(self.ratios)

    @property
    def best_ratio(self) -> float:
        """The quickest run of ours for the quickest of the peer: what a busy machine disturbs least."""
        return min(self.ours).wall / min(self.peer).wall

    @property
    def processor_ratio(self) -> float:
        """User and system time instead of wall time."""
        return typical(self.ours).processor / typical(self.peer).processor


class Typical(NamedTuple):
    """Medians over runs."""

    wall: float
    user: float
    system: float
    memory: float

    @property
    def processor(self) -> float:
        return self.user + self.system


def typical(costs: Sequence[Cost]) -> Typical:
    return Typical(*(median(figures) for figures in zip(*costs, strict=True)))


class Failed(Exception):
    """A command that ended with an error."""


class Busy:
    """While in it, every processor is kept busy by a process of ours, which ends with this one (prctl(2))."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> None:
        spin = f"import ctypes\nctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, {signal.SIGKILL:d})\nwhile True: pass"
        for _ in os.sched_getaffinity(0):
            self._processes.append(subprocess.Popen([sys.executable, "-I", "-S", "-c", spin]))

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


class Bench:
    """Runs commands in a host's network namespace, and behind ``inside``, a command that begins with that."""

    def __init__(self, host: Host, inside: Sequence[str] = ()) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment["LC_ALL"] = "C.UTF-8"
        command = [*inside, sys.executable, "-I", "-S", str(LAUNCHER)]
        self._launcher = host.popen(command, stdin=-1, stdout=-1, env=environment)

    def run(self, command: Sequence[str], output: str = os.devnull) -> Cost:
        """Runs a command once. Raises Failed."""
        pipe, answers = self._launcher.stdin, self._launcher.stdout
        assert pipe is not None
        assert answers is not None
        pipe.write("\0".join((output, *command)) + "\n")
        pipe.flush()
        wall, user, system, memory, status, *said = answers.readline().split(maxsplit=5)
        if status != "0":
            raise Failed(f"exit status {status}: {' '.join(said).strip()}")
        return Cost(float(wall), float(user), float(system), int(memory))

    def lines(self, command: Sequence[str], scratch: Path) -> int:
        """How many lines a command writes: the check that both list the same table."""
        output = scratch / "output"
        self.run(command, str(output))
        return output.read_bytes().count(b"\n")

    def compare(self, ours: Sequence[str], peer: Sequence[str], seconds: float) -> Comparison:
        """Runs both in turns for about so long: at least 3 times each, at most 31."""
        self.run(ours)  # compiles what is not compiled yet
        comparison = Comparison([], [])
        end = time.monotonic() + seconds
        while len(comparison.ours) < FEWEST_PAIRS or (time.monotonic() < end and len(comparison.ours) < MOST_PAIRS):
            # Each goes first as often as the other.
            turns = [(ours, comparison.ours), (peer, comparison.peer)]
            for command, costs in turns if len(comparison.ours) % 2 == 0 else reversed(turns):
                costs.append(self.run(command))
        return comparison

    def close(self) -> None:
        assert self._launcher.stdin is not None
        self._launcher.stdin.close()
        self._launcher.wait()
