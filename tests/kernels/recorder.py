"""A plugin of pytest: the outcome of each test and file as a line of JSON at once.

So it is known where a guest dies.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from time import monotonic

import pytest

_left: Counter[str] = Counter()
"""By file, the tests that are still to run."""
_failed: set[str] = set()
_began = monotonic()


def _write(**said: object) -> None:
    with open(os.environ["NI_RESULTS"], "a", encoding="utf-8") as results:
        results.write(json.dumps(said) + "\n")


def _record(test: str, outcome: str, reason: str, seconds: float = 0.0) -> None:
    if outcome == "failed":
        _failed.add(test.partition("::")[0])
    _write(test=test, outcome=outcome, reason=reason, seconds=round(seconds, 2))


def _end(file: str, status: int) -> None:
    global _began
    now = monotonic()
    _write(file=file, status=status, seconds=round(now - _began, 1))
    _began = now


def pytest_collection_finish(session: pytest.Session) -> None:
    _left.update(item.nodeid.partition("::")[0] for item in session.items)
    for file in session.config.args:
        if file not in _left:
            _end(file, int(pytest.ExitCode.INTERRUPTED if file in _failed else pytest.ExitCode.NO_TESTS_COLLECTED))


def pytest_runtest_logfinish(nodeid: str) -> None:
    file = nodeid.partition("::")[0]
    _left[file] -= 1
    if not _left[file]:
        _end(file, int(pytest.ExitCode.TESTS_FAILED if file in _failed else pytest.ExitCode.OK))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when != "call" and report.outcome == "passed":
        return
    reason = report.longreprtext
    if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
    _record(report.nodeid, report.outcome, reason, report.duration)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.outcome == "failed":
        _record(report.nodeid, "failed", report.longreprtext)
    elif report.outcome == "skipped" and isinstance(report.longrepr, tuple):
        _record(report.nodeid, "skipped", report.longrepr[2].removeprefix("Skipped: "))
