"""The words of a condition, as ``netinspect wait`` and ``netinspect assert`` take them, made a typed condition."""

from __future__ import annotations

from ..engine.options import Flag, Group, Many, One, Option, converted, within
from ..engine.output import InNamespaces
from ..errors import ExitStatus, NetinspectError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from ..nouns.sockets.filter import Expression
    from .conditions import Condition
    from .conditions_sockets import Holders
    from .endpoint import Endpoint
    from .wait import Outcome

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
    "Conditions; `not` before one negates it:\n" + "\n".join(f"  {subject}" for subject in SUBJECTS) + "\n"
    "listening: a socket accepts connections to that address, bound to it or to a wildcard. closed: no socket except "
    "in TIME_WAIT has that local address and port, or matches FILTER. FILTER is as in `netinspect sockets`.\n"
    "route PREFIX, or `default`: the main table, the named one, or any (`all`), has exactly that route. route ADDRESS: "
    "the kernel's own lookup gives that route, with rules, tables and learned path MTUs.\n"
    "link NAME: the link exists; up: it is up and has a carrier (if it reports one); down: it is not. address: the "
    "address exists and is usable: duplicate address detection is complete.\n"
    "flow: src, dst, sport and dport are of the original direction; reply-src, reply-dst, reply-sport and reply-dport "
    "of the reply direction; also status, mark, zone, helper.\n"
    "With several namespaces, or --all-netns, a condition holds if it holds in one of them.\n"
    "Exit status: 0 the condition holds; 1 it does not (standard error shows what was found); 2 bad usage; 3 it could "
    "not be checked completely."
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

_SOCKETS = ("listening", "established", "closed")
_MOST = (1 << 32) - 1


