"""Options that other programs have, by the command here that shows the same: what to type in their place.

ss(8), netstat(8), ip(8), conntrack(8), nstat(8), ethtool(8), dropwatch(1), traceroute(8), and what many programs share.
"""

from __future__ import annotations

from ..engine.text import digits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..engine.options import Option

_TABLE = """
*           --json-pretty --pretty -J             : --json
*           --jsonl --json-lines --ndjson         : --format ndjson
*           --yaml --xml --tsv --html             : NO_FORMAT
*           --output= -o=                         : FORMAT
*           -w? --interval= --every=              : --watch {}
*           -f --follow --continuous              : --watch 1
*           --all-namespaces                      : --all-netns
*           --ns= --net= -netns= --network-namespace= : --netns {}
*           --no-headers --noheader --noheadings --no-heading : --no-header
*           -v --verbose -n --numeric --oneline   :
*           -V                                    : ! `netinspect --version` shows the version
*           --inet                                : --ipv4
*           --inet6                               : --ipv6
*           --family=                             : FAMILY
sockets     -A= --query= --socket=                : TABLES
sockets     -f=                                   : FAMILY
sockets     -O -Q --no-queues -r --resolve        :
sockets     -T --threads                          : --processes
sockets     --cgroup                              : --extended
sockets     -E --events                           : --watch 1
sockets     -Z -z --context --contexts            : ! `netinspect netstat -Z` shows the contexts of SELinux
sockets     -b --bpf                              : ! netinspect shows no filters that programs attach to sockets
sockets     --tos --inet-sockopt --tipcinfo       : ! netinspect shows no options that programs set at sockets
sockets     -D= --diag= -F= --filter=             : ! netinspect writes no files of ss(8), but `netinspect snapshot`
sockets     -B --bound-inactive                   : --state bound-inactive
sockets     -c                                    : --watch 1
sockets     --program= --programs= --command=     : --process {}
sockets     --uid=                                : --user {}
links       -4 -6                                 : ! `netinspect addresses` has -4 and -6
links       -i= --interface= --dev=               : {}
links       -S --stats -statistics --stat         : --statistics
links       -k -g -a -e -r -l -m -t -P --all      :
links       --type=                               : --kind {}
addresses   -i= --interface= --dev=               : {}
addresses   -a --all -I                           :
addresses   -s -statistics --statistics           : ! `netinspect links -s` has the counters
neighbours  -i= --interface= --dev=               : {}
neighbours  --nud=                                : --state {}
neighbours  -s -e -D                              :
routes      -e -F -a -ee -s                       :
routes      -C                                    : cache
routes      -T=                                   : --table {}
routes      --get=                                : get {}
rules       -a -s                                 :
rules       --table= -t=                          : ! netinspect lists all rules: see the column Action
conntrack   --src= --orig-src=                    : --source {}
conntrack   --dst= --orig-dst=                    : --destination {}
conntrack   --reply-src=                          : --reply-source {}
conntrack   --reply-dst=                          : --reply-destination {}
conntrack   --protonum= --proto=                  : --protocol {}
conntrack   --sport= --orig-port-src=             : --source-port {}
conntrack   --dport= --orig-port-dst=             : --destination-port {}
conntrack   --reply-port-src=                     : --reply-source-port {}
conntrack   --reply-port-dst=                     : --reply-destination-port {}
conntrack   --orig-zone= --reply-zone=            : --zone {}
conntrack   --event-mask=                         : EVENTS
conntrack   -f=                                   : FAMILY
conntrack   -b= --buffer-size=                    : --buffer {}
conntrack   -o= --output=                         : TRACKED
conntrack   -g                                    : --dst-nat
conntrack   -z --zero                             : ! netinspect changes nothing, counters neither
conntrack   -l= --label=                          : ! netinspect selects by no label: -e shows them
nat         --src= --orig-src=                    : --source {}
nat         --dst= --orig-dst=                    : --destination {}
nat         --sport=                              : --source-port {}
nat         --dport=                              : --destination-port {}
nat         -t= -L --list -S                      :
nat         -v                                    : --extended
drops       -c -s --summary --stat --count        : count
drops       -p= --pid=                            : pid {}
drops       -i= --interface= --dev=               : dev {}
drops       -t= -d= --seconds= --duration= --timeout= : --for {}
drops       -w?                                   :
drops       --follow -f -l=                       :
path        -t --tcp -T                           : tcp
path        -u --udp -U                           : udp
path        -I --icmp                             : icmp
path        -n -4 -6 --numeric                    :
path        --dport= --port=                      : dport {}
path        --sport=                              : --source-port {}
path        --src= --source= -s=                  : src {}
path        --dst= --destination=                 : dst {}
stats       -s -a --zeros                         :
stats       -d?                                   : --watch {}
stats       -c                                    : --watch 1
top         -s= -d=                               : --interval {}
top         -b                                    : --once
top         -o=                                   : --sort {}
wait        --for=                                : --timeout {}
capabilities -v --verbose                         : --all
snapshot    -o= --output= --save=                 : {}
diff        -u -r                                 :
completion  --bash                                : bash
completion  --zsh                                 : zsh
completion  --fish                                : fish
explain     -l --list -a --all                    :
help        -a --all                              :
"""
"""A command, options, and the words to type. ``=``: it takes a value, ``?``: a number may follow; {} stands for it.
A word in capitals is one of _MADE; behind ! is said why there is nothing to type."""

