"""Command lines as people type them, and what is printed for those that make no sense."""

from __future__ import annotations

import shlex

from netinspect.environment import Environment
from netinspect.main import run


def suggested(line: str) -> str:
    """What is printed after ``; try: netinspect``."""
    complaints: list[bytes] = []
    run(shlex.split(line), Environment(lambda _: None, complaints.append, False, 80))
    return b"".join(complaints).decode().split("\n")[0].partition("; try: netinspect ")[2]
