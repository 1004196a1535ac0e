"""What only a terminal needs: how wide text is, how it is shortened, and colours with a meaning.

No listing that is piped loads it. The codes are ECMA-48's SGR; the colours are of the 256 that terminals agree on
(xterm's cube: 16 + 36 red + 6 green + blue), each about as far from black as it is from white.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .command import Command
    from .output import ListingCommand

RESET = "\x1b[0m"
DIM = "\x1b[2m"
BOLD = "\x1b[1m"
REVERSE = "\x1b[7m"
GREEN = "\x1b[38;5;28m"
ORANGE = "\x1b[38;5;130m"
RED = "\x1b[38;5;196m"
MAGENTA = "\x1b[38;5;133m"
CYAN = "\x1b[38;5;30m"

ELLIPSIS = "…"
_LABEL = 12
"""The longest word that running text may stand behind."""

_STATES = {
    GREEN: "up established listen reachable permanent yes ok arrives leaves assured forwarding",
    ORANGE: "dormant stale delay probe syn_sent syn_recv new_syn_recv close_wait last_ack closing fin_wait_1 warning "
    "partial unknown noarp testing unreplied",
    RED: "down failed incomplete lowerlayerdown no critical problem fails notpresent dropped",
    DIM: "time_wait close closed none unconn fin_wait_2",
}
_STATE_TONES = {word: tone for tone, words in _STATES.items() for word in words.split()}
_SEVERITIES = {"problem": RED, "error": RED, "critical": RED, "warning": ORANGE, "note": CYAN, "ok": GREEN}
_CHANGES = {"added": GREEN, "new": GREEN, "removed": RED, "destroy": RED, "changed": ORANGE, "update": ORANGE}
_CHANGES |= {"join": GREEN, "leave": RED}

_ADDRESS_NAMES = frozenset(
    (
        *("address", "gateway", "preferred_source", "destination", "broadcast", "group", "source", "inside", "outside"),
        *("reply-source", "reply-destination", "answers", "local", "remote", "peer", "master-source"),
    )
)
"""Names of fields, and titles in small letters, under which addresses stand."""


_WIDEST = 0xFFFF
"""Columns, and lines, that a terminal may have (asm-generic/termios.h: struct winsize)."""


def size() -> tuple[int, int]:
    """Columns and lines of the terminal that standard output is: COLUMNS and LINES say otherwise where they are set."""
    from os import environ, get_terminal_size

    from .text import digits

    try:
        columns, lines = get_terminal_size(1)
    except OSError:
        columns = lines = 0
    given = [min(digits(text) or 0, _WIDEST) for text in map(environ.get, ("COLUMNS", "LINES"), ("", ""))]
    # A serial line, or a container's terminal, does not know its size.
    return given[0] or columns or 80, given[1] or lines or 24


def wants_colour(choice: str, terminal: bool) -> bool:
    """Whether to colour: by --color, else NO_COLOR, CLICOLOR_FORCE and CLICOLOR, else on a terminal that can."""
    if choice != "auto":
        return choice == "always"
    from os import environ

    if environ.get("NO_COLOR"):
        return False
    if environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return terminal and moves() and environ.get("CLICOLOR") != "0"


def moves() -> bool:
    """Whether a terminal's cursor moves: on a dumb one, or one that nobody names, all is written line by line."""
    from os import environ

    return (environ.get("TERM") or "dumb") != "dumb"


def kind_of(name: str) -> str:
    """What the cells of a column say that has a colour: ``state``, ``severity``, ``change`` or ``address``, or ""."""
    name = name.lower()
    if name in ("state", "severity", "change", "event"):
        return "change" if name == "event" else name
    if name in _ADDRESS_NAMES or name.endswith(("_address", " address:port")):
        return "address"
    return ""


def tone(kind: str, text: str) -> str:
    """The code that a cell of this kind begins with; empty where it has no colour."""
    if kind == "address":
        return _scope_tone(text)
    word = text.lower().replace("-", "_")
    return {"state": _STATE_TONES, "severity": _SEVERITIES, "change": _CHANGES}[kind].get(word, "")


def painted(code: str, text: str) -> str:
    """The text in this colour."""
    return f"{code}{text}{RESET}" if code and text else text


