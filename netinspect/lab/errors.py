"""The errors of the lab. Their text is one line, whatever the names in it, which may be anybody's, are made of."""

from __future__ import annotations

from ..engine.text import printable
from ..errors import NetinspectError, UsageError


class LabError(NetinspectError):
    """A lab could not be made, entered or taken down: the text says what failed and what to do."""

    def __str__(self) -> str:
        return printable(super().__str__())


class TopologyError(UsageError):
    """A topology file, or a part of a lab described in Python, makes no sense; for a file it names the line."""

    def __str__(self) -> str:
        return printable(super().__str__())
