"""Conditions on routes."""

from __future__ import annotations

from itertools import chain
from typing import NamedTuple

from ..engine.netlink.groups import ROUTE_CHANGES
from ..errors import NetinspectError, NetlinkError
from ..nouns.routing.listing import FAMILIES, Prefix, Query, RouteListing
from ..uapi.netlink import NETLINK_ROUTE
from .conditions import MOSTLY_REPORTED, REPORTED, Observation, named, shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from ..engine.places import Place
    from ..records import Route

_REFUSING = ("blackhole", "unreachable", "prohibit")


class Wanted(NamedTuple):
    """What a route must be like. None: does not matter."""

    via: str | None = None
    dev: str | None = None
    table: str | None = None
    proto: str | None = None
    src: str | None = None
    metric: int | None = None
    type: str | None = None
    mtu: int | None = None

    def fits(self, route: Route) -> bool:
        """Whether the route is so; of several next hops one must be."""
        hops = [(route.gateway, route.interface)]
        hops += [(hop.gateway, hop.interface) for hop in route.next_hops or ()]
        if not any(self.via in (None, gateway) and self.dev in (None, interface) for gateway, interface in hops):
            return False
        mtu = route.pmtu or (route.metrics.mtu if route.metrics else None)
        return all(
            wanted in (None, found)
            for wanted, found in (
                (self.table, route.table),
                (self.proto, route.protocol),
                (self.src, route.preferred_source),
                (self.metric, route.metric),
                (self.type, route.type),
                (self.mtu, mtu),
            )
        )

    def chosen(self, routes: Iterable[Route], places: Sequence[Place]) -> tuple[tuple[Route, ...], tuple[str, ...]]:
        """The routes that fit, and the interface if there is none of that name; it may be an alternative one."""
        if self.dev is None:
            return tuple(filter(self.fits, routes)), ()
        names = named(self.dev, places)
        there = {label: self._replace(dev=name) for label, name in names.items()}
        found = tuple(route for route in routes if route.netns in there and there[route.netns].fits(route))
        return found, () if names else (self.dev,)

    def __str__(self) -> str:
        words = [f"{name} {value}" for name, value in self._asdict().items() if value is not None]
        return "".join(f" {word}" for word in words)


def _rows(query: Query, places: Sequence[Place]) -> tuple[list[Route], RouteListing]:
    listing = RouteListing(query, places)
    rows: list[Route] = list(chain.from_iterable(listing.batches()))
    return rows, listing


class RouteExists(NamedTuple):
    """A table has a route to exactly this prefix."""

    prefix: str
    wanted: Wanted
    table: int | None
    """None: any table."""

    def __str__(self) -> str:
        return f"there is a route to {self.prefix}{self.wanted}"

    @property
    def pause(self) -> float:
        """The kernel reports of routes, and of the links and addresses that they go with."""
        return REPORTED

    @property
    def events(self) -> Mapping[int, Sequence[int]]:
        """Changes of routes, links and addresses."""
        return {NETLINK_ROUTE: ROUTE_CHANGES}

    def look(self, places: Sequence[Place]) -> Observation:
        """The routes."""
        rows, listing = _rows(self._query(self.prefix, self.table), places)
        found, unknown = self.wanted.chosen(rows, places)
        return Observation(found, tuple(listing.problems), tuple(listing.notes), unknown)

    def _query(self, prefix: str, table: int | None, mode: str = "exact") -> Query:
        asked = Prefix(prefix, mode)
        return Query((asked.family,) if asked.family else FAMILIES[:2], table=table, prefix=asked)

    def nearest(self, places: Sequence[Place]) -> list[str]:
        """Routes to that prefix, and else those that cover it."""
        exact, _ = _rows(self._query(self.prefix, None), places)
        if exact:
            return shown("routes to that prefix:", exact)
        covering, _ = _rows(self._query(self.prefix, self.table, "match"), places)
        lines = ["no route to that prefix"]
        return lines + shown("routes that cover it:", covering)


class Routed(NamedTuple):
    """The kernel sends to this address so: by whatever table, route exceptions included."""

    address: str
    wanted: Wanted

    def __str__(self) -> str:
        return f"{self.address} is routed{self.wanted}"

    @property
    def pause(self) -> float:
        """It does not report of exceptions: a path MTU that was learned, a redirect."""
        return MOSTLY_REPORTED

    @property
    def events(self) -> Mapping[int, Sequence[int]]:
        """Changes of routes, rules, links and addresses."""
        return {NETLINK_ROUTE: ROUTE_CHANGES}

    def look(self, places: Sequence[Place]) -> Observation:
        """The answer of the kernel's look-up, where it is as wanted."""
        found, problems = self._answers(places)
        fitting, unknown = self.wanted.chosen(found, places)
        return Observation(fitting, tuple(problems), (), unknown)

    def _answers(self, places: Sequence[Place]) -> tuple[list[Route], list[str]]:
        from ..nouns.routing.listing_lookup import Lookup, Lookups

        listing = Lookups(Lookup([self.address]), places)
        rows: list[Route] = []
        try:
            rows += chain.from_iterable(listing.batches())
        except NetlinkError:
            pass  # there is no route
        if not rows and self.wanted.type in _REFUSING:
            rows += self._refusals(places)
        return rows, listing.problems

    def _refusals(self, places: Sequence[Place]) -> Iterator[Route]:
        """The routes of that type that the kernel finds for the address: it answers with an error, not with them."""
        from ..engine.places import Place
        from ..nouns.path.listing_stacks import Stacks

        for place in places or (Place(None),):
            try:
                with place:
                    answer = Stacks().of(place).route(self.address)
            except NetinspectError:
                continue  # it is gone, or has no answer: there is no such route
            if answer.entry is not None and answer.refused == self.wanted.type:
                yield answer.entry._replace(netns=place.label)

    def nearest(self, places: Sequence[Place]) -> list[str]:
        """How it is routed."""
        return shown("the kernel's answer:", self._answers(places)[0]) or ["the kernel has no route to it"]
