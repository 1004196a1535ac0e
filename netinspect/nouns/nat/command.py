"""``netinspect nat``: the masquerade table, its groups, and what is wrong with address translation."""

from __future__ import annotations

from ...engine.options import Command, Group, Option
from ...engine.output import NAMESPACES, NUMERIC, NumericOptions, OutputOptions, output_group, status_of
from ...engine.schema import rows_of
from ...engine.table import Field
from ...errors import ExitStatus, UsageError
from ..conntrack.command_options import SELECT, FlowOptions
from .listing import Listing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ...engine.table import Column
    from ...environment import Environment

VIEWS = {
    "list": "Translation",
    "hosts": "InsideHost",
    "outside": "OutsideAddress",
    "diagnose": "Finding",
}
"""What the operand may be, and the record that each gives."""

COMMAND = Command(
    "nat",
    "[list|hosts|outside|diagnose [FLOW]]",
    "Shows the masquerade table: which inside host talks to whom, and which outside address and port stand for it. "
    "Or, with another word: what each inside host has, how many ports of each outside address are in use, or what is "
    "wrong.",
    (
        SELECT,
        Group(
            "Show",
            Option("c", "counters", "packets and bytes in each direction"),
            Option("e", "extended", "who really answers, double NAT, mark, zone and id"),
            Option("P", "processes", "the process that holds the socket, where an end is on this machine"),
            *NUMERIC,
        ),
        Group(
            "diagnose",
            Option("", "sample", "seconds for which counters are watched; 1 without this option", "SECONDS"),
        ),
        NAMESPACES,
        output_group("nat"),
    ),
    "Kinds: masquerade and snat translate the source (masquerade where the outside address is this machine's, and no "
    "rule names it), dnat the destination, redirect the destination to this machine, both both. Of dnat and redirect, "
    "inside is who answers, and destination the other end.\n"
    "diagnose looks for what breaks address translation on gateways and changes nothing. FLOW narrows it down to one "
    "connection: [PROTOCOL] SOURCE[:PORT] [DESTINATION[:PORT]]. Its exit status is 0 where nothing was found, 4 where "
    "something was, notes aside.",
)

_ENDS = ("inside_address", "destination_address", "outside_address")


class Options:
    """The command line, converted."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Raises UsageError."""
        found, operands = COMMAND.parse(arguments)
        self.view = operands[0] if operands else "list"
        self.flow = operands[1:]
        if self.view not in VIEWS or (self.flow and self.view != "diagnose"):
            raise UsageError(f"nat takes one of {', '.join(VIEWS)}, not {' '.join(operands)!r}")
        self.help = False
        self.output = OutputOptions(VIEWS[self.view])
        self.numeric = NumericOptions()
        self.flows = FlowOptions()
        self.show: set[str] = set()
        self.sample = 1.0
        for name, value in found:
            self._take(name, value or "")

    def _take(self, name: str, value: str) -> None:
        if name == "help":
            self.help = True
        elif name in ("counters", "extended", "processes"):
            self.show.add(name)
        elif name == "sample":
            if self.view != "diagnose":
                raise UsageError("--sample goes with `nat diagnose`")
            try:
                self.sample = float(value)
            except ValueError:
                self.sample = -1
            if not 0 <= self.sample <= 3600:
                raise UsageError(f"--sample takes a number of seconds, not {value!r}")
        elif not self.numeric.take(name) and not self.flows.take(name, value):
            self.output.take(name, value)

    @property
    def with_processes(self) -> bool:
        """Whether the owners of local ends are to be looked for."""
        return "processes" in self.show or "processes" in (self.output.columns or ())

    @property
    def fields(self) -> list[str]:
        """The record's fields that will be shown by the structured formats."""
        from ... import records

        if self.output.columns is not None:
            return self.output.columns
        fields: list[str] = [*getattr(records, VIEWS[self.view])._fields]
        if not self.output.told_apart:
            fields.remove("netns")
        if self.view == "list" and not self.with_processes:
            fields.remove("processes")
        return fields


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    options = Options(arguments)
    if options.help:
        environment.write(COMMAND.help().encode())
        return ExitStatus.OK
    if options.view == "diagnose":
        from .command_diagnose import show_findings

        return options.output.run(lambda: show_findings(options, environment), environment)
    if options.view != "list":
        return options.output.run(lambda: _show_groups(options, environment), environment)
    return options.output.run(_View(options, environment).once, environment)


