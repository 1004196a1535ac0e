"""``netstat -g`` as net-tools 2.10 lays it out."""

from __future__ import annotations

from ..engine.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine.columns import Batch

HEADING = (
    "IPv6/IPv4 Group Memberships\n"
    "Interface       RefCnt Group\n"
    "--------------- ------ ---------------------\n"
)  # fmt: skip


def text(batch: Batch, host: Callable[[str], str]) -> str:
    """The memberships of a batch; ``host`` gives the name of a group's address.

    A count that is not known, which net-tools cannot meet, is "-".
    """
    rows = zip(batch.values("interface"), batch.values("users"), batch.values("group"), strict=True)
    return "".join(
        f"{printable(interface)[:15]:15} {'-' if users is None else users:<6} {printable(host(group))}\n"
        for interface, users, group in rows
    )
