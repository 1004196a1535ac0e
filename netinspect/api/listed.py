"""Shared by all functions of the Python API: the listing they return, and the selection of namespaces."""

from __future__ import annotations

from ..engine.places import EveryPlace, Place
from ..engine.text import marked
from ..errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Any, Generic, Self, TypeVar

    from ..engine.columns import Batch
    from ..engine.listing import BaseListing

    Record = TypeVar("Record")
else:

    class Generic:
        """typing.Generic without importing typing, which takes as long as Python's start."""

        def __class_getitem__(cls, _):
            return cls

    Record = None


class Listed(Generic[Record]):
    """An iterator of records, all of one type, and a context manager.

    ``close`` ends the listing early and closes its sockets, as do the end of the iteration and of a ``with`` block. At
    the end of the iteration ``problems`` lists what could not be read, and ``notes`` other remarks, such as that
    nothing is tracked.
    """

    def __init__(self, listing: BaseListing, batches: Iterator[Batch] | None = None) -> None:
        """``batches``: those of the listing, or with added joins."""
        self._listing = listing
        self._records = self._iterate(listing.batches() if batches is None else batches)

    def _iterate(self, batches: Iterator[Batch]) -> Iterator[Record]:
        for batch in batches:
            yield from batch

    @property
    def problems(self) -> Sequence[str]:
        """What could not be listed, and why; one line each."""
        return self._listing.problems

    @property
    def notes(self) -> Sequence[str]:
        """Remarks, when nothing is missing; one line each."""
        return self._listing.notes

    def close(self) -> None:
        """Ends the listing and closes its sockets. May be called more than once."""
        self._records.close()  # type: ignore[attr-defined]  # it is a generator

    def __iter__(self) -> Iterator[Record]:
        return self._records

    def __next__(self) -> Record:
        return next(self._records)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def several(values: Any) -> tuple[Any, ...]:
    """One value or several as a list."""
    return (values,) if isinstance(values, str | int) else tuple(values)


def places_of(netns: str | Iterable[str] | None, all_netns: bool) -> Sequence[Place]:
    """The namespaces to list. Raises UsageError."""
    if all_netns:
        if netns is not None:
            raise UsageError("netns and all_netns exclude each other")
        return EveryPlace()
    if netns is None:
        return [Place()]
    if isinstance(netns, str):
        return [Place(netns)]
    return [Place(name, marked(name)) for name in netns]
