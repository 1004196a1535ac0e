"""``netinspect wait``: until something is so."""

from __future__ import annotations

from ..engine.options import Group, One, Option, seconds
from ..engine.output import NAMESPACES
from .command_words import NOTES, OPTIONS, SHOW, ConditionCommand

_TIMEOUT = 10.0


class Wait(ConditionCommand):
    """One command line of ``netinspect wait``."""

    name = "wait"
    summary = (
        "Waits until a condition on sockets, routes, links, addresses, flows or multicast groups holds. The kernel "
        "tells of changes where it can; where it does not, as of new sockets, the table is looked at again and again, "
        "filtered by the kernel."
    )

    timeout = One[float](_TIMEOUT)

    groups = (
        OPTIONS,
        Group(
            "Time",
            Option(
                "",
                "timeout",
                f"wait so long at most: {_TIMEOUT:g} without this option; inf is for ever",
                "SECONDS",
                to=timeout.value(seconds(0, float("inf"))),
            ),
        ),
        NAMESPACES,
        SHOW,
    )
    notes = NOTES


COMMAND = Wait
