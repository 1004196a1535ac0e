"""``netinspect routes``."""

from __future__ import annotations

from ...engine.columns import Plain
from ...engine.options import Group, Many, One, Option
from ...engine.output import NAMESPACES, ListingCommand, output_group
from ...engine.table import Column, Field
from ...errors import ExitStatus, UsageError
from .listing import FAMILIES, MAIN_TABLE, Prefix, Query, RouteListing
from .names import address_in_words, numbered, scope_in_words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ...engine.columns import Batch
    from ...engine.places import Place
    from .listing_matching import Flow

_MODES = {"exact": "exact", "root": "root", "longer": "root", "match": "match", "shorter": "match", "to": "exact"}
_LISTED = ("list", "show", "cache", "summary")
"""The views that the options which select go with."""

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
_NESTED = frozenset(
    ("next_hops", "next_hop_object", "encapsulation", "metrics", "flags", "sockets", "new_labels", "rule")
)
_DEFAULTS = {"0.0.0.0/0": "default", "::/0": "default"}


_NOTES = (
    "exact (the default) selects the route to PREFIX, root the routes within it, match the routes that cover it. The "
    "kernel filters by table, protocol, type and interface: listing a small table is fast even if others are large.\n"
    "get asks the kernel which route it would use to ADDRESS. Selectors: from ADDRESS, iif NAME, oif NAME, mark "
    "NUMBER, uid NUMBER, tos NUMBER, ipproto PROTOCOL, sport PORT, dport PORT. The output includes the matching rule "
    "and table entry.\n"
    "cache lists route exceptions (path MTUs and redirects learned for single destinations) and the sockets that use "
    "them. summary counts routes by family, table, protocol and type."
)


