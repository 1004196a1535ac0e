"""What the functions of the Python API have in common: what they return, and where they look."""

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
        """typing.Generic without typing, which takes as long to load as Python takes to start."""

        def __class_getitem__(cls, _):
            return cls

    Record = None


class Listed(Generic[Record]):
    """An iterator of records, all of one type, and a context manager.

    ``close`` ends the listing early and closes what it opened; the end of the iteration and of a ``with`` block do so
    too. ``problems`` has, at the end of the iteration, what could not be listed, and ``notes`` what else is worth
    knowing, such as that nothing is tracked.
    """

    def __init__(self, listing: BaseListing, batches: Iterator[Batch] | None = None) -> None:
        """``batches`` are the listing's own, unless joins have added something to them."""
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
        """Things worth knowing that leave nothing out; one line each."""
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
    """Values, of which a single one may stand alone."""
    return (values,) if isinstance(values, str | int) else tuple(values)


def places_of(netns: str | Iterable[str] | None, all_netns: bool) -> Sequence[Place]:
    """Where to look. Raises UsageError."""
    if all_netns:
        if netns is not None:
            raise UsageError("netns and all_netns exclude each other")
        return EveryPlace()
    if netns is None:
        return [Place()]
    if isinstance(netns, str):
        return [Place(netns)]
    return [Place(name, marked(name)) for name in netns]
