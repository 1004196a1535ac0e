"""A rule in nft(8)'s own words."""

from __future__ import annotations

from ..engine.text import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .decode import Rule
    from .ruleset import Ruleset


def rule_text(ruleset: Ruleset, rule: Rule) -> str:
    """The rule's expressions, one line."""
    return printable(" ".join([expression.name for expression in rule.expressions]))
