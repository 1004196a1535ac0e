"""Taking a snapshot: batch by batch to a writer, so that it holds no table in memory."""

from __future__ import annotations

import os
from time import time
from typing import Any, NamedTuple

from ..engine.columns import Constant
from ..engine.namespaces import inside
from ..errors import NetinspectError
from .nouns import NOUNS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ..engine.columns import Batch
    from ..engine.places import Place

FORMAT = 1
"""The version of the file format. A reader takes its own and earlier ones."""


class SnapshotNamespace(NamedTuple):
    """A network namespace that was looked into."""

    label: str | None
    """As the records' ``netns`` has it; None where there is only one."""
    inode: int | None
    """Its number in nsfs, by which it is known again under another label; None where it is not to be had."""


class Header(NamedTuple):
    """The first line of a file."""

    noun: str
    """``snapshot``."""
    format: int
    version: str
    """netinspect's own."""
    host: str
    kernel: str
    time: float
    """Seconds since 1970."""
    netns: tuple[str, ...]
    """The namespaces as they were named on the command line."""
    all_netns: bool
    namespaces: tuple[SnapshotNamespace, ...]
    nouns: tuple[str, ...]


class End(NamedTuple):
    """The last line of a file."""

    noun: str
    """``end``."""
    records: int
    problems: tuple[str, ...]
    """What could not be listed, a noun before each."""
    incomplete: tuple[str, ...]
    """The nouns that lack something."""
    notes: tuple[str, ...]


def header(nouns: Sequence[str], netns: Sequence[str], all_netns: bool, places: Sequence[Place]) -> Header:
    """The header of a snapshot that is taken now. Raises NamespaceError where there is but one namespace, and it is
    not to be had."""
    from .. import __version__

    host = os.uname()
    namespaces = []
    for place in places:
        try:
            with place:
                inode = inside(place.descriptor, _inode)
        except NetinspectError:
            if len(places) == 1:
                raise
            inode = None  # the listings report it
        except OSError:
            inode = None  # no /proc
        namespaces.append(SnapshotNamespace(place.label, inode))
    return Header(
        "snapshot",
        FORMAT,
        __version__,
        host.nodename,
        f"{host.sysname} {host.release} {host.machine}",
        round(time(), 3),
        tuple(netns),
        all_netns,
        tuple(namespaces),
        tuple(nouns),
    )


def _inode() -> int | None:
    """The number of the calling thread's network namespace; None where /proc does not report."""
    try:
        return os.stat("/proc/thread-self/ns/net").st_ino
    except OSError:
        return None


def places_of(netns: Sequence[str], all_netns: bool) -> list[Place]:
    """The namespaces of a snapshot; several have their names as labels."""
    from ..engine.places import EveryPlace, Place

    if all_netns:
        return EveryPlace()
    return [Place(name, name if len(netns) > 1 else None) for name in netns] or [Place()]


class Taking:
    """One snapshot being taken: iterate over ``batches``; then ``end`` is the last line."""

    def __init__(self, nouns: Sequence[str], places: Sequence[Place]) -> None:
        self._nouns = nouns
        self._places = places
        self._records = 0
        self._problems: list[str] = []
        self._incomplete: list[str] = []
        self._notes: list[str] = []

    def batches(self) -> Iterator[tuple[str, Batch]]:
        """Nouns and batches. What cannot be listed is a problem, and the next noun follows."""
        for name in self._nouns:
            batches, listing = NOUNS[name].listing(self._places)
            problems = []
            try:
                for batch in batches:
                    self._records += batch.count
                    yield name, batch
            except NetinspectError as error:
                problems.append(f"{name}: {error}")
            problems += [f"{name}: {text}" for text in listing.problems]
            self._notes += [f"{name}: {text}" for text in getattr(listing, "notes", ())]
            if problems:
                self._problems += problems
                self._incomplete.append(name)

    def end(self) -> End:
        """The messages at the end."""
        return End("end", self._records, tuple(self._problems), tuple(self._incomplete), tuple(self._notes))


def write(head: Header, taking: Taking, put: Callable[[bytes], object]) -> End:
    """Writes a snapshot, and returns its last line. Raises what ``put`` raises."""
    from ..engine.structured import JsonLines, dumps

    put(dumps(head).encode() + b"\n")
    writers: dict[str, JsonLines] = {}
    for name, batch in taking.batches():
        writer = writers.get(name)
        if writer is None:
            writer = writers[name] = JsonLines(("noun", *NOUNS[name].fields), put)
        tag = Constant(name)
        writer.add(batch.joined({"noun": lambda _, tag=tag: tag}, batch.schema.wider(("noun",))))  # type: ignore[misc]
    end = taking.end()
    put(dumps(end).encode() + b"\n")
    return end


class Snapshot(NamedTuple):
    """A whole snapshot in memory."""

    header: Header
    records: dict[str, list[Any]]
    """By noun."""
    end: End


def take(nouns: Sequence[str], netns: Sequence[str], all_netns: bool) -> Snapshot:
    """A snapshot of the system now. Raises NamespaceError."""
    places = places_of(netns, all_netns)
    head = header(nouns, netns, all_netns, places)
    taking = Taking(nouns, places)
    records: dict[str, list[Any]] = {name: [] for name in nouns}
    for name, batch in taking.batches():
        records[name] += batch
    return Snapshot(head, records, taking.end())
