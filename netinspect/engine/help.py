"""What people are reported options: help texts, and which name a misspelt one may have been meant for.

No listing loads it.
"""

from __future__ import annotations

from ..errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from .command import Command


def help_text(command: type[Command]) -> str:
    """The text of ``--help``."""
    lines = [
        f"Usage: netinspect {command.name} [options] {command.operands}".rstrip(),
        "",
        *wrapped(command.summary, ""),
    ]
    if command.commands:
        lines += ["", "Commands:"]
    for below in command.commands:
        lines.append(f"  {below.name} {below.operands}".rstrip())
        lines += wrapped(below.summary, " " * 6)
    for group in command.all_groups():
        lines += ["", f"{group.title}:"]
        for option in group.options:
            help = wrapped(option.help, " " * 30)
            head = f"  {option.spelling}"
            if len(head) < 29:
                help[0] = head.ljust(30) + help[0].lstrip()
            else:
                lines.append(head)
            lines += help
    if command.notes:
        lines += ["", *(line for part in command.notes.split("\n") for line in wrapped(part, ""))]
    return "\n".join(lines) + "\n"


def unknown(noun: str, name: str, known: Iterable[str], more: str = "") -> UsageError:
    """The error for a name that is none of the known ones: with those that are spelled alike, or all of them."""
    known = list(known)
    names = alike(name, known)
    hint = f"did you mean {names}?" if names else ", ".join(known)
    return UsageError(f"no {noun} {name!r}: {hint}{more}")


def alike(name: str, known: Iterable[str]) -> str:
    """The names that are spelled like this one, as ``sockets or stats``."""
    from difflib import get_close_matches  # it takes milliseconds to load

    return " or ".join(get_close_matches(name, known, n=3, cutoff=0.7))


def wrapped(text: str, indent: str, width: int = 100) -> list[str]:
    """The text in lines of at most ``width`` columns; its own leading blanks are kept."""
    own = text[: len(text) - len(text.lstrip(" "))]
    lines, line = [], indent + own
    for word in text.split():
        if len(line) + len(word) >= width and line.strip():
            lines.append(line.rstrip())
            line = indent + own
        line += word + " "
    return [*lines, line.rstrip()]
