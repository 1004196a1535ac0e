"""The Python API of routing, links and neighbours: what `netinspect routes` and similar commands list, as records."""

from __future__ import annotations

from ..errors import UsageError
from ..nouns.links import listing as collected_links
from ..nouns.links import listing_addresses as collected_addresses
from ..nouns.routing import listing as collected_routes
from ..nouns.routing import listing_neighbours as collected_neighbours
from ..nouns.routing import listing_rules as collected_rules
from .listed import Listed, places_of, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..records import Address, Link, Neighbour, NeighbourTable, Route, RouteCount, Rule

    Texts = str | Iterable[str]


def routes(
    *,
    families: Texts = ("inet", "inet6"),
    table: str | int | None = "main",
    protocol: str | int | None = None,
    type: str | None = None,
    interface: str | None = None,
    scope: str | int | None = None,
    via: str | None = None,
    source: str | None = None,
    prefix: str | None = None,
    match: str = "exact",
    exceptions: bool = False,
    netns: Texts | None = None,
    all_netns: bool = False,
) -> Listed[Route]:
    """Routes, as Route records, streamed in the kernel's order: memory use does not depend on the size of the table.

    ``families``: any of inet, inet6 and mpls. ``table`` and ``protocol`` are names (rt_tables, rt_protos) or numbers,
    None is all; the kernel filters by them, ``type`` and ``interface``. ``scope`` is a name (rt_scopes) or number,
    ``via`` a gateway, ``source`` a preferred source. ``prefix`` selects destinations: this one (``match="exact"``),
    those within it (``"root"``) or those that cover it (``"match"``). ``exceptions`` lists route exceptions (path MTUs,
    redirects) instead.

    Raises UsageError for an invalid value, and while iterating NamespaceError and NetlinkError.
    """
    from ..nouns.routing.names import address_in_words, numbered, scope_in_words

    wanted = _known(families, collected_routes.FAMILIES)
    if match not in ("exact", "root", "match"):
        raise UsageError(f"match is exact, root or match, not {match!r}")
    equal = {
        "scope": None if scope is None else scope_in_words(str(scope)),
        "gateway": None if via is None else address_in_words(via),
        "preferred_source": None if source is None else address_in_words(source),
    }
    query = collected_routes.Query(
        wanted,
        table=None if table is None or (exceptions and table == "main") else numbered("rt_tables", str(table)),
        protocol=None if protocol is None else numbered("rt_protos", str(protocol)),
        kind=type,
        interface=interface,
        prefix=None if prefix is None else collected_routes.Prefix(prefix, match),
        equal={field: value for field, value in equal.items() if value is not None},
        exceptions=exceptions,
        explicit="mpls" in wanted,
    )
    return Listed("Route", collected_routes.RouteListing(query, places_of(netns, all_netns)))


def route_counts(found: Listed[Route]) -> list[RouteCount]:
    """How many routes there are by family, table, protocol and type: the rest of a listing of ``routes``, counted.

    Raises what iterating raises.
    """
    from ..nouns.routing.listing_counts import counts

    return counts(found.batches())


def route_to(
    address: str,
    *,
    source: str | None = None,
    iif: str | None = None,
    oif: str | None = None,
    mark: str | int | None = None,
    uid: int | None = None,
    tos: str | int | None = None,
    ipproto: str | int | None = None,
    sport: int | None = None,
    dport: int | None = None,
    netns: str | None = None,
) -> Route:
    """The kernel's route to an address (FIB lookup), with the matching rule and table entry.

    The selectors are those of ip-route(8)'s ``route get``; ``source`` is its ``from``. Raises UsageError,
    NamespaceError, and NetlinkError if there is no route.
    """
    from ..nouns.routing.listing_lookup import Lookup, Lookups

    selectors = {
        "from": source,
        "iif": iif,
        "oif": oif,
        "mark": mark,
        "uid": uid,
        "tos": tos,
        "ipproto": ipproto,
        "sport": sport,
        "dport": dport,
    }
    words = [address]
    for name, value in selectors.items():
        words += [] if value is None else [name, str(value)]
    for batch in Lookups(Lookup(words), places_of(netns, False)).batches():
        for route in batch:
            found: Route = route
            return found
    raise UsageError(f"no answer for {address!r}")


def rules(*, families: Texts = (), netns: Texts | None = None, all_netns: bool = False) -> Listed[Rule]:
    """The policy rules, in order of priority, as Rule records. Errors are as in ``routes``."""
    wanted = _known(families, collected_rules.FAMILIES)
    return Listed("Rule", collected_rules.RuleListing(wanted, places_of(netns, all_netns)))


def neighbours(
    *,
    families: Texts = (),
    interface: str | None = None,
    states: Texts = (),
    everything: bool = False,
    netns: Texts | None = None,
    all_netns: bool = False,
) -> Listed[Neighbour]:
    """ARP and IPv6 neighbour entries, as Neighbour records.

    ``everything`` includes entries that need no resolution, such as multicast. Errors are as in ``routes``.
    """
    query = collected_neighbours.Query(
        _known(families, collected_neighbours.FAMILIES),
        interface=interface,
        states=several(states),
        everything=everything,
    )
    return Listed("Neighbour", collected_neighbours.NeighbourListing(query, places_of(netns, all_netns)))


def neighbour_tables(*, netns: Texts | None = None, all_netns: bool = False) -> Listed[NeighbourTable]:
    """The neighbour tables, their limits and counters, as NeighbourTable records. Errors are as in ``routes``."""
    return Listed("NeighbourTable", collected_neighbours.TableListing(places_of(netns, all_netns)))


def addresses(
    *,
    families: Texts = (),
    interface: str | None = None,
    scope: str | None = None,
    netns: Texts | None = None,
    all_netns: bool = False,
) -> Listed[Address]:
    """The addresses of interfaces, as Address records. Errors are as in ``routes``."""
    wanted = _known(families, collected_addresses.FAMILIES)
    query = collected_addresses.Query(wanted, interface=interface, scope=scope)
    return Listed("Address", collected_addresses.AddressListing(query, places_of(netns, all_netns)))


def links(
    names: Texts = (),
    *,
    kind: str | None = None,
    master: str | None = None,
    up: bool = False,
    rates: float | None = None,
    netns: Texts | None = None,
    all_netns: bool = False,
) -> Listed[Link]:
    """Network interfaces, as Link records. ``rates``: measure rates over this many seconds. Errors are as in
    ``routes``.
    """
    query = collected_links.Query(several(names), kind=kind, master=master, up=up)
    places = places_of(netns, all_netns)
    if rates is not None:
        from ..nouns.links.listing_rates import RatedListing

        return Listed("Link", RatedListing(query, places, rates))
    return Listed("Link", collected_links.LinkListing(query, places))


def _known(families: Texts, known: tuple[str, ...]) -> tuple[str, ...]:
    wanted: tuple[str, ...] = several(families)
    for family in wanted:
        if family not in known:
            raise UsageError(f"{family!r} is not one of {', '.join(known)}")
    return wanted
