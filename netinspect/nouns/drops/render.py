"""Columns of dropped packets and their counts."""

from __future__ import annotations

from time import localtime, strftime

from ...engine.addresses import endpoint
from ...engine.table import Column, Field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ...engine.columns import Batch
    from ...records import Process

_END = 21
NUMBERS = frozenset(
    (
        *("packets", "value", "source_port", "destination_port", "length", "ttl", "mark", "inode", "interface_index"),
        *("icmp_type", "icmp_code", "namespace_inode"),
    )
)


def clock(value: float) -> str:
    """A time of day with milliseconds."""
    return strftime("%H:%M:%S", localtime(value)) + f"{value % 1:.3f}"[1:]


def processes_text(processes: Sequence[Process]) -> str:
    """``nginx/812``, several with commas."""
    named = [f"{process.name or '?'}/{process.pid}" for process in processes]
    return ",".join(dict.fromkeys(named))


TEXTS: dict[str, Callable[..., str]] = {
    "time": clock,
    "processes": processes_text,
    "tcp_flags": ",".join,
    "rate": "{:.1f}".format,
}


def _ends(side: str) -> Callable[[Batch], list[str]]:
    def texts(batch: Batch) -> list[str]:
        pairs = zip(batch.values(f"{side}_address"), batch.values(f"{side}_port"), strict=True)
        return [endpoint(address, port) or "-" for address, port in pairs]

    return texts


def _protocols(batch: Batch) -> list[str]:
    return [
        protocol or family or "-"
        for protocol, family in zip(batch.values("protocol"), batch.values("family"), strict=True)
    ]


def columns_of_drops() -> list[Column]:
    """The columns of packets, one a line as they are dropped."""
    shown: list[Column] = [
        Field("Time", "time", clock, kept=False),
        Field("Reason", "reason"),
        Field("Interface", "interface"),
        Column("Proto", _protocols),
        Column("Source", _ends("source")),
        Column("Destination", _ends("destination")),
        Field("Place", "place"),
        Field("Process", "processes", processes_text, kept=False),
        Field("Rule", "rule"),
        Field("Meaning", "meaning"),
    ]
    for column, width in zip(shown, (12, 16, 10, 6, _END, _END, 28, 10, 4), strict=False):
        column.width = max(width, column.width)
    return shown


def columns_of_counts() -> list[Column]:
    """The columns of counts."""
    return [
        Field("Packets", "packets", number=True),
        Field("Per second", "rate", TEXTS["rate"]),
        Field("Reason", "reason"),
        Field("Interface", "interface"),
        Field("Place", "place"),
        Field("Last", "last"),
        Field("Process", "processes", processes_text, kept=False),
        Field("Rule", "rule"),
        Field("Meaning", "meaning"),
        Field("Look at", "look"),
    ]


def columns_of_account() -> list[Column]:
    """The columns of the account."""
    return [
        Field("Layer", "layer"),
        Field("Counter", "counter"),
        Field("Of", "of"),
        Field("Value", "value", number=True),
        Field("Per second", "rate", TEXTS["rate"]),
        Field("Source", "source"),
        Field("Meaning", "meaning"),
    ]
