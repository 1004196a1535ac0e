"""The errors that users see, and their exit statuses."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .errors_rare import ConditionError as ConditionError
    from .errors_rare import ConditionTimeoutError as ConditionTimeoutError
    from .errors_rare import ConditionUnknownError as ConditionUnknownError
    from .errors_rare import ConntrackError as ConntrackError
    from .errors_rare import FilterError as FilterError
    from .errors_rare import IncomparableError as IncomparableError
    from .errors_rare import MissingLibraryError as MissingLibraryError
    from .errors_rare import ProcessEndedError as ProcessEndedError
    from .errors_rare import SnapshotError as SnapshotError


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


class OutputError(NetinspectError):
    """Standard output cannot be written."""


class FileError(NetinspectError):
    """A file that cannot be read, or is of an unsupported kind or size (``errno`` is then 0)."""

    def __init__(self, text: str, errno: int = 0) -> None:
        super().__init__(text)
        self.errno = errno


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


_RARE = frozenset(
    (
        "FilterError",
        "MissingLibraryError",
        "ConntrackError",
        "SnapshotError",
        "IncomparableError",
        "ConditionError",
        "ConditionTimeoutError",
        "ProcessEndedError",
        "ConditionUnknownError",
    )
)


def __getattr__(name: str) -> object:
    # To make a class of errors takes 0.1 million instructions, and most runs have none of these.
    if name not in _RARE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(__import__("netinspect.errors_rare", fromlist=(name,)), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_RARE})
