"""The lab: throwaway network namespaces with real traffic. ``Lab(load("gateway"))`` makes one, ``close`` ends it."""

from __future__ import annotations

from .errors import LabError, TopologyError
from .lab import Host, Lab
from .topology_file import load


def main(argv: list[str]) -> int:
    """``netinspect lab``: runs one command line, and returns its exit status."""
    from .cli import main as run

    return run(argv)


__all__ = ["Host", "Lab", "LabError", "TopologyError", "load", "main"]
