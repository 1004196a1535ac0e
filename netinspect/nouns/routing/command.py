"""``netinspect routes``."""

from __future__ import annotations

from ...engine.columns import Plain
from ...engine.options import Command, Group, Option
from ...engine.output import NAMESPACES, OutputOptions, output_group, status_of
from ...engine.table import Column, Field
from ...errors import ExitStatus, UsageError
from .listing import FAMILIES, MAIN_TABLE, Listing, Prefix, Query
from .names import RoutingNames, numbered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ...engine.columns import Batch
    from ...environment import Environment

COMMAND = Command(
    "routes",
    "[[exact|root|match] PREFIX | get ADDRESS [SELECTOR VALUE]… | cache | summary]",
    "Lists the routes of the main table, asked of the kernel over rtnetlink, as `ip route` does; both families.",
    (
        Group(
            "Select",
            Option("4", "ipv4", "IPv4 only"),
            Option("6", "ipv6", "IPv6 only"),
            Option("M", "mpls", "MPLS only"),
            Option("t", "table", "this table, by name (rt_tables) or number; `all` for all of them", "TABLE"),
            Option("", "protocol", "routes that this protocol made, by name (rt_protos) or number", "PROTOCOL"),
            Option("", "type", "routes of this type: unicast, local, blackhole …", "TYPE"),
            Option("i", "interface", "routes through this interface", "NAME"),
            Option("", "scope", "routes of this scope, by name (rt_scopes) or number", "SCOPE"),
            Option("", "via", "routes by this gateway", "ADDRESS"),
            Option("", "source", "routes with this preferred source address", "ADDRESS"),
        ),
        Group(
            "Show",
            Option("n", "numeric", "no host names"),
            Option("", "numeric-hosts", "the same"),
        ),
        NAMESPACES,
        output_group("routes"),
    ),
    "PREFIX selects: exact (the default) that prefix, root those that lie within it, match those that cover it. Table, "
    "protocol, type and interface are filtered by in the kernel, so that a small table costs little on a machine with "
    "a large one.\n"
    "get asks the kernel how it would send to ADDRESS. Selectors: from ADDRESS, iif NAME, oif NAME, mark NUMBER, uid "
    "NUMBER, tos NUMBER, ipproto PROTOCOL, sport PORT, dport PORT. The answer comes with the rule and the entry of the "
    "table that gave it.\n"
    "cache lists what the kernel learned about single destinations (route exceptions: path MTU and redirects), and the "
    "sockets that each concerns. summary counts routes by family, table, protocol and type.",
)

_VERBS = ("list", "show", "get", "cache", "summary")
_MODES = {"exact": "exact", "root": "root", "longer": "root", "match": "match", "shorter": "match", "to": "exact"}

_FIELDS = (
    "family",
    "type",
    "destination",
    "gateway",
    "interface",
    "table",
    "protocol",
    "scope",
    "metric",
    "preferred_source",
    "next_hops",
    "next_hop_id",
    "next_hop_object",
    "encapsulation",
    "metrics",
    "flags",
    "source",
    "tos",
    "preference",
    "expires",
    "error",
    "realms",
    "new_labels",
    "ttl_propagate",
)
"""What JSON and CSV have in any case."""
_GET_FIELDS = ("input_interface", "mark", "uid", "rule", "entry")
_CACHE_FIELDS = ("pmtu", "sockets")

_TITLES = {
    "destination": "Destination",
    "gateway": "Gateway",
    "interface": "Interface",
    "protocol": "Protocol",
    "scope": "Scope",
    "metric": "Metric",
    "preferred_source": "Source",
}
_NUMBERS = frozenset(("metric", "tos", "next_hop_id", "error", "pmtu"))
_DEFAULTS = {"0.0.0.0/0": "default", "::/0": "default"}


class Options:
    """The command line, converted."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Raises UsageError."""
        found, operands = COMMAND.parse(arguments)
        self.help = False
        self.output = OutputOptions("Route")
        self.numeric = False
        self.families: list[str] = []
        self.selected: dict[str, str] = {}
        self.verb = operands.pop(0) if operands and operands[0] in _VERBS else "list"
        for name, value in found:
            if name in ("ipv4", "ipv6", "mpls"):
                self.families.append({"ipv4": "inet", "ipv6": "inet6"}.get(name, name))
            elif name.startswith("numeric"):
                self.numeric = True
            elif name == "help":
                self.help = True
            elif not self.output.take(name, value or ""):
                self.selected[name] = value or ""
        self.operands = operands
        self.prefix = None if self.verb == "get" else self._prefix(operands)
        if self.verb == "summary":
            self.output.record = "RouteCount"

    def _prefix(self, operands: Sequence[str]) -> Prefix | None:
        if not operands:
            return None
        if len(operands) == 2 and operands[0] in _MODES:
            return Prefix(operands[1], _MODES[operands[0]])
        if len(operands) == 1:
            return Prefix(operands[0])
        raise UsageError(f"routes takes [{'|'.join(_MODES)}] PREFIX, not {' '.join(operands)!r}")

    @property
    def query(self) -> Query:
        """What to ask of the kernel. Raises UsageError."""
        chosen = self.selected
        families = self.families
        if self.prefix is not None and self.prefix.family is not None and not families:
            families = [self.prefix.family]
        everything = self.verb in ("summary", "cache")
        table: int | None = None if everything else MAIN_TABLE
        if "table" in chosen:
            table = None if chosen["table"] == "all" else numbered("rt_tables", chosen["table"]) or None
        equal: dict[str, Any] = {}
        if "scope" in chosen:
            scopes = RoutingNames("rt_scopes")
            equal["scope"] = scopes[numbered("rt_scopes", chosen["scope"])]
        for option, field in (("via", "gateway"), ("source", "preferred_source")):
            if option in chosen:
                equal[field] = _address(chosen[option])
        return Query(
            families or (FAMILIES if everything and self.verb != "cache" else FAMILIES[:2]),
            table=table,
            protocol=numbered("rt_protos", chosen["protocol"]) if "protocol" in chosen else None,
            kind=chosen.get("type"),
            interface=chosen.get("interface"),
            prefix=self.prefix,
            equal=equal,
            exceptions=self.verb == "cache",
            explicit=bool(families),
        )

    @property
    def fields(self) -> list[str]:
        """The record's fields that will be shown."""
        if self.output.columns is not None:
            return self.output.columns
        fields = [*_FIELDS, *{"get": _GET_FIELDS, "cache": _CACHE_FIELDS}.get(self.verb, ())]
        return ["netns", *fields] if self.output.told_apart else fields


