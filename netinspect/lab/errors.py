"""The errors of the lab."""

from __future__ import annotations

from ..errors import NetinspectError, UsageError


class LabError(NetinspectError):
    """A lab could not be made, entered or taken down: the text says what failed and what to do."""


class TopologyError(UsageError):
    """A topology file, or a part of a lab described in Python, makes no sense; for a file it names the line."""
