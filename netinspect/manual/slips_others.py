"""Options of other programs at commands of ours, where ours has another one, or needs none."""

from __future__ import annotations

from ..engine.text import digits
from .live_names import interfaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_BRIEF = frozenset(
    ["-br", "-brief", "-o", "-oneline", "-d", "-details", "-c", "-color", "-h", "-human", "-p", "-pretty"]
)
"""Of ip(8): how it shows what is shown here in any case."""
_OF_IP = ("links", "addresses", "neighbours", "routes", "rules")
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
    return words[:1] in (["sockets"], ["ss"]) and ends


def of_others(words: list[str], known: Callable[[str], bool]) -> list[str]:
    """The same in our options; empty where nothing of it is another program's. ``known`` tells of this command's."""
    name, *rest = words
    if name in _OF_IP:
        found = [word for word in rest if word not in _BRIEF or known(word)]
    elif name == "stats":  # nstat -az
        found = [word for word in rest if not (word[:1] == "-" and word[1:] and set(word[1:]) <= set("asz"))]
    elif name == "nat":
        found = [word for word in rest if word not in ("-L", "--list")]
    elif name == "top":
        found = _of_top(rest)
    elif name == "sockets":
        found = _of_sockets(rest)
    else:
        return []
    return [name, *found] if found != rest else []


def _of_top(rest: Sequence[str]) -> list[str]:
    """top(1): -d SECONDS, -b, -n SAMPLES; and what rates are added up by."""
    found: list[str] = []
    for word, before in zip(rest, ("", *rest), strict=False):
        number = digits(word) is not None or word.replace(".", "", 1).isdecimal()
        if word == "-b" or (word == "-n" and "-b" in rest):
            found += ["--once"] if "--once" not in found else []
        elif number and before == "-n":
            continue
        elif number and before == "-d" and found[-1:] == ["-d"]:
            found[-1:] = ["--interval", word]
        elif before == "--by":
            found.append(_GROUP.get(word, word))
        elif word.startswith("--by="):
            found.append(f"--by={_GROUP.get(word[5:], word[5:])}")
        else:
            found.append(word)
    return found


def _of_sockets(rest: Sequence[str]) -> list[str]:
    """lsof(8): -iTCP:22; ss(8): -E; and an interface alone."""
    found: list[str] = []
    said: list[str] = []
    for word in rest:
        protocol, _, port = word.removeprefix("-i").partition(":")
        if word in ("-E", "--events"):
            found += ["--watch", "1"]
        elif word.startswith("-i") and protocol.lower() in ("tcp", "udp"):
            found.append(f"--{protocol.lower()}")
            said += [f"sport = :{port} or dport = :{port}"] if port else []
        elif not word.startswith("-") and word in interfaces(()):
            said.append(f"dev = {word}")
        else:
            found.append(word)
    return [*found, *said]
