"""Names of routing tables, protocols, scopes and groups: iproute2's files (ip-route(8): rt_tables, rt_protos …)."""

from __future__ import annotations

import posix

from ...engine.files import table_lines
from ...engine.text import number
from ...errors import UsageError

DIRECTORIES = ("/usr/share/iproute2", "/usr/lib/iproute2", "/etc/iproute2")
"""Where the files are, the one that counts most at the end. Beside each NAME there may be NAME.d/*.conf."""

_BUILT_IN = {
    "rt_tables": {0: "unspec", 253: "default", 254: "main", 255: "local"},
    "rt_protos": {0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 9: "ra", 16: "dhcp"},
    "rt_scopes": {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"},
    "group": {0: "default"},
}
"""The kernel's own numbers (linux/rtnetlink.h), known without any file."""


class RoutingNames(dict[int, str]):
    """What to show for a number of one kind: its name, or its digits."""

    def __init__(self, kind: str) -> None:
        """``kind`` is a file's name: rt_tables, rt_protos, rt_scopes, rt_realms, rt_dsfield or group."""
        super().__init__(_BUILT_IN.get(kind, {}))
        for directory in DIRECTORIES:
            self._read(f"{directory}/{kind}")
            try:
                more = sorted(posix.listdir(f"{directory}/{kind}.d"))
            except OSError:
                continue
            for name in more:
                if name.endswith(".conf"):
                    self._read(f"{directory}/{kind}.d/{name}")

    def _read(self, path: str) -> None:
        for line in table_lines(path):
            words = line.partition("#")[0].split()
            if len(words) >= 2 and (found := number(words[0])) is not None:
                self[found] = words[1]

    def __missing__(self, number: int) -> str:
        return str(number)

    def number(self, name: str) -> int | None:
        """The number of a name, or of digits; None for an unknown one."""
        for known, title in self.items():
            if title == name:
                return known
        found = number(name)
        return found if found is not None and found < 1 << 32 else None


_WHAT = {"rt_tables": "table", "rt_protos": "protocol", "rt_scopes": "scope"}


def scope_in_words(text: str) -> str:
    """A scope, by name or number, as routes have it. Raises UsageError."""
    return RoutingNames("rt_scopes")[numbered("rt_scopes", text)]


def address_in_words(text: str) -> str:
    """An address as routes have it. Raises UsageError."""
    from _socket import inet_ntop, inet_pton

    family = 10 if ":" in text else 2
    try:
        return inet_ntop(family, inet_pton(family, text))
    except (OSError, ValueError):
        raise UsageError(f"{text!r} is not an address") from None


def numbered(kind: str, name: str) -> int:
    """The number of a name of that kind, or of digits. Raises UsageError where there is none."""
    found = RoutingNames(kind).number(name)
    if found is None or found >= (1 << 32 if kind == "rt_tables" else 256):
        raise UsageError(f"no {_WHAT[kind]} {name!r}: give a name from {kind}, or a number")
    return found
