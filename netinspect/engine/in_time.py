"""Look-ups of names in the system's databases (nsswitch.conf(5)), with one bound for all of them.

Names of hosts for addresses that are shown have a bound of their own (see ``names``).
"""

from __future__ import annotations

from errno import ETIMEDOUT
from time import monotonic

from .answering import answered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

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
        try:
            if self._left <= 0:
                raise TimeoutError(ETIMEDOUT, "the look-up timed out")
            return answered(call, *arguments, within=self._left)
        finally:
            self._since = monotonic()
            self._left -= self._since - begun


in_time = _Patience().ask
"""Calls what looks up a name: all of these look-ups together have one bound. It raises TimeoutError, an OSError."""
