"""What goes with translated flows: the ports that rules allow, and the owners of local ends."""

from __future__ import annotations

from _socket import inet_ntop

from ...engine.places import Place
from ...errors import NetinspectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...engine.columns import Batch, Values
    from .listing import TranslationListing

_OWNED_PROTOCOLS = ("tcp", "udp", "udplite")


def port_ranges(places: Sequence[Place]) -> dict[str | None, dict[str, tuple[int, int]]]:
    """By namespace and outside address: the first and last port of a rule that names some."""
    from ..conntrack.listing_state import ruleset
    from .decode_rules import nat_rules
    from .listing import local_addresses

    found: dict[str | None, dict[str, tuple[int, int]]] = {}
    for place in places:
        ranges: dict[str, tuple[int, int]] = {}
        again = Place(place.name, place.label)
        try:
            again.open()
            for rule in nat_rules(*ruleset(again)):
                if rule.ports is None or rule.kind not in ("snat", "masquerade"):
                    continue
                if rule.addresses is None:
                    ranges.update(dict.fromkeys(local_addresses(again), rule.ports))
                elif rule.addresses[0] == rule.addresses[1]:
                    packed = rule.addresses[0]
                    ranges[inet_ntop(2 if len(packed) == 4 else 10, packed)] = rule.ports
        except NetinspectError:
            continue  # the listing itself reports it
        finally:
            again.close()
        found[place.label] = ranges
    return found


def with_owners(batches: Iterable[Batch], listing: TranslationListing, places: Sequence[Place]) -> Iterator[Batch]:
    """The translated flows with the processes that hold an end: columns ``processes`` and, for tables, ``owners``."""
    from ..conntrack.owners import FlowOwners
    from ..sockets.listing import ALL_STATES, Query, SocketListing
    from ..sockets.owners import Owners

    owners = Owners()
    owners.scan()
    known: dict[str | None, FlowOwners] = {}
    for place in places:
        sockets = SocketListing(Query(_OWNED_PROTOCOLS, states=ALL_STATES), [Place(place.name)])
        found = known[place.label] = FlowOwners()
        found.learn(owners.joined(sockets.batches(), sockets.again))
        listing.problems.extend(sockets.problems)
    if unseen := owners.not_seen():
        remarks = listing.problems if owners.lacking else listing.notes
        remarks.append(f"{unseen}: owners may be missing")
    for batch in batches:
        rows = known[next(iter(batch.values("netns")), None)].of_flows(batch)
        columns: dict[str, Values] = {
            "processes": [tuple(processes) for processes, _ in rows],
            "owners": [text or "-" for _, text in rows],
        }
        yield batch.joined({field: lambda _, column=column: column for field, column in columns.items()})  # type: ignore[misc]
