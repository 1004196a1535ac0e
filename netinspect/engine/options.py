"""Command line options as data: names, effect on the command, and the views they apply to.

A command is a class, an option fills one of its typed attributes: parsing, ``--help``, the man page and the shell's
completion are made from the same table.

The rules are getopt_long(3)'s, since netstat's users know them: short options may be bundled, long ones abbreviated
as long as they stay unique, values stand behind ``=`` or in the next word, options and operands may be mixed, and
``--`` ends the options. Not argparse: it costs a third of the time in which a whole listing is due.
"""

from __future__ import annotations

from ..errors import UsageError
from .text import digits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Generic, Self, TypeVar, overload

    T = TypeVar("T")
    Action = Callable[[Any, str], object]
    """What an option does to a command; the text is its value, and empty where it has none."""
else:

    class Generic:
        """typing's takes milliseconds to load, and does nothing at run time."""

        def __class_getitem__(cls, parameters: object) -> type:
            return cls

    T = None


class Option:
    """One option.

    ``value`` names its argument, and is None where it takes none. ``choices`` are the values that it takes, where
    they are few. ``optional`` says that the value may be left out: the next word is taken only if it is one of the
    choices (``-o`` alone shows timers, ``-o json`` sets the format).

    ``views`` are the views of the command that it goes with; empty where it goes with all. ``excludes`` are the long
    names of options that it does not go with.
    """

    __slots__ = ("choices", "excludes", "help", "long", "optional", "short", "to", "value", "views")

    def __init__(
        self,
        short: str,
        long: str,
        help: str,
        value: str | None = None,
        *,
        to: Action | None = None,
        choices: Sequence[str] = (),
        optional: bool = False,
        views: Sequence[str] = (),
        excludes: Sequence[str] = (),
    ) -> None:
        self.short = short
        self.long = long
        self.help = help
        self.value = value
        self.to = to
        self.choices = choices
        self.optional = optional
        self.views = views
        self.excludes = excludes

    @property
    def name(self) -> str:
        """As messages have it: the long name, if it has one."""
        return f"--{self.long}" if self.long else f"-{self.short}"

    @property
    def spelling(self) -> str:
        """How help texts show it: ``-l, --listening`` or ``    --state NAME``."""
        names = f"-{self.short}, --{self.long}" if self.short and self.long else f"-{self.short}"
        if not self.short:
            names = f"    --{self.long}"
        if self.value is None:
            return names
        return f"{names} [{self.value}]" if self.optional else f"{names} {self.value}"


class Group:
    """Options under a heading of the help text."""

    __slots__ = ("options", "title")

    def __init__(self, title: str, *options: Option) -> None:
        self.title = title
        self.options = options


HELP = Option("h", "help", "show this text and exit")


class Unfit(Exception):
    """A value that an option does not take. The text says what it takes: ``a whole number``."""


class Attribute(Generic[T]):
    """An attribute of a command that options fill, of type ``T``. ``make`` gives what it is where none does."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    if TYPE_CHECKING:

        @overload
        def __get__(self, command: None, owner: type) -> Self: ...
        @overload
        def __get__(self, command: object, owner: type) -> T: ...
        def __get__(self, command: Any, owner: type) -> Any: ...
        def __set__(self, command: Any, value: T) -> None: ...

    else:

        def __get__(self, command, owner=None):
            if command is None:
                return self
            # Without __set__ the attribute of the instance comes first from now on.
            value = command.__dict__[self._name] = self._make()
            return value

    def change(self, function: Callable[[T, str], object]) -> Action:
        """Has the function change what is there, by the option's value."""
        return lambda command, text: function(getattr(command, self._name), text)


class One(Attribute[T]):
    """An attribute with one value: the last option counts."""

    def __init__(self, default: T) -> None:
        super().__init__(lambda: default)

    def value(self, convert: Callable[[str], T]) -> Action:
        """Takes the option's value, converted."""
        return lambda command, text: setattr(command, self._name, convert(text))

    def constant(self, value: T) -> Action:
        """Takes this value."""
        return lambda command, text: setattr(command, self._name, value)


class Flag(One[bool]):
    """An attribute that is true where an option was given."""

    def __init__(self) -> None:
        super().__init__(False)

    @property
    def on(self) -> Action:
        """Makes it true."""
        return self.constant(True)


class Many(Attribute[list[T]]):
    """An attribute with a value for each time that an option was given."""

    def __init__(self) -> None:
        super().__init__(list)

    def value(self, convert: Callable[[str], T]) -> Action:
        """Adds the option's value, converted."""
        return self.change(lambda values, text: values.append(convert(text)))

    def each(self, convert: Callable[[str], T]) -> Action:
        """Adds the option's values, which are separated by commas, each converted."""
        return self.change(lambda values, text: values.extend(map(convert, text.split(","))))

    def constant(self, value: T) -> Action:
        """Adds this value."""
        return self.change(lambda values, text: values.append(value))


class Count(One[int]):
    """An attribute that counts how often an option was given."""

    def __init__(self) -> None:
        super().__init__(0)

    @property
    def more(self) -> Action:
        """Counts one more."""
        return lambda command, text: setattr(command, self._name, getattr(command, self._name) + 1)


class Bits(One[int]):
    """An attribute to which options add bits."""

    def __init__(self) -> None:
        super().__init__(0)

    def add(self, bits: int) -> Action:
        """Sets these bits as well."""
        return self.parsed(lambda text: bits)

    def parsed(self, convert: Callable[[str], int]) -> Action:
        """Sets the bits that the option's value stands for as well."""

        def act(command: Any, text: str) -> None:
            setattr(command, self._name, getattr(command, self._name) | convert(text))

        return act


