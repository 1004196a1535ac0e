"""Addresses of interfaces."""

from __future__ import annotations

from errno import EAFNOSUPPORT, EOPNOTSUPP

from ...engine.dumps import whole_table
from ...engine.listing import BaseListing
from ...engine.netlink.transport import Dump
from ...engine.places import Place
from ...engine.rtnetlink import FAMILY_NUMBERS, of_family
from ...errors import NetlinkError
from ...uapi.netlink import NETLINK_ROUTE
from ..routing.listing import names_of
from . import decode_addresses as interface_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...engine.columns import Batch

FAMILIES = ("inet", "inet6")


class Query:
    """What to ask. What is empty or None does not matter; ``interface`` is the kernel's to filter by."""

    __slots__ = ("families", "interface", "scope")

    def __init__(self, families: Sequence[str] = (), *, interface: str | None = None, scope: str | None = None) -> None:
        self.families = families
        self.interface = interface
        self.scope = scope


class AddressListing(BaseListing):
    """One listing: ``batches()`` streams it."""

    def __init__(self, query: Query | None = None, places: Sequence[Place] = ()) -> None:
        """Without ``places``: the current namespace."""
        self.query = query or Query()
        super().__init__(places)

    def _place(self, place: Place) -> Iterator[Batch]:
        query = self.query
        index = self._interface_index(place, query.interface)
        if index is None:
            return
        for family in query.families or FAMILIES:
            try:
                for batch in self._family(family, index, place):
                    if index:
                        batch = batch.select([found == index for found in batch.values("interface_index")])
                    if query.scope is not None:
                        batch = batch.select([scope == query.scope for scope in batch.values("scope")])
                    if batch.count:
                        yield batch
            except NetlinkError as error:
                if family == "inet" or error.errno not in (EAFNOSUPPORT, EOPNOTSUPP):
                    raise
                if query.families:
                    self.problems.append("this kernel, or this namespace, has no IPv6")

    def _family(self, family: str, index: int, place: Place) -> Iterator[Batch]:
        names = names_of(place)
        operation = f"listing addresses ({family})"

        def dump() -> Dump:
            request = interface_address.request(FAMILY_NUMBERS[family], interface=index)
            return Dump(place.connect(NETLINK_ROUTE), request, operation)

        decode = of_family(FAMILY_NUMBERS[family], lambda runs: interface_address.batch(runs, names))
        return whole_table(operation, dump, decode, self.problems.append)