_FAMILIES = {
    "inet": "--ipv4",
    "inet4": "--ipv4",
    "ipv4": "--ipv4",
    "inet6": "--ipv6",
    "ipv6": "--ipv6",
    "4": "--ipv4",
    "6": "--ipv6",
    "link": "--packet",
    "unix": "--unix",
    "netlink": "--netlink",
    "vsock": "--vsock",
    "tipc": "--tipc",
    "xdp": "--xdp",
}
_QUERIES = {
    "inet": "tcp mptcp udp raw sctp dccp",
    "all": "",
    "packet_raw": "packet",
    "packet_dgram": "packet",
    **dict.fromkeys(("unix_stream", "unix_dgram", "unix_seqpacket", "u_str", "u_dgr", "u_seq"), "unix"),
    **dict.fromkeys(("vsock_stream", "vsock_dgram", "v_str", "v_dgr"), "vsock"),
}


def _families(value: str) -> list[str]:
    return [_FAMILIES.get(value, "! the families are inet, inet6, link, unix, netlink, vsock, tipc and xdp")]


def _tables(value: str) -> list[str]:
    named = [name for query in value.split(",") for name in _QUERIES.get(query, query).split()]
    return [f"--{name}" for name in dict.fromkeys(named)]


def _format(value: str) -> list[str]:
    known = {"jsonl": "ndjson", "json-lines": "ndjson", "jsonlines": "ndjson", "pretty": "json"}
    value = known.get(value, value)
    return ["--format", value] if value in _FORMATS else [_NO_FORMAT]


def _tracked(value: str) -> list[str]:
    """conntrack(8) -o: extended, id, labels, timestamp, ktimestamp, xml, save."""
    if not {"xml", "save"}.isdisjoint(value.split(",")):
        return [_NO_FORMAT]
    return ["--extended"] if value not in _FORMATS else ["--format", value]


def events(value: str) -> list[str]:
    """Our options for conntrack(8)'s names of events: new, updates, destroy and all."""
    names = ["update" if name == "updates" else name.rstrip("s") for name in value.lower().split(",")]
    return [] if "all" in names else ["--event", ",".join(names)]


_FORMATS = ("table", "json", "ndjson", "csv")
_NO_FORMAT = "! the formats are table, json, ndjson and csv"
_MADE = {
    "FORMAT": _format,
    "NO_FORMAT": lambda _: [_NO_FORMAT],
    "FAMILY": _families,
    "TABLES": _tables,
    "TRACKED": _tracked,
    "EVENTS": events,
}

_VIEWS = {
    "nat": {
        "show": "list",
        "rules": "diagnose",
        "check": "diagnose",
        "top": "hosts",
        "users": "hosts",
        "ports": "outside",
    },
    "drops": {
        "events": "live",
        "list": "live",
        "show": "live",
        "reasons": "count",
        "stat": "count",
        "counters": "account",
    },
    "groups": {
        "members": "list",
        "show": "list",
        "memberships": "list",
        "events": "watch",
        "vif": "interfaces",
        "mroute": "routes",
        "mdb": "bridge",
    },
    "conntrack": {"expect": "expectations", "show": "list", "dump": "list", "size": "count", "statistics": "stats"},
    "explain": {"all": "", "list": "", "states": "", "help": ""},
    "help": {"all": ""},
    "lab": {
        **dict.fromkeys(("ls", "topologies", "show", "topology"), "list"),
        **dict.fromkeys(("ps", "inspect", "info"), "status"),
        **dict.fromkeys(("start", "create", "new", "add"), "up"),
        **dict.fromkeys(("stop", "rm", "remove", "destroy", "delete", "del", "kill"), "down"),
        **dict.fromkeys(("enter", "attach", "sh", "bash", "login", "console"), "shell"),
        "fix": "mend",
        "repair": "mend",
        "ping": "traffic",
        "send": "traffic",
        "test": "run",
    },
    "wait": {"connected": "established", "open": "listening", "connection": "established", "group": "member"},
}
_VIEWS["assert"] = _VIEWS["wait"]
"""By command, what others call a view of it."""


