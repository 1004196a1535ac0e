"""The errors that users see, and the exit statuses they lead to."""

from __future__ import annotations


class ExitStatus:
    """Exit statuses of every netinspect command (documented in the man page)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INCOMPLETE = 3
    FOUND = 4
    INTERRUPTED = 130


class NetinspectError(Exception):
    """Something the user can act on: its text is the line that goes to standard error."""

    status = ExitStatus.FAILED

    @property
    def lines(self) -> tuple[str, ...]:
        """The text as lines for standard error: names in it make no further ones."""
        return (str(self),)


class UsageError(NetinspectError):
    """The command line, or a value given to the API, makes no sense."""

    status = ExitStatus.USAGE


class FilterError(UsageError):
    """A bad filter expression: ``column`` (from 1) is where it went wrong, counted in characters of ``expression``.

    Its text is the reason, the expression, and a line with a caret below that column; of a long expression, the part
    around it. ``reason`` alone is one line.
    """

    def __init__(self, reason: str, expression: str, column: int, lines: tuple[str, ...]) -> None:
        """``lines``: those of the text, printable already, since the caret stands below what is shown."""
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
    """A file that cannot be read, or is of a kind or size that is not read. ``errno`` is 0 for the latter."""

    def __init__(self, text: str, errno: int = 0) -> None:
        super().__init__(text)
        self.errno = errno


class NamespaceError(NetinspectError):
    """A network namespace that does not exist or may not be entered."""


class NamespaceGoneError(NamespaceError):
    """A network namespace that was there a moment ago is no more."""


class NetlinkError(NetinspectError):
    """The kernel refused, or its answer cannot be used: the only error that leaves the transport and the decoders.

    ``operation`` says what was being asked. ``errno`` is the kernel's answer; it is 0 where the kernel gave no error:
    the class then says what went wrong. ``message`` and ``offset`` come from the extended acknowledgment
    (linux/netlink.h: NLMSGERR_ATTR_*).
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
    """A message breaks the protocol: lengths that make no sense, an attribute that is missing or of a wrong size."""


class TruncatedError(NetlinkError):
    """A message was longer than what can be received at once, and its end is lost."""


class NoAnswerError(NetlinkError):
    """The kernel did not answer in time."""


class ConntrackError(NetinspectError):
    """Connection tracking cannot be asked: no permission, or not in this kernel."""


class SnapshotError(NetinspectError):
    """A file that is no snapshot, or not a whole one."""


class IncomparableError(NetinspectError):
    """Two snapshots of which nothing can be compared."""
