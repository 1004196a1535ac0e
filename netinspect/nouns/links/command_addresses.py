"""``netinspect addresses``."""

from __future__ import annotations

from ...engine.options import Group, Many, One, Option
from ...engine.output import NAMESPACES, ListingCommand, output_group
from ...engine.table import Column, Field
from ...errors import UsageError
from ..routing.names import RoutingNames
from .listing_addresses import AddressListing, Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ...engine.columns import Batch
    from ...engine.places import Place

_NUMBERS = frozenset(("prefix_length", "metric"))


def _scope(text: str) -> str:
    names = RoutingNames("rt_scopes")
    number = names.number(text)
    if number is None or number > 255:
        raise UsageError(f"no scope {text!r}: {', '.join(names.values())}")
    return names[number]


class Addresses(ListingCommand):
    """One command line of ``netinspect addresses``."""

    name = "addresses"
    operands = "[INTERFACE]"
    summary = "Lists the addresses of interfaces."
    record = "Address"
    essential = ("Interface", "Address")
    spare = ("Label", "Preferred", "Valid", "Broadcast", "Flags")

    families = Many[str]()
    scope = One[str | None](None)

    groups = (
        Group(
            "Select",
            Option("4", "ipv4", "IPv4 only", to=families.constant("inet")),
            Option("6", "ipv6", "IPv6 only", to=families.constant("inet6")),
            Option(
                "",
                "scope",
                "addresses of this scope: global, site, link, host (rt_scopes), or a number",
                "SCOPE",
                to=scope.value(_scope),
            ),
        ),
        NAMESPACES,
        output_group("addresses"),
    )
    notes = (
        "Lifetimes are in seconds: how long the address stays valid, and how long it is preferred for new connections."
    )

    def check(self) -> None:
        """Raises UsageError where more than one interface is named."""
        if len(self.words) > 1:
            raise UsageError(f"addresses takes one interface at most, not {' '.join(self.words)!r}")

    def listing(self, places: Sequence[Place]) -> AddressListing:
        """The addresses."""
        return AddressListing(Query(self.families, interface=next(iter(self.words), None), scope=self.scope), places)

    def table_columns(self) -> list[Column]:
        """The columns of a table."""
        return [
            Field("Interface", "interface"),
            Column("Address", _addresses),
            Field("Scope", "scope"),
            Field("Broadcast", "broadcast"),
            Field("Label", "label"),
            Field("Valid", "valid_lifetime", lambda seconds: f"{seconds}sec"),
            Field("Preferred", "preferred_lifetime", lambda seconds: f"{seconds}sec"),
            Field("Flags", "flags", _text),
        ]

    def column(self, field: str, title: str) -> Column:
        """The column of one field."""
        return Field(title, field, _text, number=field in _NUMBERS)


def _addresses(batch: Batch) -> Iterable[str]:
    rows = zip(batch.values("address"), batch.values("peer"), batch.values("prefix_length"), strict=True)
    return [f"{address} peer {peer}/{length}" if peer else f"{address}/{length}" for address, peer, length in rows]


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)


COMMAND = Addresses
