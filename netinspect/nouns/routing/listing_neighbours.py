"""Neighbours, and the tables that they are in."""

from __future__ import annotations

from errno import EAFNOSUPPORT, EOPNOTSUPP

from ...engine.columns import Batch
from ...engine.dumps import whole_list, whole_table
from ...engine.listing import BaseListing
from ...engine.netlink.changes import Changes
from ...engine.netlink.groups import NEIGHBOUR_CHANGES
from ...engine.netlink.transport import Dump
from ...engine.places import Place
from ...engine.rtnetlink import FAMILY_NUMBERS, of_family
from ...engine.schema import rows_of
from ...errors import NetlinkError
from ...uapi.netlink import NETLINK_ROUTE
from . import decode_neighbour_tables as neighbour_tables
from . import decode_neighbours as neighbour
from .listing import names_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

FAMILIES = ("inet", "inet6")
_HIDDEN = frozenset(("noarp", "none"))
"""States that `ip neigh` shows only when asked: addresses that need no look-up, as those of multicast."""


class Query:
    """What to ask. What is empty or None does not matter; ``interface`` is the kernel's to filter by."""

    __slots__ = ("everything", "families", "interface", "states")

    def __init__(
        self,
        families: Sequence[str] = (),
        *,
        interface: str | None = None,
        states: Sequence[str] = (),
        everything: bool = False,
    ) -> None:
        """``everything`` includes entries that need no look-up, which are left out where no ``states`` are named."""
        known = neighbour.STATES.values()
        for state in states:
            if state not in known:
                from ...engine.help import unknown

                raise unknown("state", state, known)
        self.families = families
        self.interface = interface
        self.states = states
        self.everything = everything


class NeighbourListing(BaseListing):
    """One listing: ``batches()`` streams it."""

    def __init__(self, query: Query | None = None, places: Sequence[Place] = ()) -> None:
        """Without ``places``: the current namespace."""
        self.query = query or Query()
        super().__init__(places)

    def _place(self, place: Place) -> Iterator[Batch]:
        query = self.query
        interface = None if query.interface is None else self._interface(place, query.interface)
        if query.interface is not None and interface is None:
            return
        index, name = interface or (0, None)
        for family in query.families or FAMILIES:
            try:
                for proxies in (False, True):
                    for batch in self._dump(family, index, proxies, place):
                        chosen = self._chosen(batch, proxies, name)
                        if chosen.count:
                            yield chosen
            except NetlinkError as error:
                if family == "inet" or error.errno not in (EAFNOSUPPORT, EOPNOTSUPP):
                    raise
                if query.families:
                    self.problems.append("this kernel, or this namespace, has no IPv6")

    def _chosen(self, batch: Batch, proxies: bool, interface: str | None) -> Batch:
        query = self.query
        if interface is not None:
            batch = batch.select([name == interface for name in batch.values("interface")])
        if query.states:
            return batch.select([state in query.states for state in batch.values("state")])
        if query.everything or proxies:
            return batch
        return batch.select([state not in _HIDDEN for state in batch.values("state")])

    def _dump(self, family: str, index: int, proxies: bool, place: Place) -> Iterator[Batch]:
        decoder = neighbour.Decoder(names_of(place))
        request = neighbour.request(FAMILY_NUMBERS[family], interface=index, proxies=proxies)
        operation = f"listing neighbours ({family})"

        def dump() -> Dump:
            return Dump(place.connect(NETLINK_ROUTE), request, operation)

        def watch() -> Changes:
            return Changes(place.connect(NETLINK_ROUTE), NEIGHBOUR_CHANGES)

        # The kernel counts the entries that it has returned in a chain of its hash table, with those of all namespaces:
        # one that is removed before them hides another (net/core/neighbour.c: neigh_dump_table, pneigh_dump_table).
        decode = of_family(FAMILY_NUMBERS[family], decoder.batch)
        return whole_table(operation, dump, decode, self.problems.append, watch, shared=True)


class TableListing(BaseListing):
    """The tables of neighbours themselves."""

    def _place(self, place: Place) -> Iterator[Batch]:
        """All tables in one batch."""
        from ...records import NeighbourTable

        # The kernel may send a table again if its parameters did not fit into one buffer.
        found = {}
        operation = "listing tables of neighbours"

        def dump() -> Dump:
            return Dump(place.connect(NETLINK_ROUTE), neighbour_tables.request(), operation)

        for name, figures in whole_list(operation, dump, neighbour_tables.tables, self.problems.append):
            numbers: dict[str, Any] = {figure: number for figure, number in figures if figure in NeighbourTable._fields}
            limit = numbers.get("gc_thresh3", 0)
            used = round(100 * numbers.get("entries", 0) / limit, 1) if limit else 0.0
            found[name] = NeighbourTable(name=name, used=used, **numbers)
        if found:
            yield rows_of(list(found.values()))
