"""The rules of a network namespace that translate."""

from __future__ import annotations

from ...netfilter.ruleset import read
from .decode_rules import nat_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...engine.places import Place
    from ...netfilter.ruleset import Ruleset
    from .decode_rules import NatRule


def rules_of(place: Place, problem: Callable[[str], object] = str) -> list[NatRule]:
    """The rules that translate, those of legacy iptables too; none without either in the kernel. ``place`` is open.

    ``problem`` gets what could not be read. Raises NetlinkError, and RulesetChangingError.
    """
    return translating(read(place), problem)


def translating(ruleset: Ruleset, problem: Callable[[str], object] = str) -> list[NatRule]:
    """The rules of a ruleset that translate. ``problem`` gets what could not be read of it."""
    for table in ruleset.unknown:
        if " nat " in table:
            problem(table)
    return list(nat_rules(ruleset.chains.values(), ruleset.every_rule()))
