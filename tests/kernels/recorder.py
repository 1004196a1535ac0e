"""A plugin of pytest: each test's outcome as a line of JSON at once, so that it is known where the guest dies."""

from __future__ import annotations

import json
import os

import pytest


def _record(test: str, outcome: str, reason: str, seconds: float = 0.0) -> None:
    line = json.dumps({"test": test, "outcome": outcome, "reason": reason, "seconds": round(seconds, 2)})
    with open(os.environ["NI_RESULTS"], "a", encoding="utf-8") as results:
        results.write(line + "\n")


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
