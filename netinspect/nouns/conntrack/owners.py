"""Which processes of this machine have an end of a flow: sockets found by addresses and ports."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ...engine.columns import Batch

    End = tuple[str | None, int | None]

_MAPPED = "::ffff:"
"""IPv4 addresses of IPv6 sockets (RFC 4291, 2.5.5.2)."""
_WILDCARDS = ("0.0.0.0", "::")


class FlowOwners:
    """Learns sockets with their owners, and then finds those of flows."""

    def __init__(self) -> None:
        self._connected: dict[tuple[str, End, End], tuple[Sequence[Any], str]] = {}
        self._bound: dict[tuple[str, End], tuple[Sequence[Any], str]] = {}

    def learn(self, batches: Iterable[Batch]) -> None:
        """Takes sockets in: batches with the columns of the owners join, ``processes`` and ``owners``."""
        fields = ("protocol", "local_address", "local_port", "remote_address", "remote_port", "processes", "owners")
        for batch in batches:
            for protocol, address, port, remote, remote_port, processes, owners in zip(
                *map(batch.values, fields), strict=True
            ):
                if not processes:
                    continue
                local, found = (_plain(address), port), (processes, owners)
                if remote_port:
                    self._connected[protocol, local, (_plain(remote), remote_port)] = found
                else:
                    self._bound[protocol, local] = found

    def find(self, protocol: str, local: End, remote: End) -> tuple[Sequence[Any], str]:
        """The holders of the socket at ``local``, as records and as text; empty where there is none."""
        found = self._connected.get((protocol, local, remote)) or self._bound.get((protocol, local))
        if found is None:
            family = 1 if ":" in (local[0] or "") else 0
            for wildcard in _WILDCARDS[family:]:
                found = found or self._bound.get((protocol, (wildcard, local[1])))
        return found or ((), "")

    def of_flows(self, batch: Batch) -> list[tuple[Sequence[Any], str]]:
        """The holders of either end of each translated flow: of who began it, or else of who answers."""
        ends = [
            zip(batch.values(f"flow_{end}_address"), batch.values(f"flow_{end}_port"), strict=True)
            for end in ("source", "destination", "reply_source", "reply_destination")
        ]
        return [self._either(protocol, *row) for protocol, *row in zip(batch.values("protocol"), *ends, strict=True)]

    def _either(
        self, protocol: str, source: End, destination: End, reply_source: End, reply_destination: End
    ) -> tuple[Sequence[Any], str]:
        # The one who began it knows the original direction, the one who answers the reply.
        began = self.find(protocol, source, destination)
        return began if began[0] else self.find(protocol, reply_source, reply_destination)


def _plain(address: str | None) -> str | None:
    return address.removeprefix(_MAPPED) if address else address
