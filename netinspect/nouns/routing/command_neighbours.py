"""``netinspect neighbours``."""

from __future__ import annotations

from ...engine.command import fields_of, write_listing
from ...engine.options import Command, Group, Option
from ...engine.output import NAMESPACES, OutputOptions, output_group
from ...engine.table import Column, Field
from ...errors import ExitStatus, UsageError
from ..sockets.render_details import duration
from .listing_neighbours import Listing, Query, TableListing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ...environment import Environment

COMMAND = Command(
    "neighbours",
    "[INTERFACE | tables]",
    "Lists what is known of the machines on the same links: the tables of ARP and of IPv6's neighbour discovery.",
    (
        Group(
            "Select",
            Option("4", "ipv4", "IPv4 only"),
            Option("6", "ipv6", "IPv6 only"),
            Option("", "state", "entries in these states, separated by commas: reachable, stale, failed …", "NAME"),
            Option("a", "all", "also entries that need no look-up, as those of multicast"),
        ),
        NAMESPACES,
        output_group("neighbours"),
    ),
    "Addresses that this machine answers for in place of others have the flag proxy.\n"
    "tables shows the tables themselves: how full they are against their limits (gc_thresh1 to gc_thresh3), and what "
    "they count. All network namespaces share them.",
)

_FAMILIES = {"ipv4": "inet", "ipv6": "inet6"}
_NUMBERS = frozenset(("references", "probes", "entries", "gc_thresh1", "gc_thresh2", "gc_thresh3"))
_AGES = frozenset(("used", "confirmed", "updated"))
_TABLE_COLUMNS = {
    "name": "Table",
    "entries": "Entries",
    "used": "Used",
    "gc_thresh1": "Thresh1",
    "gc_thresh2": "Thresh2",
    "gc_thresh3": "Thresh3",
    "lookups": "Lookups",
    "hits": "Hits",
    "res_failed": "Unanswered",
    "forced_gc_runs": "Forced GC",
    "table_fulls": "Full",
}


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    found, operands = COMMAND.parse(arguments)
    if len(operands) > 1:
        raise UsageError(f"neighbours takes one interface at most, not {' '.join(operands)!r}")
    tables = operands == ["tables"]
    output = OutputOptions("NeighbourTable" if tables else "Neighbour")
    families: list[str] = []
    states: list[str] = []
    everything = False
    for name, value in found:
        if name == "help":
            environment.write(COMMAND.help().encode())
            return ExitStatus.OK
        if name in _FAMILIES:
            families.append(_FAMILIES[name])
        elif name == "state":
            states += (value or "").lower().split(",")
        elif name == "all":
            everything = True
        else:
            output.take(name, value or "")
    if tables and (families or states or everything):
        raise UsageError("neighbours tables takes none of the options that select")
    query = Query(families, interface=operands[0] if operands else None, states=states, everything=everything)

    def once() -> int:
        places = output.places(environment)
        if tables:
            listed = TableListing(places)
            return write_listing(listed, output, fields_of(output), lambda: _tables(output), environment)
        listing = Listing(query, places)
        return write_listing(listing, output, fields_of(output), lambda: _columns(output), environment)

    return output.run(once, environment)


def _columns(output: OutputOptions) -> list[Column]:
    if output.columns is not None:
        return [_column(field, field) for field in output.columns]
    titles = {
        "address": "Address",
        "interface": "Interface",
        "link_address": "Link Address",
        "state": "State",
        "used": "Used",
        "confirmed": "Confirmed",
        "updated": "Updated",
        "probes": "Probes",
        "flags": "Flags",
    }
    columns = [_column(field, title) for field, title in titles.items()]
    return [Field("Namespace", "netns"), *columns] if output.told_apart else columns


def _column(field: str, title: str) -> Column:
    if field in _AGES:
        return Field(title, field, lambda seconds: duration(round(seconds) * 1000))
    return Field(title, field, _text, number=field in _NUMBERS)


def _tables(output: OutputOptions) -> list[Column]:
    if output.columns is not None:
        return [Field(field, field, number=field in _NUMBERS) for field in output.columns]
    columns: list[Column] = [
        Field(title, field, "{}%".format if field == "used" else str, number=field not in ("name", "used"))
        for field, title in _TABLE_COLUMNS.items()
    ]
    return [Field("Namespace", "netns"), *columns] if output.told_apart else columns


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
