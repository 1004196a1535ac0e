"""Multicast routing tables, the router's interfaces, and what bridges know of members behind their ports."""

from __future__ import annotations

from _functools import partial
from errno import EOPNOTSUPP

from ...engine.columns import Batch
from ...engine.dumps import whole_list
from ...engine.listing import BaseListing
from ...engine.namespaces import inside
from ...engine.netlink.changes import Changes
from ...engine.netlink.groups import BRIDGE_GROUP_CHANGES, MULTICAST_ROUTE_CHANGES
from ...engine.netlink.transport import Dump
from ...engine.pieces import in_pieces
from ...engine.places import InterfaceNames, Place
from ...errors import NetinspectError, NetlinkError
from ...procfs import network_text
from ...records import MulticastInterface
from ...uapi.netlink import NETLINK_ROUTE
from . import decode_mdb as bridge_mdb
from . import decode_routing as multicast_route
from . import decode_text as multicast_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from ...engine.netlink.messages import Run
    from .listing import Query

_FILES = {"inet": "ip_mr_vif", "inet6": "ip6_mr_vif"}
_OPTIONS = {"inet": "IP_MROUTE", "inet6": "IPV6_MROUTE"}
_NAMES = {"inet": "IPv4", "inet6": "IPv6"}
_MAIN_TABLE = 254
"""linux/rtnetlink.h: RT_TABLE_MAIN, which IPv6's default multicast routing table is; procfs shows no other."""


class MulticastListing(BaseListing):
    """One listing of ``view``: routes, interfaces or bridge."""

    def __init__(self, view: str, query: Query, places: Sequence[Place] = ()) -> None:
        """Without ``places``: the current namespace."""
        super().__init__(places)
        self._asked = self._query = query
        self._rows = {"routes": self._routes, "interfaces": self._router_interfaces, "bridge": self._bridge}[view]

    def _place(self, place: Place) -> Iterator[Batch]:
        if self._asked.interfaces:
            self._query = self._asked.on(self._interface_names(place, self._asked.interfaces))
        yield from in_pieces(list(self._rows(place, InterfaceNames(place))))

    def _families(self, place: Place) -> Iterator[str]:
        for family, file in _FILES.items():
            if family not in self._query.families:
                continue
            try:
                there = inside(place.descriptor, partial(network_text, file)) is not None
            except NetinspectError as error:
                self.problems.append(f"cannot determine whether there is {_NAMES[family]} multicast routing: {error}")
                there = family == "inet"  # rtnetlink reports all of IPv4's
            if there:
                yield family
            else:
                self.notes.append(f"this kernel has no {_NAMES[family]} multicast routing (CONFIG_{_OPTIONS[family]})")

    def _routes(self, place: Place, names: InterfaceNames) -> Iterator[Any]:
        for family in self._families(place):
            request = multicast_route.routes_request(family)

            def decode(run: Run) -> Iterable[Any]:
                return multicast_route.routes(run, names.__getitem__)

            operation = f"listing the {_NAMES[family]} multicast routes"
            for row in self._dump(place, request, operation, decode, MULTICAST_ROUTE_CHANGES[family]):
                shown = {row.interface, *(hop.interface for hop in row.outgoing)}
                if self._wants(row.group, shown):
                    yield row

    def _router_interfaces(self, place: Place, names: InterfaceNames) -> Iterator[Any]:
        for family in self._families(place):
            if family == "inet6":
                yield from filter(lambda row: self._wants(None, {row.interface}), self._of_procfs(place))
                continue

            def decode(run: Run) -> Iterable[Any]:
                return multicast_route.interfaces(run, names.__getitem__)

            request = multicast_route.interfaces_request()
            for row in self._dump(place, request, "listing the interfaces of the multicast router", decode):
                if self._wants(None, {row.interface}):
                    yield row

    @staticmethod
    def _of_procfs(place: Place) -> Iterator[MulticastInterface]:
        """IPv6's: no netlink source is known for them."""
        text = inside(place.descriptor, partial(network_text, _FILES["inet6"])) or ""
        for number, interface, counters, flags in multicast_text.multicast_interfaces(text, "inet6"):
            bytes_in, packets_in, bytes_out, packets_out = counters
            names = multicast_route.flag_names(flags, "inet6")
            yield MulticastInterface(
                *("inet6", _MAIN_TABLE, number, interface, names),
                *(packets_in, bytes_in, packets_out, bytes_out),
                *(None, None, "procfs"),
            )

    def _bridge(self, place: Place, names: InterfaceNames) -> Iterator[Any]:
        def decode(run: Run) -> Iterable[Any]:
            return bridge_mdb.groups(run, names.__getitem__)

        try:
            operation = "listing the multicast groups of bridges"
            rows = self._dump(place, bridge_mdb.request(), operation, decode, BRIDGE_GROUP_CHANGES)
        except NetlinkError as error:
            if error.errno != EOPNOTSUPP:
                raise
            self.notes.append("this kernel has no multicast snooping bridges (CONFIG_BRIDGE_IGMP_SNOOPING)")
            return
        for row in rows:
            of_family = row.family is None or row.family in self._query.families
            if of_family and self._wants(row.group, {row.bridge, row.port}):
                yield row

    def _wants(self, group: str | None, interfaces: set[str | None]) -> bool:
        query = self._query
        if query.groups and group not in query.groups:
            return False
        return not query.interfaces or not query.interfaces.isdisjoint(interfaces)

    def _dump(
        self, place: Place, request: bytes, operation: str, decode: Callable[[Run], Iterable[Any]], group: int = 0
    ) -> list[Any]:
        """``group`` tells of changes that the kernel does not tell of in the dump."""

        def dump() -> Dump:
            return Dump(place.connect(NETLINK_ROUTE), request, operation)

        def watch() -> Changes:
            return Changes(place.connect(NETLINK_ROUTE), group)

        return whole_list(operation, dump, decode, self.problems.append, watch if group else None)


def queriers(place: Place, problems: list[str]) -> dict[tuple[int, str], str]:
    """The queriers that bridges follow, or are themselves, by interface index and family. Raises NetlinkError."""
    operation = "asking bridges for queriers"

    def dump() -> Dump:
        return Dump(place.connect(NETLINK_ROUTE), bridge_mdb.queriers_request(), operation)

    found = whole_list(operation, dump, bridge_mdb.queriers, problems.append)
    return {(index, family): address for index, family, address in found}
