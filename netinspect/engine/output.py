"""What all listing commands share: formats, columns, sorting, watching, namespaces and names."""

from __future__ import annotations

import _thread
import sys
from itertools import chain, islice

from ..errors import ExitStatus, UsageError
from .command import REPORT, Command
from .options import Flag, Group, Many, One, Option, choice, seconds
from .places import EveryPlace, Place
from .text import marked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, Protocol

    from ..records import UnknownAttribute
    from .columns import Batch
    from .names import HostNames, Services
    from .table import Column, Table
    from .watched import Watched

    class Writer(Protocol):
        """Tables and the structured formats: what writes batches."""

        def add(self, batch: Batch) -> None: ...
        def flush(self, to_come: Sequence[Batch] = ()) -> None: ...
        def end(self) -> None: ...

    class Ended(Protocol):
        """The problems and notes of an ended listing."""

        problems: list[str]
        notes: list[str]

    class Listed(Ended, Protocol):
        """What lists a noun."""

        def batches(self) -> Iterable[Batch]: ...


_SORTED_ROWS = 1000
"""Rows of a sorted listing that are written at once."""

FORMATS = ("table", "json", "ndjson", "csv")


class InNamespaces(Command):
    """A command with options for network namespaces."""

    netns = Many[str]()
    all_netns = Flag()

    @property
    def labelled(self) -> bool:
        """Whether rows need the column of the namespace."""
        return self.all_netns or len(self.netns) > 1

    @property
    def names_wanted(self) -> bool:
        """Whether to say that names of containers are unknown."""
        return self.all_netns

    def places(self) -> list[Place]:
        """Where to look."""
        if not self.all_netns:
            return [Place(name, marked(name) if self.labelled else None) for name in self.netns] or [Place()]
        every = EveryPlace()
        if every.problem:
            self.environment.complain(every.problem)
        return every


NAMESPACES = Group(
    "Namespaces",
    Option(
        "N",
        "netns",
        "use this network namespace: its name, a process id, a path, a container, a pod, a systemd unit, or "
        "lab:LAB/HOST; may be given more than once",
        "NAME|PID|PATH",
        to=InNamespaces.netns.value(str),
        excludes=("all-netns",),
    ),
    Option(
        "",
        "all-netns",
        "use all network namespaces: named ones, those of running processes, and those kept by a mount, an open file "
        "or a socket",
        to=InNamespaces.all_netns.on,
    ),
)


