"""What the commands can do, the API can: each option has its keyword, and each keyword its option or operand."""

from __future__ import annotations

import inspect

import pytest

import netinspect
from netinspect import conditions
from netinspect.engine.command import Command
from netinspect.engine.output import ListingCommand
from netinspect.main import COMMANDS, command_of

WITHOUT = {
    "netstat": "net-tools' layouts of what the other commands list",
    "top": "a screen: rates come from two listings of `sockets(tcp_info=True)`",
    "explain": "text for people; the meaning of a counter is in each Statistic",
    "lab": "netinspect.testing has labs",
    "schema": "records have their types",
    "completion": "for shells",
    "help": "help(netinspect)",
}
"""Commands that are no function, and why."""

WITHOUT_VIEW = {
    ("conntrack", "monitor"): "rates of `flow_events`, counted by the second",
    ("stats", "explain"): "each Statistic has its meaning",
}

OUTPUT = frozenset(
    (
        *("format", "json", "columns", "sort", "no-header", "watch", "color", "no-pager", "wide", "help", "verbose"),
        *("numeric", "numeric-hosts", "numeric-ports", "numeric-users", "resolve", "timers", "counters"),
    )
)
"""How rows are shown: records have every field, and the values themselves."""

_SOCKETS = dict.fromkeys(
    ("tcp", "udp", "udplite", "mptcp", "sctp", "dccp", "raw", "unix", "packet", "netlink", "tipc", "vsock", "xdp"),
    "sockets.protocols",
)
_FAMILIES = ("ipv4", "ipv6")
_FLOW_OPTIONS = {
    **dict.fromkeys(_FAMILIES, "families"),
    "protocol": "protocols",
    **{f"{end}": end.replace("-", "_") for end in ("source", "destination", "reply-source", "reply-destination")},
    **{
        f"{end}-port": f"{end.replace('-', '_')}_port"
        for end in ("source", "destination", "reply-source", "reply-destination")
    },
    "port": "port",
    "state": "states",
    **dict.fromkeys(("status", "src-nat", "dst-nat", "assured", "unreplied"), "status"),
    "mark": "marks",
    "zone": "zones",
    "helper": "helpers",
    "min-bytes": "minimum_bytes",
}
_FLOWS = {option: f"flows.{keyword}" for option, keyword in _FLOW_OPTIONS.items()}

KEYWORDS: dict[str, dict[str, str]] = {
    "sockets": {
        **_SOCKETS,
        **dict.fromkeys(_FAMILIES, "sockets.families"),
        **dict.fromkeys(("state", "listening", "all"), "sockets.states"),
        "pid": "sockets.pids",
        "process": "sockets.process_names",
        "user": "sockets.users",
        "container": "sockets.containers",
        "processes": "sockets.processes",
        "extended": "sockets.cgroups",
        "info": "sockets.tcp_info",
        "memory": "sockets.memory",
        "peers": "sockets.peers",
        "summary": "socket_counts",
    },
    "routes": {
        **dict.fromkeys((*_FAMILIES, "mpls"), "routes.families"),
        "table": "routes.table",
        "protocol": "routes.protocol",
        "type": "routes.type",
        "interface": "routes.interface",
        "scope": "routes.scope",
        "via": "routes.via",
        "source": "routes.source",
    },
    "links": {
        "kind": "links.kind",
        "master": "links.master",
        "up": "links.up",
        "statistics": "links",
        "rates": "links.rates",
        "tree": "links",
    },
    "addresses": {**dict.fromkeys(_FAMILIES, "addresses.families"), "scope": "addresses.scope"},
    "neighbours": {
        **dict.fromkeys(_FAMILIES, "neighbours.families"),
        "state": "neighbours.states",
        "all": "neighbours.everything",
    },
    "rules": dict.fromkeys(_FAMILIES, "rules.families"),
    "conntrack": {
        **_FLOWS,
        "any-nat": "flows.translated",
        "extended": "flows",
        "by": "flow_groups.by",
        "limit": "flow_groups",
        "event": "flow_events.events",
        "interval": "flow_events",
        "times": "flow_events",
        "for": "flow_events.seconds",
        "buffer": "flow_events.buffer",
    },
    "groups": {
        **dict.fromkeys((*_FAMILIES, "link"), "memberships.families"),
        "interface": "memberships.interfaces",
        "group": "memberships.groups",
        "sockets": "memberships.sockets",
        "extended": "memberships",
        "interval": "membership_events.interval",
        "times": "membership_events",
        "for": "membership_events.seconds",
    },
    "nat": {
        **{option: text.replace("flows.", "translations.") for option, text in _FLOWS.items()},
        "any-nat": "translations",
        "extended": "translations",
        "processes": "translations.processes",
        "sample": "diagnose.sample",
    },
    "path": {
        "protocol": "path.protocol",
        "source-port": "path.source_port",
        "iif": "path.iif",
        "mark": "path.mark",
        "from-namespace": "path.from_namespace",
    },
    "drops": {
        "times": "drops",
        "for": "drops.seconds",
        "interval": "drop_counts.seconds",
        "all": "drop_account.zeros",
    },
    "stats": {
        **dict.fromkeys(("tcp", "udp", "raw", *_FAMILIES), "statistics.tables"),
        "interface": "statistics.interfaces",
        "nonzero": "statistics.nonzero",
        "rates": "statistics.seconds",
        "save": "save_sample",
        "since": "statistics.since",
    },
    "capabilities": dict.fromkeys(("all", "summary"), "capabilities"),
    "wait": {
        **dict.fromkeys(("tcp", "udp", "unix"), "wait_for.protocol"),
        **dict.fromkeys(_FAMILIES, "wait_for.families"),
        "process": "wait_for.process_names",
        "pid": "wait_for.pids",
        "count": "wait_for.count",
        "natted-to": "wait_for.natted_to",
        "timeout": "wait_for.timeout",
    },
    "assert": {
        **dict.fromkeys(("tcp", "udp", "unix"), "check.protocol"),
        **dict.fromkeys(_FAMILIES, "check.families"),
        "process": "check.process_names",
        "pid": "check.pids",
        "count": "check.count",
        "natted-to": "check.natted_to",
    },
    "snapshot": dict.fromkeys(("only", "ignore"), "take_snapshot.nouns"),
    "diff": {**dict.fromkeys(("only", "ignore"), "compare.nouns"), "all-fields": "compare.all_fields"},
}
"""By command and option: a function, and its keyword. A function alone: what it returns has it, or it can be cut."""

