"""Untrusted text made safe for a terminal.

Process names, unix paths, interface names and DNS names are chosen by others. A control character in one of them
could move the cursor, change colours or retitle the window; a bidirectional control could make a row read as another.
Python's ``str.isprintable`` is the judge: it refuses the Unicode categories Cc, Cf, Cs, Co, Cn, Zl, Zp, and Zs but for
the space.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def printable(text: str) -> str:
    r"""The text with every character that is not printable as an escape: ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``.

    Tabs and line ends are escaped too: a row is one line. A backslash stays as it is, so the escapes are for reading
    and not for reading back; the JSON formats have the exact text.
    """
    if text.isprintable():
        return text
    return "".join([character if character.isprintable() else _escape(character) for character in text])


def printable_column(column: Sequence[str]) -> Sequence[str]:
    """A column of texts, each made printable; the very same object where all of them already are.

    The check is one C-level pass: about 1 ms for 40,000 short texts.
    """
    if "".join(column).isprintable():
        return column
    return list(map(printable, column))


def _escape(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def text(raw: bytes) -> str:
    """Names are bytes to the kernel: what is not UTF-8 is shown as escapes, so JSON stays valid."""
    return raw.decode("utf-8", "backslashreplace")
