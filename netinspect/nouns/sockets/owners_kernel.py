"""Sockets that are known to be the kernel's own: those of tunnels over UDP."""

from __future__ import annotations

from ...errors import NetinspectError
from ..links.listing import LinkListing, Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .listing import SocketListing

_TUNNELS = (("vxlan", "vxlan"), ("geneve", "tunnel"))
"""Kinds of links, and where their records have the port."""


def tunnel_ports(listing: SocketListing) -> Callable[[str | None], frozenset[int]]:
    """What gives the ports of the kernel's own UDP sockets in a namespace of the listing, by its label."""
    known: dict[str | None, frozenset[int]] = {}

    def ports(netns: str | None) -> frozenset[int]:
        if netns not in known:
            found: set[int] = set()
            inside = [place for place in listing.places if place.label == netns]
            for kind, field in _TUNNELS if inside else ():
                try:
                    for batch in LinkListing(Query(kind=kind, statistics=False), inside).batches():
                        found.update(tunnel.port for tunnel in batch.values(field) if tunnel and tunnel.port)
                except NetinspectError:
                    pass  # then it is not known
            known[netns] = frozenset(found)
        return known[netns]

    return ports
