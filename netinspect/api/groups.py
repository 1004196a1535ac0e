"""The Python API of multicast: what `netinspect groups` lists, as iterators of records."""

from __future__ import annotations

from ..errors import UsageError
from ..nouns.groups import listing as collected
from ..nouns.groups import listing_routing as multicast_routing
from ..nouns.groups.listing import FAMILIES, Query
from .listed import Listed, places_of, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Texts = str | Iterable[str]


def memberships(
    *,
    families: Texts = FAMILIES,
    groups: Texts = (),
    interfaces: Texts = (),
    sockets: bool = False,
    netns: Texts | None = None,
    all_netns: bool = False,
) -> Listed:
    """The multicast groups that interfaces receive, as Membership records.

    ``families`` are of link, inet and inet6; ``groups`` and ``interfaces`` select where they are given; ``sockets``
    finds out which sockets and processes joined each group, and which get its datagrams.

    Raises UsageError for a family that there is not, and while iterating NamespaceError and NetlinkError. All of them
    are NetinspectErrors.
    """
    query = _query(families, groups, interfaces, sockets)
    return Listed(collected.Listing(query, places_of(netns, all_netns)))


def multicast_routes(
    *,
    families: Texts = ("inet", "inet6"),
    groups: Texts = (),
    interfaces: Texts = (),
    netns: Texts | None = None,
    all_netns: bool = False,
) -> Listed:
    """The multicast routing tables, as MulticastRoute records. Selects and raises as ``memberships`` does."""
    return _routing("routes", _query(families, groups, interfaces), netns, all_netns)


def multicast_interfaces(
    *,
    families: Texts = ("inet", "inet6"),
    interfaces: Texts = (),
    netns: Texts | None = None,
    all_netns: bool = False,
) -> Listed:
    """The multicast router's interfaces, as MulticastInterface records. Selects and raises as ``memberships`` does."""
    return _routing("interfaces", _query(families, (), interfaces), netns, all_netns)


def bridge_groups(
    *,
    families: Texts = FAMILIES,
    groups: Texts = (),
    interfaces: Texts = (),
    netns: Texts | None = None,
    all_netns: bool = False,
) -> Listed:
    """What bridges know of members behind their ports, as BridgeGroup records. Selects as ``memberships`` does."""
    return _routing("bridge", _query(families, groups, interfaces), netns, all_netns)


def _query(families: Texts, groups: Texts, interfaces: Texts, sockets: bool = False) -> Query:
    wanted = several(families)
    for family in wanted:
        if family not in FAMILIES:
            raise UsageError(f"{family!r} is none of {', '.join(FAMILIES)}")
    return Query(wanted, groups=several(groups), interfaces=several(interfaces), sockets=sockets)


def _routing(view: str, query: Query, netns: Texts | None, all_netns: bool) -> Listed:
    return Listed(multicast_routing.Listing(view, query, places_of(netns, all_netns)))
