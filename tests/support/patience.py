"""Waiting for what comes later: a state is waited for, with a bound that nothing but a failure reaches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")
Other = TypeVar("Other")

PATIENCE = 30.0
"""Seconds: far more than anything here takes on a machine with much else to do."""


def until(condition: Callable[[], Seen], what: str = "state", patience: float = PATIENCE) -> Seen:
    """What the condition gives once that is true; an AssertionError where it does not become so."""
    deadline = time.monotonic() + patience
    while not (seen := condition()):
        assert time.monotonic() < deadline, f"no {what} within {patience:g} s"
        time.sleep(0.005)
    return seen


def eventually(check: Callable[[], object], patience: float = PATIENCE) -> None:
    """Makes a check of assertions again until it holds: packets and timers take their time."""
    deadline = time.monotonic() + patience
    while True:
        try:
            check()
            return
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def standing_still(look: Callable[[], Seen], other: Callable[[], Other]) -> tuple[Seen, Other]:
    """What two looks see of the same state: the first sees the same before and after the other."""
    before = look()
    for _ in range(100):
        seen = other()
        after = look()
        if before == after:
            return after, seen
        before = after
        time.sleep(0.02)
    raise AssertionError("it does not stand still")
