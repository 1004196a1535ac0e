"""On which line of a TOML text a value stands: tomllib does not say, and an error message must.

The text has been parsed by tomllib before, so this scanner may take its syntax for granted: it follows table
headers, keys, inline tables and arrays, and skips strings and comments (TOML 1.0.0, https://toml.io/en/v1.0.0).
"""

from __future__ import annotations

import re
from bisect import bisect_left

Path = tuple[str | int, ...]

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART = re.compile(r'[ \t]*(?:"((?:[^"\\]|\\.)*)"|\'([^\']*)\'|([A-Za-z0-9_-]+))[ \t]*')
_STRING = re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL)
_BARE = re.compile(r"[^,\]}\n#]*")


def lines(text: str) -> dict[Path, int]:
    """The line, counted from 1, of every table, key and array element, by its path: ``("hosts", "a", "routes", 0)``."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.found


def line_of(found: dict[Path, int], path: Path) -> int:
    """The line of that path or, where it is absent (a missing key), of the nearest table around it; 1 for the text."""
    while path and path not in found:
        path = path[:-1]
    return found.get(path, 1)


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found: dict[Path, int] = {}
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._tables: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        while True:
            self._skip()
            if self.at >= len(self.text):
                return
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> Path:
        start = self.at
        array = self.text.startswith("[[", start)
        self.at += 2 if array else 1
        path = self._resolve(self._key(), array)
        self._note(path, start)
        self.at += 2 if array else 1
        return path

    def _resolve(self, key: list[str], new: bool) -> Path:
        """The path of a header: an array of tables in it means the last table of the array."""
        path: Path = ()
        for number, part in enumerate(key):
            path += (part,)
            if new and number == len(key) - 1:
                self._tables[path] = self._tables.get(path, -1) + 1
            if path in self._tables:
                path += (self._tables[path],)
        return path

    def _pair(self, table: Path) -> None:
        start = self.at
        path = table + tuple(self._key())
        self._note(path, start)
        self.at += 1  # the equals sign
        self._value(path)

    def _key(self) -> list[str]:
        parts = []
        while match := _KEY_PART.match(self.text, self.at):
            basic, literal, bare = match.groups()
            parts.append(_unescaped(basic) if basic is not None else literal if literal is not None else bare)
            self.at = match.end()
            if self.text[self.at : self.at + 1] != ".":
                break
            self.at += 1
        return parts

    def _value(self, path: Path) -> None:
        self._skip()
        first = self.text[self.at]
        if first == "[":
            self._elements(path, "]")
        elif first == "{":
            self._elements(path, "}")
        else:
            match = _STRING.match(self.text, self.at) or _BARE.match(self.text, self.at)
            self.at = match.end() if match else self.at + 1

    def _elements(self, path: Path, end: str) -> None:
        self.at += 1
        index = 0
        while True:
            self._skip()
            if self.text[self.at] == end:
                self.at += 1
                return
            if end == "]":
                self._note((*path, index), self.at)
                self._value((*path, index))
                index += 1
            else:
                self._pair(path)
            self._skip()
            if self.text[self.at] == ",":
                self.at += 1

    def _note(self, path: Path, at: int) -> None:
        line = bisect_left(self._ends, at) + 1
        for size in range(1, len(path) + 1):
            self.found.setdefault(path[:size], line)

    def _skip(self) -> None:
        match = _SPACE.match(self.text, self.at)
        self.at = match.end() if match else self.at


def _unescaped(text: str) -> str:
    import tomllib

    return str(tomllib.loads(f'k = "{text}"')["k"])
