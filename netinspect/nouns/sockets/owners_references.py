"""How often unix sockets are referred to: what procfs shows as RefCount, and sock_diag does not.

A socket in the kernel's table has two references, and one more from each socket that is connected to it
(net/unix/af_unix.c). Both ends of a connection count, also where it waits to be accepted: the other end is then a
socket without an inode, which sock_diag leaves out and procfs lists. Not reported by sock_diag, and so not counted:
peers in other network namespaces, and system calls that wait in connect(2) or sendto(2) for a full queue.
"""

from __future__ import annotations

from itertools import chain

from ...engine.columns import Constant
from .decode_common import SOCKET

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...engine.columns import Batch, Values

_IN_TABLE = 2


def with_references(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The unix sockets of a network namespace with a column ``references``, then the connections not yet accepted.

    These have the inode 0 and the address of their listener. ``batches`` must have the sockets in all states: they are
    held in memory.
    """
    held = list(batches)
    inodes = set(chain.from_iterable(batch.values("inode") for batch in held))
    waiting = [
        (kind, address, client)
        for batch in held
        for kind, address, clients in zip(*map(batch.values, ("type", "local_address", "waiting")), strict=True)
        for client in clients or ()
        # A connection belongs to the client's network namespace.
        if client == 0 or client in inodes
    ]
    peers: dict[int, int] = {}
    for inode in chain(*(batch.values("peer_inode") for batch in held), (client for _, _, client in waiting)):
        peers[inode] = peers.get(inode, 0) + 1

    def references(batch: Batch) -> Values:
        return [_IN_TABLE + peers.get(inode, 0) for inode in batch.values("inode")]

    for batch in held:
        yield batch.joined({"references": references})
    if waiting:
        kinds, addresses, clients = zip(*waiting, strict=True)
        columns: dict[str, Values] = {
            "protocol": Constant("unix"),
            "state": Constant("ESTABLISHED"),
            "inode": Constant(0),
            "type": kinds,
            "local_address": addresses,
            # Who waits may have gone meanwhile.
            "references": [_IN_TABLE + bool(client) for client in clients],
        }
        yield SOCKET.given(len(waiting), columns)
