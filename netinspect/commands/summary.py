"""``netinspect sockets --summary``: counts instead of rows."""

from __future__ import annotations

from collections import Counter

from ..records import SocketCount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..batch import Batch
    from ..environment import Environment


def counts(batches: Iterable[Batch]) -> list[SocketCount]:
    """How many sockets there are by protocol, family and state; the most frequent state of each kind first."""
    found: dict[tuple[str, str, str], int] = {}
    for batch in batches:
        columns = (batch.values("protocol"), batch.values("family"), batch.values("state"))
        for key, number in Counter(zip(*columns, strict=True)).items():
            found[key] = found.get(key, 0) + number
    kinds = list(dict.fromkeys((protocol, family) for protocol, family, _ in found))
    ordered = sorted(found.items(), key=lambda item: (kinds.index(item[0][:2]), -item[1], item[0]))
    return [SocketCount(*key, number) for key, number in ordered]


def write_counts(batches: Iterable[Batch], form: str, heading: bool, environment: Environment) -> None:
    """Writes the counts as a table, JSON, NDJSON or CSV."""
    records = counts(batches)
    if form == "table":
        from tabulate import tabulate

        total = sum(record.sockets for record in records)
        titles = ("Protocol", "Family", "State", "Sockets") if heading else ()
        rows = [*records, ("total", "", "", total)]
        environment.write((tabulate(rows, headers=titles, tablefmt="plain") + "\n").encode())
        return
    from ..batch import Batch
    from ..render.structured import writer_of

    writer = writer_of(form, SocketCount._fields, environment.write, heading=heading)
    writer.add(Batch.from_records(records))
    writer.end()
