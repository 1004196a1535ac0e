"""The kernel's release, for the few things that nothing else tells: all others are tried."""

from __future__ import annotations

import posix


def is_at_least(major: int, minor: int) -> bool:
    """Whether this is Linux ``major``.``minor`` or a later one."""
    parts = posix.uname().release.replace("-", ".").split(".")[:2]
    return [int(part) for part in parts if part.isdecimal()] >= [major, minor]
