"""The contents of a snapshot by noun, the fields that identify records, and those that change by themselves."""

from __future__ import annotations

from typing import NamedTuple

from ..nouns.sockets.listing import ALL_STATES, PROTOCOLS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from ..engine.columns import Batch
    from ..engine.places import Place


class Noun(NamedTuple):
    """One noun. Fields that are neither identity, volatile nor left out are what a change is reported by."""

    name: str
    record: str
    """The type of its records, in netinspect.records."""
    identity: tuple[str, ...]
    """Fields that identify a record, in addition to netns."""
    volatile: frozenset[str]
    """Fields that change by themselves, or with every restart, and are compared only when asked for."""
    left_out: frozenset[str]
    """Fields that are never asked for."""
    listing: Callable[[Sequence[Place]], tuple[Iterator[Batch], Any]]
    """Batches, and the listing that has their problems and notes when they have ended."""

    @property
    def type(self) -> Any:
        """The type of its records."""
        from .. import records

        return getattr(records, self.record)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are kept."""
        return tuple(field for field in self.type._fields if field not in self.left_out)


def _sockets(places: Sequence[Place]) -> tuple[Iterator[Batch], Any]:
    from ..nouns.sockets.listing import Query, SocketListing
    from ..nouns.sockets.listing_joined import Selection, joined

    # Not netlink: a snapshot opens such sockets itself.
    listing = SocketListing(Query([name for name in PROTOCOLS if name != "netlink"], states=ALL_STATES), places)
    return joined(listing, ("processes", "user"), Selection()), listing


def _routes(places: Sequence[Place]) -> tuple[Iterator[Batch], Any]:
    from ..nouns.routing.listing import FAMILIES, Query, RouteListing

    listing = RouteListing(Query(FAMILIES, table=None), places)
    return listing.batches(), listing


def _rules(places: Sequence[Place]) -> tuple[Iterator[Batch], Any]:
    from ..nouns.routing.listing_rules import RuleListing

    listing = RuleListing((), places)
    return listing.batches(), listing


def _addresses(places: Sequence[Place]) -> tuple[Iterator[Batch], Any]:
    from ..nouns.links.listing_addresses import AddressListing

    listing = AddressListing(None, places)
    return listing.batches(), listing


def _links(places: Sequence[Place]) -> tuple[Iterator[Batch], Any]:
    from ..nouns.links.listing import LinkListing

    listing = LinkListing(None, places)
    return listing.batches(), listing


def _flows(places: Sequence[Place]) -> tuple[Iterator[Batch], Any]:
    from ..nouns.conntrack.listing import FlowListing

    listing = FlowListing(None, places)
    return listing.batches(), listing


def _groups(places: Sequence[Place]) -> tuple[Iterator[Batch], Any]:
    from ..nouns.groups.listing import MembershipListing, Query

    listing = MembershipListing(Query(), places)
    return listing.batches(), listing


NOUNS = {
    noun.name: noun
    for noun in (
        Noun(
            "sockets",
            "Socket",
            (
                *("protocol", "family", "type", "local_address", "local_port", "remote_address", "remote_port"),
                "interface",
            ),
            frozenset(
                (
                    *("recv_queue", "send_queue", "inode", "peer_inode", "cookie", "timer", "cgroup_id", "groups"),
                    *("owner_reason", "source", "user"),
                )
            ),
            frozenset(("cgroup", "tcp_info", "mptcp_info", "memory", "peers")),
            _sockets,
        ),
        Noun(
            "routes",
            "Route",
            ("family", "table", "destination", "source", "tos", "metric", "type"),
            frozenset(("expires",)),
            frozenset(("input_interface", "mark", "uid", "pmtu", "sockets", "rule", "entry")),
            _routes,
        ),
        Noun("rules", "Rule", ("family", "priority"), frozenset(), frozenset(), _rules),
        Noun(
            "links",
            "Link",
            ("name",),
            frozenset(
                (
                    *("index", "parent_index", "parent_namespace", "carrier_changes", "carrier_up_count"),
                    *("carrier_down_count", "statistics"),
                )
            ),
            frozenset(("rates",)),
            _links,
        ),
        Noun(
            "addresses",
            "Address",
            ("family", "interface", "address", "prefix_length", "peer"),
            frozenset(("valid_lifetime", "preferred_lifetime", "created", "updated")),
            frozenset(),
            _addresses,
        ),
        Noun(
            "flows",
            "Flow",
            (
                *("family", "protocol", "protocol_number", "zone", "zone_direction"),
                *("source_address", "source_port", "destination_address", "destination_port"),
                *("icmp_type", "icmp_code", "icmp_id"),
            ),
            frozenset(
                (
                    *("timeout", "packets", "bytes", "reply_packets", "reply_bytes", "start", "use", "id"),
                    *("security_context",),
                )
            ),
            frozenset(("stop",)),
            _flows,
        ),
        Noun(
            "groups",
            "Membership",
            ("family", "interface", "group"),
            frozenset(("interface_index", "reporter", "timer", "age", "source", "name")),
            frozenset(("sockets",)),
            _groups,
        ),
    )
}
"""All nouns, in the order of a snapshot."""
