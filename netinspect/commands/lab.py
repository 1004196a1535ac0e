"""``netinspect lab``."""

from __future__ import annotations

from ..options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..environment import Environment

COMMAND = Command(
    "lab",
    "COMMAND [arguments]",
    "Throwaway networks of network namespaces, with real traffic, for tests and for learning. Works as root and, where "
    "the system allows user namespaces, without.",
    (),
    "Commands: `list` the topologies and the traffic scenarios; `up TOPOLOGY` brings up a lab, which stays until `down "
    "NAME` or `down --all`; `status`; `exec NAME HOST -- COMMAND` and `shell NAME HOST` work on one of its hosts; "
    "`traffic NAME SCENARIO` sends traffic, bounded in packets and seconds, and says what was sent; `run TOPOLOGY "
    "SCENARIO -- COMMAND` does all of it in one; `sweep` removes what labs left behind that were killed.\n"
    "`netinspect lab COMMAND --help` lists the options of each.",
)


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command."""
    from ..lab import main

    return main(list(arguments))
