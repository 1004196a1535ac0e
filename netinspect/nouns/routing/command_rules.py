"""``netinspect rules``."""

from __future__ import annotations

from ...engine.command import fields_of, write_listing
from ...engine.options import Command, Group, Option
from ...engine.output import NAMESPACES, OutputOptions, output_group
from ...engine.table import Column, Field
from ...errors import ExitStatus, UsageError
from .listing_rules import Listing
from .render_rules import action_text, selector_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...environment import Environment

COMMAND = Command(
    "rules",
    "",
    "Lists the rules by which the kernel chooses a routing table, in the order in which it tries them.",
    (
        Group("Select", Option("4", "ipv4", "IPv4 only"), Option("6", "ipv6", "IPv6 only")),
        NAMESPACES,
        output_group("rules"),
    ),
    "Rules and actions are in the words of ip-rule(8). `netinspect routes get` tells which rule applies to a packet.",
)

_FAMILIES = {"ipv4": "inet", "ipv6": "inet6"}


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    found, operands = COMMAND.parse(arguments)
    output = OutputOptions("Rule")
    families: list[str] = []
    for name, value in found:
        if name == "help":
            environment.write(COMMAND.help().encode())
            return ExitStatus.OK
        if name in _FAMILIES:
            families.append(_FAMILIES[name])
        else:
            output.take(name, value or "")
    if operands:
        raise UsageError(f"rules takes options only, not {operands[0]!r}")

    def once() -> int:
        listing = Listing(families, output.places(environment))
        return write_listing(listing, output, fields_of(output), lambda: _columns(output), environment)

    return output.run(once, environment)


def _columns(output: OutputOptions) -> list[Column]:
    if output.columns is not None:
        return [Field(field, field, number=field == "priority") for field in output.columns]
    columns = [
        Field("Priority", "priority", number=True),
        Field("Family", "family"),
        Column("Selector", lambda batch: map(selector_text, batch)),
        Column("Action", lambda batch: map(action_text, batch)),
        Field("Protocol", "protocol"),
    ]
    return [Field("Namespace", "netns"), *columns] if output.told_apart else columns
