"""The Python API of multicast: what `netinspect groups` lists, as iterators of records."""

from __future__ import annotations

from ..errors import UsageError
from ..nouns.groups import listing as collected
from ..nouns.groups import listing_routing as multicast_routing
from ..nouns.groups.listing import FAMILIES, Query
from .listed import Events, Listed, places_of, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from typing import Any

    from ..records import BridgeGroup, GroupEvent, Membership, MulticastInterface, MulticastRoute

    Texts = str | Iterable[str]


def memberships(
    *,
    families: Texts = FAMILIES,
    groups: Texts = (),
    interfaces: Texts = (),
    sockets: bool = False,
    netns: Texts | None = None,
    all_netns: bool = False,
) -> Listed[Membership]:
    """The multicast group memberships of interfaces, as Membership records.

    ``families``: any of link, inet and inet6; ``groups`` and ``interfaces`` select; ``sockets`` adds which sockets and
    processes joined each group, and which receive its datagrams.

    Raises UsageError for an unknown family, and while iterating NamespaceError and NetlinkError. All of them
    are NetinspectErrors.
    """
    query = _query(families, groups, interfaces, sockets)
    return Listed("Membership", collected.MembershipListing(query, places_of(netns, all_netns)))


def membership_events(
    *,
    families: Texts = FAMILIES,
    groups: Texts = (),
    interfaces: Texts = (),
    interval: float = 1.0,
    seconds: float | None = None,
    netns: str | None = None,
) -> Events[GroupEvent]:
    """Joins and leaves of multicast groups as they occur, as GroupEvent records.

    Selectors are as in ``memberships``. What the kernel does not report is sampled every ``interval`` seconds. Runs for
    ``seconds`` (None: no limit) or until ``close``. Raises UsageError at once, and while iterating
    NamespaceError and NetlinkError.
    """
    return Events("GroupEvent", _watched(_query(families, groups, interfaces), interval, seconds, netns))


def _watched(
    query: Query, interval: float, seconds: float | None, netns: str | None
) -> Generator[GroupEvent, None, None]:
    from ..nouns.groups.events import Watch

    with places_of(netns, False)[0] as place:
        watch = Watch(query, [place], interval)
        try:
            for events in watch.events(seconds):
                yield from events
        finally:
            watch.close()


def multicast_routes(
    *,
    families: Texts = ("inet", "inet6"),
    groups: Texts = (),
    interfaces: Texts = (),
    netns: Texts | None = None,
    all_netns: bool = False,
) -> Listed[MulticastRoute]:
    """The multicast routing tables, as MulticastRoute records. Selectors and errors are as in ``memberships``."""
    return _routing("routes", "MulticastRoute", _query(families, groups, interfaces), netns, all_netns)


def multicast_interfaces(
    *,
    families: Texts = ("inet", "inet6"),
    interfaces: Texts = (),
    netns: Texts | None = None,
    all_netns: bool = False,
) -> Listed[MulticastInterface]:
    """Interfaces of the multicast router, as MulticastInterface records. Selectors and errors: see ``memberships``."""
    return _routing("interfaces", "MulticastInterface", _query(families, (), interfaces), netns, all_netns)


def bridge_groups(
    *,
    families: Texts = FAMILIES,
    groups: Texts = (),
    interfaces: Texts = (),
    netns: Texts | None = None,
    all_netns: bool = False,
) -> Listed[BridgeGroup]:
    """Multicast groups behind bridge ports (MDB), as BridgeGroup records. Selectors are as in ``memberships``."""
    return _routing("bridge", "BridgeGroup", _query(families, groups, interfaces), netns, all_netns)


def _query(families: Texts, groups: Texts, interfaces: Texts, sockets: bool = False) -> Query:
    wanted = several(families)
    for family in wanted:
        if family not in FAMILIES:
            raise UsageError(f"{family!r} is not one of {', '.join(FAMILIES)}")
    return Query(wanted, groups=several(groups), interfaces=several(interfaces), sockets=sockets)


def _routing(view: str, record: str, query: Query, netns: Texts | None, all_netns: bool) -> Listed[Any]:
    return Listed(record, multicast_routing.MulticastListing(view, query, places_of(netns, all_netns)))
