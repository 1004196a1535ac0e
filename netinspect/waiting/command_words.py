"""The words of a condition, as ``netinspect wait`` and ``netinspect assert`` take them, made a typed condition."""

from __future__ import annotations

from ..engine.options import Group, Option
from ..errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..nouns.sockets.filter import Expression
    from .conditions import Condition
    from .endpoint import Endpoint
    from .of_sockets import Holders

OPTIONS = Group(
    "Condition",
    Option("t", "tcp", "listening, established, closed: TCP sockets (so it is without -t, -u or -x)"),
    Option("u", "udp", "listening, established, closed: UDP sockets"),
    Option("x", "unix", "listening, closed: unix sockets; the name of the socket stands instead of a port"),
    Option("4", "ipv4", "listening, established, closed: IPv4 only"),
    Option("6", "ipv6", "listening, established, closed: IPv6 only"),
    Option("", "process", "listening, established: held by a process of this name; `*` and `?` match any text", "NAME"),
    Option("", "pid", "listening, established: held by this process; `wait` gives up when it has ended", "PID"),
    Option("", "count", "established, flow: at least so many", "NUMBER"),
    Option("", "natted-to", "flow: its source, or its destination, is translated to this", "ADDRESS[:PORT]"),
)

SUBJECTS = (
    "listening [ADDRESS]:PORT",
    "established [FILTER]",
    "closed [ADDRESS]:PORT | FILTER",
    "route PREFIX|ADDRESS [via ADDRESS] [dev NAME] [table TABLE] [proto NAME] [src ADDRESS] [metric NUMBER] "
    "[type TYPE] [mtu NUMBER]",
    "link NAME [up|down] [mtu NUMBER] [master NAME]",
    "address ADDRESS[/LENGTH] [dev NAME]",
    "flow [proto NAME] [src ADDRESS] [dst ADDRESS] [sport PORT] [dport PORT] [state NAME] …",
    "member GROUP [dev NAME] [from SOURCE]",
)

NOTES = (
    "Conditions, with `not` before one for the opposite:\n" + "\n".join(f"  {subject}" for subject in SUBJECTS) + "\n"
    "listening: a socket that is reached at that address; one that is bound to a wildcard is. closed: no socket has "
    "that local address and port, or fits that filter, but for TIME_WAIT. FILTER is that of `netinspect sockets`.\n"
    "route PREFIX, or `default`: the main table, the one named, or `all`, has just that route. route ADDRESS: the "
    "kernel sends there so, by its rules and tables and by what it learned (path MTU).\n"
    "link NAME: it is there; up: it is set up and has a carrier, if it knows one; down: it is not. "
    "address: it is there and can be used: duplicate address detection is over.\n"
    "flow: sport, dport, src and dst are of the original direction; reply-src, reply-dst, reply-sport and reply-dport "
    "of the reply; also status, mark, zone, helper.\n"
    "With several namespaces, or --all-netns, a condition holds where it holds in one of them."
)

_FLOW_WORDS = {
    "proto": "protocol",
    "protocol": "protocol",
    "src": "source",
    "dst": "destination",
    "sport": "source-port",
    "dport": "destination-port",
    "port": "port",
    "reply-src": "reply-source",
    "reply-dst": "reply-destination",
    "reply-sport": "reply-source-port",
    "reply-dport": "reply-destination-port",
    "state": "state",
    "status": "status",
    "mark": "mark",
    "zone": "zone",
    "helper": "helper",
}
"""Words of a flow, and the options of `netinspect conntrack` that they stand for."""

_FOR = {
    "tcp": ("listening", "established", "closed"),
    "udp": ("listening", "established", "closed"),
    "unix": ("listening", "closed"),
    "ipv4": ("listening", "established", "closed"),
    "ipv6": ("listening", "established", "closed"),
    "process": ("listening", "established"),
    "pid": ("listening", "established"),
    "count": ("established", "flow"),
    "natted-to": ("flow",),
}
"""Which conditions each option goes with."""


