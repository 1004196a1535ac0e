"""Conditions on links: network interfaces."""

from __future__ import annotations

from typing import NamedTuple

from ..engine.columns import NONE
from ..engine.netlink.groups import LINK_CHANGES
from ..nouns.links.listing import LinkListing, Query
from ..uapi.netlink import NETLINK_ROUTE
from .conditions import REPORTED, Observation, named, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ..engine.places import Place
    from ..records import Link

STATES: dict[str, Callable[[Link], bool]] = {
    "up": lambda link: "up" in link.flags and link.state in ("up", "unknown"),
    "down": lambda link: not STATES["up"](link),
}
"""A link is up where packets can be sent: an administrator has set it up and it has a carrier. The state of links that
know no carrier, as loopback and many tunnels, is unknown (linux/if.h: IF_OPER_UNKNOWN)."""

_NOT_LOOKED_AT = ("statistics", "parent_namespace")
"""What takes time to find out, and does not matter here."""


class LinkIs(NamedTuple):
    """There is a link of this name, and it is so. None: does not matter."""

    name: str
    state: str | None = None
    mtu: int | None = None
    master: str | None = None

    def __str__(self) -> str:
        words = [f"{name} {value}" for name, value in (("mtu", self.mtu), ("master", self.master)) if value is not None]
        if self.state is not None:
            words.insert(0, self.state)
        return f"link {self.name} is {' '.join(words) or 'there'}"

    @property
    def pause(self) -> float:
        """The kernel reports of links."""
        return REPORTED

    @property
    def events(self) -> Mapping[int, Sequence[int]]:
        """Changes of links."""
        return {NETLINK_ROUTE: LINK_CHANGES}

    def look(self, places: Sequence[Place]) -> Observation:
        """The link, where it is so."""
        links, seen = self._rows(places)
        masters = named(self.master, places)
        unknown = () if masters or self.master is None else (self.master,)
        return seen._replace(found=tuple(link for link in links if self._fits(link, masters)), unknown=unknown)

    def _fits(self, link: Link, masters: Mapping[str | None, str]) -> bool:
        return (
            (self.state is None or STATES[self.state](link))
            and self.mtu in (None, link.mtu)
            and (self.master is None or (link.master is not None and masters.get(link.netns) == link.master))
        )

    def _rows(self, places: Sequence[Place], *, every: bool = False) -> tuple[list[Link], Observation]:
        listing = LinkListing(Query(), places)
        rows: list[Link] = []
        for batch in listing.batches():
            if not every:
                names = zip(batch.values("name"), batch.values("alternative_names"), strict=True)
                batch = batch.select([self.name == name or self.name in (others or ()) for name, others in names])
            if batch.count:
                rows += batch.joined(dict.fromkeys(_NOT_LOOKED_AT, lambda _: NONE))
        return rows, Observation((), tuple(listing.problems), tuple(listing.notes))

    def nearest(self, places: Sequence[Place]) -> list[str]:
        """How the link is, and else all links."""
        links, _ = self._rows(places)
        if links:
            return shown("it is:", links)
        rows, _ = self._rows(places, every=True)
        return ["no such link", *shown("links there:", rows)]
