"""Patterns of file names as fnmatch(3) has them, without regard to upper and lower case (FNM_CASEFOLD).

Python's own fnmatch knows neither the backslash nor ``[^…]`` and ``[[:digit:]]``. Equivalence classes and collating
symbols, ``[[=a=]]`` and ``[[.a.]]``, are not known here.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_CLASSES = {
    "alpha": "a-z",
    "digit": "0-9",
    "alnum": "a-z0-9",
    "upper": "a-z",
    "lower": "a-z",
    "space": " \\t-\\r",
    "blank": " \\t",
    "punct": "!-/:-@\\[-`{-~",
    "print": " -~",
    "graph": "!-~",
    "cntrl": "\\x00-\\x1f\\x7f",
    "xdigit": "0-9a-f",
}
"""Character classes (regex(7)), of ASCII and lower case."""


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a whole text is as the pattern says. A slash and a leading period are characters like others."""
    # All in lower case, and not re.IGNORECASE: [/-B] is a range from / to b to fnmatch(3).
    expression = re.compile(_regular_expression(pattern.lower()), re.DOTALL)
    return lambda text: expression.fullmatch(text.lower()) is not None


def _regular_expression(pattern: str) -> str:
    """Each part behind a star goes to the first place where it fits, for good: so that no pattern takes long."""
    pieces = [""]
    at = 0
    while at < len(pattern):
        character = pattern[at]
        at += 1
        if character == "*":
            pieces.append("")
        elif character == "?":
            pieces[-1] += "."
        elif character == "[" and (bracket := _bracket(pattern, at)):
            found, at = bracket
            pieces[-1] += found
        else:
            if character == "\\":
                character = pattern[at : at + 1]
                at += 1
            # A backslash with nothing behind it matches nothing.
            pieces[-1] += re.escape(character) or "(?!)"
    first, *rest = pieces
    if not rest:
        return first
    *middle, last = rest
    return first + "".join(f"(?>.*?{piece})" for piece in middle if piece) + ".*" + last


def _bracket(pattern: str, at: int) -> tuple[str, int] | None:
    """A bracket expression whose ``[`` stands before ``at``, and where it ends; None where it has no end."""
    negated = pattern[at : at + 1] in ("!", "^")
    start = at = at + negated
    found: list[str] = []
    while at < len(pattern):
        character = pattern[at]
        if character == "]" and at > start:
            if not found:
                return ("." if negated else "(?!)"), at + 1
            return f"[{'^' if negated else ''}{''.join(found)}]", at + 1
        if character == "[" and pattern.startswith("[:", at):
            name, end, _ = pattern[at + 2 :].partition(":]")
            if end and name in _CLASSES:
                found.append(_CLASSES[name])
                at += len(name) + 4
                continue
        low, at = _single(pattern, at)
        if pattern[at : at + 1] == "-" and pattern[at + 1 : at + 2] not in ("]", ""):
            high, at = _single(pattern, at + 1)
            if low <= high:
                found.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            found.append(re.escape(low))
    return None


def _single(pattern: str, at: int) -> tuple[str, int]:
    """One character of a bracket expression, and what is behind it."""
    if pattern[at] == "\\" and at + 1 < len(pattern):
        at += 1
    return pattern[at], at + 1
