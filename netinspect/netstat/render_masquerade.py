"""``netstat -M`` in net-tools' layout (net-tools 2.10, lib/masq_info.c).

The table was that of ipchains, gone with Linux 2.4. Its columns are: the time until the entry expires in minutes,
seconds and hundredths, who is inside, whom it talks to, and its port, the other's and, in parentheses, the one that
stands for its own outside. With -e also how TCP's sequence numbers are shifted.
"""

from __future__ import annotations

from ..engine.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..engine.columns import Batch

TITLE = "IP masquerading entries\n"
HEADING = "prot   expire source               destination          ports\n"
EXTENDED_HEADING = "prot   expire    initseq delta prevd source               destination          ports\n"

_FIELDS = (
    "protocol",
    "timeout",
    "inside_address",
    "destination_address",
    "inside_port",
    "destination_port",
    "outside_port",
    "flow_sequence_position",
    "flow_sequence_after",
    "flow_sequence_before",
)


def text(batch: Batch, host: Callable[[str], str], port: Callable[[str, int], str], *, extended: bool) -> str:
    """The rows of a batch of translations."""
    rows = []
    for protocol, timeout, inside, destination, *numbers in zip(*map(batch.values, _FIELDS), strict=True):
        minutes, seconds = divmod(timeout or 0, 60)
        row = f"{protocol:<4}{minutes:3}:{seconds:02}.00 "
        ports = [port(protocol, number) if number is not None else "0" for number in numbers[:3]]
        if extended:
            position, after, before = numbers[3:]
            row += f"{position or 0:10} {_short(after):5} {_short(before):5} "
        row += f"{printable(host(inside)):<20} {printable(host(destination)):<20} "
        rows.append(row + "{} -> {} ({})\n".format(*map(printable, ports)))
    return "".join(rows)


def _short(number: int | None) -> int:
    """A difference of sequence numbers, which has a sign."""
    return ((number or 0) + 0x80000000 & 0xFFFFFFFF) - 0x80000000
