"""Counts instead of rows: counting, and how all such counts are written."""

from __future__ import annotations

from .schema import rows_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from .columns import Batch
    from .output import ListingCommand

    Key = tuple[Any, ...]


def tally(batches: Iterable[Batch], fields: Sequence[str], kind: int) -> list[tuple[Key, int]]:
    """How many rows there are of each combination of values of these fields.

    Rows with the same first ``kind`` values are grouped, in order of appearance, the most frequent first.
    """
    found: dict[Key, int] = {}
    for batch in batches:
        columns = [batch.column(field) for field in fields]
        constants = tuple(column.value for column in columns if column.constant)
        if not batch.count:
            continue
        if len(constants) == len(columns):  # as most batches are
            found[constants] = found.get(constants, 0) + batch.count
            continue
        keys = list(zip(*map(batch.values, fields), strict=True))
        for key in dict.fromkeys(keys):
            found[key] = found.get(key, 0) + keys.count(key)
    kinds = list(dict.fromkeys(key[:kind] for key in found))
    return sorted(found.items(), key=lambda item: (kinds.index(item[0][:kind]), -item[1], item[0][kind:]))


def write_counts(records: Sequence[Any], record: Any, command: ListingCommand) -> None:
    """Writes counts, whose type is ``record``, in the chosen format; a table with their total."""
    fields = [field for field in record._fields if field != "netns"]
    number = fields[-1]
    if command.format != "table":
        from .structured import writer_of

        shown = ["netns", *fields] if command.labelled else fields
        writer = writer_of(command.format, shown, command.environment.write, heading=not command.no_header)
        writer.add(rows_of(records, record.__name__))
        writer.end()
        return
    from .table import Field

    columns = [Field(field.capitalize(), field, number=field == number) for field in fields]
    if command.labelled:
        columns.insert(0, Field("Namespace", "netns"))
    words = dict.fromkeys(record._fields, "") | {"netns" if command.labelled else fields[0]: "total"}
    total = record(**words | {number: sum(getattr(one, number) for one in records)})
    table = command.table_of(columns)
    table.add(rows_of([*records, total]))
    table.end()