class Words:
    """The condition of a command line. ``take`` its options, then ask for ``condition``."""

    def __init__(self, words: Sequence[str]) -> None:
        """Raises UsageError."""
        rest = list(words)
        self.negated = False
        while rest and rest[0] == "not":
            self.negated = not self.negated
            del rest[0]
        if not rest:
            raise UsageError(f"a condition is missing: {', '.join(_MAKERS)} (see --help)")
        self.subject, *self._words = rest
        if self.subject not in _MAKERS:
            raise UsageError(f"no condition {self.subject!r}: {', '.join(_MAKERS)}")
        self.pids: list[int] = []
        self.least = 1
        self.natted_to: Endpoint | None = None
        self._protocol = "tcp"
        self._families: list[str] = []
        self._names: list[str] = []
        if self.subject == "closed":
            self.negated = not self.negated

    def take(self, name: str, value: str) -> bool:
        """Takes one option; False where it is none of these. Raises UsageError."""
        if name not in _FOR:
            return False
        if self.subject not in _FOR[name]:
            raise UsageError(f"--{name} goes with {', '.join(_FOR[name])}, not with {self.subject}")
        if name in ("tcp", "udp", "unix"):
            self._protocol = name
        elif name in ("ipv4", "ipv6"):
            self._families.append("inet" if name == "ipv4" else "inet6")
        elif name == "process":
            self._names.append(value)
        elif name == "pid":
            self.pids.append(_number("--pid", value, least=1))
        elif name == "count":
            self.least = _number("--count", value, least=1)
        else:
            self.natted_to = _endpoint(value)
            if self.natted_to.address is None:
                raise UsageError(f"--natted-to takes an address, with or without a port, not {value!r}")
        return True

    def condition(self) -> Condition:
        """The condition; what ``negated`` says is not in it. Raises UsageError."""
        return _MAKERS[self.subject](self)

    @property
    def families(self) -> tuple[str, ...]:
        """Address families of sockets."""
        return tuple(self._families) or ("inet", "inet6")

    @property
    def holders(self) -> Holders:
        """Processes that must hold the sockets."""
        from .of_sockets import Holders

        return Holders(tuple(self._names), frozenset(self.pids))

    def listening(self) -> Condition:
        """``listening [ADDRESS]:PORT``, or with --unix a name."""
        from .of_sockets import Listening

        target = self._one("listening takes one [ADDRESS]:PORT, or with --unix the name of a socket")
        if self._protocol == "unix":
            return Listening("unix", target, holders=self.holders)
        endpoint = _endpoint(target)
        if endpoint.port is None:
            raise UsageError(f"listening takes a port, as in :80 or {target}:80")
        return Listening(self._protocol, endpoint, self.families, self.holders)

    def established(self) -> Condition:
        """``established [FILTER]``."""
        from .of_sockets import Established

        text = " ".join(self._words)
        expression = self._expression(text) if text else None
        return Established(self._protocol, text, expression, self.families, self.holders, self.least)

    def closed(self) -> Condition:
        """``closed [ADDRESS]:PORT``, or a filter, or with --unix a name: the opposite of what is returned."""
        from .of_sockets import InUse

        if not self._words:
            raise UsageError("closed takes an [ADDRESS]:PORT, a filter, or with --unix the name of a socket")
        text = " ".join(self._words)
        if self._protocol == "unix":
            return InUse("unix", self._one("closed takes the name of one socket"), None)
        if len(text.split()) == 1:
            return InUse(self._protocol, _endpoint(text), None, self.families)
        return InUse(self._protocol, text, self._expression(text), self.families)

    def route(self) -> Condition:
        """``route PREFIX [via ADDRESS] …``."""
        from ..engine.rtnetlink import ROUTE_TYPES
        from ..nouns.routing.listing import MAIN_TABLE, Prefix
        from ..nouns.routing.names import RoutingNames
        from .of_routes import Routed, RouteExists, Wanted

        words = list(self._words)
        kind = words.pop(0) if words and words[0] in ROUTE_TYPES[1:12] else None
        if not words:
            raise UsageError("route takes a prefix, an address or `default`")
        target = words.pop(0)
        found: dict[str, Any] = self._pairs(words, Wanted._fields)
        for name in ("metric", "mtu"):
            if name in found:
                found[name] = _number(name, found[name])
        for name in ("via", "src"):
            if name in found:
                found[name] = _address(found[name])
        if kind is not None:
            found["type"] = kind
        if found.get("type", "unicast") not in ROUTE_TYPES[1:12]:
            raise UsageError(f"no type of route {found['type']!r}: {', '.join(ROUTE_TYPES[1:12])}")
        table: int | None = MAIN_TABLE
        if "table" in found:
            tables = RoutingNames("rt_tables")
            table = None if found["table"] == "all" else tables.number(found["table"])
            if found["table"] == "all":
                del found["table"]
            elif table is None:
                raise UsageError(f"no table {found['table']!r}")
            else:
                found["table"] = tables[table]
        if target == "default" or "/" in target:
            Prefix(target)  # raises UsageError
            return RouteExists(target, Wanted(**found), table)
        return Routed(_address(target), Wanted(**found))

    def link(self) -> Condition:
        """``link NAME [up|down] [mtu NUMBER] [master NAME]``."""
        from .of_links import STATES, LinkIs

        if not self._words:
            raise UsageError("link takes the name of a link")
        name, *words = self._words
        state = words.pop(0) if words and words[0] in STATES else None
        found = self._pairs(words, ("mtu", "master"))
        mtu = _number("mtu", found["mtu"]) if "mtu" in found else None
        return LinkIs(name, state, mtu, found.get("master"))

    def address(self) -> Condition:
        """``address ADDRESS[/LENGTH] [dev NAME]``."""
        from .of_addresses import AddressIsUsable

        if not self._words:
            raise UsageError("address takes an address, with or without a prefix length")
        first, *words = self._words
        text, slash, length = first.partition("/")
        address = _address(text)
        found = self._pairs(words, ("dev",))
        bits = _number("the prefix length", length) if slash else None
        if bits is not None and bits > (128 if ":" in address else 32):
            raise UsageError(f"{first!r}: the prefix is longer than the address")
        return AddressIsUsable(address, bits, found.get("dev"))

    def flow(self) -> Condition:
        """``flow [src ADDRESS] …``."""
        from ..nouns.conntrack.command_options import FlowOptions
        from .of_flows import FlowExists

        text = " ".join(self._words)
        words, flows = text.split(), FlowOptions()
        for name, value in self._pairs(words, _FLOW_WORDS).items():
            flows.take(_FLOW_WORDS[name], value)
        return FlowExists(text, flows.wanted, self.natted_to, self.least)

    def member(self) -> Condition:
        """``member GROUP [dev NAME] [from SOURCE]``."""
        from .of_groups import Member

        if not self._words:
            raise UsageError("member takes the address of a group")
        group, *words = self._words
        found = self._pairs(words, ("dev", "from"))
        source = _address(found["from"]) if "from" in found else None
        return Member(_address(group), found.get("dev"), source)

    def _one(self, message: str) -> str:
        if len(self._words) != 1 or not self._words[0]:
            raise UsageError(message)
        return self._words[0]

    def _pairs(self, words: Sequence[str], known: Any) -> dict[str, str]:
        """Words and the values behind them. Raises UsageError."""
        found = {}
        for name, value in zip(words[::2], [*words[1::2], None][: len(words[::2])], strict=True):
            if name not in known:
                raise UsageError(f"{self.subject} knows no {name!r}: {', '.join(known)}")
            if value is None:
                raise UsageError(f"{name} takes a value")
            found[name] = value
        return found

    def _expression(self, text: str) -> Expression:
        from ..nouns.sockets.filter import Lookups, parse

        protocols = [self._protocol] if self._protocol in ("tcp", "udp") else ["tcp", "udp"]
        expression = parse(text, lookups=Lookups(protocols))
        if expression.states is not None:
            raise UsageError(f"{self.subject} says which states are meant: the filter cannot")
        return expression


def _endpoint(text: str) -> Endpoint:
    from .endpoint import Endpoint

    try:
        return Endpoint.parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _address(text: str) -> str:
    from .endpoint import address_of

    try:
        return address_of(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _number(name: str, text: str, *, least: int = 0) -> int:
    if not (text.isascii() and text.isdecimal() and least <= int(text) < 1 << 32):
        raise UsageError(f"{name} takes a whole number from {least}, not {text!r}")
    return int(text)


_MAKERS: dict[str, Callable[[Words], Condition]] = {
    "listening": Words.listening,
    "established": Words.established,
    "closed": Words.closed,
    "route": Words.route,
    "link": Words.link,
    "address": Words.address,
    "flow": Words.flow,
    "member": Words.member,
}
