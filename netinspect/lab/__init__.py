"""The lab: throwaway network namespaces with real traffic. ``Lab(load("gateway"))`` makes one, ``close`` ends it."""

from __future__ import annotations

from .errors import LabError, TopologyError
from .lab import Host, Lab
from .topology_file import load

__all__ = ["Host", "Lab", "LabError", "TopologyError", "load"]
