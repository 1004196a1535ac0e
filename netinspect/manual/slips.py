"""What was probably meant by a command line that makes no sense: the command to type instead.

Words of other programs (ss, ip, conntrack, net-tools) and misspelt names. What is suggested exists: the options of a
suggestion are read by its command, and where they do not fit they are left out.
"""

from __future__ import annotations

from ..engine.help import alike_names, unknown
from ..engine.options import parse
from ..engine.quoting import shell_line
from ..engine.text import digits
from ..errors import NetinspectError, UsageError
from .live_names import interfaces, services
from .live_names import states as states_of
from .slips_others import changes as killing
from .slips_others import of_others

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..engine.command import Command

    CommandOf = Callable[[str], type[Command]]

_WORDS = {
    "sockets": "ss socket sock sockstat lsof tcp udp unix listen listening connections",
    "routes": "route r ro fib nexthop",
    "links": "link l li interface interfaces iface ifconfig device devices dev ethtool mii-tool brctl bridges nmcli "
    "networkctl iwconfig tunnel vrf vlan",
    "links --statistics": "netdev",
    "top": "iftop nethogs iptraf iptraf-ng bmon nload bandwhich iotop htop",
    "sockets -ap": "ps fuser pidof pgrep",
    "addresses": "address addr addrs adr a ips hostname",
    "neighbours": "neighbour neighbor neighbors neigh n arp ndp",
    "conntrack": "ct flows flow nf_conntrack connection-tracking",
    "nat": "masquerade masq snat dnat translations",
    "groups": "group multicast igmp mld maddr maddress",
    "groups routes": "mroute mrouting",
    "groups bridge": "mdb",
    "path": "trace traceroute traceroute6 tracepath mtr ping ping6",
    "drops account": "qdisc tc class",
    "rules": "rule ru",
    "conntrack events": "tcpdump tshark wireshark sniff capture packets",
    "sockets --all-netns": "netns namespace namespaces nsenter lsns",
    "capabilities": "capability caps features sysctl kernel",
    "drops": "drop dropwatch dropped",
    "stats": "stat statistics nstat counters snmp mib",
    "lab": "labs",
    "completion": "completions complete",
    "help --man": "man manual",
    "nat diagnose": "diag diagnose diagnosis doctor check iptables iptables-save ip6tables ip6tables-save nft nftables "
    "firewall firewall-cmd ufw ipset conntrackd",
    "snapshot": "save dump",
    "explain": "describe what",
    "routes get": "lookup",
    "routes cache": "tcp_metrics",
    "routes --watch": "monitor rtmon",
}
"""What others call what these commands show (ss(8), ip(8), ifconfig(8), nstat(8) …)."""
_MEANT = {word: command for command, words in _WORDS.items() for word in words.split()}
_NOT_HERE = {
    "netinspect lists no rules of a firewall, but finds those that stand in the way": "iptables iptables-save "
    "ip6tables ip6tables-save nft nftables firewall firewall-cmd ufw ipset",
    "netinspect captures no packets, but hears of flows and of what is dropped": "tcpdump tshark wireshark sniff "
    "capture packets",
    "netinspect sends nothing, but follows the path that a packet would take": "ping ping6 traceroute traceroute6 "
    "tracepath mtr",
    "netinspect lists no queueing disciplines, but what they drop": "tc qdisc class",
    "netinspect lists no processes, but the sockets that they hold": "ps pidof pgrep",
    "netinspect changes nothing": "ifup ifdown dhclient vconfig kill killall pkill tcpkill",
    "netinspect lists no forwarding tables of bridges (`bridge fdb` does)": "fdb",
    "netinspect lists no filters of VLANs (`bridge vlan` does)": "bridge-vlan",
    "netinspect asks no name server": "dig nslookup host whois resolvectl drill",
    "netinspect lists no policies of IPsec (`ip xfrm policy` does)": "xfrm ipsec",
}
"""What other programs do and this one does not, though something here may serve as well."""
_INSTEAD = {word: said for said, words in _NOT_HERE.items() for word in words.split()}
_CHANGES = frozenset(("add", "del", "delete", "change", "chg", "replace", "append", "flush", "set"))
"""What programs do that change something."""
_ENDS = ("port", "sport", "dport", "host")
"""Words before a port or an address."""
_OTHERS_OPTIONS = {
    "lsof": ("-i", "-n", "-P", "-nP", "-Pn"),
    "ip": ("-s", "-d", "-o", "-br", "-brief", "-c", "-j", "-h"),
}
"""Options of programs that say how they show what is shown here in any case, or by another option."""
_LISTED = ("show", "list", "ls", "lst", "s", "sh")
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
    changes = name in (*_MEANT, *_PREFIXES) and any(word in _CHANGES for word in objects[1:3])
    if changes or killing(arguments):
        return UsageError(f"no command {name!r}: netinspect changes nothing{_SEE}")
    said = next((_INSTEAD[word] for word in (*asked, "-".join(asked)) if word in _INSTEAD), "")
    if said:
        return UsageError(f"no command {name!r}: {said}{_SEE}")
    if (name in _MEANT or not alike_names(name, known)) and suggestion(arguments, error, known, command_of):
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
    return f"; try: {command}" if command else ""


