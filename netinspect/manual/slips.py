"""What was probably meant by a command line that makes no sense: the command to type instead.

Words of other programs (ss, ip, conntrack, net-tools) and misspelt names. What is suggested exists: the options of a
suggestion are read by its command, and where they do not fit they are left out.
"""

from __future__ import annotations

from ..engine.help import alike_names, unknown
from ..engine.options import parse
from ..engine.text import digits
from ..errors import NetinspectError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..engine.command import Command

    CommandOf = Callable[[str], type[Command]]

_WORDS = {
    "sockets": "ss socket sock sockstat lsof tcp udp unix listen listening connections",
    "routes": "route r ro fib",
    "links": "link l li interface interfaces iface ifconfig device devices dev",
    "addresses": "address addr addrs adr a ips",
    "neighbours": "neighbour neighbor neighbors neigh n arp ndp",
    "rules": "rule ru",
    "conntrack": "ct flows flow nf_conntrack connection-tracking",
    "nat": "masquerade masq snat dnat translations",
    "groups": "group multicast igmp mld maddr maddress",
    "groups routes": "mroute mrouting",
    "groups bridge": "mdb",
    "path": "trace traceroute tracepath mtr",
    "drops": "drop dropwatch dropped",
    "stats": "stat statistics nstat counters snmp mib",
    "capabilities": "capability caps features",
    "lab": "labs",
    "completion": "completions complete",
    "help --man": "man manual",
    "nat diagnose": "diag diagnose diagnosis doctor check",
    "snapshot": "save dump",
    "explain": "describe what",
    "routes get": "lookup",
    "routes cache": "tcp_metrics",
}
"""What others call what these commands show (ss(8), ip(8), ifconfig(8), nstat(8) …)."""
_MEANT = {word: command for command, words in _WORDS.items() for word in words.split()}
_ENDS = ("port", "sport", "dport", "host")
"""Words before a port or an address."""
_OTHERS_OPTIONS = {
    "lsof": ("-i", "-n", "-P", "-nP", "-Pn"),
    "ip": ("-s", "-d", "-o", "-br", "-brief", "-c", "-j", "-h"),
}
"""Options of programs that say how they show what is shown here in any case, or by another option."""
_PREFIXES = ("ip", "bridge", "show", "list", "get")
"""Words that stand before the object in other programs."""

_CONNTRACK = {
    "-L": "list",
    "--dump": "list",
    "-C": "count",
    "--count": "count",
    "-S": "stats",
    "--stats": "stats",
    "-E": "events",
}
"""conntrack(8)'s commands, and the views that show the same."""
_SEE = " (see `netinspect --help`)"
_FORMATS = ("csv", "ndjson", "table")
_OPTIONS = {
    "--colour": "--color",
    "--no-color": "--color=never",
    "--no-colour": "--color=never",
    "--namespace": "--netns",
    "--brief": "",
    "--details": "--extended",
    "--listen": "--listening",
}


def no_command(arguments: Sequence[str], commands: Iterable[str], command_of: CommandOf) -> UsageError:
    """The error for a word that is no command: all commands are named only where none is known to be meant."""
    name, known = arguments[0], list(commands)
    error = unknown("command", name, known, _SEE)
    if not alike_names(name, known) and suggestion(arguments, error, known, command_of):
        return UsageError(f"no command {name!r}{_SEE}")
    return error


def suggestion(
    arguments: Sequence[str], error: NetinspectError, commands: Iterable[str], command_of: CommandOf
) -> list[str]:
    """The words to type instead, after ``netinspect``; empty where nothing is known that would make sense."""
    words = list(arguments)
    if not words:
        return []
    if words[0] not in commands:
        return _other_command(words, list(commands), command_of)
    found = _renamed(words) or _filter(words, command_of) or _spelt(words, error)
    return found if found and found != words and _makes_sense(found, command_of) else []


