"""Help texts, and suggestions for misspelt names.

No listing loads it.
"""

from __future__ import annotations

from ..errors import ExitStatus, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..environment import Environment
    from .command import Command

WIDEST = 100
"""Columns of running text: longer lines are hard to read."""
_EXAMPLE = 44
"""Where the use of an example begins, if the command line is short."""


def help_text(command: type[Command], width: int = WIDEST) -> str:
    """The text of ``--help``, in lines of at most ``width`` columns."""
    lines = [
        f"Usage: netinspect {command.name} [options] {command.operands}".rstrip(),
        "",
        *wrapped(command.summary, "", width),
        *_examples(command, width),
    ]
    if command.commands:
        lines += ["", "Commands:"]
    for below in command.commands:
        lines.append(f"  {below.name} {below.operands}".rstrip())
        lines += wrapped(below.summary, " " * 6, width)
    for group in command.all_groups():
        lines += ["", f"{group.title}:"]
        for option in group.options:
            help = wrapped(option.help, " " * 30, width)
            head = f"  {option.spelling}"
            if len(head) < 29:
                help[0] = head.ljust(30) + help[0].lstrip()
            else:
                lines.append(head)
            lines += help
    if command.notes:
        lines += ["", *(line for part in command.notes.split("\n") for line in wrapped(part, "", width))]
    return "\n".join(lines) + "\n"


def examples(command: type[Command]) -> list[tuple[str, str]]:
    """Command lines of a command, without the program's name, each with what it is for."""
    import tomllib

    from .files import package_text

    texts = tomllib.loads(package_text(__name__.partition(".")[0], "manual/examples.toml"))
    return [(line, use) for line, use in texts.get(command.name, ())]


def _examples(command: type[Command], width: int) -> list[str]:
    lines: list[str] = []
    for line, use in examples(command):
        lines = lines or ["", "Examples:"]
        head = f"  netinspect {line}"
        if len(head) < _EXAMPLE and _EXAMPLE + len(use) <= width:
            lines.append(head.ljust(_EXAMPLE) + use)
        else:
            lines += [head, *wrapped(use, " " * 6, width)]
    return lines


def show_help(command: type[Command], environment: Environment) -> int:
    """Shows the text of ``--help``, on a terminal in its width."""
    return show(command.help(min(environment.columns, WIDEST) if environment.terminal else WIDEST), environment)


def show(text: str, environment: Environment) -> int:
    """Shows a text: on a terminal folded to its width, and through the pager where it is longer than the screen."""
    if not environment.terminal:
        environment.write(text.encode("utf-8", "backslashreplace"))
        return ExitStatus.OK
    from .screen import page
    from .terminal import folded

    return page(environment, folded(text, environment.columns))


def unknown(noun: str, name: str, known: Iterable[str], more: str = "") -> UsageError:
    """The error for an unknown name: suggests similar names, or lists all."""
    known = list(known)
    names = alike(name, known)
    hint = f"did you mean {names}?" if names else ", ".join(known)
    error = UsageError(f"no {noun} {name!r}: {hint}{more}")
    error.slip = name, known
    return error


def alike(name: str, known: Iterable[str]) -> str:
    """The names that are spelled like this one, as ``sockets or stats``."""
    return " or ".join(alike_names(name, known))


def alike_names(name: str, known: Iterable[str]) -> list[str]:
    """The names that are spelled like this one, the most alike first; case does not matter."""
    from difflib import get_close_matches  # it takes milliseconds to load

    names = {one.casefold(): one for one in known}
    given = name.casefold()
    # Of short names a slip leaves little that is alike: letters that have changed places, one that is wrong, the end.
    found = [one for one in names if sorted(one) == sorted(given)]
    found += [one for one in get_close_matches(given, names, n=3, cutoff=0.7) if one not in found]
    found = found or [one for one in names if len(given) > 2 and one.startswith(given)]
    if not found and 2 <= len(given) <= 4:
        found = [one for one in names if len(one) == len(given) and one[0] == given[0] and _differ(one, given) == 1]
    return [names[one] for one in found[:3]]


def _differ(one: str, other: str) -> int:
    return sum(letter != instead for letter, instead in zip(one, other, strict=True))


def wrapped(text: str, indent: str, width: int = WIDEST) -> list[str]:
    """The text in lines of at most ``width`` columns; its own leading blanks are kept."""
    own = text[: len(text) - len(text.lstrip(" "))]
    lines, line = [], indent + own
    for word in text.split():
        if len(line) + len(word) >= width and line.strip():
            lines.append(line.rstrip())
            line = indent + own
        line += word + " "
    return [*lines, line.rstrip()]
