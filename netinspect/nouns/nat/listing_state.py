"""What goes with translated flows: the ports that rules allow, and the owners of local ends."""

from __future__ import annotations

from _functools import partial
from _socket import inet_ntop

from ...engine.places import Place
from ...errors import NetinspectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from ...engine.columns import Batch, Values
    from ..conntrack.owners import FlowOwners
    from ..sockets.owners import Owners
    from .decode_rules import NatRule
    from .listing import TranslationListing

    Ranges = dict[str, tuple[int, int]]
    """By outside address the first and last port that a rule names."""

_OWNED_PROTOCOLS = ("tcp", "udp", "udplite")


def port_ranges(places: Sequence[Place]) -> dict[str | None, Ranges]:
    """By namespace and outside address: the first and last port of a rule that names some."""
    from .listing import local_addresses
    from .listing_rules import rules_of

    found: dict[str | None, Ranges] = {}
    for place in places:
        again = Place(place.name, place.label)
        try:
            again.open()
            found[place.label] = ranges_of(rules_of(again), partial(local_addresses, again))
        except NetinspectError:
            continue  # the listing itself reports it
        finally:
            again.close()
    return found


def ranges_of(rules: Iterable[NatRule], local: Callable[[], Iterable[str]]) -> Ranges:
    """The same by rules that are known. ``local`` gives the addresses of their namespace; what it raises is raised."""
    ranges: Ranges = {}
    for rule in rules:
        if rule.ports is None or rule.kind not in ("snat", "masquerade"):
            continue
        if rule.addresses is None:
            ranges.update(dict.fromkeys(local(), rule.ports))
        elif rule.addresses[0] == rule.addresses[1]:
            packed = rule.addresses[0]
            ranges[inet_ntop(2 if len(packed) == 4 else 10, packed)] = rule.ports
    return ranges


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
    inside = _InContainers(owners)
    for batch in batches:
        rows = inside.added(batch, known[next(iter(batch.values("netns")), None)].of_flows(batch))
        columns: dict[str, Values] = {
            "processes": [tuple(processes) for processes, _ in rows],
            "owners": [text or "-" for _, text in rows],
        }
        yield batch.joined({field: lambda _, column=column: column for field, column in columns.items()})  # type: ignore[misc]


class _InContainers:
    """The owners of flows whose inside end is in a container: its sockets are in another network namespace.

    The containers' namespaces are looked into when a flow has no owner here. Where two of them have one address, which
    they may in different networks, none is its owner.
    """

    def __init__(self, owners: Owners) -> None:
        self._owners = owners
        self._by_address: dict[str, FlowOwners | None] | None = None

    def added(self, batch: Batch, rows: list[tuple[Sequence[Any], str]]) -> list[tuple[Sequence[Any], str]]:
        """``rows`` has the owners of the batch's flows that are known already."""
        if all(processes for processes, _ in rows):
            return rows
        if self._by_address is None:
            self._by_address = self._look()
        if not self._by_address:
            return rows
        ends = zip(batch.values("inside_address"), batch.values("answering_address"), strict=True)
        others: dict[FlowOwners, list[tuple[Sequence[Any], str]]] = {}
        for row, addresses in enumerate(ends):
            if rows[row][0]:
                continue
            for address in addresses:
                inside = self._by_address.get(address)
                if inside is None:
                    continue
                if inside not in others:
                    others[inside] = inside.of_flows(batch)
                if others[inside][row][0]:
                    rows[row] = others[inside][row]
                    break
        return rows

    def _look(self) -> dict[str, FlowOwners | None]:
        from ...engine.containers.namespaces import of_containers, running
        from ...engine.namespaces import every_namespace
        from ..conntrack.owners import FlowOwners
        from ..sockets.listing import ALL_STATES, Query, SocketListing
        from .listing import local_addresses

        found: dict[str, FlowOwners | None] = {}
        try:
            wanted = of_containers(running())
            # The current one comes first, and is known.
            places = [Place(path, identity=one) for _, path, one in every_namespace()[0][1:] if one in wanted]
        except NetinspectError:
            return found
        for place in places:
            try:
                with place:
                    sockets = SocketListing(Query(_OWNED_PROTOCOLS, states=ALL_STATES), [place])
                    inside = FlowOwners()
                    inside.learn(self._owners.joined(sockets.batches(), sockets.again))
                    addresses = local_addresses(place)
            except NetinspectError:
                continue  # it went just now, or may not be entered: the owner stays unknown
            for address in addresses:
                found[address] = None if address in found else inside
        return found
