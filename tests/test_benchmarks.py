"""The benchmark itself, on tiny tables: that it runs, counts and writes; never how long anything takes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from cases import CASES, GROWTH, SCALES, Case, Goals, Series, words  # noqa: E402
from measure import Comparison, Cost, Typical  # noqa: E402
from report import Compared, Events, Point, Report  # noqa: E402

ROWS = SCALES["tiny"].rows["sockets"]


def test_it_measures_both_sides_and_writes_tables_for_people_and_programs(tmp_path: Path, need: Callable) -> None:
    need("ss")
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--scale", "tiny", "--only=-tani", "--output", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    document = json.loads((tmp_path / "results-tiny.json").read_text())
    (comparison,) = document["comparisons"]
    assert comparison["lines"] == [ROWS + 1, 2 * ROWS]  # one with a heading, the other with two lines for a socket
    assert comparison["busy_ratio"] > 0
    runs = [*comparison["runs"].values(), *comparison["busy_runs"].values()]
    assert all(run["wall"] > 0 for same in runs for run in same)
    assert [point["rows"] for point in document["growth"]] == list(SCALES["tiny"].growth["sockets"])
    text = (tmp_path / "results-tiny.md").read_text()
    assert "`netinspect sockets -tani`" in text
    assert document["machine"]["kernel"] in text


def test_a_command_that_fails_is_left_out_and_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import run

    monkeypatch.setattr(run, "CASES", (Case("idle", "netinspect sockets --nonsense", "python -c pass"),))
    assert run.main(["--scale", "tiny", "--no-growth", "--output", str(tmp_path)]) == 0
    (left_out,) = json.loads((tmp_path / "results-tiny.json").read_text())["left_out"]
    assert "exit status 2" in left_out
    assert "--nonsense" in left_out


def test_ratios_are_medians_over_pairs() -> None:
    def costs(*walls: float) -> list[Cost]:
        return [Cost(wall, wall, 0.0, 1) for wall in walls]

    comparison = Comparison(costs(1, 2, 9), costs(2, 2, 3))
    assert comparison.ratio == 1
    assert comparison.best_ratio == 0.5
    assert comparison.processor_ratio == 1


def test_a_missed_goal_is_marked(tmp_path: Path) -> None:
    cost = Cost(1.0, 0.5, 0.25, 2048)
    report = Report("default", {"kernel": "Linux 1"})
    quiet, busy = Comparison([cost], [cost]), Comparison([cost], [cost._replace(wall=2.0)])
    case = Case("sockets", "netinspect a", "b", Goals(0.9, 0.6, None))
    report.compared.append(Compared(case, 5, quiet, busy, (5, 5)))
    report.points.append(Point(Series("sockets", "netinspect a"), 1000, Typical(1, 1, 1, 1), 3))
    report.write(tmp_path)
    assert "| 1.00 (goal 0.9, missed) | 0.50 (goal 0.6) | 1.00 |" in (tmp_path / "results.md").read_text()


def test_the_same_events_reach_both_listeners(need: Callable) -> None:
    import run

    need("conntrack")
    report = Report("tiny", {})
    run.hear(report)
    assert report.left_out == []
    events = report.events
    assert events is not None
    rate, seconds = SCALES["tiny"].events
    assert events == Events(rate, seconds, events.ours, events.peer)
    assert {(heard.events, heard.lost) for heard in (events.ours, events.peer)} == {(int(rate * seconds), 0)}


def test_every_table_that_is_measured_is_made() -> None:
    for scale in SCALES.values():
        assert {case.table for case in CASES} <= scale.rows.keys()
        assert {series.table for series in GROWTH} <= scale.growth.keys()
    assert all(words(case.ours) for case in CASES)
