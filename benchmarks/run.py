"""Measures netinspect beside its peers: ``make bench``, or ``python benchmarks/run.py --help``.

Each case is measured twice: as the machine is, and while every processor is kept busy by another process.

It needs no privileges: tables are built in network namespaces of its own (netinspect.lab). Whatever is not installed
is left out, and said.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from cases import CASES, GROWTH, SCALES, Case, Series, words
from events import PEER, Heard, listen
from labs import inside, one_port, table
from machine import description, load
from measure import Bench, Busy, Comparison, Failed, typical
from report import Compared, Events, Point, Report

from netinspect.errors import NetinspectError

_LONGEST = 20.0
"""Seconds that a single run may take: where the next size of a series would take longer, the series ends."""
_LONGEST_BUSY = 2.0
"""Seconds that a run of the peer may take on the quiet machine to be measured on the busy one."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=SCALES, default="default", help="sizes of the tables (default: default)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases with this text in one of the commands")
    parser.add_argument("--seconds", type=float, metavar="N", help="how long each case is repeated")
    parser.add_argument("--no-growth", action="store_true", help="no time against size")
    parser.add_argument("--no-busy", action="store_true", help="nothing with busy processors")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, metavar="DIRECTORY")
    options = parser.parse_args(arguments)
    report = Report(options.scale, description() | {"busy": load()})
    compare(report, options.only, options.seconds, busy=not options.no_busy)
    if options.only in "conntrack events":
        hear(report)
    if not options.no_growth:
        grow(report, options.only)
    for path in report.write(options.output):
        print(path)
    return 0


def compare(report: Report, only: str, seconds: float | None, *, busy: bool) -> None:
    """Measures the cases, a table at a time: all namespaces share the kernel's hash tables, so others would disturb."""
    scale = SCALES[report.scale]
    for name, rows in scale.rows.items():
        cases = [case for case in CASES if case.table == name and (only in case.ours or only in case.peer)]
        if not cases:
            continue
        try:
            with table(name, rows) as host, TemporaryDirectory() as scratch:
                bench, port = Bench(host, inside(name, rows)), one_port(host)
                for case in cases:
                    named = case._replace(ours=case.ours.format(port=port), peer=case.peer.format(port=port))
                    _compare(
                        report, bench, named, rows, scale.seconds if seconds is None else seconds, Path(scratch), busy
                    )
                bench.close()
        except NetinspectError as error:
            _leave_out(report, f"{rows:,} {name}: {error}")


def _compare(
    report: Report, bench: Bench, case: Case, rows: int, seconds: float, scratch: Path, with_busy: bool
) -> None:
    ours, peer = words(case.ours), words(case.peer)
    if ours is None or peer is None:
        _leave_out(report, f"{case.ours} beside {case.peer}: not installed")
        return
    busy: Comparison | None = None
    try:
        writes = not case.ours.startswith("api ")
        lines = (bench.lines(ours, scratch), bench.lines(peer, scratch)) if writes else (0, 0)
        quiet = bench.compare(ours, peer, seconds)
        # What takes long alone would take minutes, and tells nothing that processor time does not.
        if with_busy and typical(quiet.peer).wall < _LONGEST_BUSY:
            with Busy():
                busy = bench.compare(ours, peer, seconds)
    except Failed as error:
        _leave_out(report, f"{case.ours} beside {case.peer}: {error}")
        return
    compared = Compared(case, rows, quiet, busy, lines)
    report.compared.append(compared)
    print(f"{case.ours:45} {case.peer:25} {compared.figures()} lines {lines[0]} {lines[1]}", flush=True)


def hear(report: Report) -> None:
    """Listens to conntrack events, netinspect and its peer one after the other."""
    rate, seconds = SCALES[report.scale].events
    commands = [words(command) for command in ("netinspect conntrack events -n", PEER)]
    if None in commands:
        _leave_out(report, f"conntrack events beside {PEER}: not installed")
        return
    heard: list[Heard] = []
    try:
        with table("idle", 0) as host:
            heard += [listen(host, command, rate, seconds) for command in commands if command is not None]
    except NetinspectError as error:
        _leave_out(report, f"conntrack events: {error}")
        return
    report.events = Events(rate, seconds, *heard)
    print(f"{rate} conntrack events a second for {seconds:g} s: {heard[0]} beside {PEER}: {heard[1]}", flush=True)


def grow(report: Report, only: str) -> None:
    """Measures each series at growing sizes."""
    last: dict[Series, Point] = {}
    for name, sizes in SCALES[report.scale].growth.items():
        mine = [series for series in GROWTH if series.table == name and only in series.command]
        for rows in sizes if mine else ():
            try:
                with table(name, rows) as host:
                    bench = Bench(host)
                    for series in mine:
                        _grow(report, bench, series, rows, last)
                    bench.close()
            except NetinspectError as error:
                _leave_out(report, f"{rows:,} {name}: {error}")


def _grow(report: Report, bench: Bench, series: Series, rows: int, last: dict[Series, Point]) -> None:
    command = words(series.command)
    before = last.get(series)
    expected = 0.0 if before is None else before.cost.wall * rows / before.rows
    if command is None or expected > _LONGEST:
        why = "not installed" if command is None else f"about {expected:.0f} s"
        _leave_out(report, f"{series.command} with {rows:,} rows: {why}")
        return
    runs = 3 if expected > 2 else 7
    try:
        bench.run(command)
        costs = [bench.run(command) for _ in range(runs)]
    except Failed as error:
        _leave_out(report, f"{series.command} with {rows:,} rows: {error}")
        return
    last[series] = Point(series, rows, typical(costs), runs)
    report.points.append(last[series])
    print(f"{series.command:45} {rows:9,} {last[series].cost.wall * 1000:9.1f} ms", flush=True)


def _leave_out(report: Report, text: str) -> None:
    report.left_out.append(text)
    print(f"left out: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
