"""Look-ups of names in the system's databases (nsswitch.conf(5)), with one bound for all of them.

Names of hosts for addresses that are shown have a bound of their own (see ``names``).
"""

from __future__ import annotations

from _queue import Empty, SimpleQueue
from _thread import start_new_thread
from errno import ETIMEDOUT
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    Result = TypeVar("Result")


class _Patience:
    """How long what asks the system's databases of names may take in all (nsswitch.conf(5)).

    A server of names that is gone makes the C library wait 5 s and more for each name. What is spent comes back, a
    tenth of the time that passes, for programs that run long.
    """

    total = 6.0
    """Seconds: a second server is asked after 5 (resolv.conf(5): timeout)."""

    def __init__(self) -> None:
        self._left = self.total
        self._since = monotonic()

    def ask(self, call: Callable[..., Result], *arguments: object) -> Result:
        """What the call returns or raises. Raises TimeoutError where the time is over."""
        begun = monotonic()
        self._left = min(self.total, self._left + (begun - self._since) / 10)
        answers: SimpleQueue[tuple[bool, Any]] = SimpleQueue()
        try:
            if self._left <= 0:
                raise Empty
            start_new_thread(_answer, (answers, call, arguments))
            succeeded, result = answers.get(True, self._left)
        except RuntimeError:  # the system has no more threads for us
            return call(*arguments)
        except Empty:
            raise TimeoutError(ETIMEDOUT, "the look-up timed out") from None
        finally:
            self._since = monotonic()
            self._left -= self._since - begun
        if not succeeded:
            raise result
        return result  # type: ignore[no-any-return]


def _answer(answers: SimpleQueue[tuple[bool, Any]], call: Callable[..., object], arguments: Sequence[object]) -> None:
    try:
        answers.put((True, call(*arguments)))
    except Exception as error:
        answers.put((False, error))


in_time = _Patience().ask
"""Calls what looks up a name: all of these look-ups together have one bound. It raises TimeoutError, an OSError."""
