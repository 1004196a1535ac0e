"""netinspect: show the Linux kernel's network state, read over netlink.

    import netinspect

    with netinspect.sockets("tcp", states="listen", processes=True) as listeners:
        for socket in listeners:
            print(socket.local_address, socket.local_port, socket.processes)

Each function lists one noun as typed records (``netinspect.records``). A listing is an iterator and a context manager;
at its end ``problems`` lists what could not be read. Every error is a NetinspectError (``netinspect.errors``).
``netinspect.conditions`` has what ``wait_for`` and ``check`` wait for.
docs/api.md has an example for each function.
"""

from __future__ import annotations

__version__ = "0.1.0"

_MODULES = {
    "api.sockets": ("sockets", "socket_counts"),
    "api.flows": (
        *("flows", "flow_count", "flow_events", "flow_groups", "flow_statistics", "expectations"),
        *("translations", "inside_hosts", "outside_addresses"),
    ),
    "api.groups": ("memberships", "membership_events", "multicast_routes", "multicast_interfaces", "bridge_groups"),
    "api.routing": (
        "addresses",
        "links",
        "neighbour_tables",
        "neighbours",
        "route_counts",
        "route_to",
        "routes",
        "rules",
    ),
    "api.drops": ("drops", "drop_counts", "drop_account"),
    "api.statistics": ("statistics", "save_sample", "health"),
    "api.capabilities": ("capabilities",),
    "api.snapshots": ("take_snapshot", "load_snapshot", "compare"),
    "api.nat": ("diagnose", "path"),
    "api.waiting": ("check", "wait_for"),
    "api.names": ("name_bytes", "socket_address"),
}
"""Loaded on first use of one of their names: the command line starts without them. Types: __init__.pyi."""

_SUBMODULES = ("conditions", "errors", "records")
"""Loaded on first use as well: ``netinspect.errors.NetlinkError`` needs no import of its own."""

__all__ = sorted(name for names in _MODULES.values() for name in names)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .lab_places import Labs


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            know_kinds()
            return getattr(__import__(f"{__name__}.{module}", fromlist=(name,)), name)
    if name in _SUBMODULES:
        return __import__(f"{__name__}.{name}", fromlist=(name,))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def know_kinds() -> None:
    """Lets labs name network namespaces."""
    from .environment import KINDS

    KINDS["lab"] = _labs


def _labs() -> Labs:
    from .lab_places import Labs

    return Labs()


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
