"""Signals that wait until a moment is over in which nothing may be interrupted: see signals.py."""

from __future__ import annotations

from _signal import SIG_BLOCK, SIG_SETMASK, SIGHUP, SIGINT, SIGTERM, pthread_sigmask

from .signals import end, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Uninterrupted:
    """A context while which signals wait, as when a file is created or renamed: the cleanup is to know what to remove.

    That they are blocked holds for this thread, and is for programs with handlers of their own. Where another thread
    takes a signal, the handler of ours runs in this one all the same, and notes it.
    """

    __slots__ = ("_mask",)

    def __enter__(self) -> None:
        self._mask: Sequence[int] = tuple(pthread_sigmask(SIG_BLOCK, (SIGHUP, SIGINT, SIGTERM)))
        state["deferring"] += 1

    def __exit__(self, *_: object) -> None:
        pthread_sigmask(SIG_SETMASK, self._mask)
        state["deferring"] -= 1
        number = state["deferred"]
        if number and not state["deferring"]:
            state["deferred"] = 0
            end(number, None)