class ConditionCommand(InNamespaces):
    """A command line with a condition: ``wait`` or ``assert``. Its view is what the condition is about."""

    operands = "[not] CONDITION"
    trouble = ExitStatus.INCOMPLETE  # FAILED says that the condition does not hold

    protocol = One[str]("tcp")
    inet = Many[str]()
    processes = Many[str]()
    pids = Many[int]()
    least = One[int](1)
    natted_to = One["Endpoint | None"](None)
    timeout = One[float](0.0)
    """Seconds; 0 says that the condition is to hold now."""
    verbose = Flag()
    json = Flag()

    negated = False

    def take_operands(self) -> None:
        """Takes ``not`` and what the condition is about. Raises UsageError."""
        while self.words and self.words[0] == "not":
            self.negated = not self.negated
            del self.words[0]
        if not self.words:
            raise UsageError(f"a condition is missing: {', '.join(_MAKERS)} (see --help)")
        self.view = self.words.pop(0)
        if self.view not in _MAKERS:
            from ..engine.help import unknown

            raise unknown("condition", self.view, _MAKERS)
        if self.view == "closed":
            self.negated = not self.negated

    def run(self) -> int:
        """Waits, says how it ended, and returns the exit status. Raises NetinspectError."""
        from .wait import Where, wait

        condition = self.condition()
        where = Where(self.netns, everywhere=self.all_netns)
        try:
            process = self.pids[0] if len(self.pids) == 1 and self.timeout > 0 else None
            outcome = wait(condition, where, self.timeout, negated=self.negated, process=process)
            instead: list[str] = []
            if not outcome.holds:
                from .conditions import shown

                try:
                    instead = (
                        shown("still there:", outcome.found)
                        if self.negated
                        else [*outcome.unknown, *condition.nearest(where.places())]
                    )
                except NetinspectError as error:
                    instead = [f"could not list what is there: {error}"]
        finally:
            where.close()
        if self.json:
            self._write_json(condition, outcome, instead)
        elif self.verbose:
            self._write_found(outcome)
        if outcome.holds:
            return ExitStatus.OK
        sure = not outcome.problems
        claim = f"condition does not hold: {condition}" if not self.negated else f"condition still holds: {condition}"
        if not sure:
            claim = f"condition could not be checked: {condition}"
        time = f" (waited {outcome.waited:.3g} s)" if self.timeout else ""
        if outcome.ended is not None:
            time = f" (process {outcome.ended} has ended)"
        self.environment.complain(claim + time, *outcome.problems, *instead)
        return ExitStatus.FAILED if sure else ExitStatus.INCOMPLETE

    def _write_found(self, outcome: Outcome) -> None:
        from ..engine.text import printable
        from .render import line

        text = "".join(f"{printable(line(record))}\n" for record in outcome.found)
        self.environment.write(text.encode("utf-8", "backslashreplace"))

    def _write_json(self, condition: Condition, outcome: Outcome, instead: Sequence[str]) -> None:
        from ..engine.structured import json_document
        from ..records import ConditionResult

        result = ConditionResult(
            str(condition),
            self.negated,
            outcome.holds,
            round(outcome.waited, 6),
            outcome.found,
            tuple(instead),
            outcome.problems,
        )
        self.environment.write(json_document([result]))

    def condition(self) -> Condition:
        """The condition; what ``negated`` says is not in it. Raises UsageError."""
        return _MAKERS[self.view](self)

    @property
    def families(self) -> tuple[str, ...]:
        """Address families of sockets."""
        return tuple(self.inet) or ("inet", "inet6")

    @property
    def holders(self) -> Holders:
        """Processes that must hold the sockets."""
        from .conditions_sockets import Holders

        return Holders(tuple(self.processes), frozenset(self.pids))

    def listening(self) -> Condition:
        """``listening [ADDRESS]:PORT``, or with --unix a name."""
        from .conditions_sockets import Listening

        target = self._one("listening takes one [ADDRESS]:PORT, or with --unix the name of a socket")
        if self.protocol == "unix":
            return Listening("unix", target, holders=self.holders)
        endpoint = _endpoint(target)
        if endpoint.port is None:
            raise UsageError(f"listening takes a port, as in :80 or {target}:80")
        return Listening(self.protocol, endpoint, self.families, self.holders)

    def established(self) -> Condition:
        """``established [FILTER]``."""
        from .conditions_sockets import Established

        text = " ".join(self.words)
        expression = self._expression(text) if text else None
        return Established(self.protocol, text, expression, self.families, self.holders, self.least)

    def closed(self) -> Condition:
        """``closed [ADDRESS]:PORT``, or a filter, or with --unix a name: the opposite of what is returned."""
        from .conditions_sockets import InUse

        if not self.words:
            raise UsageError("closed takes an [ADDRESS]:PORT, a filter, or with --unix the name of a socket")
        text = " ".join(self.words)
        if self.protocol == "unix":
            return InUse("unix", self._one("closed takes the name of one socket"), None)
        if len(text.split()) == 1:
            return InUse(self.protocol, _endpoint(text), None, self.families)
        return InUse(self.protocol, text, self._expression(text), self.families)

    def route(self) -> Condition:
        """``route PREFIX [via ADDRESS] …``."""
        from ..engine.rtnetlink import ROUTE_TYPES
        from ..nouns.routing.listing import MAIN_TABLE, Prefix
        from ..nouns.routing.names import RoutingNames
        from .conditions_routes import Routed, RouteExists, Wanted

        words = list(self.words)
        kind = words.pop(0) if words and words[0] in ROUTE_TYPES[1:12] else None
        if not words:
            raise UsageError("route takes a prefix, an address or `default`")
        target = words.pop(0)
        found: dict[str, Any] = self._pairs(words, Wanted._fields)
        for name in ("metric", "mtu"):
            if name in found:
                found[name] = converted(name, within(0, _MOST), found[name])
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
        from .conditions_links import STATES, LinkIs

        if not self.words:
            raise UsageError("link takes the name of a link")
        name, *words = self.words
        state = words.pop(0) if words and words[0] in STATES else None
        found = self._pairs(words, ("mtu", "master"))
        mtu = converted("mtu", within(0, _MOST), found["mtu"]) if "mtu" in found else None
        return LinkIs(name, state, mtu, found.get("master"))

    def address(self) -> Condition:
        """``address ADDRESS[/LENGTH] [dev NAME]``."""
        from .conditions_addresses import AddressIsUsable

        if not self.words:
            raise UsageError("address takes an address, with or without a prefix length")
        first, *words = self.words
        text, slash, length = first.partition("/")
        address = _address(text)
        found = self._pairs(words, ("dev",))
        bits = converted("the prefix length", within(0, _MOST), length) if slash else None
        if bits is not None and bits > (128 if ":" in address else 32):
            raise UsageError(f"{first!r}: the prefix is longer than the address")
        return AddressIsUsable(address, bits, found.get("dev"))

    def flow(self) -> Condition:
        """``flow [src ADDRESS] …``."""
        from ..nouns.conntrack.command_options import select
        from ..nouns.conntrack.filter import FlowFilter
        from .conditions_flows import FlowExists

        text = " ".join(self.words)
        words, wanted = text.split(), FlowFilter()
        for name, value in self._pairs(words, _FLOW_WORDS).items():
            select(wanted, _FLOW_WORDS[name], value)
        wanted.check()
        return FlowExists(text, wanted, self.natted_to, self.least)

    def member(self) -> Condition:
        """``member GROUP [dev NAME] [from SOURCE]``."""
        from .conditions_groups import Member

        if not self.words:
            raise UsageError("member takes the address of a group")
        group, *words = self.words
        found = self._pairs(words, ("dev", "from"))
        source = _address(found["from"]) if "from" in found else None
        return Member(_address(group), found.get("dev"), source)

    def _one(self, message: str) -> str:
        if len(self.words) != 1 or not self.words[0]:
            raise UsageError(message)
        return self.words[0]

    def _pairs(self, words: Sequence[str], known: Any) -> dict[str, str]:
        """Words and the values behind them. Raises UsageError."""
        found = {}
        for name, value in zip(words[::2], [*words[1::2], None][: len(words[::2])], strict=True):
            if name not in known:
                raise UsageError(f"{self.view} knows no {name!r}: {', '.join(known)}")
            if value is None:
                raise UsageError(f"{name} takes a value")
            found[name] = value
        return found

    def _expression(self, text: str) -> Expression:
        from ..nouns.sockets.filter import Lookups, parse

        protocols = [self.protocol] if self.protocol in ("tcp", "udp") else ["tcp", "udp"]
        expression = parse(text, lookups=Lookups(protocols))
        if expression.states is not None:
            raise UsageError(f"{self.view} selects the states itself: the filter cannot")
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


