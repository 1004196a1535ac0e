"""What the kernel reports and this release cannot read."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class UnknownAttribute(NamedTuple):
    """An attribute of a netlink message that this release does not know (linux/netlink.h: struct nlattr)."""

    number: Annotated[int, "its number, as in the kernel's header of that family"]
    length: Annotated[int, "size of its value, bytes"]
    inside: Annotated[tuple[int, ...], "numbers of the attributes that it is inside of, the outermost first"] = ()
