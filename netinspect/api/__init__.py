"""The Python API: iterators of records, a module for each noun. ``netinspect`` itself has all of its functions."""

from __future__ import annotations

MODULES = {
    "sockets": ("sockets", "socket_counts"),
    "flows": (
        *("flows", "flow_count", "flow_events", "flow_groups", "flow_statistics", "expectations"),
        *("translations", "inside_hosts", "outside_addresses"),
    ),
    "groups": ("memberships", "membership_events", "multicast_routes", "multicast_interfaces", "bridge_groups"),
    "routing": (
        "addresses",
        "links",
        "neighbour_tables",
        "neighbours",
        "route_counts",
        "route_to",
        "routes",
        "rules",
    ),
    "drops": ("drops", "drop_counts", "drop_account"),
    "statistics": ("statistics", "save_sample", "health"),
    "capabilities": ("capabilities",),
    "snapshots": ("take_snapshot", "load_snapshot", "compare"),
    "nat": ("diagnose", "path"),
    "waiting": ("check", "wait_for"),
    "names": ("name_bytes", "socket_address"),
    "listed": ("Events", "Listed"),
}
"""The modules of the functions, and of the types that they return, each loaded when one of its names is first used."""

SUBMODULES = ("conditions", "errors", "records")
"""Loaded on first use as well: ``netinspect.errors.NetlinkError`` needs no import of its own."""

NAMES = sorted(name for names in MODULES.values() for name in names)
"""``netinspect.__all__``."""


def found(name: str) -> object:
    """The function, type or module of that name in ``netinspect``. Raises AttributeError."""
    for module, names in MODULES.items():
        if name in names:
            return getattr(__import__(f"{__name__}.{module}", fromlist=(name,)), name)
    if name in SUBMODULES:
        return __import__(f"netinspect.{name}", fromlist=(name,))
    raise AttributeError(f"module 'netinspect' has no attribute {name!r}")