def _translation(text: str) -> Endpoint:
    endpoint = _endpoint(text)
    if endpoint.address is None:
        raise UsageError(f"--natted-to takes an address, with or without a port, not {text!r}")
    return endpoint


_MAKERS: dict[str, Callable[[ConditionCommand], Condition]] = {
    "listening": ConditionCommand.listening,
    "established": ConditionCommand.established,
    "closed": ConditionCommand.closed,
    "route": ConditionCommand.route,
    "link": ConditionCommand.link,
    "address": ConditionCommand.address,
    "flow": ConditionCommand.flow,
    "member": ConditionCommand.member,
}

_OF = ConditionCommand

OPTIONS = Group(
    "Condition",
    Option(
        "t",
        "tcp",
        "listening, established, closed: TCP sockets (the default)",
        to=_OF.protocol.constant("tcp"),
        views=_SOCKETS,
    ),
    Option("u", "udp", "listening, established, closed: UDP sockets", to=_OF.protocol.constant("udp"), views=_SOCKETS),
    Option(
        "x",
        "unix",
        "listening, closed: unix sockets, by name instead of port",
        to=_OF.protocol.constant("unix"),
        views=("listening", "closed"),
    ),
    Option("4", "ipv4", "listening, established, closed: IPv4 only", to=_OF.inet.constant("inet"), views=_SOCKETS),
    Option("6", "ipv6", "listening, established, closed: IPv6 only", to=_OF.inet.constant("inet6"), views=_SOCKETS),
    Option(
        "",
        "process",
        "listening, established: held by a process of this name; `*` and `?` match any text",
        "NAME",
        to=_OF.processes.value(str),
        views=("listening", "established"),
    ),
    Option(
        "",
        "pid",
        "listening, established: held by this process; `wait` fails when it ends",
        "PID",
        to=_OF.pids.value(within(1, _MOST)),
        views=("listening", "established"),
    ),
    Option(
        "",
        "count",
        "established, flow: at least NUMBER",
        "NUMBER",
        to=_OF.least.value(within(1, _MOST)),
        views=("established", "flow"),
    ),
    Option(
        "",
        "natted-to",
        "flow: source or destination translated to this",
        "ADDRESS[:PORT]",
        to=_OF.natted_to.value(_translation),
        views=("flow",),
    ),
)

SHOW = Group(
    "Output",
    Option("v", "verbose", "report what was found", to=_OF.verbose.on),
    Option("j", "json", "the result as JSON (`netinspect schema wait`)", to=_OF.json.on),
)


WORDS = tuple(_MAKERS)
"""What a condition may be about."""
