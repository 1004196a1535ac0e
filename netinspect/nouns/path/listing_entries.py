"""Which ports connection tracking has in use: asked for by address, so that a large table is filtered by the kernel."""

from __future__ import annotations

from ...engine.prefixes import packed
from ..conntrack.filter import FlowFilter
from ..conntrack.listing import FlowListing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...engine.places import Place
    from ...records import Flow


def filter_of(**parts: object) -> FlowFilter:
    """A filter by fields of a flow: addresses, ports, ``protocol``; what is None does not matter."""
    wanted = FlowFilter()
    for field, value in parts.items():
        if value is None:
            continue
        if field == "protocol":
            assert isinstance(value, int)
            wanted.protocols.add(value)
        elif field.endswith("_address"):
            raw = packed(str(value))
            wanted.addresses[field] = [(raw, 8 * len(raw))]
        else:
            assert isinstance(value, int)
            wanted.ports[field] = {value}
    return wanted


def flows_of(place: Place, wanted: FlowFilter, most: int = 1000) -> list[Flow]:
    """The first flows that fit. Raises ConntrackError and NetlinkError."""
    found: list[Flow] = []
    for batch in FlowListing(wanted, [place]).entries(place):
        found += batch
        if len(found) >= most:
            break
    return found[:most]


def ports_in_use(
    place: Place, protocol: int, destination: str, port: int, outside: str, first: int, last: int
) -> set[int]:
    """The source ports of an outside address, from ``first`` to ``last``, that flows to one destination have."""
    wanted = filter_of(
        protocol=protocol,
        reply_destination_address=outside,
        reply_source_address=destination,
        reply_source_port=port,
    )
    return {
        number
        for batch in FlowListing(wanted, [place]).entries(place)
        for number in batch.values("reply_destination_port")
        if number is not None and first <= number <= last
    }