class Routes(ListingCommand):
    """One command line of ``netinspect routes``."""

    name = "routes"
    operands = "[[exact|root|match] PREFIX | get ADDRESS [SELECTOR VALUE]… | cache | summary]"
    summary = "Lists the IPv4 and IPv6 routes of the main table, read from the kernel over rtnetlink."
    record = "Route"
    essential = ("Destination", "Gateway", "Interface")
    spare = ("Scope", "Protocol", "Source", "Metric")
    shows_unknown = True
    views = {"list": "Route", "show": "Route", "get": "Route", "cache": "Route", "summary": "RouteCount"}
    host_fields = ("gateway", "preferred_source")
    in_order = True  # the order of prefixes is meaningful

    families = Many[str]()
    table = One[str | None](None)
    protocol = One[int | None](None)
    kind = One[str | None](None)
    interface = One[str | None](None)
    scope = One[str | None](None)
    gateway = One[str | None](None)
    source = One[str | None](None)

    groups = (
        Group(
            "Select",
            Option("4", "ipv4", "IPv4 only", to=families.constant("inet")),
            Option("6", "ipv6", "IPv6 only", to=families.constant("inet6")),
            Option("M", "mpls", "MPLS only", to=families.constant("mpls")),
            Option(
                "t",
                "table",
                "this table, by name (rt_tables) or number; `all` for every table",
                "TABLE",
                to=table.value(str),
                views=_LISTED,
            ),
            Option(
                "",
                "protocol",
                "routes of this protocol, by name (rt_protos) or number",
                "PROTOCOL",
                to=protocol.value(lambda text: numbered("rt_protos", text)),
                views=_LISTED,
            ),
            Option(
                "",
                "type",
                "routes of this type: unicast, local, blackhole …",
                "TYPE",
                to=kind.value(str),
                views=_LISTED,
            ),
            Option("i", "interface", "routes through this interface", "NAME", to=interface.value(str), views=_LISTED),
            Option(
                "",
                "scope",
                "routes of this scope, by name (rt_scopes) or number",
                "SCOPE",
                to=scope.value(scope_in_words),
                views=_LISTED,
            ),
            Option("", "via", "routes via this gateway", "ADDRESS", to=gateway.value(address_in_words), views=_LISTED),
            Option(
                "",
                "source",
                "routes with this preferred source address",
                "ADDRESS",
                to=source.value(address_in_words),
                views=_LISTED,
            ),
        ),
        Group(
            "Show",
            Option("n", "numeric", "show addresses instead of host names", to=ListingCommand.numeric_hosts.on),
            Option("", "numeric-hosts", "the same", to=ListingCommand.numeric_hosts.on),
        ),
        NAMESPACES,
        output_group("routes"),
    )
    notes = _NOTES

    def take_operands(self) -> None:
        """Takes the view and, except ``get``, the prefix. Raises UsageError."""
        self.take_view(operands=True)
        self.prefix = None if self.view == "get" else self._prefix(self.words)

    @staticmethod
    def _prefix(words: Sequence[str]) -> Prefix | None:
        if not words:
            return None
        if len(words) == 2 and words[0] in _MODES:
            return Prefix(words[1], _MODES[words[0]])
        if len(words) == 1:
            return Prefix(words[0])
        raise UsageError(f"routes takes [{'|'.join(_MODES)}] PREFIX, not {' '.join(words)!r}")

    def check(self) -> None:
        """Raises UsageError."""
        if self.view == "summary" and (self.chosen is not None or self.sort):
            raise UsageError("routes summary has its own columns and order: it goes with neither --columns nor --sort")
        if self.view != "get":
            self._query = self._asked()

    def _asked(self) -> Query:
        families = self.families
        if self.prefix is not None and self.prefix.family is not None and not families:
            families = [self.prefix.family]
        everything = self.view in ("summary", "cache")
        table: int | None = None if everything else MAIN_TABLE
        if self.table is not None:
            table = None if self.table == "all" else numbered("rt_tables", self.table) or None
        equal = {"scope": self.scope, "gateway": self.gateway, "preferred_source": self.source}
        return Query(
            families or (FAMILIES if everything and self.view != "cache" else FAMILIES[:2]),
            table=table,
            protocol=self.protocol,
            kind=self.kind,
            interface=self.interface,
            prefix=self.prefix,
            equal={field: value for field, value in equal.items() if value is not None},
            exceptions=self.view == "cache",
            explicit=bool(families),
        )

    @property
    def fields(self) -> list[str]:
        """The record's fields that will be shown."""
        if self.chosen is not None:
            return self.chosen
        fields = [*_FIELDS, *{"get": _GET_FIELDS, "cache": _CACHE_FIELDS}.get(self.view, ())]
        return ["netns", *fields] if self.labelled else fields

    def once(self) -> int:
        """Lists once, and returns the exit status."""
        places = self.places()
        if self.view == "get":
            from .listing_lookup import Lookup, Lookups

            found = Lookups(Lookup(self.words, self.families), places, _why_refused)
            self.write(self._shown(found.batches()))
            status = self.ended(found)
            return ExitStatus.FAILED if status == ExitStatus.OK and not found.answered else status
        listing = RouteListing(self._query, places)
        batches = listing.batches()
        if self.view == "summary":
            self._write_counts(batches)
            return self.ended(listing)
        if self.view == "cache" and "sockets" in self.fields:
            from .owners import with_sockets

            batches = with_sockets(batches, places)
        self.write(self._shown(self.sorted(batches)))
        return self.ended(listing)

    def _shown(self, batches: Iterable[Batch]) -> Iterable[Batch]:
        return map(_with_default, batches) if self.format == "table" and self.chosen is None else batches

    def _write_counts(self, batches: Iterable[Batch]) -> None:
        from ...engine.counts import write_counts
        from ...records import RouteCount
        from .listing_counts import counts

        write_counts(counts(batches), RouteCount, self)

    def table_columns(self) -> list[Column]:
        """The columns of a table."""
        from .render import Details

        titles = dict(_TITLES)
        if self.view == "cache":
            titles = {name: titles[name] for name in ("destination", "gateway", "interface")} | {"pmtu": "Path MTU"}
        columns = [self.column(field, title) for field, title in titles.items()]
        if self.view == "get" or self.table == "all":
            columns.insert(3, self.column("table", "Table"))
        return [*columns, Details("Details", without=("metrics", "flags") if self.view == "cache" else ())]

    def column(self, field: str, title: str) -> Column:
        """The column of one field."""
        host = self.host_name
        if field in ("gateway", "preferred_source") and host is not None:
            return Field(title, field, host, kept=False)
        if field == "destination":
            from .render import Prefixes

            return Prefixes(title, field)
        if field in _NESTED:
            return Field(title, field, lambda value: _nested(field, value), kept=False)
        return Field(title, field, number=field in _NUMBERS)


def _why_refused(place: Place, flow: Flow) -> str | None:
    """Loaded only where the kernel refuses."""
    from ..path.walk_refused import why_refused

    return why_refused(place, flow)


def _with_default(batch: Batch) -> Batch:
    """The same routes, the default ones named so."""
    if 0 not in batch.values("destination_length"):
        return batch
    named = Plain([_DEFAULTS.get(text, text) for text in batch.values("destination")])
    return batch.joined({"destination": lambda _: named})


def _nested(field: str, value: Any) -> str:
    from .render import details_text

    return details_text({field: value})


COMMAND = Routes