def _other_command(words: list[str], commands: Sequence[str], command_of: CommandOf) -> list[str]:
    rest = list(words)
    if rest[0] == "version":
        return ["--version"]
    if rest[0].startswith("-"):  # options without a command: those of ss(8)
        meant_words = ["sockets", *rest]
        meant_words = _renamed(meant_words) or meant_words
        return meant_words if _makes_sense(meant_words, command_of) else []
    if rest[0] in _ENDS or _is_end(rest[0]):
        return _filter(["sockets", *rest], command_of)
    quiet = _OTHERS_OPTIONS.get(rest[0], ())
    rest = [word for word in rest if word not in quiet]
    while len(rest) > 1 and rest[0] in _PREFIXES:
        rest.pop(0)
    name = rest.pop(0)
    if name == "ip":
        return ["links"]
    options: list[str] = []
    while name in ("-4", "-6") and rest:  # ip -6 route
        options.append(name)
        name = rest.pop(0)
    meant = _MEANT.get(name) or (name if name in commands else "")
    if not meant:
        names = alike_names(name, commands) or [_MEANT[word] for word in alike_names(name, _MEANT)]
        names += [command for command in commands if len(name) > 2 and command.startswith(name)]
        if not names:
            return []
        meant = names[0]
    if meant == "routes" and rest[:1] == ["get"]:
        pass
    elif rest[:1] and rest[0] in ("show", "list", "ls", "lst", "s", "sh"):
        rest.pop(0)
    command = meant.split()
    if meant == "sockets" and (found := _filter([*command, *options, *rest], command_of)):
        return found
    for found in ([*command, *options, *rest], [*command, *options]):
        if _makes_sense(found, command_of):
            return found
    return command


def _renamed(words: list[str]) -> list[str]:
    """Options that are called otherwise here."""
    if words[0] == "conntrack" and any(word in _CONNTRACK for word in words):
        view = next(_CONNTRACK[word] for word in words if word in _CONNTRACK)
        return ["conntrack", view, *(word for word in words[1:] if word not in _CONNTRACK)]
    found = []
    for word in words:
        if word.removeprefix("--") in _FORMATS and word.startswith("--"):
            found += ["--format", word.removeprefix("--")]
        elif word in _OPTIONS:
            found += [_OPTIONS[word]] if _OPTIONS[word] else []
        else:
            found.append(word)
    return found if found != words else []


def _filter(words: list[str], command_of: CommandOf) -> list[str]:
    """A port or an address alone, as a filter of sockets."""
    if words[0] != "sockets":
        return []
    command = command_of(words[0])
    try:
        operands = parse(command.name, command.all_groups(), words[1:])[1]
    except UsageError:
        return []
    last = operands[-1] if operands and set(operands[:-1]) <= set(_ENDS) else ""
    rest = [word for word in words if word not in operands]
    port = digits(last.removeprefix(":"))
    if port is not None and port < 1 << 16:
        return [*rest, f"sport = :{port} or dport = :{port}"]
    return [*rest, f"src {last} or dst {last}"] if _is_address(last) else []


def _is_end(word: str) -> bool:
    return digits(word.removeprefix(":")) is not None or _is_address(word)


def _is_address(word: str) -> bool:
    from _socket import AF_INET, AF_INET6, inet_pton

    for family in (AF_INET, AF_INET6):
        try:
            inet_pton(family, word.partition("/")[0])
        except (OSError, ValueError):
            continue
        return True
    return False


def _spelt(words: list[str], error: NetinspectError) -> list[str]:
    """The same with the name in it that was probably meant."""
    given, known = error.slip
    names = alike_names(given, known) if given else []
    if not names:
        return []
    right = names[0]
    found = []
    for word in words:
        name, equals, value = word.partition("=")
        if word == given or name == given:
            found.append(f"{right}{equals}{value}")
            continue
        head, tail = (f"{name}=", value) if word.startswith("--") and equals else ("", word)
        parts = [
            right
            if part == given
            else part.replace(given, right)
            if part in (f"-{given}", f"{_base(part)}+{given}")
            else part
            for part in tail.split(",")
        ]
        found.append(head + ",".join(parts))
    return found


def _base(part: str) -> str:
    """What is before the fault that a topology is given with: ``gateway+no-forwarding``."""
    return part.rpartition("+")[0]


def _makes_sense(words: list[str], command_of: CommandOf) -> bool:
    """Whether there is such a command with such options."""
    try:
        command = command_of(words[0])
        rest = words[1:]
        if command.commands:
            below = [one for one in command.commands if rest and one.name == f"{words[0]} {rest[0]}"]
            if not below:
                return not rest
            command, rest = below[0], rest[1:]
        views = getattr(command, "views", None)
        _, operands, _ = parse(command.name, command.all_groups(), rest)
        return not views or not operands or operands[0] in views or words[0] in ("routes", "stats", "drops")
    except UsageError:
        return False
