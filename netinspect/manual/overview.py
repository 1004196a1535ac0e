"""``netinspect --help``: all commands, and what their exit statuses mean."""

from __future__ import annotations

from ..errors import ExitStatus

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

EXIT_STATUSES = {
    ExitStatus.OK: "success",
    ExitStatus.FAILED: "failed; see standard error",
    ExitStatus.USAGE: "bad usage",
    ExitStatus.INCOMPLETE: "the output is incomplete; standard error lists what is missing",
    ExitStatus.FOUND: "a problem was found (`nat diagnose`, `path`)",
    ExitStatus.INTERRUPTED: "interrupted (Ctrl-C)",
}
"""The exit statuses of every command. A reader that closes the pipe early ends the program silently with SIGPIPE."""

_OVERVIEW = """Usage: netinspect COMMAND [options]

Shows the Linux kernel's network state, read over netlink.

Commands:
{commands}

`netinspect COMMAND --help` lists the options of a command.
Exit status: {statuses}.
"""


def overview(commands: Mapping[str, str]) -> str:
    """The text of ``netinspect --help``."""
    listed = "\n".join(f"  {name:14}{text}" for name, text in commands.items())
    statuses = ",\n  ".join(f"{status} {meaning}" for status, meaning in EXIT_STATUSES.items())
    return _OVERVIEW.format(commands=listed, statuses=statuses)