def suggestion(
    arguments: Sequence[str], error: NetinspectError, commands: Iterable[str], command_of: CommandOf
) -> list[str]:
    """The words to type instead, after ``netinspect``; empty where nothing is known that would make sense."""
    words = list(arguments)
    if not words or killing(words):
        return []
    if words[0] not in commands:
        return _other_command(words, list(commands), command_of)
    ways = [_of_others, _renamed, _filter, _of_iproute2, _own_source, _listening, _as_options, _view]
    if error.slip[0]:  # a name that is misspelt for sure
        ways.remove(_as_options)
    found = next((found for way in ways if (found := way(words, command_of))), None)
    found = found or _spelt(words, error, command_of)
    return found if found and found != words and _makes_sense(found, command_of) else []


def _other_command(words: list[str], commands: Sequence[str], command_of: CommandOf) -> list[str]:
    rest = list(words)
    if rest[0] == "version" or rest == ["-v"]:
        return ["--version"]
    if rest[:3] == ["ip", "netns", "exec"] and len(rest) > 4:
        inner = rest[4:] if rest[4] in commands else _other_command(rest[4:], commands, command_of)
        return [*inner, "-N", rest[3]] if inner and not inner[0].startswith("-") else []
    if any(word in _CHANGES for word in rest[1:3]) and rest[0] in (*_MEANT, *_PREFIXES):
        return []
    if rest[0] == "lsof":
        rest = _of_lsof(rest)
    if rest[0] == "watch":  # watch(1): -n SECONDS
        rest = rest[1:]
        seconds = rest[1] if rest[:1] == ["-n"] and len(rest) > 1 else "1"
        rest = rest[2:] if rest[:1] == ["-n"] else rest
        inner = rest if rest and rest[0] in commands else _other_command(rest, commands, command_of) if rest else []
        every = [*inner, "--watch", seconds]
        return every if inner and _makes_sense(every, command_of) else inner
    if rest[0].startswith("-"):  # options without a command: those of ss(8)
        meant_words = ["sockets", *rest]
        meant_words = _renamed(meant_words, command_of) or meant_words
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
    if (name in _INSTEAD and name not in _MEANT) or (words[0] == "bridge" and f"bridge-{name}" in _INSTEAD):
        return []
    if name == "monitor":
        meant = _MEANT.get(rest[0]) if rest else None
        return [meant or "routes", "--watch"]
    options = ["--statistics"] if _MEANT.get(name) == "links" and not {"-s", "-S"}.isdisjoint(words) else []
    rest = [word for word in rest if word not in ("-s", "-S")] if options else rest
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
    elif rest[:1] and rest[0] in _LISTED:
        rest.pop(0)
    command = meant.split()
    if (name in _INSTEAD and meant != "path") or name in ("netns", "monitor", "rtmon"):
        return command
    if meant == "path":
        ends = [meant, *(word for word in rest if _is_address(word))]
        return _own_source(ends, command_of) or ends
    if command[0] == "sockets" and (found := _filter([*command, *options, *rest], command_of)):
        return found
    plain = [word for word in rest if not word.startswith("-")] if command[0] in _INTERFACE_OPERAND else []
    for found in ([*command, *options, *rest], [*command, *options, *plain], [*command, *options]):
        if not _makes_sense(found, command_of):
            continue
        return _of_iproute2(found, command_of) or found
    return command


