"""netinspect: show the Linux kernel's network state, read over netlink.

    import netinspect

    with netinspect.sockets("tcp", states="listen", processes=True) as listeners:
        for socket in listeners:
            print(socket.local_address, socket.local_port, socket.processes)

Each function lists one noun as typed records (``netinspect.records``). A listing is an iterator and a context manager;
at its end ``problems`` lists what could not be read. Every error is a NetinspectError (``netinspect.errors``).
docs/api.md has an example for each function.
"""

from __future__ import annotations

__version__ = "0.1.0"

_MODULES = {
    "api.sockets": ("sockets",),
    "api.flows": ("flows", "translations", "flow_events"),
    "api.groups": ("memberships", "membership_events", "multicast_routes", "multicast_interfaces", "bridge_groups"),
    "api.routing": ("addresses", "links", "neighbour_tables", "neighbours", "route_to", "routes", "rules"),
    "api.drops": ("drops", "drop_counts", "drop_account"),
    "api.statistics": ("statistics", "save_sample", "health"),
    "api.capabilities": ("capabilities",),
    "api.snapshots": ("take_snapshot", "load_snapshot", "compare"),
    "api.names": ("name_bytes", "socket_address"),
}
"""Loaded on first use of one of their names: the command line starts without them."""

__all__ = [
    "addresses",
    "bridge_groups",
    "capabilities",
    "compare",
    "drop_account",
    "drop_counts",
    "drops",
    "flow_events",
    "flows",
    "health",
    "links",
    "load_snapshot",
    "membership_events",
    "memberships",
    "multicast_interfaces",
    "multicast_routes",
    "name_bytes",
    "neighbour_tables",
    "neighbours",
    "route_to",
    "routes",
    "rules",
    "save_sample",
    "socket_address",
    "sockets",
    "statistics",
    "take_snapshot",
    "translations",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .api.capabilities import capabilities as capabilities
    from .api.drops import drop_account as drop_account
    from .api.drops import drop_counts as drop_counts
    from .api.drops import drops as drops
    from .api.flows import flow_events as flow_events
    from .api.flows import flows as flows
    from .api.flows import translations as translations
    from .api.groups import bridge_groups as bridge_groups
    from .api.groups import membership_events as membership_events
    from .api.groups import memberships as memberships
    from .api.groups import multicast_interfaces as multicast_interfaces
    from .api.groups import multicast_routes as multicast_routes
    from .api.names import name_bytes as name_bytes
    from .api.names import socket_address as socket_address
    from .api.routing import addresses as addresses
    from .api.routing import links as links
    from .api.routing import neighbour_tables as neighbour_tables
    from .api.routing import neighbours as neighbours
    from .api.routing import route_to as route_to
    from .api.routing import routes as routes
    from .api.routing import rules as rules
    from .api.snapshots import compare as compare
    from .api.snapshots import load_snapshot as load_snapshot
    from .api.snapshots import take_snapshot as take_snapshot
    from .api.sockets import sockets as sockets
    from .api.statistics import health as health
    from .api.statistics import save_sample as save_sample
    from .api.statistics import statistics as statistics
    from .lab_places import Labs
else:  # a type checker would take any name for an entry

    def __getattr__(name):
        for module, names in _MODULES.items():
            if name in names:
                know_kinds()
                return getattr(__import__(f"{__name__}.{module}", fromlist=(name,)), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def know_kinds() -> None:
    """Lets labs name network namespaces."""
    from .environment import KINDS

    KINDS["lab"] = _labs


def _labs() -> Labs:
    from .lab_places import Labs

    return Labs()


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
