"""``netinspect help``, and the man page that is made from the same tables."""

from __future__ import annotations

from ..engine.command import Command
from ..engine.help import examples, show, unknown
from ..engine.options import Flag, Group, Option
from ..errors import ExitStatus, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Help(Command):
    """One command line of ``netinspect help``."""

    name = "help"
    operands = "[COMMAND...]"
    summary = "Shows the help text of a command, or of netinspect as a whole."

    man = Flag()

    groups = (Group("Show", Option("", "man", "the man page, in roff: `netinspect help --man | man -l -`", to=man.on)),)

    def run(self) -> int:
        """Shows it. Raises UsageError where there is no such command."""
        from ..main import COMMANDS
        from .overview import overview

        if self.man:
            self.environment.write(man_page().encode())
            return ExitStatus.OK
        if not self.words:
            return show(overview(COMMANDS), self.environment)
        if self.words[0] in COMMANDS:
            return _described(self.words).show_help(self.environment)
        raise unknown("command", " ".join(self.words), COMMANDS)


def man_page() -> str:
    """netinspect(1) in roff: every command with every option (man(7))."""
    from .. import __version__
    from ..main import COMMANDS, command_of
    from .overview import EXIT_STATUSES

    lines = [
        f'.TH NETINSPECT 1 "" "netinspect {__version__}"',
        ".SH NAME",
        "netinspect \\- show the Linux kernel's network state, read over netlink",
        ".SH SYNOPSIS",
        ".B netinspect",
        ".I COMMAND",
        "[options]",
        ".SH DESCRIPTION",
        "Sockets and their owners, routes, links, neighbours, connection tracking and translations, multicast groups "
        "and statistics, read from the kernel over netlink. Where the kernel has no netlink source, the output names "
        "the source.",
        ".SH COMMANDS",
    ]
    for name in COMMANDS:
        lines += _section(command_of(name))
    lines.append(".SH EXIT STATUS")
    for status, meaning in EXIT_STATUSES.items():
        lines += [".TP", f"{status}", _escaped(meaning)]
    lines += [".SH SEE ALSO", ".BR ss (8),", ".BR netstat (8),", ".BR netlink (7),", ".BR sock_diag (7)"]
    return "\n".join(lines) + "\n"


def _described(operands: Sequence[str]) -> type[Command]:
    """The command with that name, or with those words. Raises UsageError."""
    from ..main import command_of

    command = command_of(operands[0])
    for number in range(2, len(operands) + 1):
        name = " ".join(operands[:number])
        found = [subcommand for subcommand in command.commands if subcommand.name == name]
        if not found:
            raise UsageError(f"no command {name!r} (see `netinspect {command.name} --help`)")
        command = found[0]
    return command


def _section(command: type[Command]) -> list[str]:
    lines = [f'.SS "netinspect {command.name} [options] {_escaped(command.operands)}"', _escaped(command.summary)]
    lines += [".PP", "Examples:"]
    for line, use in examples(command):
        lines += [".TP", f".B netinspect {_escaped(line)}", _escaped(use)]
    for group in command.all_groups():
        lines += [".PP", f"{_escaped(group.title)}:"]
        for option in group.options:
            lines += [".TP", f".B {_escaped(option.spelling.strip())}", _escaped(option.help)]
    for note in command.notes.splitlines():
        lines += [".PP", _escaped(note)]
    for subcommand in command.commands:
        lines += _section(subcommand)
    return lines


def _escaped(text: str) -> str:
    text = text.strip().replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


COMMAND = Help
