"""Conditions on multicast groups."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

from ..engine.netlink.groups import MEMBERSHIP_CHANGES
from ..nouns.groups.listing import MembershipListing, Query
from ..uapi.netlink import NETLINK_ROUTE
from .conditions import MOSTLY_REPORTED, Observation, named, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..engine.places import Place
    from ..records import Membership


def receives(membership: Membership, source: str | None) -> bool | None:
    """Whether the interface takes the group's datagrams from that source, None for no source in particular.

    The answer is None where that is not known.
    """
    if source is None or source in membership.included:
        return True
    if membership.filter_mode is None:
        return None
    return membership.filter_mode == "exclude" and source not in membership.excluded


class Member(NamedTuple):
    """An interface receives this group."""

    group: str
    dev: str | None = None
    source: str | None = None

    def __str__(self) -> str:
        where = f" on {self.dev}" if self.dev else ""
        return f"{self.group} is received{where}{f' from {self.source}' if self.source else ''}"

    @property
    def pause(self) -> float:
        """Source filters change without a word, and older kernels do not report at all."""
        return MOSTLY_REPORTED

    @property
    def events(self) -> Mapping[int, Sequence[int]]:
        """Joins and leaves."""
        return {NETLINK_ROUTE: MEMBERSHIP_CHANGES}

    def look(self, places: Sequence[Place]) -> Observation:
        """The memberships."""
        if self.dev is not None and not named(self.dev, places):
            return Observation((), unknown=(self.dev,))
        query = Query(
            ("inet6" if ":" in self.group else "inet",),
            groups=(self.group,),
            interfaces=(self.dev,) if self.dev else (),
        )
        rows, listing = self._rows(query, places)
        takes = [receives(row, self.source) for row in rows]
        found = tuple(row for row, known in zip(rows, takes, strict=True) if known)
        problems = [
            f"whether {self.group} on {row.interface} is received from {self.source} is not known"
            for row, known in zip(rows, takes, strict=True)
            if known is None
        ]
        return Observation(found, (*problems, *listing.problems), tuple(listing.notes))

    @staticmethod
    def _rows(query: Query, places: Sequence[Place]) -> tuple[list[Membership], MembershipListing]:
        listing = MembershipListing(query, places)
        rows: list[Membership] = list(chain.from_iterable(listing.batches()))
        return rows, listing

    def nearest(self, places: Sequence[Place]) -> list[str]:
        """The group elsewhere, and else all groups."""
        near, _ = self._rows(Query(("inet", "inet6"), groups=(self.group,)), places)
        if near:
            return shown("the group is received:", near)
        rows, _ = self._rows(Query(("inet", "inet6")), places)
        return shown("groups there:", rows) or ["no group is received there"]
