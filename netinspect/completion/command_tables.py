"""What a shell needs to know of each command, taken from the option tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ..engine.output import ListingCommand
from ..main import COMMANDS, command_of
from ..manual.command_schema import RECORDS
from .command_values import packaged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..engine.command import Command
    from ..engine.options import Option

SHELLS = ("bash", "zsh", "fish")

_FILTER = ("src", "dst", "sport", "dport", "dev", "fwmark", "cgroup", "state", "exclude", "not", "and", "or")
"""The words of a filter of sockets."""
_LIVE_OPERANDS = {
    "links": "interfaces",
    "addresses": "interfaces",
    "neighbours": "interfaces",
    "lab up": "topologies",
    "lab run": "topologies",
    **dict.fromkeys(
        ("lab down", "lab status", "lab exec", "lab shell", "lab break", "lab mend", "lab traffic"), "labs"
    ),
}
"""Operands whose values are asked for."""
_PROGRAMS = frozenset(("lab exec", "lab run"))
"""Commands that run what stands behind ``--``."""
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
_LIVE_VALUES = {
    **dict.fromkeys(("interface", "iif", "master"), "interfaces"),
    "user": "users",
    "process": "processes",
    "table": "tables",
    "scope": "scopes",
    "container": "containers",
}
"""By option, the kind of what it takes."""


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

    ``later`` is what may stand behind the first operand, in place of these: words, or a live kind that is asked for
    with the first. ``after`` is the same of what stands behind a word. ``program``: a command line of its own
    stands behind ``--``.
    """

    name: str
    help: str
    options: Sequence[Taken]
    words: Sequence[str]
    live: str
    later: Sequence[str] | str
    files: bool
    after: Mapping[str, Sequence[str] | str]
    program: bool


def completed() -> list[Completed]:
    """Every command; those of the lab as ``lab up``."""
    return [found for name in COMMANDS for found in _each(command_of(name), COMMANDS[name])]


def _each(command: type[Command], help: str) -> Iterator[Completed]:
    yield Completed(
        command.name,
        help,
        [_taken(command, option) for option in command.options()],
        [*_operands(command)],
        _LIVE_OPERANDS.get(command.name, ""),
        _later(command.name),
        command.name in _FILES,
        _after(command.name),
        command.name in _PROGRAMS,
    )
    for below in command.commands:
        yield from _each(below, below.summary)


def _operands(command: type[Command]) -> Iterator[str]:
    """The words that a command takes: its views, and others that are known."""
    yield from (below.name.rpartition(" ")[2] for below in command.commands)
    if issubclass(command, ListingCommand):
        yield from command.views
    if command.name == "help":
        yield from COMMANDS
    elif command.name == "schema":
        yield from RECORDS
    elif command.name == "completion":
        yield from SHELLS
    elif command.name == "neighbours":
        yield "tables"
    elif command.name in ("sockets", "top"):
        yield from _FILTER
    elif command.name in ("wait", "assert"):
        from ..waiting.words import WORDS

        yield from ("not", *WORDS)
    elif command.name == "explain":
        from ..manual.explanations import explanations

        names = dict.fromkeys(name for one in explanations() for name in (one.name, *one.aliases))
        yield from filter(_is_word, names)
    elif command.name == "stats":
        from ..nouns.statistics.listing import GROUPS, SHORT

        yield from (*SHORT, *GROUPS)


def _later(command: str) -> Sequence[str] | str:
    """What may stand behind the first operand: words, or the live kind of them; "" where it is the same."""
    if command in ("lab exec", "lab shell"):
        return "hosts"
    if command in ("lab break", "lab mend"):
        return packaged("faults", ".toml")
    if command in ("lab traffic", "lab run"):
        return [name.replace("_", "-") for name in packaged("scenarios", ".py")]
    return ""


def _after(command: str) -> Mapping[str, Sequence[str] | str]:
    """What may stand behind a word: words, or the live kind of them."""
    if command == "stats":
        from ..nouns.statistics.command_explain import full_name, meanings

        return {"explain": [full_name(counter) for counter in meanings()]}
    return _AFTER.get(command, {})


def _is_word(name: str) -> bool:
    """Whether no shell takes the name apart."""
    return name.replace("_", "").replace("-", "").replace(".", "").isalnum()


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
    if option.long == "state":
        return Value((), f"states {command.name}", True, False)
    if option.long == "protocol" and command.name in ("routes", "conntrack", "nat"):
        return Value((), f"protocols {command.name}", False, False)
    words = _words(command.name, option.long)
    listed = option.long == "status" or command.name == "netstat"
    return Value(words, _LIVE_VALUES.get(option.long, ""), listed and bool(words), option.value in ("FILE", "PATH"))


def _words(command: str, option: str) -> Sequence[str]:
    """The values of an option that takes others too, or too many for its help."""
    if (command, option) == ("links", "kind"):
        from ..nouns.links.listing import KINDS

        return KINDS
    if (command, option) == ("routes", "type"):
        from ..engine.rtnetlink import ROUTE_TYPES

        return ROUTE_TYPES[1:12]
    if command in ("conntrack", "nat") and option == "status":
        from ..nouns.conntrack.decode_names import STATUS_BITS

        return STATUS_BITS
    if (command, option) == ("netstat", "protocol"):
        from ..netstat.command import FAMILIES

        return FAMILIES
    return ()
