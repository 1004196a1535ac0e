"""Conditions on addresses of interfaces."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

from ..engine.netlink.groups import ADDRESS_CHANGES
from ..nouns.links.listing_addresses import AddressListing, Query
from ..uapi.netlink import NETLINK_ROUTE
from .conditions import REPORTED, Observation, named, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..engine.places import Place
    from ..records import Address

_UNUSABLE = frozenset(("tentative", "dadfailed"))
"""Flags of an address that is not usable: duplicate address detection (RFC 4862, 5.4) is running or has failed."""


class AddressIsUsable(NamedTuple):
    """An interface has this address, and it can be used. None: does not matter."""

    address: str
    prefix_length: int | None = None
    dev: str | None = None

    def __str__(self) -> str:
        length = "" if self.prefix_length is None else f"/{self.prefix_length}"
        where = f" on {self.dev}" if self.dev else ""
        return f"address {self.address}{length} can be used{where}"

    @property
    def pause(self) -> float:
        """The kernel reports of addresses, and of the end of duplicate address detection."""
        return REPORTED

    @property
    def events(self) -> Mapping[int, Sequence[int]]:
        """Changes of addresses and links."""
        return {NETLINK_ROUTE: ADDRESS_CHANGES}

    def look(self, places: Sequence[Place]) -> Observation:
        """The address, where it is so."""
        rows, seen = self._rows(places)
        names = named(self.dev, places)
        return seen._replace(
            unknown=() if names or self.dev is None else (self.dev,),
            found=tuple(
                row
                for row in rows
                if row.address == self.address
                and self.prefix_length in (None, row.prefix_length)
                and (self.dev is None or names.get(row.netns) == row.interface)
                and _UNUSABLE.isdisjoint(row.flags)
            ),
        )

    def _rows(self, places: Sequence[Place]) -> tuple[list[Address], Observation]:
        listing = AddressListing(Query(("inet6" if ":" in self.address else "inet",)), places)
        rows: list[Address] = list(chain.from_iterable(listing.batches()))
        return rows, Observation((), tuple(listing.problems), tuple(listing.notes))

    def nearest(self, places: Sequence[Place]) -> list[str]:
        """The address, or else all addresses of its family."""
        rows, _ = self._rows(places)
        near = [row for row in rows if row.address == self.address]
        return shown("it is:", near) or shown("addresses there:", rows) or ["no addresses of that family"]
