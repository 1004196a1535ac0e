"""What all nouns that list something have in common: formats, columns, sorting, watching, namespaces and names."""

from __future__ import annotations

import _thread
import sys
from itertools import chain, islice

from ..errors import ExitStatus, UsageError
from .options import Group, Option
from .places import EveryPlace, Place
from .text import marked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any, Protocol

    from ..environment import Environment
    from .columns import Batch
    from .names import HostNames
    from .table import Column

    class Writer(Protocol):
        """Tables and the structured formats: what writes batches."""

        def add(self, batch: Batch) -> None: ...
        def flush(self, to_come: Sequence[Batch] = ()) -> None: ...
        def end(self) -> None: ...

    class Listed(Protocol):
        """What lists: collect's listings."""

        problems: list[str]
        notes: list[str]


_SORTED_ROWS = 1000
"""Rows of a sorted listing that are written at once."""

FORMATS = ("table", "json", "ndjson", "csv")

NAMESPACES = Group(
    "Namespaces",
    Option("N", "netns", "look into this network namespace; may be given more than once", "NAME|PID|PATH"),
    Option("", "all-netns", "look into all of them: the named ones and those of running processes"),
)


def output_group(noun: str) -> Group:
    """The options of the output, for the noun whose fields `netinspect schema` tells."""
    return Group(
        "Output",
        Option("", "format", "table (the default), json, ndjson or csv", "FORMAT"),
        Option("j", "json", "the same as --format json"),
        Option("", "columns", f"exactly these fields, separated by commas (`netinspect schema {noun}`)", "FIELDS"),
        Option("", "sort", "sort by these fields; a - before one reverses it (holds the table in memory)", "FIELDS"),
        Option("H", "no-header", "no heading"),
        Option("W", "watch", "list again every so many seconds, until interrupted", "SECONDS"),
    )


class OutputOptions:
    """These options, converted. ``record`` is the noun's record, in netinspect.records."""

    def __init__(self, record: str) -> None:
        self.record = record
        self.netns: list[str] = []
        self.all_netns = False
        self.format = "table"
        self.columns: list[str] | None = None
        self.sort: list[str] = []
        self.heading = True
        self.watch: float | None = None

    def take(self, name: str, value: str) -> bool:
        """Takes one option; False where it is none of these. Raises UsageError."""
        if name == "netns":
            self.netns.append(value)
        elif name == "all-netns":
            self.all_netns = True
        elif name == "format":
            if value not in FORMATS:
                raise UsageError(f"no format {value!r}: {', '.join(FORMATS)}")
            self.format = value
        elif name == "json":
            self.format = "json"
        elif name == "columns":
            self.columns = list(dict.fromkeys(self._fields(value.split(","))))
        elif name == "sort":
            self.sort = [item.strip() for item in value.split(",")]
            self._fields([item.removeprefix("-") for item in self.sort])
        elif name == "no-header":
            self.heading = False
        elif name == "watch":
            self.watch = seconds_of("--watch", value, 0.05, 1e9)
        else:
            return False
        if self.all_netns and self.netns:
            raise UsageError("--netns and --all-netns exclude each other")
        return True

    def _fields(self, names: Sequence[str]) -> list[str]:
        from .. import records

        known = getattr(records, self.record)._fields
        fields = [name.strip() for name in names]
        for field in fields:
            if field not in known:
                raise UsageError(f"no field {field!r}: {', '.join(known)}")
        return fields

    @property
    def told_apart(self) -> bool:
        """Whether the rows must say which namespace they are of."""
        return self.all_netns or len(self.netns) > 1

    def places(self, environment: Environment) -> list[Place]:
        """Where to look."""
        if not self.all_netns:
            return [Place(name, marked(name) if self.told_apart else None) for name in self.netns] or [Place()]
        every = EveryPlace()
        if every.problem:
            environment.complain(every.problem)
        return every

    def run(self, once: Callable[[], int], environment: Environment) -> int:
        """Runs ``once``, or again and again with --watch."""
        if self.watch is None:
            return once()
        from .watching import repeat

        return repeat(once, self.watch, environment)

    def writer(
        self, fields: Sequence[str], columns: Callable[[], Sequence[Column]], environment: Environment
    ) -> Writer:
        """The writer of the chosen format: of these fields, or for a table of these columns."""
        if self.format == "table":
            from .table import Table

            return Table(columns(), environment.write, heading=self.heading)
        from .structured import writer_of

        return writer_of(self.format, fields, environment.write, heading=self.heading)

    def sorted(self, batches: Iterable[Batch], shown: Iterable[str] = ()) -> Iterator[Batch]:
        """The batches as they are, or anew with all rows in order. Rows without a value come first.

        What is ``shown`` in any case, and takes time to decode, is decoded while the kernel makes the rest of the dump.
        """
        if not self.sort:
            yield from batches
            return
        from .columns import concatenated

        keys = [key.removeprefix("-") for key in self.sort]
        held = []
        for batch in batches:
            for field in (*keys, *shown):
                batch.column(field)
            held.append(batch)
        if not held:
            return
        whole = concatenated(held)
        order = list(range(len(whole)))
        for key in reversed(self.sort):
            order.sort(key=_sort_key(list(whole.values(key.removeprefix("-")))), reverse=key.startswith("-"))
        for start in range(0, len(order), _SORTED_ROWS):
            yield whole.take(order[start : start + _SORTED_ROWS])

    def host_names(self, wanted: bool) -> HostNames | None:
        """What looks up names of hosts, where the output shows any: in a table with its own columns."""
        if not wanted or self.format != "table" or self.columns is not None:
            return None
        from .names import HostNames

        return HostNames()

    def write(
        self,
        batches: Iterable[Batch],
        fields: Sequence[str],
        columns: Callable[[], Sequence[Column]],
        environment: Environment,
        *,
        hosts: HostNames | None = None,
        host_fields: Sequence[str] = ("local_address", "remote_address"),
        in_order: bool = False,
        modules: Sequence[str] = (),
    ) -> None:
        """Writes batches in the chosen format: these fields of them or, as a table, these columns.

        With ``hosts`` rows wait for the names of ``host_fields``, and others do not wait for them, unless rows are to
        stay in order.
        """
        # The kernel may need a while for the first rows: what decodes and writes them is loaded meanwhile.
        _load_aside(*modules, "netinspect.engine.table" if self.format == "table" else "netinspect.engine.structured")
        rest = iter(batches)
        batches = chain(list(islice(rest, 1)), rest)
        writer = self.writer(fields, columns, environment)
        if hosts is not None:
            from .names import as_named, as_named_in_order

            hosts.restart()
            if in_order or self.sort:
                batches = as_named_in_order(batches, hosts, host_fields)
            else:
                batches = as_named(batches, hosts, host_fields, writer.flush)
        for batch in batches:
            writer.add(batch)
        writer.end()
        if hosts is not None and hosts.incomplete:
            environment.complain("some host names did not come in time: those addresses are shown as numbers")


