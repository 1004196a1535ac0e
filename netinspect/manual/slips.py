"""What was probably meant by a command line that makes no sense: the command to type instead.

Words of other programs (ss, ip, conntrack, net-tools) and misspelt names. What is suggested exists: the options of a
suggestion are read by its command, and where they do not fit they are left out.
"""

from __future__ import annotations

from ..engine.help import alike_names, unknown
from ..engine.options import parse
from ..engine.quoting import shell_line
from ..engine.text import digits
from ..environment import Environment
from ..errors import NetinspectError, UsageError
from .live_names import interfaces, processes, services
from .live_names import states as states_of
from .slips_options import Translated
from .slips_others import changes as killing
from .slips_others import of_others
from .slips_programs import INSTEAD, MEANT, OF_NETSTAT, of_ip, of_lsof, unwrapped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..engine.command import Command

    CommandOf = Callable[[str], type[Command]]

_CHANGES = frozenset(("add", "del", "delete", "change", "chg", "replace", "append", "flush", "set"))
"""What programs do that change something."""
_ENDS = ("port", "sport", "dport", "host")
"""Words before a port or an address."""
_LISTED = ("show", "list", "ls", "lst", "s", "sh", "print", "all", "brief")
"""What ip(8) calls it to list, and how it is shortened."""
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
    "--events": "events",
    "-G": "list",
    "--get": "list",
}
"""conntrack(8)'s commands, and the views that show the same."""
_CHANGEABLE = ("routes", "links", "addresses", "neighbours", "rules", "groups")
_CHANGING = frozenset(("-D", "--delete", "-F", "--flush", "-I", "--create", "-U", "--update", "-A", "--add"))
"""Its commands that change the table."""
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
    objects = [word for word in arguments if not word.startswith("-")]
    asked = [name, *objects[1:2]] if name in ("ip", "bridge") else [name]
    changes = name in (*MEANT, *_PREFIXES) and any(word in _CHANGES for word in objects[1:3])
    if changes or killing(arguments):
        return UsageError(f"no command {name!r}: netinspect changes nothing{_SEE}")
    said = next((INSTEAD[word] for word in (*asked, "-".join(asked)) if word in INSTEAD), "")
    if said:
        return UsageError(f"no command {name!r}: {said}{_SEE}")
    if (name in MEANT or not alike_names(name, known)) and suggestion(arguments, error, known, command_of):
        return UsageError(f"no command {name!r}{_SEE}")
    return error


def instead(arguments: Sequence[str], error: NetinspectError, commands: Iterable[str], command_of: CommandOf) -> str:
    """What follows the error: the command that was probably meant, where one is known."""
    first, *more = *arguments, ""
    changes = first in _CHANGEABLE and more[0] in _CHANGES
    changes = changes or (first == "sockets" and killing(arguments))
    if changes or (first == "conntrack" and not _CHANGING.isdisjoint(more)):
        return "; netinspect changes nothing"
    words = suggestion(arguments, error, commands, command_of)
    command = shell_line(["netinspect", *words]) if words else None
    said = "".join(f"; {text}" for text in _untold(arguments, commands, command_of))
    return f"{said}; try: {command}" if command else said


def _untold(arguments: Sequence[str], commands: Iterable[str], command_of: CommandOf) -> list[str]:
    """Why there is nothing to type for options of another program."""
    name, *rest = arguments or [""]
    meant = name if name in commands else "sockets" if name == "ss" else ""
    return [*dict.fromkeys(_translated([meant, *rest], command_of).said)] if meant else []


def _translated(words: list[str], command_of: CommandOf) -> Translated:
    options = [option for group in command_of(words[0]).all_groups() for option in group.options]
    return Translated(words, options, listing=any(option.long == "format" for option in options))


def suggestion(
    arguments: Sequence[str], error: NetinspectError, commands: Iterable[str], command_of: CommandOf
) -> list[str]:
    """The words to type instead, after ``netinspect``; empty where nothing is known that would make sense."""
    words = list(arguments)
    if not words or killing(words):
        return []
    if words[0] not in commands:
        return _other_command(words, list(commands), command_of)
    ways = [_of_programs, _of_iproute2, _own_source, _listening, _as_options, _view]
    if error.slip[0]:  # a name that is misspelt for sure
        ways.remove(_as_options)
    found = next((found for way in ways if (found := way(words, command_of))), None)
    found = found or _spelt(words, error, command_of)
    return found if found and found != words and makes_sense(found, command_of) else []


