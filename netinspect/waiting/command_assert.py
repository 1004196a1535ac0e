"""``netinspect assert``: whether something is so, now."""

from __future__ import annotations

from ..engine.options import Command
from ..engine.output import NAMESPACES
from ..errors import ExitStatus
from .command import SHOW, STATUSES, Options, check
from .command_words import NOTES, OPTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..environment import Environment

TROUBLE = ExitStatus.INCOMPLETE
"""What it ends with where it fails: FAILED says that the condition does not hold."""

COMMAND = Command(
    "assert",
    "[not] CONDITION",
    "Checks whether a condition on sockets, routes, links, addresses, flows or multicast groups holds now, and says "
    "what is there instead where it does not.",
    (OPTIONS, NAMESPACES, SHOW),
    f"{NOTES}\n{STATUSES}",
)


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    options = Options(COMMAND, arguments)
    if options.help:
        environment.write(COMMAND.help().encode())
        return ExitStatus.OK
    return check(options, 0.0, environment)
