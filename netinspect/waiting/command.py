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
        "Waits until a condition on sockets, routes, links, addresses, flows or multicast groups holds. Subscribes to "
        "kernel events where they exist; otherwise, as for new sockets, polls the table with a filter in the kernel."
    )

    timeout = One[float](_TIMEOUT)

    groups = (
        OPTIONS,
        Group(
            "Time",
            Option(
                "",
                "timeout",
                f"give up after SECONDS; default {_TIMEOUT:g}, inf for no limit",
                "SECONDS",
                to=timeout.value(seconds(0, float("inf"))),
            ),
        ),
        NAMESPACES,
        SHOW,
    )
    notes = NOTES


COMMAND = Wait