def _other_command(words: list[str], commands: Sequence[str], command_of: CommandOf) -> list[str]:
    rest = list(words)
    if rest[0] == "version" or rest == ["-v"]:
        return ["--version"]
    inner, behind = unwrapped(rest)
    if inner != rest:
        found = inner
        if inner and inner[0] not in commands:
            found = _other_command(inner, commands, command_of)
        whole = [*found, *behind]
        return whole if found and makes_sense(whole, command_of) else found
    rest, options = of_ip(rest)
    if rest[:1] == ["lsof"]:
        rest = of_lsof(rest)
    if not rest:
        return ["links", *options]
    if any(word in _CHANGES for word in rest[1:3]) and rest[0] in (*MEANT, *_PREFIXES):
        return []
    of_netstat = OF_NETSTAT.get(rest[0])
    if of_netstat:
        rest[:1] = of_netstat.split()
    if rest[0].startswith("-"):  # options without a command: those of ss(8)
        return _fitting(["sockets", *rest], command_of, drop=False)
    if rest[0] in _ENDS or _is_end(rest[0]) or (rest == words[:1] and _is_service(rest[0])):
        return _filter(["sockets", *rest], command_of)
    while len(rest) > 1 and rest[0] in _PREFIXES:
        rest.pop(0)
    name = rest.pop(0)
    if (name in INSTEAD and name not in MEANT) or (words[0] == "bridge" and f"bridge-{name}" in INSTEAD):
        return []
    if name == "monitor":
        meant = MEANT.get(rest[0]) if rest else None
        return [meant or "routes", "--watch", "1", *options]
    meant = MEANT.get(name) or (name if name in commands else "")
    if meant == "links" and not {"-s", "-S"}.isdisjoint(rest):
        options, rest = ["--statistics", *options], [word for word in rest if word not in ("-s", "-S")]
    meant = meant or _nearly(name, commands)
    if not meant and name in interfaces(()):
        return ["links", name]
    if not meant and len(name) > 2 and set(name) <= set("tulpnaxwe46"):  # ss(8)'s options without their dash
        return _fitting(["sockets", f"-{name}", *rest], command_of, drop=False)
    if not meant:
        return []
    if meant == "routes" and rest[:1] and "get".startswith(rest[0]):
        rest[0] = "get"
    elif rest[:1] and rest[0] in _LISTED:
        rest.pop(0)
    command = meant.split()
    options = [option for option in options if option != "--statistics" or command[0] == "links"]
    if (name in INSTEAD and meant != "path") or name in ("netns", "monitor", "rtmon") or meant in _ALONE:
        return command
    if meant == "path":
        ends = [meant, *_ends_of(rest, name in _TO_A_PORT)]
        return _own_source(ends, command_of) or (ends if len(ends) > 1 else [])
    whole = [*command, *options, *rest]
    fitting = _fitting(whole, command_of, drop=True)
    # What is wrong with the rest of a misspelt command of ours, or with a filter, is said when that is typed.
    kept = name not in MEANT or "FILTER" in command_of(command[0]).operands
    if not fitting and kept and not _unknown_option(whole, command_of):
        return whole
    return fitting or command


_ALONE = ("top", "help --man", "sockets --mptcp", "links --rates 1", "capabilities")
"""What stands for programs of which nothing else is understood."""
_TO_A_PORT = ("nc", "ncat", "netcat", "telnet")


def _nearly(name: str, commands: Sequence[str]) -> str:
    """The command whose name, or whose other name, is misspelt or not written out."""
    if name in _LISTED or name in _PREFIXES:
        return ""
    names = alike_names(name, commands) if len(name) > 2 else []
    # A longer word that is like another program's is one of its own: bpftrace is no tracepath.
    near = [word for word in alike_names(name, MEANT) if len(name) > 3 and name[0] == word[0]]
    names = names or [MEANT[word] for word in near]
    names += [command for command in commands if len(name) > 2 and command.startswith(name)]
    return names[0] if names else ""


def _ends_of(rest: Sequence[str], with_port: bool) -> list[str]:
    """The address that another program is to reach, with the port that follows it."""
    found = [word for word in rest if _is_address(word)]
    at = rest.index(found[0]) if found else 0
    port = rest[at + 1] if with_port and found and len(rest) > at + 1 else ""
    if digits(port) is not None:
        found = [f"[{found[0]}]:{port}" if ":" in found[0] else f"{found[0]}:{port}"]
    return found


def _fitting(words: list[str], command_of: CommandOf, *, drop: bool) -> list[str]:
    """The words of another program in ours; with ``drop`` without the options that there is nothing for."""
    ways = (_of_iproute2, _of_others, _renamed, _counter, _filter)
    for _ in range(8):
        for way in ways:
            words = way(words, command_of) or words
        if makes_sense(words, command_of):
            return words
        unfit = _unknown_option(words, command_of) if drop else ""
        if not unfit:
            break
        words = _without(words, unfit)
    plain = [words[0], *(word for word in words[1:] if not word.startswith("-"))]
    return plain if drop and words[0] in _INTERFACE_OPERAND and makes_sense(plain, command_of) else []


