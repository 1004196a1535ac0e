"""netinspect: what the Linux kernel knows of its network, asked over netlink.

``__all__`` has the Python API's entries: ``sockets``, ``flows``, ``memberships``, ``statistics`` and others. The
records that they give are in ``netinspect.records``, the errors that they raise in ``netinspect.errors``.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = [
    "addresses",
    "bridge_groups",
    "flows",
    "health",
    "links",
    "memberships",
    "multicast_interfaces",
    "multicast_routes",
    "neighbour_tables",
    "neighbours",
    "route_to",
    "routes",
    "rules",
    "save_sample",
    "sockets",
    "statistics",
    "translations",
]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .api.flows import flows as flows
    from .api.flows import translations as translations
    from .api.groups import bridge_groups as bridge_groups
    from .api.groups import memberships as memberships
    from .api.groups import multicast_interfaces as multicast_interfaces
    from .api.groups import multicast_routes as multicast_routes
    from .api.routing import addresses as addresses
    from .api.routing import links as links
    from .api.routing import neighbour_tables as neighbour_tables
    from .api.routing import neighbours as neighbours
    from .api.routing import route_to as route_to
    from .api.routing import routes as routes
    from .api.routing import rules as rules
    from .api.sockets import sockets as sockets
    from .api.statistics import health as health
    from .api.statistics import save_sample as save_sample
    from .api.statistics import statistics as statistics


_MODULES = {
    "api.sockets": ("sockets",),
    "api.flows": ("flows", "translations"),
    "api.groups": ("memberships", "multicast_routes", "multicast_interfaces", "bridge_groups"),
    "api.routing": ("addresses", "links", "neighbour_tables", "neighbours", "route_to", "routes", "rules"),
    "api.statistics": ("statistics", "save_sample", "health"),
}
"""Loaded when one of their names is first asked for: the command line starts without them."""


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            entry: object = getattr(__import__(f"{__name__}.{module}", fromlist=(name,)), name)
            return entry
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