class ListingCommand(InNamespaces):
    """A command that lists a noun: the noun gives its record, its listing and the columns of its table."""

    record = ""
    """The type of its rows, in netinspect.records."""
    views: Mapping[str, str] = {}
    """Where the first operand says what is listed: its words, and the record that each gives."""
    host_fields: Sequence[str] = ()
    """Fields with addresses for which a table may show names of hosts."""
    modules: Sequence[str] = ()
    """Modules that are needed for the first rows: they are loaded while the kernel is at work."""
    netns_first = True
    """Where the field ``netns`` stands in the structured formats: first or, as in the record, last."""
    netns_column = 0
    """Where the column of the namespace stands in a table."""
    shows_unknown = False
    """Whether a table shows itself what the kernel reports and this release does not know."""
    shows_unknown_inside = True
    """Whether it is reported beside a table where that is inside an attribute that is known."""
    whole_first = False
    """Whether all is listed before the first name is looked up: since what looks it up would be listed as well."""
    in_order = False
    """Whether rows that wait for names of hosts hold up those behind them."""

    settings: Mapping[str, str] = {}
    """Why a field that a table shows has no value in any row, where a setting is the reason."""
    essential: Sequence[str] = ()
    """Titles of the columns that say what a row is: on a narrow terminal they stay."""
    spare: Sequence[str] = ()
    """Titles of the columns that are left out there, in this order."""

    format = One[str]("table")
    chosen = One[list[str] | None](None)
    """Exactly these fields."""
    sort = Many[str]()
    """Fields, each with a - before it where its order is reversed."""
    no_header = Flag()
    watch = One[float | None](None)
    wide = Flag()
    numeric_hosts = Flag()
    numeric_ports = Flag()
    numeric_users = Flag()

    _hosts: HostNames | None = None
    _services: Services | None = None
    watched: Watched | None = None
    """The other screen of the terminal, with --watch."""

    def listing(self, places: Sequence[Place]) -> Listed:
        """What is listed. Raises NetinspectError."""
        raise NotImplementedError

    def table_columns(self) -> list[Column]:
        """The columns of a table, except the namespace."""
        raise NotImplementedError

    def column(self, field: str, title: str) -> Column:
        """The column of a table that shows a field."""
        from .table import Field

        return Field(title, field)

    def take_view(self, *, operands: bool = False) -> None:
        """Takes the view from the operands: the first one of ``views`` without any. ``operands``: others may follow."""
        given = " ".join(self.words)
        self.view = next(iter(self.views))
        if self.words and self.words[0] in self.views:
            self.view = self.words.pop(0)
        if self.words and not operands:
            raise UsageError(f"{self.name} takes one of {', '.join(self.views)}, not {given!r}")
        self.record = self.views[self.view]

    def run(self) -> int:
        """Lists once, or again and again with --watch."""
        if self.watch is None:
            return self.once()
        if self.environment.terminal:
            from .watched import watch

            return watch(self)
        from .watching import one_after_the_other

        return one_after_the_other(self)

    def screen(self) -> str:
        """On a terminal long listings are paged; one that is repeated has a screen of its own."""
        return "" if self.watch is not None else "paged"

    def once(self) -> int:
        """Lists once, and returns the exit status."""
        listing = self.listing(self.places())
        self.write(self.sorted(listing.batches()))
        return self.ended(listing)

    def ended(self, listing: Ended) -> int:
        """Prints the problems and notes of a listing, and returns the exit status."""
        for text in listing.notes + listing.problems:
            self.environment.complain(text)
        if self.names_wanted and (names := sys.modules.get("netinspect.engine.containers.names")):
            names.complain(self.environment)
        return ExitStatus.INCOMPLETE if listing.problems else ExitStatus.OK

    @property
    def known_fields(self) -> Sequence[str]:
        """The fields of the record."""
        from .. import records

        fields: Sequence[str] = getattr(records, self.record)._fields
        return fields

    @property
    def fields(self) -> list[str]:
        """The fields that the structured formats show: those asked for, or all; ``netns`` where rows must say it."""
        if self.chosen is not None:
            return self.chosen
        fields = list(self.known_fields)
        if "netns" in fields and not (self.labelled and not self.netns_first):
            fields.remove("netns")
            if self.labelled:
                fields.insert(0, "netns")
        return fields

    def columns(self) -> list[Column]:
        """The columns of a table."""
        if self.chosen is not None:
            return [self.column(field, field) for field in self.chosen]
        columns = self.table_columns()
        if self.labelled:
            from .table import Field

            columns.insert(self.netns_column, Field("Namespace", "netns"))
        return columns

    def writer(self) -> Writer:
        """The writer of the chosen format."""
        if self.format == "table":
            return self.table_of(self.columns())
        from .structured import writer_of

        return writer_of(self.format, self.fields, self.environment.write, heading=not self.no_header)

    def table_of(self, columns: Sequence[Column]) -> Table:
        """What writes a table of these columns: on a terminal one that fits."""
        if not self.environment.terminal and not self.coloured:
            from .table import Table

            return Table(columns, self.environment.write, heading=not self.no_header)
        from .fitted import fitted

        return fitted(self, columns)

    def sorted(self, batches: Iterable[Batch], shown: Iterable[str] = (), *, order: str = "") -> Iterator[Batch]:
        """The batches as they are, or anew with all rows in order. Rows without a value come first.

        What is ``shown`` in any case, and takes time to decode, is decoded while the kernel makes the rest of the dump.
        ``order`` is that without --sort.
        """
        wanted = self.sort or ([order] if order else [])
        if not wanted:
            yield from batches
            return
        from .columns import concatenated

        self.environment.doing = "sorting"
        keys = [key.removeprefix("-") for key in wanted]
        held = []
        for batch in batches:
            for field in (*keys, *shown):
                batch.column(field)
            held.append(batch)
        if not held:
            return
        whole = concatenated(held)
        rows = list(range(len(whole)))
        for key in reversed(wanted):
            rows.sort(key=_sort_key(list(whole.values(key.removeprefix("-")))), reverse=key.startswith("-"))
        for start in range(0, len(rows), _SORTED_ROWS):
            yield whole.take(rows[start : start + _SORTED_ROWS])

    @property
    def hosts(self) -> HostNames | None:
        """What looks up names of hosts, where the output shows any: in a table with its own columns.

        It is kept from one listing to the next.
        """
        if self.numeric_hosts or not self.host_fields or self.format != "table" or self.chosen is not None:
            return None
        if self._hosts is None:
            self._hosts = self.new_hosts()
        return self._hosts

    def new_hosts(self) -> HostNames:
        """What will look up names of hosts: the whole system's resolver."""
        from .names import HostNames

        return HostNames()

    @property
    def host_name(self) -> Callable[[str], str] | None:
        """What gives the name of a host; None where addresses are to be shown."""
        hosts = self.hosts
        return None if hosts is None else hosts.get

    @property
    def service_name(self) -> Callable[[str, int], str] | None:
        """What gives the name of a protocol's port; None where numbers are to be shown. It is kept as well."""
        if self.numeric_ports:
            return None
        if self._services is None:
            from .names import Services

            self._services = Services()
        return self._services.name

    def write(self, batches: Iterable[Batch]) -> None:
        """Writes batches in the chosen format.

        Rows wait for the names of their hosts, and others do not wait for them, unless rows are to stay in order.
        """
        hosts = self.hosts
        # The kernel may need a while for the first rows: what decodes and writes them is loaded meanwhile.
        render = "netinspect.engine.table" if self.format == "table" else "netinspect.engine.structured"
        _load_aside(*self.modules, render)
        rest = iter(batches)
        batches = chain(list(islice(rest, 1)), rest)
        writer = self.writer()
        if hosts is not None:
            from .names import as_named, as_named_in_order

            hosts.restart()
            if self.whole_first:
                batches = list(batches)
            if self.in_order or self.sort:
                batches = as_named_in_order(batches, hosts, self.host_fields)
            else:
                batches = as_named(batches, hosts, self.host_fields, writer.flush)
        watched = self.format == "table" and self.chosen is None and not self.shows_unknown
        unknown: dict[UnknownAttribute, int] = {}
        if self.settings:
            from .unset import checked

            batches = checked(self, batches)
        for batch in batches:
            if watched:
                _count_unknown(batch, unknown, inside=self.shows_unknown_inside)
            writer.add(batch)
        writer.end()
        if unknown:
            from .text import unknown_texts

            self.environment.complain(
                f"{max(unknown.values())} or more rows have attributes that this release does not know: "
                f"{unknown_texts(unknown)} (see unknown_attributes with --columns or --json)"
            )
        if hosts is not None and hosts.incomplete:
            self.environment.complain(hosts.TIMED_OUT)

    def write_records(self, records: Sequence[Any], *, order: str = "", limit: int = 0) -> None:
        """Writes records of one type, in the order of --sort or ``order``; with a limit no more than that."""
        from .schema import rows_of

        batches = self.sorted([rows_of(records, self.record)] if records else [], order=order)
        self.write(_first(batches, limit) if limit else batches)


