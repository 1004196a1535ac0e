"""A command: its option tables, and how every command runs."""

from __future__ import annotations

from _functools import partial

from ..errors import ExitStatus, UsageError
from .options import HELP, Flag, Group, One, Option, choice, converted, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from typing import Self

    from ..environment import Environment

_HELP = Group("Help", HELP)
_COLOURS = ("auto", "always", "never")


class Command:
    """A command. An instance is one command line of it: the options fill the attributes that the class declares."""

    name = ""
    """Its name; that of a subcommand begins with the parent's name."""
    operands = ""
    """The operands, as in the first line of the help text."""
    summary = ""
    """What it does."""
    groups: Sequence[Group] = ()
    """Its options, in the order of the help text, without --help."""
    notes = ""
    """Text after the options in the help text: one paragraph per line."""
    commands: Sequence[type[Command]] = ()
    """Subcommands, each with a help text and a section of the man page."""
    trouble: int = ExitStatus.FAILED
    """Exit status on failure: for a few commands, 1 has another meaning, as in diff(1)."""

    terminal: Sequence[Option] = ()
    """Those of its options that say how its output looks on a terminal: the last group of the help text."""

    color = One[str]("auto")
    no_pager = Flag()
    view = ""
    """The view of the command, if it has several."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.words: list[str] = []
        """The operands of this command line."""
        self.ahead: int | None = None
        """Number of operands before ``--``; None without that word."""

    @classmethod
    def main(cls, arguments: Sequence[str], environment: Environment) -> int:
        """Runs a command line, and returns the exit status. Raises NetinspectError."""
        command = cls.read(arguments, environment)
        if command is None:
            return cls.show_help(environment)
        if environment.terminal:
            from .screen import shown

            return shown(command)
        return command.run()

    @classmethod
    def read(cls, arguments: Sequence[str], environment: Environment, *, without: Collection[str] = ()) -> Self | None:
        """A parsed command line; None if --help was given. Raises UsageError.

        ``without``: options that may be given, and are not taken.
        """
        found, words, ahead = parse(cls.name, cls.all_groups(), arguments)
        if any(option is HELP for option, _ in found):
            return None
        command = cls(environment)
        command.words, command.ahead = words, ahead
        command.take_operands()
        for option, text in found:
            if option.long not in without:
                command.take(option, text or "")
        given = {option.long: option for option, _ in found}
        for option in given.values():
            for other in option.excludes:
                if other in given:
                    raise UsageError(f"{option.name} and --{other} exclude each other")
        command.check()
        return command

    def take(self, option: Option, text: str) -> None:
        """Takes one option. Raises UsageError."""
        if option.views and self.view not in option.views:
            views = ", ".join(f"`{self.name} {view}`" for view in option.views)
            raise UsageError(f"{option.name} does not go with `{self.name} {self.view}`, but with {views}")
        if option.to is not None:
            converted(option.name, partial(option.to, self), text)

    def take_operands(self) -> None:
        """Takes ``words``, before the options. Raises UsageError."""

    def check(self) -> None:
        """Checks the options and operands against each other. Raises UsageError."""

    def run(self) -> int:
        """Executes the command line, and returns the exit status. Raises NetinspectError."""
        raise NotImplementedError

    def screen(self) -> str:
        """What happens to its output on a terminal: ``paged``, ``live`` (shown at once), or nothing at all."""
        return "paged" if self.terminal else ""

    @property
    def coloured(self) -> bool:
        """Whether its output has colours."""
        terminal = self.environment.terminal
        if not terminal and self.color != "always" and not self.environment.forced:
            return False
        from .terminal import wants_colour

        return wants_colour(self.color, terminal)

    @classmethod
    def all_groups(cls) -> Sequence[Group]:
        """Its options, --help among them."""
        return (*cls.groups, Group("Terminal", *cls.terminal), _HELP) if cls.terminal else (*cls.groups, _HELP)

    @classmethod
    def options(cls) -> Iterable[Option]:
        """All its options, in the order of the help text."""
        return [option for group in cls.all_groups() for option in group.options]

    @classmethod
    def help(cls, width: int = 100) -> str:
        """The text of ``--help``, in lines of at most ``width`` columns."""
        from .help import help_text

        return help_text(cls, width)

    @classmethod
    def show_help(cls, environment: Environment) -> int:
        """Shows that text, on a terminal in its width and through the pager where it is too long."""
        from .help import show_help

        return show_help(cls, environment)


REPORT = (
    Option(
        "",
        "color",
        "auto (the default: on a terminal), always or never; NO_COLOR and CLICOLOR_FORCE are respected",
        "WHEN",
        to=Command.color.value(choice("colour setting", _COLOURS)),
        choices=_COLOURS,
    ),
    Option(
        "",
        "no-pager",
        "on a terminal, do not show long output through $NETINSPECT_PAGER, $PAGER or less -FRX",
        to=Command.no_pager.on,
    ),
)
"""The options of commands that show something that may be long."""
