"""The errors that users see, and their exit statuses."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .records import ConditionResult


class ExitStatus:
    """Exit statuses of every netinspect command (documented in the man page)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INCOMPLETE = 3
    FOUND = 4
    INTERRUPTED = 130


class NetinspectError(Exception):
    """An error the user can act on; its text is the line on standard error."""

    status = ExitStatus.FAILED
    slip: tuple[str, Iterable[str]] = ("", ())
    """A name that was given, and those that there are."""

    @property
    def lines(self) -> tuple[str, ...]:
        """The text as lines for standard error; names in it cannot add lines."""
        return (str(self),)


class UsageError(NetinspectError):
    """An invalid command line, or an invalid value given to the API."""

    status = ExitStatus.USAGE


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


class OutputError(NetinspectError):
    """Standard output cannot be written."""


class FileError(NetinspectError):
    """A file that cannot be read, or is of an unsupported kind or size (``errno`` is then 0)."""

    def __init__(self, text: str, errno: int = 0) -> None:
        super().__init__(text)
        self.errno = errno


class MissingLibraryError(NetinspectError):
    """A library that an extra of netinspect brings is not installed."""


class NamespaceError(NetinspectError):
    """A network namespace that does not exist or cannot be entered."""


class NamespaceGoneError(NamespaceError):
    """A network namespace that has just disappeared."""


class NetlinkError(NetinspectError):
    """The kernel refused, or its answer is unusable: the only error raised by the transport and the decoders.

    ``operation`` names the request. ``errno`` is the kernel's error; it is 0 if the kernel returned none, and the class
    then shows what went wrong. ``message`` and ``offset`` come from the extended acknowledgment (linux/netlink.h:
    NLMSGERR_ATTR_*).
    """

    def __init__(self, operation: str, errno: int, message: str = "", offset: int | None = None) -> None:
        self.operation = operation
        self.errno = errno
        self.message = message
        self.offset = offset
        super().__init__(operation, errno, message, offset)

    def __str__(self) -> str:
        from os import strerror

        parts = [part for part in (strerror(self.errno) if self.errno else "", self.message) if part]
        where = "" if self.offset is None else f" (at byte {self.offset} of the request)"
        return f"{self.operation}: {': '.join(parts)}{where}"


class MalformedError(NetlinkError):
    """A message breaks the protocol: an invalid length, or an attribute that is missing or has a wrong size."""


class TruncatedError(NetlinkError):
    """A message was longer than the receive buffer and was truncated."""


class NoAnswerError(NetlinkError):
    """The kernel did not answer in time."""


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
