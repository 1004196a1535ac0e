"""``netinspect conntrack count``, ``stats``, ``top`` and ``expectations``: what is short enough to be shown whole."""

from __future__ import annotations

from ...engine.columns import Batch
from ...engine.schema import rows_of
from ...engine.table import Field
from ...errors import ExitStatus, NetinspectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from ...engine.places import Place
    from ...engine.table import Column
    from ...environment import Environment
    from .command import Options

_TITLES = {
    "entries": "Entries",
    "maximum": "Maximum",
    "percent": "Percent",
    "expectations": "Expectations",
    "expectations_maximum": "Maximum",
    "buckets": "Buckets",
    "counter": "Counter",
    "cpu": "CPU",
    "value": "Value",
    "meaning": "Meaning",
    "group": "Group",
    "flows": "Flows",
    "packets": "Packets",
    "bytes": "Bytes",
    "unreplied": "Unreplied",
    "netns": "Namespace",
    "protocol": "Protocol",
    "timeout": "Timeout",
    "helper": "Helper",
    "flags": "Flags",
}
_NUMBERS = frozenset(
    (
        *(
            "entries",
            "maximum",
            "expectations",
            "expectations_maximum",
            "buckets",
            "value",
            "flows",
            "packets",
            "bytes",
        ),
        *("unreplied", "timeout"),
    )
)


def write_records(
    records: Sequence[Any], fields: Sequence[str], options: Options, environment: Environment, order: str = ""
) -> None:
    """Writes records in the chosen format: of these fields, for a table too. ``order`` is that without --sort."""
    output = options.output
    if order and not output.sort:
        output.sort = [order]
    batches = output.sorted([rows_of(records)] if records else [])
    if options.view == "top" and options.limit:
        batches = (_first(batch, options.limit) for batch in batches)
    chosen = list(fields) if output.columns is None else output.columns
    writer = output.writer(options.fields, lambda: [_column(field) for field in chosen], environment)
    for batch in batches:
        if batch.count:
            writer.add(batch)
    writer.end()


def _first(batch: Batch, limit: int) -> Batch:
    return batch.select([number < limit for number in range(batch.count)])


def _column(field: str) -> Column:
    show: Callable[[Any], str] = ",".join if field == "flags" else str
    return Field(_TITLES.get(field, field), field, show, number=field in _NUMBERS)


def _each_place(
    options: Options, environment: Environment, look: Callable[[Place], Iterable[Any]]
) -> tuple[list[Any], int]:
    """What ``look`` finds in each place, and the exit status."""
    found: list[Any] = []
    status = ExitStatus.OK
    places = options.output.places(environment)
    for place in places:
        try:
            place.open()
            found += look(place)
        except NetinspectError as error:
            if len(places) == 1:
                raise
            environment.complain(f"namespace {place.label}: {error}")
            status = ExitStatus.INCOMPLETE
        finally:
            place.close()
    return found, status


def _with_place(options: Options, *fields: str) -> list[str]:
    return [*(["netns"] if options.output.told_apart else []), *fields]


def show_count(options: Options, environment: Environment) -> int:
    """``conntrack count``."""
    from .listing_state import count

    records, status = _each_place(options, environment, lambda place: [count(place)])
    fields = ("entries", "maximum", "percent", "expectations", "expectations_maximum", "buckets")
    write_records(records, _with_place(options, *fields), options, environment)
    return status


def show_statistics(options: Options, environment: Environment) -> int:
    """``conntrack stats``."""
    from .listing_state import statistics

    records, status = _each_place(options, environment, statistics)
    if options.output.format == "table" and options.output.columns is None:
        # Totals and processors side by side in JSON, one below the other for people.
        records = [record._replace(cpu="all" if record.cpu is None else str(record.cpu)) for record in records]
        records = [record if record.cpu == "all" else record._replace(meaning="") for record in records]
    write_records(records, _with_place(options, "counter", "cpu", "value", "meaning"), options, environment)
    return status


def show_top(options: Options, environment: Environment) -> int:
    """``conntrack top``."""
    from .listing import Listing
    from .listing_groups import groups

    listing = Listing(options.flows.wanted, options.output.places(environment))
    records = groups(listing.batches(), options.by)
    write_records(
        records,
        _with_place(options, "group", "flows", "packets", "bytes", "unreplied"),
        options,
        environment,
        "-flows",
    )
    for text in listing.notes + listing.problems:
        environment.complain(text)
    return ExitStatus.INCOMPLETE if listing.problems else ExitStatus.OK


def show_expectations(options: Options, environment: Environment) -> int:
    """``conntrack expectations``."""
    from .listing_expectations import Listing
    from .render import FlowEndpoint

    listing = Listing(options.output.places(environment))
    output = options.output

    def columns() -> list[Column]:
        if output.columns is not None:
            return [_column(field) for field in output.columns]
        named: list[Column] = [_column(field) for field in _with_place(options, "protocol", "timeout")]
        named += [FlowEndpoint("Source", "source"), FlowEndpoint("Destination", "destination")]
        named += [
            FlowEndpoint("Master-Source", "master_source"),
            FlowEndpoint("Master-Destination", "master_destination"),
        ]
        return [*named, _column("helper"), _column("flags")]

    writer = output.writer(options.fields, columns, environment)
    for batch in output.sorted(listing.batches()):
        writer.add(batch)
    writer.end()
    for text in listing.problems:
        environment.complain(text)
    return ExitStatus.INCOMPLETE if listing.problems else ExitStatus.OK


SUMMARIES: dict[str, Callable[[Options, Environment], int]] = {
    "count": show_count,
    "stats": show_statistics,
    "top": show_top,
    "expectations": show_expectations,
}
"""By the operand of the command."""
