"""Options of other programs at commands of ours, where ours has another one, or needs none."""

from __future__ import annotations

from ..engine.text import digits
from .live_names import interfaces, services
from .slips_options import events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_QUIET = frozenset(
    ("-br", "-brief", "-o", "-oneline", "-d", "-details", "-c", "-color", "-h", "-human", "-p", "-pretty")
)
"""Of ip(8): how it shows what is shown here in any case."""
_FORMATS = ("json", "ndjson", "csv", "table", "yaml", "wide")
_OF_IP = ("links", "addresses", "neighbours", "routes", "rules")
_EVENTS = frozenset(("new", "update", "updates", "destroy", "all"))
_GROUPS = {
    "process": "pid program proc command cmd app pids processes",
    "remote": "ip host peer address destination dst remotes hosts",
    "container": "pod docker namespace containers pods",
    "state": "states status",
}
_GROUP = {word: group for group, words in _GROUPS.items() for word in words.split()}


def changes(words: Sequence[str]) -> bool:
    """Whether it would end connections, as `ss -K`, or flows of NAT."""
    ends = any(word == "--kill" or (word[:1] == "-" != word[1:2] and "K" in word) for word in words[1:])
    if words[:1] == ["fuser"]:
        return any(word[:1] == "-" and "k" in word for word in words[1:])
    return words[:1] in (["sockets"], ["ss"]) and ends


def of_others(words: list[str], known: Callable[[str], bool]) -> list[str]:
    """The same in our options; the words themselves where nothing is another program's. ``known`` tells of ours."""
    name, *rest = words
    if name in _OF_IP:
        formats = [at for at, word in enumerate(rest[1:]) if word in _FORMATS]  # -o json, as other programs have it
        return [name, *(word for at, word in enumerate(rest) if word not in _QUIET or known(word) or at in formats)]
    if name == "top":
        return [name, *_of_top(rest)]
    if name == "sockets":
        return [name, *_of_sockets(rest)]
    if name in ("conntrack", "nat"):
        return [name, *_of_conntrack(rest)]
    if name == "stats":  # nstat(8): -z shows what is 0, as is done here in any case
        return [name, *(word for word in rest if word not in ("-az", "-za", "-asz", "-sz", "-zs"))]
    if name == "wait" or name == "assert":
        return [name, *_of_wait(rest)]
    return words


_TABS = frozenset(("sockets", "flows", "nat", "links", "drops", "health"))


def _of_top(rest: Sequence[str]) -> list[str]:
    """top(1): -d SECONDS, -b, -n SAMPLES, -p PID, -u USER; a tab, which a key chooses; what rates are added up by."""
    found: list[str] = []
    for word, before in zip(rest, ("", *rest), strict=False):
        number = digits(word) is not None or word.replace(".", "", 1).isdecimal()
        if word == "-b" or (word == "-n" and "-b" in rest):
            found += ["--once"] if "--once" not in found else []
        elif number and before == "-n":
            found = [*(each for each in found if each not in ("-n", "--once")), "--once"]
        elif number and before == "-d" and found[-1:] == ["-d"]:
            found[-1:] = ["--interval", word]
        elif number and before == "-p" and found[-1:] == ["-p"]:
            found[-1:] = ["--pid", word]
        elif before == "-u" and found[-1:] == ["-u"] and _is_user(word):
            found[-1:] = ["--user", word]
        elif before == "--by":
            found.append(_GROUP.get(word, word))
        elif word.startswith("--by="):
            found.append(f"--by={_GROUP.get(word[5:], word[5:])}")
        elif word not in _TABS or before.startswith("-"):
            found.append(word)
    return found


def _of_sockets(rest: Sequence[str]) -> list[str]:
    """lsof(8): -iTCP:22, -u USER; and an interface, a user or a process's name alone."""
    found: list[str] = []
    said: list[str] = []
    for word, before in zip(rest, ("", *rest), strict=False):
        protocol, _, port = word.removeprefix("-i").partition(":")
        if word.startswith("-i") and protocol.lower() in ("tcp", "udp"):
            found.append(f"--{protocol.lower()}")
            said += [f"sport = :{port} or dport = :{port}"] if port else []
        elif before == "-u" and found[-1:] == ["-u"] and _is_user(word):
            found[-1:] = ["--user", word]
        elif before[:1] == "-" != before[1:2] and before[-1:] == "p" and word.isidentifier() and word not in services():
            found += ["--process", word]
        elif not word.startswith("-") and word in interfaces(()):
            said.append(f"dev = {word}")
        else:
            found.append(word)
    return [*found, *said]


def _is_user(word: str) -> bool:
    from pwd import getpwnam

    from ..engine.in_time import in_time

    try:
        return bool(word.isidentifier() and in_time(getpwnam, word))
    except (KeyError, OSError):
        return False


def _of_conntrack(rest: Sequence[str]) -> list[str]:
    """conntrack(8): -e EVENTS, and the table behind a command."""
    found: list[str] = []
    for word, before in zip(rest, ("", *rest), strict=False):
        if before == "-e" and found[-1:] == ["-e"] and _EVENTS.issuperset(word.lower().split(",")):
            found[-1:] = events(word)
        elif word == "expect" and found == ["list"]:
            found = ["expectations"]
        elif word == "expect" and found == ["events"]:
            found += ["--event", "expect"]
        elif word == "conntrack" and found in (["list"], ["events"], ["count"]):
            continue
        else:
            found.append(word)
    return found


def _of_wait(rest: Sequence[str]) -> list[str]:
    """A link or a port in another order: ``up eth0``, ``tcp 22``; and -t SECONDS."""
    found = list(rest)
    if found[:1] in (["up"], ["down"]) and len(found) > 1:
        return ["link", found[1], found[0], *found[2:]]
    if found[:1] == ["link"] and found[1:2] in (["up"], ["down"]) and len(found) > 2:
        return ["link", found[2], found[1], *found[3:]]
    if found[:1] in (["established"], ["closed"]) and len(found) == 2 and " " not in found[1]:
        address, _, port = found[1].rpartition(":")
        if digits(port) is not None and found[0] == "established":
            end = f"dst {found[1]}" if address else f"sport = :{port} or dport = :{port}"
            return [found[0], end]
    if found[:1] in (["tcp"], ["udp"]) and len(found) > 1:
        return ["listening", f"--{found[0]}", *found[1:]]
    if found[:1] == ["free"] and len(found) > 1:
        return ["not", "listening", *found[1:]]
    if found[:1] == ["localhost"] or (found[:1] and found[0].startswith("localhost:")):
        return ["listening", found[0].replace("localhost", "127.0.0.1"), *found[1:]]
    if found[:1] and found[0] in services():
        return ["listening", f":{found[0]}", *found[1:]]
    if found[:1] == ["listening"] and found[-2:-1] == ["-t"] and len(found) > 3:
        return [*found[:-2], "--timeout", found[-1]]
    if found[:2] == ["listening", "--port"]:
        return ["listening", *found[2:]]
    return found