def _count_unknown(batch: Batch, unknown: dict[UnknownAttribute, int], *, inside: bool) -> None:
    """Adds in how many rows each attribute is that is not known."""
    if "unknown_attributes" not in batch.schema.columns:
        return
    column = batch.column("unknown_attributes")
    if column.constant and not column.value:
        return
    for attributes in batch.values("unknown_attributes"):
        for attribute in attributes or ():
            if attribute.inside and not inside:
                continue
            unknown[attribute] = unknown.get(attribute, 0) + 1


def _first(batches: Iterable[Batch], rows: int) -> Iterator[Batch]:
    for batch in batches:
        yield batch.take(range(min(rows, batch.count)))
        rows -= batch.count
        if rows <= 0:
            return


def _columns(command: ListingCommand, text: str) -> None:
    command.chosen = list(dict.fromkeys(_checked(command, text.split(","))))


def _sort(command: ListingCommand, text: str) -> None:
    command.sort = [item.strip() for item in text.split(",")]
    _checked(command, [item.removeprefix("-") for item in command.sort])


def _checked(command: ListingCommand, names: Sequence[str]) -> list[str]:
    known = command.known_fields
    fields = [name.strip() for name in names]
    for field in fields:
        if field not in known:
            from .help import unknown

            raise unknown("field", field, known)
    return fields


