"""States and columns explained (netinspect explain)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class Explanation(NamedTuple):
    """What a state or a column means (``netinspect explain``)."""

    name: Annotated[str, "state or field, as netinspect writes it; a dot separates the parts of a field"]
    kind: Annotated[str, "what it is: TCP state, column, column of routes, reason of a drop …"]
    aliases: Annotated[tuple[str, ...], "its names in netstat and ss"]
    meaning: Annotated[str, "meaning, with the unit"]
    next: Annotated[str | None, "for a state: who must act before it changes"]
    look: Annotated[str, "what an administrator should look at"]
    source: Annotated[str, "where to read more: RFC, man page, header or kernel file"]
    absent: Annotated[
        str | None, "for a column: what a dash there (null in JSON) means; None if it always has a value"
    ] = None
