"""Signals that wait until a moment is over in which nothing may be interrupted: see signals.py."""

from __future__ import annotations

from .signals import end, state


class Deferring:
    """A context at the end of which a signal that came meanwhile ends the program.

    To block signals is not enough: that is for one thread, and where another takes the signal this one's handler runs.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        state["deferring"] += 1

    def __exit__(self, *_: object) -> None:
        state["deferring"] -= 1
        number = state["deferred"]
        if number and not state["deferring"]:
            state["deferred"] = 0
            end(number, None)