def _watching(views: Sequence[str]) -> Option:
    to = ListingCommand.watch.value(seconds(0.05))
    return Option(
        "W",
        "watch",
        "repeat every SECONDS until interrupted; a table in a pipe has the time above it, except with -H",
        "SECONDS",
        to=to,
        views=views,
    )


def output_group(noun: str, *, listed: Sequence[str] = (), repeats: bool = True) -> Group:
    """The output options, for the noun whose fields `netinspect schema` lists.

    ``listed`` are the views that list, and end: others are neither sorted nor listed again. Empty is all. ``repeats``:
    what is listed can change.
    """
    of = ListingCommand
    return Group(
        "Output",
        Option(
            "",
            "format",
            "table (the default), json, ndjson or csv",
            "FORMAT",
            to=of.format.value(choice("format", FORMATS)),
            choices=FORMATS,
        ),
        Option("j", "json", "the same as --format json", to=of.format.constant("json")),
        Option(
            "",
            "columns",
            f"show only these fields, separated by commas (`netinspect schema {noun}`)",
            "FIELDS",
            to=_columns,
        ),
        Option(
            "",
            "sort",
            "sort by these fields, separated by commas; a leading - reverses one (holds the table in memory)",
            "FIELDS",
            to=_sort,
            views=listed,
        ),
        Option("H", "no-header", "do not print the header", to=of.no_header.on),
        *([_watching(listed)] if repeats else []),
    )


ListingCommand.terminal = (
    *REPORT,
    Option(
        "",
        "wide",
        "on a terminal, show every column and whole cells, in lines that may be longer than it is wide",
        to=ListingCommand.wide.on,
    ),
)


def _numeric(command: ListingCommand, text: str) -> None:
    command.numeric_hosts = command.numeric_ports = command.numeric_users = True


NUMERIC = (
    Option("n", "numeric", "show hosts, ports and users as numbers", to=_numeric),
    Option("", "numeric-hosts", "show addresses instead of host names", to=ListingCommand.numeric_hosts.on),
    Option("", "numeric-ports", "show ports as numbers", to=ListingCommand.numeric_ports.on),
    Option("", "numeric-users", "show users as numbers", to=ListingCommand.numeric_users.on),
)


failed_aside: list[Exception] = []
"""Why modules were not loaded by a thread."""


def _load_aside(*modules: str) -> None:
    """Has a thread load modules that will be needed soon."""

    def load() -> None:
        try:
            for module in modules:
                __import__(module)
        except (MemoryError, SystemError, ImportError, OSError) as error:
            # Who needs it loads it again, and has the error, unless that one was waiting for this one: then a name is
            # missing in the module.
            failed_aside.append(error)

    if sys.modules.keys() >= set(modules):
        return
    try:
        _thread.start_new_thread(load, ())
    except RuntimeError:
        return  # no more threads allowed: they are loaded when they are needed


def _sort_key(values: Sequence[Any]) -> Callable[[int], Any]:
    if None not in values:
        return values.__getitem__
    return [(value is not None, 0 if value is None else value) for value in values].__getitem__
