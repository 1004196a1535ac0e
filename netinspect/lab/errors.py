"""The errors of the lab. Their text is one line, whatever untrusted names it contains."""

from __future__ import annotations

from ..engine.text import printable
from ..errors import NetinspectError, UsageError


class _OneLine(NetinspectError):
    """An error whose text has names of others in it."""

    def __str__(self) -> str:
        return printable(super().__str__())

    @property
    def lines(self) -> tuple[str, ...]:
        """The text as it is: whoever writes it to standard error escapes it."""
        return (super().__str__(),)


class LabError(_OneLine):
    """A lab could not be made, entered or taken down: the text says what failed and what to do."""


class TopologyError(_OneLine, UsageError):
    """An invalid topology file, or part of a lab described in Python; for a file it names the line."""