def _load_aside(*modules: str) -> None:
    """Has a thread load modules that will be needed soon."""

    def load() -> None:
        try:
            for module in modules:
                __import__(module)
        except (MemoryError, ImportError, OSError):
            pass  # who needs it loads it again, and has the error

    if sys.modules.keys() >= set(modules):
        return
    try:
        _thread.start_new_thread(load, ())
    except RuntimeError:
        return  # no more threads allowed: they are loaded when they are needed


def status_of(listing: Listed, environment: Environment) -> int:
    """Says what a listing has to say at its end, and returns the exit status."""
    for text in listing.notes + listing.problems:
        environment.complain(text)
    return ExitStatus.INCOMPLETE if listing.problems else ExitStatus.OK


def seconds_of(option: str, value: str, least: float, limit: float) -> float:
    """The seconds that an option takes: at least ``least`` and less than ``limit``. Raises UsageError."""
    try:
        seconds = float(value)
    except ValueError:
        seconds = -1
    if not least <= seconds < limit:
        raise UsageError(f"{option} takes a number of seconds, at least {least}, not {value!r}")
    return seconds


def _sort_key(values: Sequence[Any]) -> Callable[[int], Any]:
    if None not in values:
        return values.__getitem__
    return [(value is not None, 0 if value is None else value) for value in values].__getitem__


NUMERIC = (
    Option("n", "numeric", "no names at all: not for hosts, ports or users"),
    Option("", "numeric-hosts", "no host names"),
    Option("", "numeric-ports", "no names of ports"),
    Option("", "numeric-users", "no user names"),
)


class NumericOptions:
    """-n and its three parts: each true where numbers are to be shown instead of names."""

    def __init__(self) -> None:
        self.hosts = self.ports = self.users = False

    def take(self, name: str) -> bool:
        """Takes one option; False where it is none of these."""
        if not name.startswith("numeric"):
            return False
        self.hosts |= name in ("numeric", "numeric-hosts")
        self.ports |= name in ("numeric", "numeric-ports")
        self.users |= name in ("numeric", "numeric-users")
        return True
