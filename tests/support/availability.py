"""Tests that cannot run here: a loud skip, or a failure where skips are not allowed (NETINSPECT_NO_SKIP)."""

from __future__ import annotations

import os

import pytest


def unavailable(reason: str) -> None:
    """This test cannot run here: a skip, or a failure where skips are not allowed."""
    if os.environ.get("NETINSPECT_NO_SKIP"):
        pytest.fail(f"would skip: {reason}")
    pytest.skip(reason)