def _unknown_option(words: list[str], command_of: CommandOf) -> str:
    try:
        parse(words[0], command_of(words[0]).all_groups(), words[1:])
    except UsageError as error:
        return error.lines[0].partition("unknown option ")[2].partition(" ")[0].rstrip(":")
    return ""


def _without(words: list[str], option: str) -> list[str]:
    """The same without an option, which may stand among others behind one dash."""
    found = []
    for word in words:
        if option[:2] != "--" and word[:1] == "-" != word[1:2]:
            word = word.replace(option[1:], "")
        if word != "-" and word.partition("=")[0] != option:
            found.append(word)
    return found


_INTERFACE_OPERAND = ("links", "addresses", "neighbours")


_STATES = ("up", "primary", "secondary", "permanent", "dynamic", "tentative", "deprecated", "temporary")
_OF_ADDRESSES = {"links": ("up",), "addresses": _STATES, "neighbours": ("proxy", "router", "unused")}
"""What ip(8) selects by; nothing here does, but links that are up."""


def _of_iproute2(words: list[str], command_of: CommandOf) -> list[str]:
    """Words as ip(8) has them behind its objects: ``show``, ``dev lo``, ``table main``."""
    name, *rest = words
    if name not in (*_INTERFACE_OPERAND, "routes", "rules", "groups"):
        return []
    longs = {option.long for group in command_of(name).all_groups() for option in group.options if option.value}
    for at, word in enumerate(rest):
        if (
            word in _LISTED
            and not any(before[:1] != "-" for before in rest[:at])
            and word not in getattr(command_of(name), "views", ())
        ):
            del rest[at]
            break
    found = [name]
    others = {"proto": "protocol", "t": "table", "nud": "state", "src": "source"}
    others |= {"type": "kind"} if name == "links" else {}
    if name == "routes" and rest[:1] in (["lookup"], ["g"]):
        rest[0] = "get"
    while rest:
        word = rest.pop(0)
        if word in ("dev", "device") and rest:
            value = rest.pop(0)
            if found[1:2] == ["get"]:
                found += ["oif", value]
            elif name in _INTERFACE_OPERAND:
                found.append(value)
            elif "interface" in longs:
                found += ["--interface", value]
        elif found[1:2] == ["get"]:
            found.append(word)
        elif name == "routes" and word == "to" and rest[:1] and rest[0] in ("exact", "root", "match"):
            continue
        elif word in _OF_ADDRESSES.get(name, ()) and word not in interfaces(()):
            found += ["--up"] if name == "links" else []
        elif others.get(word, word) in longs and rest:
            found += [f"--{others.get(word, word)}", rest.pop(0)]
        else:
            found.append(word)
    return found if found != words else []


def _view(words: list[str], command_of: CommandOf) -> list[str]:
    """A view of a command that is misspelt."""
    command = command_of(words[0])
    names = [*getattr(command, "views", ()), *(below.name.rpartition(" ")[2] for below in command.commands)]
    if len(words) < 2 or words[1].startswith("-") or words[1] in names:
        return []
    near = alike_names(words[1], names)
    return [words[0], near[0], *words[2:]] if near else []


_KINDS = frozenset(("bridge", "veth", "vlan", "vxlan", "bond", "dummy", "macvlan", "ipvlan", "tun", "vrf", "wireguard"))


def _as_options(words: list[str], command_of: CommandOf) -> list[str]:
    """Words that are options here, or states: ``sockets listening``, ``sockets tcp``, ``conntrack udp``."""
    command = command_of(words[0])
    try:
        operands = parse(command.name, command.all_groups(), words[1:])[1]
    except UsageError:
        return []
    options = {option.long: option for group in command.all_groups() for option in group.options}
    named = "state" in options and words[0] in ("sockets", "conntrack", "nat", "neighbours")
    states = {state.casefold() for state in states_of(words[:1])} if named else set()
    found = words[:1]
    for word in words[1:]:
        option = options.get(word)
        if word not in operands or word in getattr(command, "views", ()):
            found.append(word)
        elif "interface" in options and words[1] != "get" and word in interfaces(()):
            found += ["--interface", word]
        elif "group" in options and _is_address(word):
            found += ["--group", word]
        elif "scope" in options and word in ("global", "link", "site", "host"):
            found += ["--scope", word]
        elif words[0] == "links" and word in _KINDS:
            found += ["--kind", word]
        elif named and "source" in options and _is_address(word):
            found += ["--source", word]
        elif option is not None and not option.value:
            found.append(f"--{word}")
        elif word.casefold() in states:
            found += ["--state", word]
        elif "protocol" in options and word in ("tcp", "udp", "icmp", "sctp"):
            found += ["--protocol", word]
        elif word not in _LISTED:
            found.append(word)
    return found if found != words else []


