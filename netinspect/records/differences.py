"""What differs between two snapshots (netinspect diff)."""

from __future__ import annotations

from .addresses import Address
from .flows import Flow
from .groups import Membership
from .links import Link
from .routes import Route
from .rules import Rule
from .sockets import Socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple

_Records = Socket | Route | Rule | Link | Address | Flow | Membership


class Difference(NamedTuple):
    """One thing that is in one snapshot only, or is not the same in both."""

    change: Annotated[str, "added, removed or changed"]
    noun: Annotated[str, "sockets, routes, rules, links, addresses, flows or groups"]
    what: Annotated[str, "its identity in one line"]
    netns: Annotated[str | None, "network namespace, where several are compared"]
    fields: Annotated[tuple[str, ...], "changed: the fields that differ"]
    before: Annotated[_Records | None, "the record in the first snapshot; None: added"]
    after: Annotated[_Records | None, "the record in the second snapshot; None: removed"]
