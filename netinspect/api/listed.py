"""Shared by all functions of the Python API: the listing they return, and the selection of namespaces."""

from __future__ import annotations

from ..engine.places import EveryPlace, Place
from ..engine.schema import rows_of
from ..engine.text import marked
from ..errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Any, Generic, Self, TypeVar

    import pandas
    import pyarrow

    from ..engine.columns import Batch
    from ..engine.listing import BaseListing

    Record = TypeVar("Record")
else:

    class Generic:
        """typing.Generic without importing typing, which takes as long as Python's start."""

        def __class_getitem__(cls, _):
            return cls

    Record = None


class Closing:
    """What ends with a ``with`` block."""

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Listed(Closing, Generic[Record]):
    """An iterator of records, all of one type, and a context manager.

    ``close`` ends the listing early and closes its sockets, as do the end of the iteration and of a ``with`` block. At
    the end of the iteration ``problems`` lists what could not be read, and ``notes`` other remarks, such as that
    nothing is tracked. Notebooks show the first rows, which stay in the iteration.
    """

    def __init__(self, record: str, listing: BaseListing, batches: Iterator[Batch] | None = None) -> None:
        """``record`` names the type of the rows. ``batches``: those of the listing, or with added joins."""
        self._record = record
        self._listing = listing
        self._batches = _generated(listing.batches() if batches is None else batches)
        self._seen: list[Batch] = []
        """Batches that were looked at, and are still to be given."""
        self._current: Iterator[Record] = iter(())
        """What is still to be given of the batch that is being given."""
        self._records = self._iterate()

    def _iterate(self) -> Generator[Record, None, None]:
        for batch in self.batches():
            self._current = iter(batch)
            yield from self._current

    def batches(self) -> Iterator[Batch]:
        """The rows that are left, in columns: for what counts or converts them."""
        if left := list(self._current):
            yield rows_of(left)
        while self._seen:
            yield self._seen.pop(0)
        yield from self._batches

    @property
    def places(self) -> Sequence[Place]:
        """The network namespaces that are listed."""
        return self._listing.places

    def to_arrow(self) -> pyarrow.Table:
        """The rows that are left, as a pyarrow.Table. Raises MissingLibraryError, and what iterating raises."""
        from .tabular import arrow_table

        return arrow_table(self._type(), self.batches())

    def to_pandas(self) -> pandas.DataFrame:
        """The rows that are left, as a pandas.DataFrame. Raises MissingLibraryError, and what iterating raises."""
        from .tabular import data_frame

        return data_frame(self._type(), self.batches())

    def _type(self) -> Any:
        from .. import records

        return getattr(records, self._record)

    def _repr_html_(self) -> str:
        from .tabular import SHOWN, html

        more = False
        while not more:
            batch = next(self._batches, None)
            if batch is None:
                break
            self._seen.append(batch)
            more = sum(map(len, self._seen)) > SHOWN
        return html(self._type(), self._seen)

    def __repr__(self) -> str:
        return f"<listing of {self._record} records>"

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
        self._records.close()
        self._seen.clear()
        self._batches.close()

    def __iter__(self) -> Iterator[Record]:
        return self._records

    def __next__(self) -> Record:
        return next(self._records)


def _generated(batches: Iterator[Batch]) -> Generator[Batch, None, None]:
    yield from batches


class Events(Closing, Generic[Record]):
    """An iterator of events as they happen, all of one type, and a context manager.

    ``close`` ends it and closes what it opened, and so does the end of a ``with`` block.
    """

    def __init__(self, record: str, events: Generator[Record, None, None]) -> None:
        self._record = record
        self._events = events

    def close(self) -> None:
        """Ends it. May be called more than once."""
        self._events.close()

    def __iter__(self) -> Iterator[Record]:
        return self

    def __next__(self) -> Record:
        return next(self._events)

    def __repr__(self) -> str:
        return f"<events: {self._record} records>"


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