def _listening(words: list[str], command_of: CommandOf) -> list[str]:
    """A port to wait for, without what is to happen at it: ``wait 80``."""
    if words[0] not in ("wait", "assert") or len(words) < 2:
        return []
    rest = words[2:] if words[1] in _ENDS else words[1:]
    return [words[0], "listening", *rest] if rest and digits(rest[0].removeprefix(":")) is not None else []


def _own_source(words: list[str], command_of: CommandOf) -> list[str]:
    """A path to one address: from the one that this machine would send from. Nothing is sent."""
    if words[0] != "path":
        return []
    ends = [word for word in words[1:] if not word.startswith("-") and word not in ("tcp", "udp", "icmp")]
    address = ends[0] if ends else ""
    if address.count(":") == 1 or address.startswith("["):
        address = address.rpartition(":")[0].strip("[]")
    if len(ends) != 1 or not _is_address(address) or "/" in address:
        return []
    from _socket import AF_INET, AF_INET6, SOCK_DGRAM, socket

    try:
        with_route = socket(AF_INET6 if ":" in address else AF_INET, SOCK_DGRAM)
    except OSError:
        return []
    try:
        with_route.connect((address, 9))
        source = with_route.getsockname()[0]
    except OSError:
        return []
    finally:
        with_route.close()
    at = words.index(ends[0])
    return [*words[:at], source, *words[at:]]


def _of_programs(words: list[str], command_of: CommandOf) -> list[str]:
    """All that stands otherwise in other programs."""
    found = words
    for way in (_renamed, _of_others, _filter):
        found = way(found, command_of) or found
    if found[0] in ("help", "schema"):
        found = [found[0], *(MEANT.get(word, word).partition(" ")[0] for word in found[1:] if word[:1] != "-")]
    elif found[0] == "explain" and len(found) > 2:
        found = ["explain", "_".join(found[1:]).upper()]
    elif found == ["stats", "drops"]:
        found = ["drops", "account"]
    elif found[:2] == ["nat", "events"]:
        found = ["conntrack", *found[1:], "--any-nat"]
    elif found[0] == "capabilities":
        found = [found[0], *(word for word in found[1:] if word[:1] == "-")]
    elif found[0] == "drops" and len(found) == 2:
        found = ["drops", "dev", found[1]] if found[1] in interfaces(()) else found
        found = ["drops", "--for", found[1]] if digits(found[1]) is not None else found
    found = _own_source(found, command_of) or found
    return found if found != words else []


def _of_others(words: list[str], command_of: CommandOf) -> list[str]:
    """Options of other programs."""
    options = [option for group in command_of(words[0]).all_groups() for option in group.options]
    ours = {f"-{option.short}" for option in options} | {f"--{option.long}" for option in options}
    found = of_others(words, ours.__contains__)
    found = of_others(_translated(found, command_of).words, ours.__contains__)
    return found if found != words else []


def _renamed(words: list[str], command_of: CommandOf) -> list[str]:
    """Options that are called otherwise here."""
    for option in ("--port", "--sport", "--dport"):
        if words[0] in ("sockets", "top") and option in words[:-1]:
            at = words.index(option)
            sides = ("sport", "dport") if option == "--port" else (option.removeprefix("--"),)
            said = " or ".join(f"{side} = :{words[at + 1]}" for side in sides)
            return [*words[:at], *words[at + 2 :], said]
    if words[0] == "conntrack" and any(word in _CONNTRACK for word in words):
        view = next(_CONNTRACK[word] for word in words if word in _CONNTRACK)
        return ["conntrack", view, *(word for word in words[1:] if word not in _CONNTRACK)]
    found = []
    ours = {f"--{option.long}" for group in command_of(words[0]).all_groups() for option in group.options}
    for word in words:
        if word in ours:
            found.append(word)
        elif word.removeprefix("--") in _FORMATS and word.startswith("--"):
            found += ["--format", word.removeprefix("--")]
        elif word in _OPTIONS:
            found += [_OPTIONS[word]] if _OPTIONS[word] else []
        else:
            found.append(word)
    return found if found != words else []