def _scope_tone(text: str) -> str:
    """How far an address reaches: loopback dim, the link and multicast magenta, public cyan, private ones plain."""
    if text.startswith(("127.", "::1/", "[::1]")) or text == "::1":
        return DIM
    host = text.lstrip("[").lower()
    if host.startswith(("169.254.", "fe8", "fe9", "fea", "feb", "ff0", "ff1", "ff3")) and ("." in host or ":" in host):
        return MAGENTA
    first, dot, rest = host.partition(".")
    if dot and first.isdecimal():
        number, second = int(first), rest.partition(".")[0]
        if 224 <= number < 240:
            return MAGENTA
        private = number == 10 or f"{first}.{second}" == "192.168" or number == 0
        private = private or (number == 172 and second.isdecimal() and 16 <= int(second) < 32)
        private = private or (number == 100 and second.isdecimal() and 64 <= int(second) < 128)
        return "" if private or number > 239 else CYAN
    # 2000::/3 is all that is global and unicast (RFC 4291, 2.4).
    return CYAN if ":" in host and len(host.partition(":")[0]) == 4 and host[0] in "23" else ""


def width(text: str) -> int:
    """The columns that a text takes on a terminal: characters of East Asia two, those that combine none."""
    if text.isascii():
        return len(text)
    return sum(map(_width, text))


def _width(character: str) -> int:
    from unicodedata import category, east_asian_width

    if east_asian_width(character) in "WF":
        return 2
    # The vowels and finals of a Korean syllable are drawn into its first letter (Hangul_Syllable_Type V and T).
    joins = "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7fb"
    return 0 if joins or category(character) in ("Mn", "Me", "Cf") else 1


def shortened(text: str, room: int) -> str:
    """The text in at most ``room`` columns, its middle left out where it is too long."""
    if width(text) <= room:
        return text
    if room < 2:
        return ELLIPSIS[:room]
    head = cut(text, room // 2)
    tail = cut(text[::-1], room - 1 - width(head))
    return f"{head}{ELLIPSIS}{tail[::-1]}"


def folded(text: str, columns: int) -> str:
    """Running text in lines of at most ``columns`` columns: what a line continues in is indented by two more."""
    lines = []
    for line in text.split("\n"):
        if width(line) <= columns:
            lines.append(line)
            continue
        indent = line[: len(line) - len(line.lstrip(" "))]
        label, _, rest = line.strip().partition("  ")  # ``why:  …``: it continues below its text
        more = indent + " " * (width(line) - width(rest.lstrip()) - len(indent) if rest and len(label) < _LABEL else 2)
        if len(more) > columns // 2:
            more = "  "
        now = indent + (line.strip()[: len(more) - len(indent)] if rest and len(label) < _LABEL else "")
        words = line[len(now) :].split(" ")
        for word in words:
            if width(now) + width(word) > columns and now.strip():
                lines.append(now.rstrip())
                now = more
            while width(now) + width(word) > columns:
                part = cut(word, columns - width(now))
                if not part:
                    break
                lines.append(now + part)
                now, word = more, word[len(part) :]
            now += f"{word} "
        lines.append(now.rstrip())
    return "\n".join(lines)


def wants_rows(command: ListingCommand) -> bool:
    """Whether rows are asked for, of what is running text otherwise."""
    return command.format != "table" or command.chosen is not None or bool(command.sort) or command.no_header


def report(command: Command, text: str) -> None:
    """Writes text for people: on a terminal in its width, the words that judge at the beginnings of lines coloured."""
    environment = command.environment
    if environment.terminal:
        text = folded(text, environment.columns)
    if command.coloured:
        text = "\n".join(map(_judged, text.split("\n")))
    environment.write(text.encode("utf-8", "backslashreplace"))


def _judged(line: str) -> str:
    word, colon, rest = line.partition(":")
    code = (_SEVERITIES.get(word) or _STATE_TONES.get(word, "")) if colon and rest else ""
    return f"{painted(code, word)}:{rest}" if code else line


def cut(text: str, room: int) -> str:
    """As much of the beginning as fits."""
    if text.isascii():
        return text[:room]
    taken = 0
    for at, character in enumerate(text):
        taken += _width(character)
        if taken > room:
            return text[:at]
    return text
