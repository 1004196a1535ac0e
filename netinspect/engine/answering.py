"""Calls that may never return: of a file system whose server is gone (fuse(4), nfs(5)), or of a server of names.

The kernel waits for such a server in a way that only a fatal signal ends: a handler of ours would not run. So another
thread waits, and this one can be interrupted. When the program ends, the other thread ends with it.

A thread may also end before its first line, where the memory is too little for that: nobody may wait for it.
"""

from __future__ import annotations

import posix
from _functools import partial
from _queue import Empty, SimpleQueue
from _thread import start_new_thread
from _weakref import ref
from errno import ETIMEDOUT
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    Result = TypeVar("Result")

_LOOK = 0.1
"""Seconds for a look at a path that nobody typed: a file system that answers takes some milliseconds."""
STEP = 0.1
"""Seconds: a signal that comes just before a wait begins does not end it, and its handler runs after it."""
_silent: set[str] = set()


def answered(call: Callable[..., Result], *arguments: object, within: float | None = None) -> Result:
    """What the call returns or raises; ``within`` so many seconds, else TimeoutError. It must not enter namespaces."""
    answers: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
    thread = aside(_answer, answers, call, arguments)
    if thread is None:
        return call(*arguments)
    until = None if within is None else monotonic() + within
    while True:
        left = STEP if until is None else min(STEP, until - monotonic())
        try:
            succeeded, result = answers.get(True, max(left, 0))
            break
        except Empty:
            if left < STEP:
                raise TimeoutError(ETIMEDOUT, "the look-up timed out") from None
            if thread() is None and answers.empty():
                raise MemoryError from None
    if not succeeded:
        raise result
    return result  # type: ignore[no-any-return]


def aside(call: Callable[..., object], *arguments: object) -> ref[partial[object]] | None:
    """Has a new thread make the call. What is returned refers to nothing as soon as that has ended, even if the thread
    had no memory to begin with; None where the system has no more threads for us.
    """
    own = partial(call, *arguments)  # the thread alone keeps it
    try:
        start_new_thread(own, ())
    except RuntimeError:
        return None
    return ref(own)


def waited(thread: ref[partial[object]], done: LockType) -> None:
    """Waits until the thread releases the lock. Raises MemoryError if it ends without that."""
    while not done.acquire(True, STEP):
        if thread() is None and not done.acquire(False):
            raise MemoryError


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
