"""``netinspect netstat -g``: multicast memberships."""

from __future__ import annotations

from ..nouns.groups.listing import MembershipListing, Query
from .render_groups import HEADING, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..engine.names import HostNames


def list_groups(
    families: Sequence[str], hosts: HostNames | None, write: Callable[[str], None]
) -> tuple[list[str], list[str]]:
    """Writes the groups of these families, and returns what could not be listed, and what else is worth knowing.

    Raises NetlinkError, NetinspectError.
    """
    write(HEADING)
    problems: list[str] = []
    notes: list[str] = []
    # First all of IPv4, then all of IPv6: net-tools reads one file after the other.
    for family in families:
        listing = MembershipListing(Query((family,), filters=False))
        for batch in listing.batches():
            if hosts is not None:
                hosts.want(list(batch.values("group")))
                hosts.settle()
            write(text(batch, str if hosts is None else hosts.get))
        problems += listing.problems
        notes += listing.notes
    return problems, notes
