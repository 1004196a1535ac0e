"""Says why a column of a table has no value in any row, where a setting of the kernel is the reason."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .columns import Batch
    from .output import ListingCommand


def checked(command: ListingCommand, batches: Iterable[Batch]) -> Iterator[Batch]:
    """The batches; at their end one line for each setting that left a shown column empty."""
    unset: dict[str, str] = {}
    if command.format == "table":
        shown = {getattr(column, "field", None) for column in command.columns()}
        unset = {field: reason for field, reason in command.settings.items() if field in shown}
    rows = 0
    for batch in batches:
        rows += batch.count
        for field in tuple(unset):
            if any(value is not None for value in batch.values(field)):
                del unset[field]
        yield batch
    for reason in unset.values() if rows else ():
        command.environment.complain(reason)
