"""A rule in nft(8)'s own words, as `nft list ruleset` has it, as far as its expressions are known here.

The kernel keeps registers and operations, not words: each is followed as nft(8) does, and conditions that nft(8) adds
by itself and does not list again, such as the protocol before a port, are left out again.
"""

from __future__ import annotations

from ..engine.text import printable
from . import text_values as values
from .text_conditions import STATEMENTS as _CONDITIONS
from .text_loads import STATEMENTS as _LOADS
from .text_sets import STATEMENTS as _SETS
from .text_statements import STATEMENTS as _ACTIONS
from .text_writer import Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .decode import Rule
    from .ruleset import Ruleset


_STATEMENTS = {**_LOADS, **_CONDITIONS, **_SETS, **_ACTIONS}


def rule_text(ruleset: Ruleset, rule: Rule) -> str:
    """The rule in one line, without its handle. Raises NetlinkError where the elements of a set cannot be read."""
    try:
        return Writer(ruleset, rule, _STATEMENTS).text()
    except (LookupError, ValueError, OSError):
        # Registers and values that do not match, which the kernel does not allow.
        names = " ".join([expression.name for expression in rule.expressions])
        values.EXACTNESS.lost = True
        return printable(f"({names})")


def exactly(ruleset: Ruleset, rule: Rule) -> str:
    """The same as nft(8) can read it; empty where it would make another rule of it, or none."""
    values.EXACTNESS.lost = False
    text = rule_text(ruleset, rule)
    return "" if values.EXACTNESS.lost else text