def _show_groups(options: Options, environment: Environment) -> int:
    from .listing_groups import inside_hosts, outside_addresses

    places = options.output.places(environment)
    listing = Listing(options.flows.wanted, places)
    records: list[Any]
    if options.view == "hosts":
        records = inside_hosts(listing.batches())
        titles, order = _HOSTS, "-flows"
    else:
        from .listing_state import port_ranges

        records = outside_addresses(listing.batches(), port_ranges(places))
        titles, order = _OUTSIDE, "-percent"
    output = options.output
    output.sort = output.sort or [order]

    def columns() -> list[Column]:
        if output.columns is not None:
            return [Field(field, field, _text) for field in output.columns]
        apart = {"netns": "Namespace"} if output.told_apart else {}
        return [Field(title, field, _text, number=field not in _TEXTS) for field, title in {**apart, **titles}.items()]

    writer = output.writer(options.fields, columns, environment)
    for batch in output.sorted([rows_of(records)] if records else []):
        writer.add(batch)
    writer.end()
    return status_of(listing, environment)


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


class _View:
    """The listing, once or again and again; names are kept from one time to the next."""

    def __init__(self, options: Options, environment: Environment) -> None:
        self._options = options
        self._environment = environment
        self._services: dict[str, dict[int, str]] = {}
        self._hosts = options.output.host_names(wanted=not options.numeric.hosts)

    def once(self) -> int:
        """Lists once, and returns the exit status."""
        options, output = self._options, self._options.output
        places = output.places(self._environment)
        listing = Listing(options.flows.wanted, places)
        batches = listing.batches()
        if options.with_processes:
            from .listing_state import with_owners

            batches = with_owners(batches, listing, places)
        batches = output.sorted(batches)
        fields = () if output.format == "table" else options.fields
        output.write(batches, fields, self._columns, self._environment, hosts=self._hosts, host_fields=_ENDS)
        return status_of(listing, self._environment)

    def _columns(self) -> list[Column]:
        from ..conntrack.render import FlowEndpoint, FlowStatus

        options = self._options
        if options.output.columns is not None:
            return [self._column(field) for field in options.fields]
        host = None if self._hosts is None else self._hosts.get
        port = None if options.numeric.ports else self._service
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
        if options.output.told_apart:
            columns.insert(0, Field("Namespace", "netns"))
        if "counters" in options.show:
            titles = ("Sent-Packets", "Sent-Bytes", "Received-Packets", "Received-Bytes")
            columns += [Field(title, title.lower().replace("-", "_"), number=True) for title in titles]
        if "extended" in options.show:
            columns.append(FlowEndpoint("Answers", "answering", host, port))
            columns += [Field("Double-NAT", "double_nat", lambda double: "yes" if double else "no")]
            columns += [Field("Mark", "mark", "{:#x}".format), Field("Zone", "zone", number=True)]
            columns += [Field("Id", "id", number=True)]
        if "processes" in options.show:
            columns.append(Field("Process", "owners", kept=False))
        return columns

    @staticmethod
    def _column(field: str) -> Column:
        from ..conntrack.render import status_text

        show: Callable[[Any], str] = {"status": status_text, "mark": "{:#x}".format}.get(field, str)
        if field == "processes":
            return Field(field, "owners", kept=False)
        return Field(field, field, show, number=field.endswith(("_port", "_bytes", "_packets", "timeout")))

    def _service(self, protocol: str, port: int) -> str:
        names = self._services.get(protocol)
        if names is None:
            from ...engine.names import ServiceNames

            names = self._services[protocol] = ServiceNames(protocol)
        return names[port]