def _rows() -> dict[str, dict[str, tuple[str, str]]]:
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for line in _TABLE.strip().splitlines():
        options, _, words = line.partition(" :")
        command, *spellings = options.split()
        for spelling in spellings:
            name = spelling.rstrip("=?")
            found.setdefault(command, {})[name] = spelling[len(name) :], words.strip()
    return found


_ROWS = _rows()


class Translated:
    """A command line in the words of a command here."""

    def __init__(self, words: Sequence[str], options: Iterable[Option], *, listing: bool) -> None:
        """``words`` are the command and what stands behind it, ``options`` those that the command has.

        ``listing``: it takes what all listings take.
        """
        self.said: list[str] = []
        """Why there is nothing to type for an option."""
        self._ours: dict[str, bool] = {}
        for option in options:
            taken = option.value is not None and not option.optional
            self._ours |= dict.fromkeys((f"-{option.short}", f"--{option.long}"), taken)
        name, *self._rest = words
        self._name = name
        like = {"nat": "conntrack", "assert": "wait", "top": "sockets"}.get(name, name)
        self._foreign: Mapping[str, tuple[str, str]] = {
            **(_ROWS["*"] if listing else {}),
            **_ROWS.get(like, {}),
            **_ROWS.get(name, {}),
        }
        self._found: list[str] = []
        while self._rest:
            self._one(self._rest.pop(0))
        self.words = [name, *_view(name, self._found)]

    def _one(self, word: str) -> None:
        if word == "--":
            self._found += [word, *self._rest]
            self._rest = []
        elif word[:2] == "--" or (word in self._foreign and word not in self._ours):
            name, equals, value = word.partition("=")
            if name in self._ours:
                self._found.append(word)
                if self._ours[name] and not equals and self._rest:
                    self._found.append(self._rest.pop(0))
            elif name in self._foreign:
                self._put(name, value if equals else None)
            else:
                self._found.append(word)
        elif word[:1] == "-" and len(word) > 1:
            self._cluster(word)
        else:
            self._found.append(word)

    def _cluster(self, word: str) -> None:
        """Letters behind one dash."""
        kept = "-"
        for at, letter in enumerate(word[1:], 1):
            option, more = f"-{letter}", word[at + 1 :]
            number = self._rest and digits(self._rest[0]) is not None
            if option == "-w" and not more and number and self._ours.get(option) is False:
                self._keep(kept)  # a number is no filter: of seconds, as watch(1) and vmstat(8) have them
                self._found += ["--watch", self._rest.pop(0)]
                return
            if option in self._ours or option not in self._foreign:
                kept += letter
                if self._ours.get(option):
                    kept += more
                    self._keep(kept)
                    if not more and self._rest:
                        self._found.append(self._rest.pop(0))
                    return
                continue
            if self._foreign[option][0] == "=":
                self._keep(kept)
                self._put(option, more or None)
                return
            self._put(option, None)
        self._keep(kept)

    def _keep(self, cluster: str) -> None:
        if cluster != "-":
            self._found.append(cluster)

    def _put(self, option: str, value: str | None) -> None:
        takes, words = self._foreign[option]
        if takes == "=" and value is None:
            if not self._rest:
                self._found.append(option)
                return
            value = self._rest.pop(0)
        if takes == "?" and value is None:
            value = self._rest.pop(0) if self._rest and digits(self._rest[0]) is not None else ""
        made = _MADE.get(words)
        new = made(value or "") if made is not None else [words] if words[:1] == "!" else words.split()
        for word in new:
            if word[:1] == "!":
                self.said.append(word[2:])
            elif word.startswith("--") and word not in self._ours:
                self.said.append(f"{self._name} has no {word}")
            else:
                self._found.append(word.replace("{}", value or "1"))


def _view(name: str, words: list[str]) -> list[str]:
    views = _VIEWS.get(name, {})
    if not words or words[0] not in views:
        return words
    return [view for view in (views[words[0]], *words[1:]) if view]
