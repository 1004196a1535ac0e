"""``netinspect conntrack count``, ``stats``, ``top`` and ``expectations``: what is short enough to be shown whole."""

from __future__ import annotations

from ...engine.table import Field
from ...errors import ExitStatus, NetinspectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from ...engine.places import Place
    from ...engine.table import Column
    from .command import Conntrack

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


_SHOWN = {
    "count": ("entries", "maximum", "percent", "expectations", "expectations_maximum", "buckets"),
    "stats": ("counter", "cpu", "value", "meaning"),
    "top": ("group", "flows", "packets", "bytes", "unreplied"),
}


def summary_column(field: str) -> Column:
    """The column of one field."""
    show: Callable[[Any], str] = ",".join if field == "flags" else str
    return Field(_TITLES.get(field, field), field, show, number=field in _NUMBERS)


def summary_columns(view: str) -> list[Column]:
    """The columns of a table."""
    if view in _SHOWN:
        return [summary_column(field) for field in _SHOWN[view]]
    from .render import FlowEndpoint

    return [
        summary_column("protocol"),
        summary_column("timeout"),
        FlowEndpoint("Source", "source"),
        FlowEndpoint("Destination", "destination"),
        FlowEndpoint("Master-Source", "master_source"),
        FlowEndpoint("Master-Destination", "master_destination"),
        summary_column("helper"),
        summary_column("flags"),
    ]


def _each_place(command: Conntrack, look: Callable[[Place], Iterable[Any]]) -> tuple[list[Any], int]:
    """What ``look`` finds in each place, and the exit status."""
    found: list[Any] = []
    status = ExitStatus.OK
    places = command.places()
    for place in places:
        try:
            place.open()
            found += look(place)
        except NetinspectError as error:
            if len(places) == 1:
                raise
            command.environment.complain(f"namespace {place.label}: {error}")
            status = ExitStatus.INCOMPLETE
        finally:
            place.close()
    return found, status


def show_count(command: Conntrack) -> int:
    """``conntrack count``."""
    from .listing_state import count

    records, status = _each_place(command, lambda place: [count(place)])
    command.write_records(records)
    return status


def show_statistics(command: Conntrack) -> int:
    """``conntrack stats``."""
    from .listing_state import statistics

    records, status = _each_place(command, statistics)
    if command.format == "table" and command.chosen is None:
        # Totals and processors side by side in JSON, one below the other for people.
        records = [record._replace(cpu="all" if record.cpu is None else str(record.cpu)) for record in records]
        records = [record if record.cpu == "all" else record._replace(meaning="") for record in records]
    command.write_records(records)
    return status


def show_top(command: Conntrack) -> int:
    """``conntrack top``."""
    from .listing_groups import groups

    listing = command.listing(command.places())
    records = groups(listing.batches(), command.by)
    command.write_records(records, order="-flows", limit=command.limit)
    return command.ended(listing)


def show_expectations(command: Conntrack) -> int:
    """``conntrack expectations``."""
    from .listing_expectations import ExpectationListing

    listing = ExpectationListing(command.places())
    command.write(command.sorted(listing.batches()))
    return command.ended(listing)


SUMMARIES: dict[str, Callable[[Conntrack], int]] = {
    "count": show_count,
    "stats": show_statistics,
    "top": show_top,
    "expectations": show_expectations,
}
"""By the view of the command."""
