"""SCTP's sockets as net-tools lists them: listening endpoints, and associations in the state of their socket.

The kernel sends the endpoint of each association as well (net/sctp/diag.c); /proc/net/sctp, which net-tools reads, has
the endpoints that listen in one file and the associations in another.
"""

from __future__ import annotations

from ..nouns.sockets.listing import CONNECTED_STATES, LISTENING_STATES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..engine.columns import Batch, Values


def as_net_tools(batches: Iterable[Batch], states: int) -> Iterator[Batch]:
    """Of all that there is: what is listed where these states are asked for."""
    held = list(batches)
    socket_states: dict[int, str] = {}
    for batch in held:
        rows = zip(batch.values("cookie"), batch.values("state"), _associations(batch), strict=True)
        socket_states.update((cookie, state) for cookie, state, association in rows if not association)
    if states & LISTENING_STATES:
        for batch in held:
            both = zip(batch.values("state"), _associations(batch), strict=True)
            yield batch.select([state == "LISTEN" and not association for state, association in both])
    if states & CONNECTED_STATES:

        def state_of_socket(batch: Batch) -> Values:
            both = zip(batch.values("cookie"), batch.values("state"), strict=True)
            return [socket_states.get(cookie, state) for cookie, state in both]

        for batch in held:
            yield batch.select(_associations(batch)).joined({"state": state_of_socket})


def _associations(batch: Batch) -> list[bool]:
    """Which rows are associations: only these have addresses of a peer."""
    return [addresses is not None for addresses in batch.values("remote_addresses")]
