"""What a shell needs to know of each command, taken from the option tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..engine.output import ListingCommand
from ..main import COMMANDS, command_of
from ..manual.command_schema import RECORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..engine.command import Command
    from ..engine.options import Option

SHELLS = ("bash", "zsh", "fish")

_OPERANDS: dict[str, Sequence[str]] = {
    "help": tuple(COMMANDS),
    "schema": tuple(RECORDS),
    "completion": SHELLS,
    "neighbours": ("tables",),
}
"""Words that commands take which are no views."""
_LIVE_OPERANDS = {
    "links": "interfaces",
    "addresses": "interfaces",
    "neighbours": "interfaces",
    "explain": "states",
    "lab up": "topologies",
    "lab run": "topologies",
    **dict.fromkeys(
        ("lab down", "lab status", "lab exec", "lab shell", "lab break", "lab mend", "lab traffic"), "labs"
    ),
}
"""Operands whose values are asked for."""
_OF_WAITING = {"link": "interfaces", "dev": "interfaces", "master": "interfaces"}
_OF_FILTERS = {"state": "states", "exclude": "states", "dev": "interfaces"}
_AFTER = {
    "wait": _OF_WAITING,
    "assert": _OF_WAITING,
    "sockets": _OF_FILTERS,
    "top": _OF_FILTERS,
    "routes": {"oif": "interfaces", "iif": "interfaces"},
    "drops": {"dev": "interfaces"},
}
"""By command, words of an expression, and the kind of what stands behind each."""
_FILES = frozenset(("snapshot", "diff"))
"""Commands whose operands are files."""


class Value(NamedTuple):
    """What an option's value may be: ``words`` that are known, or those of a ``live`` kind.

    ``listed`` says that several may stand there, separated by commas.
    """

    words: Sequence[str]
    live: str
    listed: bool
    file: bool


class Taken(NamedTuple):
    """One option: its spellings, what it does, and its value if it takes one."""

    long: str
    short: str
    help: str
    value: Value | None


class Completed(NamedTuple):
    """One command: ``words`` may be its operands, or those of a ``live`` kind, or names of files.

    ``after`` is the live kind of what stands behind a word.
    """

    name: str
    help: str
    options: Sequence[Taken]
    words: Sequence[str]
    live: str
    files: bool
    after: Mapping[str, str]


def completed() -> list[Completed]:
    """Every command; those of the lab as ``lab up``."""
    return [found for name in COMMANDS for found in _each(command_of(name), COMMANDS[name])]


def _each(command: type[Command], help: str) -> Iterator[Completed]:
    words = list(_OPERANDS.get(command.name, ()))
    words += [below.name.rpartition(" ")[2] for below in command.commands]
    if issubclass(command, ListingCommand):
        words += command.views
    if command.name in ("wait", "assert"):
        from ..waiting.words import WORDS

        words += ["not", *WORDS]
    yield Completed(
        command.name,
        help,
        [_taken(command, option) for option in command.options()],
        words,
        _LIVE_OPERANDS.get(command.name, ""),
        command.name in _FILES,
        _AFTER.get(command.name, {}),
    )
    for below in command.commands:
        yield from _each(below, below.summary)


def _taken(command: type[Command], option: Option) -> Taken:
    value = None if option.value is None or option.optional else _value(command, option)
    return Taken(option.long, option.short, option.help, value)


def _value(command: type[Command], option: Option) -> Value:
    if option.choices:
        return Value(option.choices, "", False, False)
    if option.value == "FIELDS":
        return Value((), f"fields {command.name}", True, False)
    if option.value == "NAME|PID|PATH":
        return Value((), "namespaces", False, False)
    if option.long == "container":
        return Value((), "containers", False, False)
    if option.long in ("interface", "iif", "master"):
        return Value((), "interfaces", False, False)
    if option.long == "state":
        return Value((), f"states {command.name}", True, False)
    return Value((), "", False, option.value in ("FILE", "PATH"))
