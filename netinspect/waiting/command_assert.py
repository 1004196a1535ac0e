"""``netinspect assert``: whether something is so, now."""

from __future__ import annotations

from ..engine.output import NAMESPACES
from .command_words import NOTES, OPTIONS, SHOW, ConditionCommand


class Assert(ConditionCommand):
    """One command line of ``netinspect assert``."""

    name = "assert"
    summary = (
        "Checks whether a condition on sockets, routes, links, addresses, flows or multicast groups holds now, and "
        "shows what was found if it does not."
    )
    groups = (OPTIONS, NAMESPACES, SHOW)
    notes = NOTES


COMMAND = Assert
