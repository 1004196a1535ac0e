"""What policy rules look at of interfaces: the group of the one a route leads out by, and the table of a VRF.

The kernel asks that only where a rule has l3mdev or suppress_ifgroup, and so do we.
"""

from __future__ import annotations

from sys import byteorder

from ...engine.netlink import interfaces as link
from ...engine.netlink.messages import attributes
from ...engine.netlink.transport import Dump
from ...engine.text import text
from ...uapi.if_link import (
    IFLA_GROUP,
    IFLA_IFNAME,
    IFLA_INFO_DATA,
    IFLA_INFO_KIND,
    IFLA_LINKINFO,
    IFLA_MASTER,
    IFLA_VRF_TABLE,
)
from ...uapi.netlink import NETLINK_ROUTE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...engine.places import Place
    from ...records import Route
    from .listing_matching import Flow

_HEADER_SIZE = 16


def _number(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], byteorder)


class _Interfaces:
    """The interfaces of a network namespace: their masters, groups and, of a VRF, its table."""

    def __init__(self, place: Place) -> None:
        """Raises NetlinkError."""
        self.groups: dict[str, int] = {}
        self._numbers: dict[str, int] = {}
        self._masters: dict[str, int] = {}
        self._tables: dict[int, int] = {}
        for runs in Dump(place.connect(NETLINK_ROUTE), link.dump_request(), "listing links").answers():
            for run in runs:
                for single in run.singles():
                    self._take(single.data, link.indices(single)[0])

    def _take(self, data: bytes, index: int) -> None:
        found = attributes(data, _HEADER_SIZE + link.BODY, len(data), "listing links")
        if IFLA_IFNAME not in found:
            return
        at, size = found[IFLA_IFNAME]
        name = text(data[at : at + size].split(b"\0", 1)[0])
        self._numbers[name] = index
        for kind, into in ((IFLA_MASTER, self._masters), (IFLA_GROUP, self.groups)):
            if kind in found:
                into[name] = _number(data, *found[kind])
        if IFLA_LINKINFO not in found:
            return
        at, size = found[IFLA_LINKINFO]
        info = attributes(data, at, at + size, "listing links")
        if IFLA_INFO_KIND not in info or IFLA_INFO_DATA not in info:
            return
        at, size = info[IFLA_INFO_KIND]
        if data[at : at + size].rstrip(b"\0") != b"vrf":
            return
        at, size = info[IFLA_INFO_DATA]
        inside = attributes(data, at, at + size, "listing links")
        if IFLA_VRF_TABLE in inside:
            self._tables[index] = _number(data, *inside[IFLA_VRF_TABLE])

    def vrf_table(self, name: str | None) -> int | None:
        """The table of the VRF that an interface is, or is in; None where it is in none."""
        if name is None:
            return None
        own = self._tables.get(self._numbers.get(name, 0))
        return own if own is not None else self._tables.get(self._masters.get(name, 0))


def look_at_interfaces(place: Place, flow: Flow, *routes: Route | None) -> None:
    """Adds to ``flow`` what rules match on interfaces: its own, and that of the first route that names one.

    Raises NetlinkError.
    """
    from .listing import names_of

    interfaces = _Interfaces(place)
    # The kernel looks at the outgoing one first (net/l3mdev/l3mdev.c: l3mdev_update_flow).
    table = interfaces.vrf_table(flow.output_interface)
    if table is None:
        table = interfaces.vrf_table(flow.input_interface)
    flow.vrf_table = None if table is None else names_of(place).tables[table]
    out = next((route.interface for route in routes if route is not None and route.interface), None)
    flow.route_group = None if out is None else interfaces.groups.get(out)
