r"""Untrusted text: conversion of the kernel's names, which are bytes, to text, and of text to a form safe for a
terminal.

Process names, unix paths, interface names, aliases, comments and host names are chosen by others. They pass two steps:

``text`` makes bytes a ``str`` that is valid Unicode and stands for these bytes alone: a byte that is not UTF-8 becomes
``\xNN``, and a name that has such a sequence of its own gets its backslashes doubled (see ``text``). This is what
records and JSON hold; ``raw`` gives the bytes back.

``printable`` makes a ``str`` one line without control characters, for tables and messages. A control character could
move the cursor, change colours or retitle the window; a bidirectional control could make a row read as another.
``str.isprintable`` decides: it refuses the Unicode categories Cc, Cf, Cs, Co, Cn, Zl, Zp, and Zs except the space.
Here too an escape stands for one thing only: a text that has such a sequence of its own gets its backslashes doubled.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from re import Match

    from ..records import UnknownAttribute

_HEX = frozenset("0123456789abcdef")
_HIGH = frozenset("89abcdef")
_LOW = frozenset("01234567")


def text(raw: bytes) -> str:
    r"""A name as text that stands for these bytes alone, valid in UTF-8.

    A byte that is not UTF-8 is ``\xNN`` with NN from 80 to ff. Where the name itself has a backslash before such an
    ``xNN``, or before such a byte, each backslash of that run is doubled; all other backslashes stay as they are.
    """
    try:
        found = raw.decode()
    except UnicodeDecodeError:
        found = raw.decode("utf-8", "surrogateescape")
    else:
        if "\\x" not in found:
            return found
    return marked(found)


def marked(found: str) -> str:
    r"""The same for text whose bytes that are not UTF-8 are lone surrogates, as of ``os.fsdecode`` and ``sys.argv``."""
    if "\\" not in found:
        # By far the most frequent case: there is nothing to keep apart.
        return found if found.isascii() else "".join(map(_mark, found))
    return _escaped(found, _mark, _is_mark)


def raw(name: str) -> bytes:
    """The bytes that ``text`` made this name of."""
    if "\\" not in name:
        return name.encode("utf-8", "surrogateescape")
    from re import sub

    def bytes_of(found: Match[str]) -> str:
        run, mark = found.groups()
        if mark is None:
            return run
        half = run[: len(run) // 2]
        return half + (chr(0xDC00 + int(mark[1:], 16)) if len(run) % 2 else mark)

    return sub(r"(\\+)(x[89a-f][0-9a-f])?", bytes_of, name).encode("utf-8", "surrogateescape")


_LONGEST_NUMBER = 20
"""Digits of a number: the largest of 64 bits has as many, and more take long to convert."""


def digits(text: str) -> int | None:
    """The number that a text of the digits 0 to 9 is; None for any other text.

    int() takes far more: a sign, spaces, underscores, and digits of every script.
    """
    if not (text.isascii() and text.isdecimal()) or text[:-_LONGEST_NUMBER].strip("0"):
        return None
    return int(text[-_LONGEST_NUMBER:])


def number(text: str) -> int | None:
    """The number that a text is, decimal or, after 0x, hexadecimal; None for any other text.

    Leading zeros make none: to C they mean octal.
    """
    if text[:2] in ("0x", "0X"):
        digits_alone = text[2:]
        return int(digits_alone, 16) if 0 < len(digits_alone) <= 16 and _HEX.issuperset(digits_alone.lower()) else None
    return digits(text) if text[:1] != "0" or text == "0" else None


class Shown(str):
    """Text that has passed ``printable``, within which positions count: it is not escaped again."""

    __slots__ = ()


def printable(text: str) -> str:
    r"""The text on one line, with every character that is not printable as an escape.

    ASCII's are ``\xNN``, all others ``\uNNNN`` or ``\UNNNNNNNN``; tabs and line ends are escaped too. Backslashes
    before what would read as such an escape are doubled.
    """
    if "\\" not in text:
        return text if text.isprintable() else "".join(map(_shown, text))
    if isinstance(text, Shown):
        return text
    return _escaped(text, _shown, _is_escape)


def printable_column(column: Sequence[str]) -> Sequence[str]:
    """A column of texts, each made printable; the very same object where all of them already are.

    The check is one C-level pass: about 1 ms for 40,000 short texts.
    """
    joined = "".join(column)
    if joined.isprintable() and "\\" not in joined:
        return column
    return list(map(printable, column))


def in_quotes(name: str) -> str:
    r"""A name as it stands between double quotes: a quote and a backslash of its own have a backslash before them.

    It still has to be made printable, with the rest of the line.
    """
    if '"' not in name and "\\" not in name:
        return name
    return "".join(map(_quoted, raw(name).decode("utf-8", "surrogateescape")))


def _escaped(text: str, escape: Callable[[str], str], is_escape: Callable[[str], bool]) -> str:
    """The text with characters escaped; runs of backslashes are doubled before an escape, or what reads as one."""
    made: list[str] = []
    parts = text.split("\\")
    made += map(escape, parts[0])
    run = 0
    for number, part in enumerate(parts[1:], 2):
        run += 1
        if not part and number < len(parts):
            continue
        first = escape(part[0]) if part else ""
        ambiguous = len(first) > 1 or is_escape(part)
        made.append("\\" * (2 * run if ambiguous else run))
        made.append(first)
        made += map(escape, part[1:])
        run = 0
    return "".join(made)


def _mark(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    # Any other lone surrogate is of no file name: it is not valid in UTF-8, and stands as it would in Python.
    return f"\\u{code:04x}" if 0xD800 <= code <= 0xDFFF else character


def _is_mark(part: str) -> bool:
    return part[:1] == "x" and part[1:2] in _HIGH and part[2:3] in _HEX and len(part) > 2


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x80:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def _quoted(character: str) -> str:
    return f"\\{character}" if character in '"\\' else _mark(character)


def _is_escape(part: str) -> bool:
    if part[:1] == "x":
        return len(part) > 2 and part[1] in _LOW and part[2] in _HEX
    size = {"u": 5, "U": 9}.get(part[:1], 0)
    return len(part) >= size > 0 and _HEX.issuperset(part[1:size])


def unknown_text(attribute: UnknownAttribute) -> str:
    """An attribute that is not known, as text: ``[attribute 31 of 4 bytes]``; inside others: ``[attribute 2/31 …]``."""
    path = "/".join(map(str, (*attribute.inside, attribute.number)))
    return f"[attribute {path} of {attribute.length} byte{'' if attribute.length == 1 else 's'}]"


def unknown_texts(attributes: Iterable[UnknownAttribute]) -> str:
    """The same for all that a record has."""
    return " ".join(map(unknown_text, attributes)) or "-"
