"""``netinspect addresses``."""

from __future__ import annotations

from ...engine.command import fields_of, write_listing
from ...engine.options import Command, Group, Option
from ...engine.output import NAMESPACES, OutputOptions, output_group
from ...engine.table import Column, Field
from ...errors import ExitStatus, UsageError
from ..routing.names import RoutingNames
from .listing_addresses import Listing, Query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from ...engine.columns import Batch
    from ...environment import Environment

COMMAND = Command(
    "addresses",
    "[INTERFACE]",
    "Lists the addresses of interfaces.",
    (
        Group(
            "Select",
            Option("4", "ipv4", "IPv4 only"),
            Option("6", "ipv6", "IPv6 only"),
            Option("", "scope", "addresses of this scope: global, site, link, host (rt_scopes), or a number", "SCOPE"),
        ),
        NAMESPACES,
        output_group("addresses"),
    ),
    "Lifetimes are in seconds: how long the address stays valid, and how long it is preferred for new connections.",
)

_FAMILIES = {"ipv4": "inet", "ipv6": "inet6"}
_NUMBERS = frozenset(("prefix_length", "metric"))


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    found, operands = COMMAND.parse(arguments)
    output = OutputOptions("Address")
    families: list[str] = []
    scope: str | None = None
    for name, value in found:
        if name == "help":
            environment.write(COMMAND.help().encode())
            return ExitStatus.OK
        if name in _FAMILIES:
            families.append(_FAMILIES[name])
        elif name == "scope":
            scope = _scope(value or "")
        else:
            output.take(name, value or "")
    if len(operands) > 1:
        raise UsageError(f"addresses takes one interface at most, not {' '.join(operands)!r}")
    query = Query(families, interface=operands[0] if operands else None, scope=scope)

    def once() -> int:
        listing = Listing(query, output.places(environment))
        return write_listing(listing, output, fields_of(output), lambda: _columns(output), environment)

    return output.run(once, environment)


def _scope(text: str) -> str:
    names = RoutingNames("rt_scopes")
    number = names.number(text)
    if number is None or number > 255:
        raise UsageError(f"no scope {text!r}: {', '.join(names.values())}")
    return names[number]


def _columns(output: OutputOptions) -> list[Column]:
    if output.columns is not None:
        return [Field(field, field, _text, number=field in _NUMBERS) for field in output.columns]
    columns = [
        Field("Interface", "interface"),
        Column("Address", _addresses),
        Field("Scope", "scope"),
        Field("Broadcast", "broadcast"),
        Field("Label", "label"),
        Field("Valid", "valid_lifetime", lambda seconds: f"{seconds}sec"),
        Field("Preferred", "preferred_lifetime", lambda seconds: f"{seconds}sec"),
        Field("Flags", "flags", _text),
    ]
    return [Field("Namespace", "netns"), *columns] if output.told_apart else columns


def _addresses(batch: Batch) -> Iterable[str]:
    rows = zip(batch.values("address"), batch.values("peer"), batch.values("prefix_length"), strict=True)
    return [f"{address} peer {peer}/{length}" if peer else f"{address}/{length}" for address, peer, length in rows]


def _text(value: Any) -> str:
    return ",".join(value) if isinstance(value, tuple) else str(value)
