"""What the kernel reports and this release cannot read."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class UnknownAttribute(NamedTuple):
    """An attribute of a netlink message that this release does not know (linux/netlink.h: struct nlattr)."""

    number: Annotated[int, "attribute number, as in the kernel header of that family"]
    length: Annotated[int, "size of the value, bytes"]
    inside: Annotated[tuple[int, ...], "numbers of the enclosing attributes, outermost first"] = ()
