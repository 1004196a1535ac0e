"""Entries of the connection tracking table as columns of a table."""

from __future__ import annotations

from ...engine.table import Column, Field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .command import Conntrack

SHOWN = {
    "counters": (
        ("packets", "Packets"),
        ("bytes", "Bytes"),
        ("reply_packets", "Reply-Packets"),
        ("reply_bytes", "Reply-Bytes"),
    ),
    "extended": (
        ("mark", "Mark"),
        ("zone", "Zone"),
        ("zone_direction", "Zone-Dir"),
        ("labels", "Labels"),
        ("helper", "Helper"),
        ("start", "Start"),
        ("security_context", "Secctx"),
        ("use", "Use"),
        ("id", "Id"),
    ),
}
"""What the options of the group Show add to the table."""


_NUMBERS = frozenset(
    (
        *("packets", "bytes", "reply_packets", "reply_bytes", "timeout", "use", "id", "zone", "protocol_number"),
        *("icmp_type", "icmp_code", "icmp_id", "reply_icmp_type", "reply_icmp_code", "reply_icmp_id"),
    )
)


def entry_columns(command: Conntrack) -> list[Column]:
    """The columns of a table of entries."""
    from .render import FlowEndpoint, FlowState, FlowStatus

    host, port = command.host_name, command.service_name
    return [
        Field("Protocol", "protocol"),
        FlowState(),
        Field("Timeout", "timeout", number=True),
        FlowEndpoint("Source", "source", host, port),
        FlowEndpoint("Destination", "destination", host, port),
        FlowEndpoint("Reply-Source", "reply_source", host, port),
        FlowEndpoint("Reply-Destination", "reply_destination", host, port),
        FlowStatus(),
        *(flow_column(field, title) for name, more in SHOWN.items() if name in command.show for field, title in more),
    ]


def flow_column(field: str, title: str) -> Column:
    """The column of one field, as it is where the title is its name, or as people read it."""
    from . import render as flows

    show: Callable[..., str] = str
    if field == "status":
        show = flows.status_text if title != field else ",".join
    elif field == "labels":
        show = flows.labels_text
    elif field in ("start", "stop") and title != field:
        show = flows.time_text
    elif field == "mark" and title != field:
        show = "{:#x}".format
    number = field in _NUMBERS or field.endswith("_port")
    return Field(title, field, show, number=number, kept=field not in ("start", "stop", "id"))
