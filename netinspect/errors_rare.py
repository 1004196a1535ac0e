"""Errors of some commands alone: netinspect.errors has them all, and loads this module when one is asked for."""

from __future__ import annotations

from .errors import ExitStatus, NetinspectError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .records import ConditionResult


class FilterError(UsageError):
    """A bad filter expression; ``column`` (from 1) is the position of the error in ``expression``, in characters.

    The text has the reason, the expression (if long, the part around the error), and a caret below that column.
    ``reason`` is one line.
    """

    def __init__(self, reason: str, expression: str, column: int, lines: tuple[str, ...]) -> None:
        """``lines`` of the text, already printable, so that the caret is in the right column."""
        self.reason = reason
        self.expression = expression
        self.column = column
        self._lines = lines
        super().__init__("\n".join(lines))

    @property
    def lines(self) -> tuple[str, ...]:
        return self._lines


class MissingLibraryError(NetinspectError):
    """A library that an extra of netinspect brings is not installed."""


class ConntrackError(NetinspectError):
    """Connection tracking cannot be read: no permission, or not in this kernel."""


class SnapshotError(NetinspectError):
    """A file that is not a complete snapshot."""


class IncomparableError(NetinspectError):
    """Two snapshots that cannot be compared."""


class ConditionError(NetinspectError):
    """A condition that was waited for does not hold. ``result`` is a records.ConditionResult with what was seen."""

    def __init__(self, text: str, result: ConditionResult) -> None:
        """``text``: what does not hold, and below it, a line each, what is there."""
        self.result = result
        super().__init__(text, result)

    def __str__(self) -> str:
        return str(self.args[0])

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(str(self).split("\n"))


class ConditionTimeoutError(ConditionError):
    """It did not come to hold in time."""


class ProcessEndedError(ConditionError):
    """The process that was to hold the socket has ended."""


class ConditionUnknownError(ConditionError):
    """Whether it holds is not known: something could not be looked at (``result.problems``)."""

    status = ExitStatus.INCOMPLETE


for _each in (
    FilterError,
    MissingLibraryError,
    ConntrackError,
    SnapshotError,
    IncomparableError,
    ConditionError,
    ConditionTimeoutError,
    ProcessEndedError,
    ConditionUnknownError,
):
    _each.__module__ = "netinspect.errors"  # where they are to be had, also for pickle