WITHOUT_KEYWORD = {
    ("path", "probe"): "it sends packets: the command asks first",
    ("path", "yes"): "goes with --probe",
    ("path", "watch"): "`drops` and `flow_events` are what it watches",
    ("path", "for"): "goes with --watch",
}

VIEWS = {
    ("routes", "list"): "routes",
    ("routes", "show"): "routes",
    ("routes", "get"): "route_to",
    ("routes", "cache"): "routes.exceptions",
    ("routes", "summary"): "route_counts",
    ("conntrack", "list"): "flows",
    ("conntrack", "count"): "flow_count",
    ("conntrack", "stats"): "flow_statistics",
    ("conntrack", "top"): "flow_groups",
    ("conntrack", "expectations"): "expectations",
    ("conntrack", "events"): "flow_events",
    ("groups", "list"): "memberships",
    ("groups", "watch"): "membership_events",
    ("groups", "routes"): "multicast_routes",
    ("groups", "interfaces"): "multicast_interfaces",
    ("groups", "bridge"): "bridge_groups",
    ("nat", "list"): "translations",
    ("nat", "hosts"): "inside_hosts",
    ("nat", "outside"): "outside_addresses",
    ("nat", "diagnose"): "diagnose",
    ("drops", "live"): "drops",
    ("drops", "count"): "drop_counts",
    ("drops", "account"): "drop_account",
    ("stats", "list"): "statistics",
    ("stats", "health"): "health",
}

OPERANDS = frozenset(
    (
        *("sockets.filter", "drops.filter", "drop_counts.filter"),
        *("routes.prefix", "routes.match", "route_to.address", "path.source", "path.destination", "diagnose.flow"),
        *("links.names", "addresses.interface", "neighbours.interface", "wait_for.condition", "check.condition"),
        *("compare.before", "compare.after", "load_snapshot.path", "save_sample.path"),
        *("health.seconds", "health.since", "drop_account.seconds", "name_bytes.name", "socket_address.name"),
        *("socket_counts.found", "route_counts.found", "flow_groups.found", "inside_hosts.found"),
        "outside_addresses.found",
        *(f"route_to.{name}" for name in ("source", "iif", "oif", "mark", "uid", "tos", "ipproto", "sport", "dport")),
    )
)
"""Keywords that are operands of the command, or the words of a view."""

FIELDS = frozenset(("sockets.user_names",))
"""Keywords for a field that costs time, where the command shows it by itself."""


def commands() -> list[type[Command]]:
    return [command_of(name) for name in COMMANDS if name not in WITHOUT]


def exists(target: str) -> bool:
    name, _, keyword = target.partition(".")
    return name in netinspect.__all__ and (
        not keyword or keyword in inspect.signature(getattr(netinspect, name)).parameters
    )


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.name)
def test_each_option_and_view_has_its_function_and_keyword(command: type[Command]) -> None:
    known = KEYWORDS[command.name]
    for option in command.options():
        name = option.long or option.short
        if name in ("netns", "all-netns") or (name in OUTPUT and (command.name, name) not in WITHOUT_KEYWORD):
            continue
        if (command.name, name) in WITHOUT_KEYWORD:
            assert name not in known
            continue
        assert name in known, f"--{name}: give it a keyword, or say in WITHOUT_KEYWORD why it has none"
        assert exists(known[name]), known[name]
    assert known.keys() <= {option.long or option.short for option in command.options()}
    if issubclass(command, ListingCommand):
        for view in command.views:
            assert ((command.name, view) in WITHOUT_VIEW) is not exists(VIEWS.get((command.name, view), "?")), view


def test_each_keyword_has_its_option() -> None:
    used = (
        {target for known in KEYWORDS.values() for target in known.values()} | set(VIEWS.values()) | OPERANDS | FIELDS
    )
    # Functions of one noun take what the first of them takes.
    alike = {
        "flow_events": "flows",
        "membership_events": "memberships",
        "multicast_routes": "memberships",
        "multicast_interfaces": "memberships",
        "bridge_groups": "memberships",
        "drop_counts": "drops",
    }
    for name in netinspect.__all__:
        entry = getattr(netinspect, name)
        if inspect.isclass(entry):  # what functions return
            continue
        for keyword in inspect.signature(entry).parameters:
            if keyword in ("netns", "all_netns"):
                continue
            assert f"{name}.{keyword}" in used or f"{alike.get(name)}.{keyword}" in used, f"{name}({keyword}=)"


def test_each_word_of_a_condition_has_its_typed_function() -> None:
    from netinspect.waiting.words import WORDS

    assert {name for name in conditions.__all__ if name != "Condition"} == {
        "membership" if word == "member" else word for word in WORDS
    }
