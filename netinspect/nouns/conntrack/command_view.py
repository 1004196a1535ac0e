"""Entries of the connection tracking table as rows, once or again and again."""

from __future__ import annotations

from ...engine.output import status_of
from ...engine.table import Column, Field
from .listing import Listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...environment import Environment
    from .command import Options

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


class FlowView:
    """A listing of entries, once or again and again; names are kept from one time to the next."""

    def __init__(self, options: Options, environment: Environment) -> None:
        self._options = options
        self._environment = environment
        self._services: dict[str, dict[int, str]] = {}
        self._hosts = options.output.host_names(wanted=not options.numeric.hosts)

    def once(self) -> int:
        """Lists once, and returns the exit status."""
        output = self._options.output
        listing = Listing(self._options.flows.wanted, output.places(self._environment))
        output.write(
            output.sorted(listing.batches()),
            () if output.format == "table" else self._options.fields,
            self.columns,
            self._environment,
            hosts=self._hosts,
            host_fields=ADDRESS_FIELDS,
        )
        return status_of(listing, self._environment)

    def columns(self) -> list[Column]:
        """The columns of a table."""
        from .render import FlowEndpoint, FlowState, FlowStatus

        options = self._options
        if options.output.columns is not None:
            return [self._column(field, field) for field in options.fields]
        host = None if self._hosts is None else self._hosts.get
        port = None if options.numeric.ports else self._service
        columns = [
            Field("Protocol", "protocol"),
            FlowState(),
            Field("Timeout", "timeout", number=True),
            FlowEndpoint("Source", "source", host, port),
            FlowEndpoint("Destination", "destination", host, port),
            FlowEndpoint("Reply-Source", "reply_source", host, port),
            FlowEndpoint("Reply-Destination", "reply_destination", host, port),
            FlowStatus(),
        ]
        if options.output.told_apart:
            columns.insert(0, self._column("netns", "Namespace"))
        for name, more in SHOWN.items():
            if name in options.show:
                columns += [self._column(field, title) for field, title in more]
        return columns

    def _column(self, field: str, title: str) -> Column:
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

    def _service(self, protocol: str, port: int) -> str:
        names = self._services.get(protocol)
        if names is None:
            from ...engine.names import ServiceNames

            names = self._services[protocol] = ServiceNames(protocol)
        return names[port]


ADDRESS_FIELDS = (
    "source_address",
    "destination_address",
    "reply_source_address",
    "reply_destination_address",
)
