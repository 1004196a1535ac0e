"""Whose a connection request is: sock_diag reports no user for it, procfs that of the listener."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ...engine.columns import Batch, Values

_ANY = {"inet": "0.0.0.0", "inet6": "::"}


class RequestUsers:
    """User ids of TCP sockets, those of requests (SYN_RECV) taken from the listener that they came to.

    ``listeners`` lists the TCP sockets that listen; it is called when the first request is met.
    """

    def __init__(self, listeners: Callable[[], Iterable[Batch]]) -> None:
        self._listeners = listeners
        self._users: dict[tuple[str, str, int], int] | None = None

    def column(self, batch: Batch) -> Values:
        """The user ids of a batch. A request whose listener is not found keeps 0."""
        if "SYN_RECV" not in batch.values("state"):
            return batch.column("uid")
        fields = ("state", "inode", "uid", "family", "local_address", "local_port")
        return [
            self._user(family, address, port) if state == "SYN_RECV" and not inode else uid
            for state, inode, uid, family, address, port in zip(*map(batch.values, fields), strict=True)
        ]

    def _user(self, family: str, address: str, port: int) -> int:
        if self._users is None:
            self._users = {}
            for batch in self._listeners():
                ends = zip(*map(batch.values, ("family", "local_address", "local_port")), strict=True)
                self._users.update(zip(ends, batch.values("uid"), strict=True))
        anywhere = self._users.get((family, _ANY[family], port), 0)
        return self._users.get((family, address, port), anywhere)