def _filter(words: list[str], command_of: CommandOf) -> list[str]:
    """A port or an address alone, as a filter of sockets; the name of a process that runs."""
    if words[0] not in ("sockets", "top"):
        return []
    command = command_of(words[0])
    try:
        operands = parse(command.name, command.all_groups(), words[1:])[1]
    except UsageError:
        return []
    last = operands[-1] if operands and set(operands[:-1]) <= set(_ENDS) else ""
    end, _, name = last.rpartition(":")
    if last == "localhost" or (end == "localhost" and name):
        last = last.replace("localhost", "127.0.0.1")
        end, _, name = last.rpartition(":")
    if _is_address(end.strip("[]")) and (digits(name) is not None or name in services()) and not _is_address(last):
        return [*(word for word in words if word not in operands), f"src {last} or dst {last}"]
    if last and not end and name not in _ENDS and name in services():
        return [*(word for word in words if word not in operands), f"sport = :{name} or dport = :{name}"]
    rest = [word for word in words if word not in operands]
    port_text, _, of = last.partition("/")  # 80/tcp, as fuser(1) has it
    if of in ("tcp", "udp") and digits(port_text) is not None:
        last, rest = port_text, [*rest, f"-{of[0]}"]
    port = digits(last.removeprefix(":"))
    if port is not None and port < 1 << 16:
        return [*rest, f"sport = :{port} or dport = :{port}"]
    if _is_address(last):
        return [*rest, f"src {last} or dst {last}"]
    return [*rest, "--process", last] if last in processes(()) else []


def _is_service(word: str) -> bool:
    return word not in MEANT and word in services()


def _is_end(word: str) -> bool:
    host, colon, port = word.rpartition(":")
    named = bool(colon) and (port in services() or digits(port) is not None)
    return (
        digits(word) is not None
        or _is_address(word)
        or word == "localhost"
        or (named and (host in ("", "localhost") or _is_address(host.strip("[]"))))
    )


def _is_address(word: str) -> bool:
    from _socket import AF_INET, AF_INET6, inet_pton

    for family in (AF_INET, AF_INET6):
        try:
            inet_pton(family, word.partition("/")[0])
        except (OSError, ValueError):
            continue
        return True
    return False


def _counter(words: list[str], command_of: CommandOf) -> list[str]:
    """A counter that `explain` was asked for, though `stats explain` knows them, or `stats`, which takes tables."""
    if words[0] not in ("explain", "stats") or len(words) != 2:
        return []
    from ..nouns.statistics.counters import texts

    known = {
        spelling.casefold(): f"{group}.{counter}"
        for group, counters in texts().items()
        for counter in counters
        for spelling in (counter, f"{group}{counter}", f"{group}.{counter}")
    }
    if not any(map(str.isupper, words[1][1:])) or words[1].isupper():
        return []  # counters are written as one word of several
    near = [words[1].casefold()] if words[1].casefold() in known else alike_names(words[1], known)
    if near and words[0] == "stats":
        return ["stats", known[near[0]].partition(".")[0]]
    return ["stats", "explain", known[near[0]]] if near else []


def _spelt(words: list[str], error: NetinspectError, command_of: CommandOf) -> list[str]:
    """The same with the name in it that was probably meant."""
    from .slips_names import slip

    found = _counter(words, command_of)
    if found:
        return found
    given, known = slip(words, error)
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
            else _in_filter(part, given, right)
            for part in tail.split(",")
        ]
        found.append(head + ",".join(parts))
    return found


def _in_filter(part: str, given: str, right: str) -> str:
    """A name within an expression: ``sport=:htpp``, ``src 10.0.0.1:htpp``."""
    before, found, after = part.partition(given)
    alone = found and not (before[-1:].isalnum() or after[:1].isalnum())
    return f"{before}{right}{after}" if alone else part


def _base(part: str) -> str:
    """What is before the fault that a topology is given with: ``gateway+no-forwarding``."""
    return part.rpartition("+")[0]


_THERE = ("pid", "user", "container")
"""Options whose values must be there: looking for them takes a while, and what is typed may be there later."""


def makes_sense(words: list[str], command_of: CommandOf) -> bool:
    """Whether it is a command line of ours."""
    try:
        command = command_of(words[0])
        rest = words[1:]
        if command.commands:
            below = [one for one in command.commands if rest and one.name == f"{words[0]} {rest[0]}"]
            if not below:
                return not rest
            command, rest = below[0], rest[1:]
        command.read(rest, Environment(_nowhere, _nowhere, False, 80), without=_THERE)
    except NetinspectError:
        return False
    return True


def _nowhere(text: bytes) -> None:
    """Where a line that is only tried writes to."""
