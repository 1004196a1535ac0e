"""The Python API of connection tracking: what `netinspect conntrack` and `netinspect nat` list, as records."""

from __future__ import annotations

from .api import _places, _several
from .collect import flows as entries
from .collect import nat
from .collect.flow_filter import (
    FlowFilter,
    mark_of,
    port_of,
    prefix_of,
    protocol_of,
    state_of,
    status_of,
    zone_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Any, Protocol, Self

    from .batch import Batch

    class Listing(Protocol):
        """What the nouns' listings have in common."""

        problems: list[str]
        notes: list[str]

        def batches(self) -> Iterator[Batch]: ...

    Values = str | int | Iterable[str | int] | None


class Listed:
    """An iterator of records, and a context manager.

    ``close`` ends the listing early and closes what it opened; the end of the iteration and of a ``with`` block do so
    too. ``problems`` has, at the end of the iteration, what could not be listed, and ``notes`` what else is worth
    knowing, such as that nothing is tracked.
    """

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._records = self._iterate()

    def _iterate(self) -> Iterator[Any]:
        for batch in self._listing.batches():
            yield from batch

    @property
    def problems(self) -> Sequence[str]:
        """What could not be listed, and why; one line each."""
        return self._listing.problems

    @property
    def notes(self) -> Sequence[str]:
        """Things worth knowing that leave nothing out; one line each."""
        return self._listing.notes

    def close(self) -> None:
        """Ends the listing and closes its sockets. May be called more than once."""
        self._records.close()  # type: ignore[attr-defined]  # it is a generator

    def __iter__(self) -> Iterator[Any]:
        return self._records

    def __next__(self) -> Any:
        return next(self._records)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def flows(*, netns: str | Iterable[str] | None = None, all_netns: bool = False, **wanted: Values) -> Listed:
    """The entries of the connection tracking table, as Flow records, over ctnetlink.

    ``wanted`` selects: each is one value or several, of which any will do, as the options of `netinspect conntrack`
    take them.

    - ``families``: inet, inet6; ``protocols``: names or numbers; ``states``: of TCP, SCTP or DCCP
    - ``source``, ``destination``, ``reply_source``, ``reply_destination``: addresses or prefixes
    - ``source_port`` and so on; ``port``: source or destination of the original direction
    - ``status``: bits that must be set or, with ! before them, must not (all of them: ``["ASSURED", "!SRC_NAT"]``)
    - ``marks``: ``"0x1/0xff"``; ``zones``; ``helpers``; ``minimum_bytes``

    Raises UsageError for a value that makes no sense, and while iterating NamespaceError, ConntrackError (no
    permission, or no connection tracking in this kernel) and NetlinkError. All of them are NetinspectErrors.
    """
    return Listed(entries.Listing(_filter(wanted), _places(netns, all_netns)))


def translations(*, netns: str | Iterable[str] | None = None, all_netns: bool = False, **wanted: Values) -> Listed:
    """The translated flows (NAT), as Translation records. Selects and raises as ``flows`` does."""
    return Listed(nat.Listing(_filter(wanted), _places(netns, all_netns)))


_ADDRESSES = ("source", "destination", "reply_source", "reply_destination")
_PORTS = tuple(f"{end}_port" for end in _ADDRESSES)


def _filter(wanted: dict[str, Values]) -> FlowFilter:
    found = FlowFilter()
    for name, values in wanted.items():
        if values is None:
            continue
        texts = [str(value) for value in _several(values)]
        if name == "families":
            found.families = _families(texts)
        elif name in _ADDRESSES:
            found.addresses[f"{name}_address"] = list(map(prefix_of, texts))
        elif name in _PORTS:
            found.ports[name] = set(map(port_of, texts))
        elif name == "port":
            found.either_ports = set(map(port_of, texts))
        elif name == "protocols":
            found.protocols = set(map(protocol_of, texts))
        elif name == "states":
            found.states = set(map(state_of, texts))
        elif name == "status":
            for status, on in map(status_of, texts):
                (found.with_status if on else found.without_status).add(status)
        elif name == "marks":
            found.marks = list(map(mark_of, texts))
        elif name == "zones":
            found.zones = set(map(zone_of, texts))
        elif name == "helpers":
            found.helpers = set(texts)
        elif name == "minimum_bytes":
            found.minimum_bytes = int(texts[0])
        else:
            raise TypeError(f"flows() got an unexpected keyword argument {name!r}")
    return found


def _families(texts: Sequence[str]) -> tuple[str, ...]:
    from .errors import UsageError

    for text in texts:
        if text not in ("inet", "inet6"):
            raise UsageError(f"{text!r} is none of inet, inet6")
    return tuple(texts)