def converted(name: str, convert: Callable[[str], T], text: str) -> T:
    """A value of the option, or word, of that name. Raises UsageError where it is unfit."""
    try:
        return convert(text)
    except Unfit as error:
        raise UsageError(f"{name} takes {error}, not {text!r}") from None


def whole_number(text: str) -> int:
    """A whole number from 0 on. Raises Unfit."""
    return within(0)(text)


def within(least: int, most: int = 10**12) -> Callable[[str], int]:
    """What converts whole numbers from ``least`` to ``most``. It raises Unfit."""

    def convert(text: str) -> int:
        number = digits(text)
        if number is None and text.isascii() and text.isdecimal():
            number = most + 1
        if number is None or number < least:
            raise Unfit(f"a whole number from {least}" if least else "a whole number")
        if number > most:
            raise Unfit(f"a whole number up to {most}")
        return number

    return convert


_OF_NUMBERS = frozenset("0123456789.eE+-")
"""Characters of a number with a fraction; float() takes underscores, spaces and digits of every script as well."""


def seconds(least: float = 0, most: float = 1e9, *, above: float | None = None) -> Callable[[str], float]:
    """What converts a number of seconds from ``least`` to ``most``, or ``above`` a number. It raises Unfit."""

    def convert(text: str) -> float:
        try:
            number = float(text) if text == "inf" or (_OF_NUMBERS.issuperset(text) and text[:1] not in "+-") else -1
        except ValueError:
            number = -1
        if above is not None and not number > above:
            raise Unfit(f"a number of seconds above {above:g}")
        if not number >= least:
            raise Unfit(f"a number of seconds, at least {least:g}" if least else "a number of seconds")
        if number > most:
            raise Unfit(f"a number of seconds, at most {most:,.0f}")
        return number

    return convert


def choice(noun: str, choices: Sequence[str]) -> Callable[[str], str]:
    """What takes one of these words as it is. It raises UsageError, which calls it by the noun."""

    def convert(text: str) -> str:
        if text not in choices:
            from .help import unknown

            raise unknown(noun, text, choices)
        return text

    return convert


def parse(
    command: str, groups: Sequence[Group], arguments: Sequence[str]
) -> tuple[list[tuple[Option, str | None]], list[str], int | None]:
    """The options of a command line with their values, in the order given, and its operands.

    The number is that of the operands before ``--``; None where there is no such word. Raises UsageError.
    """
    return _Parser(command, groups).parse(arguments)


class _Parser:
    def __init__(self, command: str, groups: Sequence[Group]) -> None:
        self._command = command
        options = [option for group in groups for option in group.options]
        self._short = {option.short: option for option in options if option.short}
        self._long = {option.long: option for option in options if option.long}
        self._found: list[tuple[Option, str | None]] = []

    def parse(self, arguments: Sequence[str]) -> tuple[list[tuple[Option, str | None]], list[str], int | None]:
        operands: list[str] = []
        ahead: int | None = None
        words = list(reversed(arguments))
        while words:
            word = words.pop()
            if word == "--":
                ahead = len(operands)
                operands += reversed(words)
                break
            if word.startswith("--"):
                self._take_long(word[2:], words)
            elif word.startswith("-") and len(word) > 1:
                self._take_short(word[1:], words)
            else:
                operands.append(word)
        return self._found, operands, ahead

    def _take_long(self, word: str, words: list[str]) -> None:
        name, equals, given = word.partition("=")
        option = self._long.get(name) or self._abbreviated(name)
        value: str | None = given if equals else None
        if option.value is None:
            if equals:
                raise self._error(f"option --{option.long} takes no value")
        elif value is None:
            value = self._value(option, f"--{option.long}", words)
        self._found.append((option, value))

    def _take_short(self, letters: str, words: list[str]) -> None:
        while letters:
            letter, letters = letters[0], letters[1:]
            option = self._short.get(letter)
            if option is None:
                raise self._error(f"unknown option -{letter}")
            value: str | None = None
            if option.value is not None:
                if letters and (not option.optional or letters.lstrip("=") in option.choices):
                    value, letters = letters.removeprefix("="), ""
                elif not letters:
                    value = self._value(option, f"-{letter}", words)
            self._found.append((option, value))

    def _value(self, option: Option, spelling: str, words: list[str]) -> str | None:
        if option.optional:
            return words.pop() if words and words[-1] in option.choices else None
        if not words:
            raise self._error(f"option {spelling} needs a value: {option.value}")
        return words.pop()

    def _abbreviated(self, name: str) -> Option:
        matches = [option for long, option in self._long.items() if long.startswith(name)]
        if not matches:
            from .help import alike

            names = alike(name, self._long)
            hint = f": did you mean --{names.replace(' or ', ' or --')}?" if names else ""
            error = self._error(f"unknown option --{name}{hint}")
            error.slip = f"--{name}", [f"--{long}" for long in self._long]
            raise error
        if len(matches) > 1:
            candidates = ", ".join(option.name for option in matches)
            raise self._error(f"option --{name} is ambiguous: {candidates}")
        return matches[0]

    def _error(self, text: str) -> UsageError:
        from .text import printable

        return UsageError(f"{printable(text)} (see `netinspect {self._command} --help`)")
