"""The entries of the Python API, for type checkers: a stub costs nothing when the command line starts."""

from . import conditions as conditions
from . import errors as errors
from . import records as records
from .api.capabilities import capabilities as capabilities
from .api.drops import drop_account as drop_account
from .api.drops import drop_counts as drop_counts
from .api.drops import drops as drops
from .api.flows import expectations as expectations
from .api.flows import flow_count as flow_count
from .api.flows import flow_events as flow_events
from .api.flows import flow_groups as flow_groups
from .api.flows import flow_statistics as flow_statistics
from .api.flows import flows as flows
from .api.flows import inside_hosts as inside_hosts
from .api.flows import outside_addresses as outside_addresses
from .api.flows import translations as translations
from .api.groups import bridge_groups as bridge_groups
from .api.groups import membership_events as membership_events
from .api.groups import memberships as memberships
from .api.groups import multicast_interfaces as multicast_interfaces
from .api.groups import multicast_routes as multicast_routes
from .api.listed import Events as Events
from .api.listed import Listed as Listed
from .api.names import name_bytes as name_bytes
from .api.names import socket_address as socket_address
from .api.nat import diagnose as diagnose
from .api.nat import path as path
from .api.routing import addresses as addresses
from .api.routing import links as links
from .api.routing import neighbour_tables as neighbour_tables
from .api.routing import neighbours as neighbours
from .api.routing import route_counts as route_counts
from .api.routing import route_to as route_to
from .api.routing import routes as routes
from .api.routing import rules as rules
from .api.snapshots import compare as compare
from .api.snapshots import load_snapshot as load_snapshot
from .api.snapshots import take_snapshot as take_snapshot
from .api.sockets import socket_counts as socket_counts
from .api.sockets import sockets as sockets
from .api.statistics import health as health
from .api.statistics import save_sample as save_sample
from .api.statistics import statistics as statistics
from .api.waiting import check as check
from .api.waiting import wait_for as wait_for

__version__: str

__all__ = [
    "Events",
    "Listed",
    "addresses",
    "bridge_groups",
    "capabilities",
    "check",
    "compare",
    "diagnose",
    "drop_account",
    "drop_counts",
    "drops",
    "expectations",
    "flow_count",
    "flow_events",
    "flow_groups",
    "flow_statistics",
    "flows",
    "health",
    "inside_hosts",
    "links",
    "load_snapshot",
    "membership_events",
    "memberships",
    "multicast_interfaces",
    "multicast_routes",
    "name_bytes",
    "neighbour_tables",
    "neighbours",
    "outside_addresses",
    "path",
    "route_counts",
    "route_to",
    "routes",
    "rules",
    "save_sample",
    "socket_address",
    "socket_counts",
    "sockets",
    "statistics",
    "take_snapshot",
    "translations",
    "wait_for",
]

def know_kinds() -> None: ...
