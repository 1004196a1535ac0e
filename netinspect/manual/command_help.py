"""``netinspect help``, and the man page that is made from the same tables."""

from __future__ import annotations

from ..engine.options import Command, Group, Option
from ..errors import ExitStatus, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..environment import Environment

COMMAND = Command(
    "help",
    "[COMMAND...]",
    "Shows the help text of a command, or of netinspect as a whole.",
    (Group("Show", Option("", "man", "the man page, in roff: `netinspect help --man | man -l -`")),),
)


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises UsageError."""
    from ..main import COMMANDS, overview

    found, operands = COMMAND.parse(arguments)
    options = {name for name, _ in found}
    if "help" in options:
        text = COMMAND.help()
    elif "man" in options:
        text = man_page()
    elif not operands:
        text = overview()
    elif operands[0] in COMMANDS:
        text = _described(operands).help()
    else:
        raise UsageError(f"no command {' '.join(operands)!r}: {', '.join(COMMANDS)}")
    environment.write(text.encode())
    return ExitStatus.OK


def man_page() -> str:
    """netinspect(1) in roff: every command with every option (man(7))."""
    from .. import __version__
    from ..main import COMMANDS, EXIT_STATUSES

    lines = [
        f'.TH NETINSPECT 1 "" "netinspect {__version__}"',
        ".SH NAME",
        "netinspect \\- what the Linux kernel knows of its network, asked over netlink",
        ".SH SYNOPSIS",
        ".B netinspect",
        ".I COMMAND",
        "[options]",
        ".SH DESCRIPTION",
        "Sockets and their owners, routes, links, neighbours, connection tracking and translations, multicast groups "
        "and statistics, asked of the kernel over netlink. Where the kernel has no netlink source the output says "
        "where it came from.",
        ".SH COMMANDS",
    ]
    for name in COMMANDS:
        lines += _section(_command(name))
    lines.append(".SH EXIT STATUS")
    for status, meaning in EXIT_STATUSES.items():
        lines += [".TP", f"{status}", _escaped(meaning)]
    lines += [".SH SEE ALSO", ".BR ss (8),", ".BR netstat (8),", ".BR netlink (7),", ".BR sock_diag (7)"]
    return "\n".join(lines) + "\n"


def _command(name: str) -> Command:
    from ..main import module_of

    command: Command = module_of(name).COMMAND
    return command


def _described(operands: Sequence[str]) -> Command:
    """The command with that name, or with those words. Raises UsageError."""
    command = _command(operands[0])
    for number in range(2, len(operands) + 1):
        name = " ".join(operands[:number])
        found = [subcommand for subcommand in command.subcommands if subcommand.name == name]
        if not found:
            raise UsageError(f"no command {name!r} (see `netinspect {command.name} --help`)")
        command = found[0]
    return command


def _section(command: Command) -> list[str]:
    lines = [f'.SS "netinspect {command.name} [options] {_escaped(command.operands)}"', _escaped(command.summary)]
    for group in command.groups:
        lines += [".PP", f"{_escaped(group.title)}:"]
        for option in group.options:
            lines += [".TP", f".B {_escaped(option.spelling.strip())}", _escaped(option.help)]
    for note in command.notes.splitlines():
        lines += [".PP", _escaped(note)]
    for subcommand in command.subcommands:
        lines += _section(subcommand)
    return lines


def _escaped(text: str) -> str:
    text = text.strip().replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text
