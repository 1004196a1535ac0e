"""What the commands share that list a noun and nothing else."""

from __future__ import annotations

from .output import OutputOptions, status_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Protocol

    from ..environment import Environment
    from .columns import Batch
    from .table import Column

    class Listed(Protocol):
        """What lists: collect's listings."""

        problems: list[str]
        notes: list[str]

        def batches(self) -> Iterable[Batch]: ...


def write_listing(
    listing: Listed,
    output: OutputOptions,
    fields: Sequence[str],
    columns: Callable[[], Sequence[Column]],
    environment: Environment,
) -> int:
    """Writes a listing in the chosen format and order, says what is missing, and returns the exit status."""
    output.write(output.sorted(listing.batches()), fields, columns, environment)
    return status_of(listing, environment)


def fields_of(output: OutputOptions) -> list[str]:
    """The record's fields that are shown: those asked for, or all; the namespace first, where rows must tell theirs.

    A table has columns of its own instead.
    """
    if output.columns is not None:
        return output.columns
    if output.format == "table":
        return []
    from .. import records

    known: list[str] = [field for field in getattr(records, output.record)._fields if field != "netns"]
    return ["netns", *known] if output.told_apart else known
