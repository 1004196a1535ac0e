"""What a lab's hosts have in the kernel: the listings' records, and waiting's conditions, in a host's namespace."""

from __future__ import annotations

from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from ..engine.places import Place
from ..engine.text import printable
from ..nouns.conntrack.filter import FlowFilter
from ..nouns.conntrack.listing import FlowListing
from ..nouns.groups.listing import MembershipListing
from ..nouns.groups.listing import Query as GroupQuery
from ..nouns.routing.listing import FAMILIES, RouteListing
from ..nouns.routing.listing import Query as RouteQuery
from ..nouns.routing.names import RoutingNames
from ..nouns.sockets.listing import ALL_STATES, SocketListing
from ..nouns.sockets.listing import Query as SocketQuery
from ..waiting.render import line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..engine.columns import Batch
    from ..lab.lab import Host
    from ..records import Flow, Membership, Route, Socket
    from ..waiting.conditions import Condition, Observation

    Batches = Callable[[], Iterable[Batch]]

_INTERNET = ("inet", "inet6")


def look(host: Host, condition: Condition) -> Observation:
    """What the condition sees on that host. Raises NetinspectError where it cannot be looked at."""
    return host.call(partial(condition.look, (Place(),)))


def sockets(host: Host, protocols: Sequence[str] = ("tcp", "udp")) -> list[Socket]:
    """The host's internet sockets."""
    return _rows(host, partial(_sockets, protocols))


def routes(host: Host, *, table: int | None = None, exceptions: bool = False) -> list[Route]:
    """The host's routes, in that table or, without one, in all but the one for the host's own addresses.

    ``exceptions``: instead of routes, what path MTU discovery and redirects have taught.
    """
    return _rows(host, partial(_routes, table, exceptions))


def flows(host: Host) -> list[Flow]:
    """The entries of the host's connection tracking table."""
    return _rows(host, _flows)


def memberships(host: Host) -> list[Membership]:
    """The host's multicast groups, as its interfaces receive them, with their source filters."""
    return _rows(host, _groups)


def table_name(number: int) -> str:
    """What records call that routing table."""
    return RoutingNames("rt_tables")[number]


def snapshot(hosts: Iterable[Host], limit: int = 40) -> str:
    """What the hosts have, in lines: at most ``limit`` of a kind, and how many more there are."""
    lines = []
    kinds: dict[str, Batches] = {
        "sockets": partial(_sockets, ("tcp", "udp")),
        "routes": partial(_routes, None, False),
        "flows": _flows,
    }
    for host in hosts:
        lines.append(f"{host.name}:")
        for kind, batches in kinds.items():
            try:
                shown, total = host.call(partial(_some, batches, limit))
            except Exception as error:  # a report must not fail for lack of a part
                shown, total = [f"could not be read: {error}"], 1
            lines.append(f"  {kind}: {'none' if not shown else ''}".rstrip())
            lines += [f"    {printable(text)}" for text in shown]
            if total > len(shown):
                lines.append(f"    … and {total - len(shown):,} more")
    return "\n".join(lines)


def _rows(host: Host, batches: Batches) -> list[Any]:
    return host.call(lambda: list(chain.from_iterable(batches())))


def _some(batches: Batches, limit: int) -> tuple[list[str], int]:
    """The first rows as lines, and how many there are: a large table is counted and not decoded."""
    lines: list[str] = []
    total = 0
    for batch in batches():
        total += batch.count
        if len(lines) < limit and batch.count:
            mask = [number < limit - len(lines) for number in range(batch.count)]
            lines += map(line, islice(batch.select(mask), limit))
    return lines, total


def _sockets(protocols: Sequence[str]) -> Iterable[Batch]:
    return SocketListing(SocketQuery(protocols, _INTERNET, ALL_STATES, explicit=True), (Place(),)).batches()


def _routes(table: int | None, exceptions: bool) -> Iterable[Batch]:
    own = table_name(255)
    for batch in RouteListing(RouteQuery(FAMILIES[:2], table=table, exceptions=exceptions), (Place(),)).batches():
        names = list(batch.values("table"))
        yield batch if table is not None or own not in names else batch.select([name != own for name in names])


def _flows() -> Iterable[Batch]:
    return FlowListing(FlowFilter(), (Place(),)).batches()


def _groups() -> Iterable[Batch]:
    return MembershipListing(GroupQuery(_INTERNET), (Place(),)).batches()
