"""``netinspect nat``: the masquerade table, its groups, and what is wrong with address translation."""

from __future__ import annotations

from ...engine.options import Group, Many, One, Option, seconds
from ...engine.output import NAMESPACES, NUMERIC, output_group
from ...engine.table import Field
from ..conntrack.command_options import RESOLVE, FlowCommand, select_group
from .listing import TranslationListing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ...engine.places import Place
    from ...engine.table import Column

_NOTES = (
    "Kinds: masquerade and snat translate the source (masquerade: the outside address is this machine's and no rule "
    "names it), dnat the destination, redirect the destination to this machine, both source and destination. For dnat "
    "and redirect, inside is the responder and destination the other end.\n"
    "diagnose looks for common causes of broken NAT on gateways and changes nothing. FLOW limits it to one connection: "
    "[PROTOCOL] SOURCE[:PORT] [DESTINATION[:PORT]]. Its exit status is 4 if it found a problem (notes do not count), "
    "otherwise 0."
)

_HOSTS = {
    "inside_address": "Inside",
    "flows": "Flows",
    "destinations": "Destinations",
    "unreplied": "Unreplied",
    "sent_bytes": "Sent",
    "received_bytes": "Received",
    "outside_addresses": "Outside",
}
_OUTSIDE = {
    "outside_address": "Outside",
    "protocol": "Protocol",
    "flows": "Flows",
    "inside_hosts": "Inside-Hosts",
    "destination_address": "Busiest-Destination",
    "destination_port": "Port",
    "ports_used": "Ports-Used",
    "ports": "Of",
    "percent": "Percent",
}
_TEXTS = frozenset(
    ("netns", "inside_address", "outside_addresses", "outside_address", "protocol", "destination_address", "percent")
)


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


class Nat(FlowCommand):
    """One command line of ``netinspect nat``."""

    name = "nat"
    operands = "[list|hosts|outside|diagnose [FLOW]]"
    summary = (
        "Shows the masquerade table: each inside host, its destination, and the outside address and port it is "
        "translated to. Or, with a view: flows by inside host, ports in use by outside address, or what is wrong."
    )
    views = {"list": "Translation", "hosts": "InsideHost", "outside": "OutsideAddress", "diagnose": "Finding"}
    netns_first = False
    essential = ("Inside", "Destination", "Outside")
    spare = ("Id", "Zone", "Mark", "Expires", "Status", "Kind", "Answers")

    show = Many[str]()
    sample = One[float](1.0)

    groups = (
        select_group(),
        Group(
            "Show",
            Option("c", "counters", "packets and bytes in each direction", to=show.constant("counters")),
            Option(
                "e",
                "extended",
                "the real responder, double NAT, hairpin, mark, zone and id",
                to=show.constant("extended"),
            ),
            Option(
                "P",
                "processes",
                "the process that holds the socket, if an end is on this machine",
                to=show.constant("processes"),
            ),
            *NUMERIC,
            RESOLVE,
        ),
        Group(
            "diagnose",
            Option(
                "",
                "sample",
                "seconds to watch the counters; default 1",
                "SECONDS",
                to=sample.value(seconds(0, 3600)),
                views=("diagnose",),
            ),
        ),
        NAMESPACES,
        output_group("nat"),
    )
    notes = _NOTES

    def take_operands(self) -> None:
        """Takes the view and, for ``diagnose``, the words of a flow. Raises UsageError."""
        self.take_view(operands=self.words[:1] == ["diagnose"])
        if self.view == "list":
            self.host_fields = ("inside_address", "destination_address", "outside_address")
        elif self.view == "diagnose":
            self.netns_column = len(self.known_fields)  # the last one

    @property
    def with_processes(self) -> bool:
        """Whether the owners of local ends are to be looked for."""
        return "processes" in self.show or "processes" in (self.chosen or ())

    @property
    def fields(self) -> list[str]:
        """The record's fields that will be shown by the structured formats."""
        fields = super().fields
        if self.chosen is None and self.view == "list" and not self.with_processes:
            fields.remove("processes")
        return fields

    def listing(self, places: Sequence[Place]) -> TranslationListing:
        """The translations."""
        return TranslationListing(self.wanted, places)

    def once(self) -> int:
        """Lists once, and returns the exit status."""
        if self.view == "diagnose":
            from .command_diagnose import show_findings

            return show_findings(self)
        places = self.places()
        listing = self.listing(places)
        if self.view != "list":
            self._write_groups(listing, places)
            return self.ended(listing)
        batches = listing.batches()
        if self.with_processes:
            from .listing_state import with_owners

            batches = with_owners(batches, listing, places)
        self.write(self.sorted(batches))
        return self.ended(listing)

    def _write_groups(self, listing: TranslationListing, places: Sequence[Place]) -> None:
        from .listing_groups import inside_hosts, outside_addresses

        if self.view == "hosts":
            self.write_records(inside_hosts(listing.batches()), order="-flows")
            return
        from .listing_state import port_ranges

        self.write_records(outside_addresses(listing.batches(), port_ranges(places)), order="-percent")

    def table_columns(self) -> list[Column]:
        """The columns of a table."""
        if self.view == "diagnose":
            return [self.column(field, field) for field in self.known_fields if field != "netns"]
        if self.view != "list":
            titles = _HOSTS if self.view == "hosts" else _OUTSIDE
            return [Field(title, field, _text, number=field not in _TEXTS) for field, title in titles.items()]
        from ..conntrack.render import FlowEndpoint, FlowStatus

        host, port = self.host_name, self.service_name
        columns: list[Column] = [
            Field("Kind", "kind"),
            Field("Protocol", "protocol"),
            Field("State", "state"),
            Field("Expires", "timeout", number=True),
            FlowEndpoint("Inside", "inside", host, port),
            FlowEndpoint("Destination", "destination", host, port),
            FlowEndpoint("Outside", "outside", host, port),
            FlowStatus(),
        ]
        if "counters" in self.show:
            names = ("Sent-Packets", "Sent-Bytes", "Received-Packets", "Received-Bytes")
            columns += [Field(title, title.lower().replace("-", "_"), number=True) for title in names]
        if "extended" in self.show:
            columns.append(FlowEndpoint("Answers", "answering", host, port))
            columns += [Field("Double-NAT", "double_nat", lambda double: "yes" if double else "no")]
            columns += [Field("Hairpin", "hairpin", lambda hairpin: "hairpin" if hairpin else "no")]
            columns += [Field("Mark", "mark", "{:#x}".format), Field("Zone", "zone", number=True)]
            columns += [Field("Id", "id", number=True)]
        if "processes" in self.show:
            columns.append(Field("Process", "owners", kept=False))
        return columns

    def column(self, field: str, title: str) -> Column:
        """The column of one field."""
        if self.view == "diagnose":
            from .command_diagnose import cell

            return Field(title, field, cell)
        if self.view != "list":
            return Field(title, field, _text)
        from ..conntrack.render import status_text

        show: Callable[[Any], str] = {"status": status_text, "mark": "{:#x}".format}.get(field, str)
        if field == "processes":
            return Field(title, "owners", kept=False)
        return Field(title, field, show, number=field.endswith(("_port", "_bytes", "_packets", "timeout")))


COMMAND = Nat