_INTERFACE_OPERAND = ("links", "addresses", "neighbours")


def _of_iproute2(words: list[str], command_of: CommandOf) -> list[str]:
    """Words as ip(8) has them behind its objects: ``show``, ``dev lo``, ``table main``."""
    name, *rest = words
    if name not in (*_INTERFACE_OPERAND, "routes", "rules"):
        return []
    longs = {option.long for group in command_of(name).all_groups() for option in group.options if option.value}
    if rest[:1] and rest[0] in _LISTED:
        del rest[0]
    found = [name]
    others = {"proto": "protocol", "t": "table", **({"type": "kind"} if name == "links" else {})}
    while rest:
        word = rest.pop(0)
        if word in ("dev", "device") and rest:
            value = rest.pop(0)
            found += [value] if name in _INTERFACE_OPERAND else ["--interface", value] if "interface" in longs else []
        elif others.get(word, word) in longs and rest:
            found += [f"--{others.get(word, word)}", rest.pop(0)]
        else:
            found.append(word)
    return found if found != words else []


def _of_lsof(words: list[str]) -> list[str]:
    """lsof(8) has a protocol and what else it looks for behind -i, and states behind -s."""
    found = ["lsof"]
    for word in words[1:]:
        if word.startswith("-sTCP:LISTEN"):
            found.append("-l")
            continue
        end = word.removeprefix("-i")
        protocol, _, port = end.partition(":")
        if protocol.lower() in ("tcp", "udp"):
            found += [f"-{protocol[0].lower()}", *([f":{port}"] if port else [])]
        else:
            found += [end] if end else []
    return found


def _view(words: list[str], command_of: CommandOf) -> list[str]:
    """A view of a command that is misspelt."""
    command = command_of(words[0])
    names = [*getattr(command, "views", ()), *(below.name.rpartition(" ")[2] for below in command.commands)]
    if len(words) < 2 or words[1].startswith("-") or words[1] in names:
        return []
    near = alike_names(words[1], names)
    return [words[0], near[0], *words[2:]] if near else []


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
        elif "interface" in options and word in interfaces(()):
            found += ["--interface", word]
        elif "source" in options and _is_address(word):
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
    ends = [word for word in words[1:] if not word.startswith("-")]
    address = ends[0].rpartition(":")[0] if len(ends) == 1 and ends[0].count(":") == 1 else ends[0] if ends else ""
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


def _of_others(words: list[str], command_of: CommandOf) -> list[str]:
    """Options of other programs."""
    options = [option for group in command_of(words[0]).all_groups() for option in group.options]
    ours = {f"-{option.short}" for option in options} | {f"--{option.long}" for option in options}
    return of_others(words, ours.__contains__)


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
    """A port or an address alone, as a filter of sockets."""
    if words[0] != "sockets":
        return []
    command = command_of(words[0])
    try:
        operands = parse(command.name, command.all_groups(), words[1:])[1]
    except UsageError:
        return []
    last = operands[-1] if operands and set(operands[:-1]) <= set(_ENDS) else ""
    end, _, name = last.rpartition(":")
    if _is_address(end) and digits(name) is not None:
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