def _address(text: str) -> str:
    from _socket import inet_ntop, inet_pton

    family = 10 if ":" in text else 2
    try:
        return inet_ntop(family, inet_pton(family, text))
    except (OSError, ValueError):
        raise UsageError(f"{text!r} is no address") from None


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    options = Options(arguments)
    if options.help:
        environment.write(COMMAND.help().encode())
        return ExitStatus.OK
    return options.output.run(_View(options, environment).once, environment)


class _View:
    """What a run of the command shows, once or again and again; names are kept from one time to the next."""

    def __init__(self, options: Options, environment: Environment) -> None:
        self._options = options
        self._environment = environment
        self._hosts = options.output.host_names(wanted=not options.numeric and options.verb != "summary")

    def once(self) -> int:
        """Lists once, and returns the exit status."""
        options, output = self._options, self._options.output
        places = output.places(self._environment)
        if options.verb == "get":
            from .listing_lookup import Lookup, Lookups

            if options.selected:
                raise UsageError("routes get takes selectors, as `from ADDRESS`, and none of the options that select")
            found = Lookups(Lookup(options.operands, options.families), places)
            self._write(found.batches())
            status = status_of(found, self._environment)
            return ExitStatus.FAILED if status == ExitStatus.OK and not found.answered else status
        listing = Listing(options.query, places)
        batches = listing.batches()
        if options.verb == "summary":
            self._write_counts(batches)
        else:
            if options.verb == "cache" and "sockets" in options.fields:
                from .owners import with_sockets

                batches = with_sockets(batches, places)
            self._write(output.sorted(batches))
        return status_of(listing, self._environment)

    def _write(self, batches: Iterable[Batch]) -> None:
        output = self._options.output
        if output.format == "table" and output.columns is None:
            batches = map(_with_default, batches)
        output.write(
            batches,
            self._options.fields,
            self._columns,
            self._environment,
            hosts=self._hosts,
            host_fields=("gateway", "preferred_source"),
            in_order=True,  # that of prefixes tells something
        )

    def _write_counts(self, batches: Iterable[Batch]) -> None:
        from ...engine.counts import write_counts
        from ...records import RouteCount
        from .command_summary import counts

        output = self._options.output
        write_counts(counts(batches), RouteCount, output, self._environment)

    def _columns(self) -> list[Column]:
        from .render import Details

        options = self._options
        if options.output.columns is not None:
            return [self._column(field, field) for field in options.fields]
        titles = dict(_TITLES)
        if options.verb == "cache":
            titles = {name: titles[name] for name in ("destination", "gateway", "interface")} | {"pmtu": "Path MTU"}
        columns = [self._column(field, title) for field, title in titles.items()]
        if options.verb == "get" or options.selected.get("table") == "all":
            columns.insert(3, self._column("table", "Table"))
        if options.output.told_apart:
            columns.insert(0, self._column("netns", "Namespace"))
        columns.append(Details("Details", without=("metrics", "flags") if options.verb == "cache" else ()))
        return columns

    def _column(self, field: str, title: str) -> Column:
        if field in ("gateway", "preferred_source") and self._hosts is not None:
            return Field(title, field, self._hosts.get, kept=False)
        if field in (
            "next_hops",
            "next_hop_object",
            "encapsulation",
            "metrics",
            "flags",
            "sockets",
            "new_labels",
            "rule",
        ):
            return Field(title, field, lambda value: _nested(field, value), kept=False)
        return Field(title, field, number=field in _NUMBERS)


def _with_default(batch: Batch) -> Batch:
    """The same routes, the default ones named so."""
    if 0 not in batch.values("destination_length"):
        return batch
    named = Plain([_DEFAULTS.get(text, text) for text in batch.values("destination")])
    return batch.joined({"destination": lambda _: named})


def _nested(field: str, value: Any) -> str:
    from .render import details_text

    return details_text({field: value})
