"""Calls that may never return: of a file system whose server is gone (fuse(4), nfs(5)), or of a server of names.

The kernel waits for such a server in a way that only a fatal signal ends: a handler of ours would not run. So another
thread waits, and this one can be interrupted. When the program ends, the other thread ends with it.
"""

from __future__ import annotations

import posix
from _queue import Empty, SimpleQueue
from _thread import start_new_thread
from errno import ETIMEDOUT
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    Result = TypeVar("Result")

_LOOK = 0.1
"""Seconds for a look at a path that nobody typed: a file system that answers takes some milliseconds."""
_STEP = 0.1
"""Seconds: a signal that comes just before a wait begins does not end it, and its handler runs after it."""
_silent: set[str] = set()


def answered(call: Callable[..., Result], *arguments: object, within: float | None = None) -> Result:
    """What the call returns or raises; ``within`` so many seconds, else TimeoutError. It must not enter namespaces."""
    answers: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
    try:
        start_new_thread(_answer, (answers, call, arguments))
    except RuntimeError:  # the system has no more threads for us
        return call(*arguments)
    until = None if within is None else monotonic() + within
    while True:
        left = _STEP if until is None else min(_STEP, until - monotonic())
        try:
            succeeded, result = answers.get(True, max(left, 0))
            break
        except Empty:
            if left < _STEP:
                raise TimeoutError(ETIMEDOUT, "the look-up timed out") from None
    if not succeeded:
        raise result
    return result  # type: ignore[no-any-return]


def _answer(answers: SimpleQueue[tuple[bool, Any]], call: Callable[..., object], arguments: Sequence[object]) -> None:
    try:
        answers.put((True, call(*arguments)))
    except Exception as error:
        answers.put((False, error))


def _look(path: str) -> None:
    try:
        posix.lstat(path)
    except (OSError, ValueError):
        pass  # an answer as well


def answers(path: str) -> bool:
    """Whether anything answers for that path, be it there or not.

    If not, it is not looked at again: each such look costs a thread for good.
    """
    if path not in _silent:
        try:
            answered(_look, path, within=_LOOK)
        except TimeoutError:
            _silent.add(path)
    return path not in _silent
