"""Command line options as data: one table a command, from which parsing, ``--help`` and the man page are made.

The rules are getopt_long(3)'s, since netstat's users know them: short options may be bundled, long ones abbreviated
as long as they stay unique, values stand behind ``=`` or in the next word, options and operands may be mixed, and
``--`` ends the options. Not argparse: it costs a third of the time in which a whole listing is due.
"""

from __future__ import annotations

from ..errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Option:
    """One option. ``value`` names its argument, and is None where it takes none.

    ``choices`` on an option with a short name makes the value optional: the next word is taken only if it is one of
    them (``-o`` alone shows timers, ``-o json`` sets the format).
    """

    __slots__ = ("choices", "help", "long", "short", "value")

    def __init__(
        self, short: str, long: str, help: str, value: str | None = None, choices: Sequence[str] | None = None
    ) -> None:
        self.short = short
        self.long = long
        self.help = help
        self.value = value
        self.choices = choices

    @property
    def spelling(self) -> str:
        """How help texts show it: ``-l, --listening`` or ``    --state NAME``."""
        names = f"-{self.short}, --{self.long}" if self.short and self.long else f"-{self.short}"
        if not self.short:
            names = f"    --{self.long}"
        if self.value is None:
            return names
        return f"{names} [{self.value}]" if self.choices else f"{names} {self.value}"


class Group:
    """Options under a heading of the help text."""

    __slots__ = ("options", "title")

    def __init__(self, title: str, *options: Option) -> None:
        self.title = title
        self.options = options


class Command:
    """What there is to say of one command: how it is called, what it does, its options and notes."""

    __slots__ = ("groups", "name", "notes", "operands", "subcommands", "summary")

    def __init__(
        self,
        name: str,
        operands: str,
        summary: str,
        groups: Sequence[Group],
        notes: str = "",
        subcommands: Sequence[Command] = (),
    ) -> None:
        self.name = name
        self.operands = operands
        self.summary = summary
        self.groups = (*groups, Group("Help", HELP))
        self.notes = notes
        self.subcommands = subcommands
        """Commands of its own, each with a help text and a place in the man page; their names begin with this one's."""

    def options(self) -> Iterable[Option]:
        """All its options, in the order of the help text."""
        return [option for group in self.groups for option in group.options]

    def parse(self, arguments: Sequence[str]) -> tuple[list[tuple[str, str | None]], list[str]]:
        """Options as (long name, value) in the order given, and operands.

        An option without a long name goes by its short one. Raises UsageError.
        """
        return _Parser(self).parse(arguments)

    def help(self) -> str:
        """The text of ``--help``."""
        lines = [f"Usage: netinspect {self.name} [options] {self.operands}".rstrip(), "", *_wrapped(self.summary, "")]
        if self.subcommands:
            lines += ["", "Commands:"]
        for command in self.subcommands:
            lines.append(f"  {command.name} {command.operands}".rstrip())
            lines += _wrapped(command.summary, " " * 6)
        for group in self.groups:
            lines += ["", f"{group.title}:"]
            for option in group.options:
                help = _wrapped(option.help, " " * 30)
                head = f"  {option.spelling}"
                if len(head) < 29:
                    help[0] = head.ljust(30) + help[0].lstrip()
                else:
                    lines.append(head)
                lines += help
        if self.notes:
            lines += ["", *(line for part in self.notes.split("\n") for line in _wrapped(part, ""))]
        return "\n".join(lines) + "\n"


HELP = Option("h", "help", "show this text and exit")


def _wrapped(text: str, indent: str, width: int = 100) -> list[str]:
    """The text in lines of at most ``width`` columns; its own leading blanks are kept."""
    own = text[: len(text) - len(text.lstrip(" "))]
    lines, line = [], indent + own
    for word in text.split():
        if len(line) + len(word) >= width and line.strip():
            lines.append(line.rstrip())
            line = indent + own
        line += word + " "
    return [*lines, line.rstrip()]


class _Parser:
    def __init__(self, command: Command) -> None:
        self._command = command
        self._short = {option.short: option for option in command.options() if option.short}
        self._long = {option.long: option for option in command.options() if option.long}
        self._found: list[tuple[str, str | None]] = []

    def parse(self, arguments: Sequence[str]) -> tuple[list[tuple[str, str | None]], list[str]]:
        operands: list[str] = []
        words = list(reversed(arguments))
        while words:
            word = words.pop()
            if word == "--":
                operands += reversed(words)
                break
            if word.startswith("--"):
                self._take_long(word[2:], words)
            elif word.startswith("-") and len(word) > 1:
                self._take_short(word[1:], words)
            else:
                operands.append(word)
        return self._found, operands

    def _take_long(self, word: str, words: list[str]) -> None:
        name, equals, given = word.partition("=")
        option = self._long.get(name) or self._abbreviated(name)
        value: str | None = given if equals else None
        if option.value is None:
            if equals:
                raise self._error(f"option --{option.long} takes no value")
        elif value is None:
            value = self._value(option, f"--{option.long}", words)
        self._add(option, value)

    def _take_short(self, letters: str, words: list[str]) -> None:
        while letters:
            letter, letters = letters[0], letters[1:]
            option = self._short.get(letter)
            if option is None:
                raise self._error(f"unknown option -{letter}")
            value: str | None = None
            if option.value is not None:
                if letters and (option.choices is None or letters.lstrip("=") in option.choices):
                    value, letters = letters.removeprefix("="), ""
                elif not letters:
                    value = self._value(option, f"-{letter}", words)
            self._add(option, value)

    def _value(self, option: Option, spelling: str, words: list[str]) -> str | None:
        if option.choices is not None and option.short:
            return words.pop() if words and words[-1] in option.choices else None
        if not words:
            raise self._error(f"option {spelling} needs a value: {option.value}")
        return words.pop()

    def _abbreviated(self, name: str) -> Option:
        matches = [option for long, option in self._long.items() if long.startswith(name)]
        if not matches:
            raise self._error(f"unknown option --{name}")
        if len(matches) > 1:
            candidates = ", ".join(f"--{option.long}" for option in matches)
            raise self._error(f"option --{name} is ambiguous: {candidates}")
        return matches[0]

    def _add(self, option: Option, value: str | None) -> None:
        self._found.append((option.long or option.short, value))

    def _error(self, text: str) -> UsageError:
        from .text import printable

        return UsageError(f"{printable(text)} (see `netinspect {self._command.name} --help`)")
