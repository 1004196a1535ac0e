"""Reading the text of a filter expression word by word, and saying where it went wrong."""

from __future__ import annotations

from ...engine.text import Shown, printable
from ...errors import FilterError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple
else:
    from ...startup import NamedTuple

_SYMBOLS = ("&&", "||", "==", "!=", "<=", ">=", "&", "|", "=", "!", "<", ">", "(", ")")
"""Longer ones first, since they begin with the shorter."""
_WORD_ENDS = frozenset("()&|=!<>")
_VALUE_ENDS = frozenset("()&|")

_SHOWN = 76
"""Columns of a terminal line that the part of the expression around the fault may take."""
_QUOTED = 48
"""Characters of a piece of an expression in a message."""


def filter_error(reason: str, expression: str, column: int) -> FilterError:
    """The error for what is wrong at that column (from 1) of an expression."""
    reason = printable(reason)
    lines = (f"filter: {reason}", *_pointer(expression, column - 1).split("\n"))
    return FilterError(reason, expression, column, tuple(map(Shown, lines)))


class BadValueError(Exception):
    """An invalid value; ``index`` is the position of the error. The parser converts it to a FilterError."""

    def __init__(self, reason: str, index: int = 0) -> None:
        self.reason = reason
        self.index = index
        super().__init__(reason)


def quoted(text: str) -> str:
    """A piece of the user's text for a message: safe to show, and not too long."""
    shown = printable(text)
    return f"'{shown}'" if len(shown) <= _QUOTED else f"'{shown[: _QUOTED - 1]}…'"


class Token(NamedTuple):
    """A symbol or a word and where it starts and ends; empty at the end of the text."""

    text: str
    start: int
    end: int


class Value(NamedTuple):
    """A value without its backslashes, and where each of its characters, and what follows, stands in the text."""

    text: str
    places: tuple[int, ...]


class Scanner:
    """A place in the text of an expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def peek(self) -> Token:
        """The next symbol or word, which stays the next one."""
        self._skip_space()
        text, start = self.text, self.at
        for symbol in _SYMBOLS:
            if text.startswith(symbol, start):
                return Token(symbol, start, start + len(symbol))
        end = start
        while end < len(text) and not text[end].isspace() and text[end] not in _WORD_ENDS:
            end += 1
        return Token(text[start:end], start, end)

    def take(self) -> Token:
        """The next symbol or word, which is then behind us."""
        token = self.peek()
        self.at = token.end
        return token

    def value(self) -> Value:
        """The next value: up to white space, a parenthesis, ``&`` or ``|`` that no backslash stands before."""
        self._skip_space()
        characters, places = [], []
        while self.at < len(self.text):
            character = self.text[self.at]
            if character.isspace() or character in _VALUE_ENDS:
                break
            if character == "\\" and self.at + 1 < len(self.text):
                self.at += 1
                character = self.text[self.at]
            places.append(self.at)
            characters.append(character)
            self.at += 1
        return Value("".join(characters), (*places, self.at))

    def error(self, reason: str, at: int | None = None) -> FilterError:
        """The error for what is wrong at ``at``, or here."""
        return filter_error(reason, self.text, (self.at if at is None else at) + 1)

    def _skip_space(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1


def _pointer(expression: str, at: int) -> str:
    """Two lines: the expression, or the part of it around ``at``, and a caret below that place."""
    before, after = expression[:at], expression[at:]
    left, right = printable(before[-_SHOWN:]), printable(after[:_SHOWN])
    if _width(left) + _width(right) + 1 > _SHOWN:
        left = left if len(before) <= _SHOWN and _width(left) <= _SHOWN // 2 else f"…{_last(left, _SHOWN // 2)}"
        room = _SHOWN - _width(left) - 1
        right = right if len(after) <= _SHOWN and _width(right) <= room else f"{_first(right, room)}…"
    return f"  {left}{right}\n  {' ' * _width(left)}^"


def _first(text: str, width: int) -> str:
    while _width(text) > width:
        text = text[:-1]
    return text


def _last(text: str, width: int) -> str:
    while _width(text) > width:
        text = text[1:]
    return text


def _width(text: str) -> int:
    """Columns that a terminal takes for a printable text."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(character) else 1 + (east_asian_width(character) in "WF") for character in text)
