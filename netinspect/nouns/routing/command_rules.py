"""``netinspect rules``."""

from __future__ import annotations

from ...engine.options import Group, Many, Option
from ...engine.output import NAMESPACES, ListingCommand, output_group
from ...engine.table import Column, Field
from ...errors import UsageError
from .listing_rules import RuleListing
from .render_rules import action_text, selector_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...engine.places import Place


class Rules(ListingCommand):
    """One command line of ``netinspect rules``."""

    name = "rules"
    summary = "Lists the rules that choose a routing table, in the order in which the kernel tries them."
    record = "Rule"
    essential = ("Priority", "Selector", "Action")
    spare = ("Protocol", "Family")
    shows_unknown = True

    families = Many[str]()

    groups = (
        Group(
            "Select",
            Option("4", "ipv4", "IPv4 only", to=families.constant("inet")),
            Option("6", "ipv6", "IPv6 only", to=families.constant("inet6")),
        ),
        NAMESPACES,
        output_group("rules"),
    )
    notes = (
        "Rules and actions are written as in ip-rule(8). `netinspect routes get` shows which rule applies to a packet."
    )

    def check(self) -> None:
        """Raises UsageError where there are operands."""
        if self.words:
            raise UsageError(f"rules lists all rules and takes options only, not {self.words[0]!r}")

    def listing(self, places: Sequence[Place]) -> RuleListing:
        """The rules."""
        return RuleListing(self.families, places)

    def table_columns(self) -> list[Column]:
        """The columns of a table."""
        return [
            self.column("priority", "Priority"),
            Field("Family", "family"),
            Column("Selector", lambda batch: map(selector_text, batch)),
            Column("Action", lambda batch: map(action_text, batch)),
            Field("Protocol", "protocol"),
        ]

    def column(self, field: str, title: str) -> Column:
        """The column of one field."""
        return Field(title, field, number=field == "priority")


COMMAND = Rules
