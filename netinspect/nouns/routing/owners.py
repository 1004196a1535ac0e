"""The sockets whose packets route exceptions apply to: those connected to the very address."""

from __future__ import annotations

from ..sockets.listing import ALL_STATES, Query, SocketListing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from ...engine.columns import Batch, Values
    from ...engine.places import Place
    from ...records import AffectedSocket

_PROTOCOLS = ("tcp", "mptcp", "udp", "udplite", "sctp", "dccp", "raw")


def with_sockets(exceptions: Iterable[Batch], places: Sequence[Place]) -> Iterator[Batch]:
    """The same exceptions with their sockets. There are few of them, so all are held until their sockets are known."""
    batches = list(exceptions)
    wanted = {key for batch in batches for key in _keys(batch)}
    found: dict[tuple[Any, str], list[AffectedSocket]] = {key: [] for key in wanted}
    if wanted:
        _collect(found, places)

    def sockets(batch: Batch) -> Values:
        return [tuple(found[key]) for key in _keys(batch)]

    for batch in batches:
        yield batch.joined({"sockets": sockets})


def _keys(batch: Batch) -> list[tuple[Any, str]]:
    """Namespace and address of each exception."""
    addresses = [destination.partition("/")[0] for destination in batch.values("destination")]
    return list(zip(batch.values("netns"), addresses, strict=True))


def _collect(found: dict[tuple[Any, str], list[AffectedSocket]], places: Sequence[Place]) -> None:
    from ...records import AffectedSocket

    fields = ("protocol", "local_address", "local_port", "remote_port", "inode")
    for batch in SocketListing(Query(_PROTOCOLS, states=ALL_STATES), places).batches():
        keys = zip(batch.values("netns"), map(_unmapped, batch.values("remote_address")), strict=True)
        chosen = [key in found for key in keys]
        if not any(chosen):
            continue
        affected = batch.select(chosen)
        rows = zip(*map(affected.values, fields), strict=True)
        remotes = zip(affected.values("netns"), map(_unmapped, affected.values("remote_address")), strict=True)
        for key, row in zip(remotes, rows, strict=True):
            found[key].append(AffectedSocket._make(row))


def _unmapped(address: str) -> str:
    """An IPv6 socket that talks IPv4 is concerned by IPv4's exceptions (RFC 4291: ::ffff:192.0.2.1)."""
    return address.removeprefix("::ffff:") if "." in address else address
