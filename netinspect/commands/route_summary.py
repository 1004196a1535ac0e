"""``netinspect routes summary``: counts instead of rows."""

from __future__ import annotations

from ..records import RouteCount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..batch import Batch
    from ..environment import Environment

_KEY = ("family", "table", "protocol", "type")


def counts(batches: Iterable[Batch]) -> list[RouteCount]:
    """How many routes there are by family, table, protocol and type; the most frequent of each family first."""
    from ..batch import Constant

    found: dict[tuple[str, ...], int] = {}
    for batch in batches:
        columns = [batch.column(field) for field in _KEY]
        constants = tuple(column.value for column in columns if isinstance(column, Constant))
        if len(constants) == len(columns):
            found[constants] = found.get(constants, 0) + batch.count
            continue
        for key in zip(*map(batch.values, _KEY), strict=True):
            found[key] = found.get(key, 0) + 1
    families = list(dict.fromkeys(key[0] for key in found))
    ordered = sorted(found.items(), key=lambda item: (families.index(item[0][0]), -item[1], item[0]))
    return [RouteCount(key[0], key[1], key[2], key[3], number) for key, number in ordered]


def write_counts(batches: Iterable[Batch], form: str, heading: bool, environment: Environment) -> None:
    """Writes the counts as a table, JSON, NDJSON or CSV."""
    records = counts(batches)
    from ..batch import Batch

    if form == "table":
        from ..render.table import Field, Table

        total = RouteCount("total", "", "", "", sum(record.routes for record in records))
        titles = ("Family", "Table", "Protocol", "Type", "Routes")
        columns = [
            Field(title, field, number=field == "routes")
            for title, field in zip(titles, RouteCount._fields, strict=True)
        ]
        table = Table(columns, environment.write, heading=heading)
        table.add(Batch.from_records([*records, total]))
        table.end()
        return
    from ..render.structured import writer_of

    writer = writer_of(form, RouteCount._fields, environment.write, heading=heading)
    writer.add(Batch.from_records(records))
    writer.end()
