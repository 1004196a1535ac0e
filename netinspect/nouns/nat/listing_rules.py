"""The rules of a network namespace that translate."""

from __future__ import annotations

from ...netfilter.ruleset import read
from .decode_rules import nat_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...engine.places import Place
    from .decode_rules import NatRule


def rules_of(place: Place) -> list[NatRule]:
    """The rules of nftables that translate; none without nftables in the kernel. ``place`` is open.

    Raises NetlinkError, and RulesetChangingError.
    """
    ruleset = read(place)
    return list(nat_rules(ruleset.chains.values(), ruleset.every_rule()))
