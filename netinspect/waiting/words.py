"""The words of a condition, as people type them, made a typed condition: ``listening :80``, ``not link eth0 up`` …"""

from __future__ import annotations

from ..engine.options import converted, within
from ..engine.prefixes import is_group
from ..errors import UsageError
from .endpoint import Endpoint, address_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Any

    from ..nouns.sockets.filter import Expression
    from .conditions import Condition

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

MOST = (1 << 32) - 1


class Asked:
    """What is asked for: ``words``, and what an option or a keyword adds to them."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        protocol: str = "tcp",
        families: Sequence[str] = (),
        process_names: Iterable[str] = (),
        pids: Iterable[int] = (),
        least: int = 1,
        natted_to: Endpoint | None = None,
    ) -> None:
        """Raises UsageError where the words name no condition; ``condition`` reads the rest of them."""
        self.negated = False
        self.words = list(words)
        while self.words and self.words[0] == "not":
            self.negated = not self.negated
            del self.words[0]
        if not self.words:
            raise UsageError(f"a condition is missing: {', '.join(_MAKERS)} (see --help)")
        self.subject = self.words.pop(0)
        """What the condition is about: listening, route, flow …"""
        if self.subject not in _MAKERS:
            from ..engine.help import unknown

            raise unknown("condition", self.subject, _MAKERS)
        if self.subject == "closed":
            self.negated = not self.negated
        self.protocol = protocol
        self.families = tuple(families) or ("inet", "inet6")
        self.process_names = tuple(process_names)
        self.pids = frozenset(pids)
        self.least = least
        self.natted_to = natted_to

    def condition(self) -> Condition:
        """The condition; what ``negated`` says is not in it. Raises UsageError."""
        return _MAKERS[self.subject](self)


def _listening(asked: Asked) -> Condition:
    """``listening [ADDRESS]:PORT``, or with --unix a name."""
    from .conditions_sockets import Holders, Listening

    target = _one(asked, "listening takes one [ADDRESS]:PORT, or with --unix the name of a socket")
    if asked.protocol == "unix":
        return Listening("unix", target, holders=Holders(asked.process_names, asked.pids))
    endpoint = endpoint_of(target)
    if endpoint.port is None:
        raise UsageError(f"listening takes a port, as in :80 or {target}:80")
    return Listening(asked.protocol, endpoint, asked.families, Holders(asked.process_names, asked.pids))


def _established(asked: Asked) -> Condition:
    """``established [FILTER]``."""
    from .conditions_sockets import Established, Holders

    text = " ".join(asked.words)
    expression = _expression(asked, text) if text else None
    return Established(
        asked.protocol, text, expression, asked.families, Holders(asked.process_names, asked.pids), asked.least
    )


def _closed(asked: Asked) -> Condition:
    """``closed [ADDRESS]:PORT``, or a filter, or with --unix a name: the opposite of what is returned."""
    from .conditions_sockets import InUse

    if not asked.words:
        raise UsageError("closed takes an [ADDRESS]:PORT, a filter, or with --unix the name of a socket")
    text = " ".join(asked.words)
    if asked.protocol == "unix":
        return InUse("unix", _one(asked, "closed takes the name of one socket"), None)
    if len(text.split()) == 1:
        return InUse(asked.protocol, endpoint_of(text), None, asked.families)
    return InUse(asked.protocol, text, _expression(asked, text), asked.families)


def _route(asked: Asked) -> Condition:
    """``route PREFIX [via ADDRESS] …``."""
    from ..engine.rtnetlink import ROUTE_TYPES
    from ..nouns.routing.listing import MAIN_TABLE, Prefix
    from ..nouns.routing.names import RoutingNames
    from .conditions_routes import Routed, RouteExists, Wanted

    words = list(asked.words)
    kind = words.pop(0) if words and words[0] in ROUTE_TYPES[1:12] else None
    if not words:
        raise UsageError("route takes a prefix, an address or `default`")
    target = words.pop(0)
    found: dict[str, Any] = _pairs(asked, words, Wanted._fields)
    for name in ("metric", "mtu"):
        if name in found:
            found[name] = converted(name, within(0, MOST), found[name])
    for name in ("via", "src"):
        if name in found:
            found[name] = _address_of(found[name])
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
    is_prefix = target == "default" or "/" in target
    target = target if is_prefix else _address_of(target)
    family = Prefix(target).family  # raises UsageError
    for name, families in (("via", ("inet6",)), ("src", ("inet", "inet6"))):
        # Routes of IPv4 have gateways of both families.
        if name in found and family in families and (":" in found[name]) != (family == "inet6"):
            raise UsageError(f"no route to {target} has {name} {found[name]}: one is IPv4, the other IPv6")
    if is_prefix:
        return RouteExists(target, Wanted(**found), table)
    return Routed(target, Wanted(**found))


def _link(asked: Asked) -> Condition:
    """``link NAME [up|down] [mtu NUMBER] [master NAME]``."""
    from .conditions_links import STATES, LinkIs

    if not asked.words:
        raise UsageError("link takes the name of a link")
    name, *words = asked.words
    state = words.pop(0) if words and words[0] in STATES else None
    found = _pairs(asked, words, ("mtu", "master"))
    mtu = converted("mtu", within(0, MOST), found["mtu"]) if "mtu" in found else None
    return LinkIs(name, state, mtu, found.get("master"))


def _address(asked: Asked) -> Condition:
    """``address ADDRESS[/LENGTH] [dev NAME]``."""
    from .conditions_addresses import AddressIsUsable

    if not asked.words:
        raise UsageError("address takes an address, with or without a prefix length")
    first, *words = asked.words
    text, slash, length = first.partition("/")
    address = _address_of(text)
    found = _pairs(asked, words, ("dev",))
    bits = converted("the prefix length", within(0, MOST), length) if slash else None
    if bits is not None and bits > (128 if ":" in address else 32):
        raise UsageError(f"{first!r}: the prefix is longer than the address")
    return AddressIsUsable(address, bits, found.get("dev"))


def _flow(asked: Asked) -> Condition:
    """``flow [src ADDRESS] …``."""
    from ..nouns.conntrack.filter import FlowFilter
    from ..nouns.conntrack.filter_select import select
    from .conditions_flows import FlowExists

    text = " ".join(asked.words)
    words, wanted = text.split(), FlowFilter()
    for name, value in _pairs(asked, words, _FLOW_WORDS).items():
        select(wanted, _FLOW_WORDS[name], value)
    wanted.check()
    return FlowExists(text, wanted, asked.natted_to, asked.least)


def _member(asked: Asked) -> Condition:
    """``member GROUP [dev NAME] [from SOURCE]``."""
    from .conditions_groups import Member

    if not asked.words:
        raise UsageError("member takes the address of a group")
    text, *words = asked.words
    found = _pairs(asked, words, ("dev", "from"))
    group = _address_of(text)
    if not is_group(group):
        raise UsageError(f"{group} is not a multicast address")
    source = _address_of(found["from"]) if "from" in found else None
    if source is not None and (":" in source) != (":" in group):
        raise UsageError(f"{group} has no source {source}: one is IPv4, the other IPv6")
    return Member(group, found.get("dev"), source)


def _one(asked: Asked, message: str) -> str:
    if len(asked.words) != 1 or not asked.words[0]:
        raise UsageError(message)
    return asked.words[0]


def _pairs(asked: Asked, words: Sequence[str], known: Any) -> dict[str, str]:
    """Words and the values behind them. Raises UsageError."""
    found = {}
    for name, value in zip(words[::2], [*words[1::2], None][: len(words[::2])], strict=True):
        if name not in known:
            raise UsageError(f"{asked.subject} knows no {name!r}: {', '.join(known)}")
        if value is None:
            raise UsageError(f"{name} takes a value")
        found[name] = value
    return found


def _expression(asked: Asked, text: str) -> Expression:
    from ..nouns.sockets.filter import Lookups, parse

    protocols = [asked.protocol] if asked.protocol in ("tcp", "udp") else ["tcp", "udp"]
    expression = parse(text, lookups=Lookups(protocols))
    if expression.states is not None:
        raise UsageError(f"{asked.subject} selects the states itself: the filter cannot")
    return expression


def endpoint_of(text: str) -> Endpoint:
    """An address, a port or both. Raises UsageError."""
    try:
        return Endpoint.parse(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


def translation_of(text: str, option: str) -> Endpoint:
    """What flows are translated to: an address, with or without a port. Raises UsageError, by the option's name."""
    endpoint = endpoint_of(text)
    if endpoint.address is None:
        raise UsageError(f"{option} takes an address, with or without a port, not {text!r}")
    return endpoint


def least_of(count: int) -> int:
    """How many there must be at least. Raises UsageError."""
    if count < 1:
        raise UsageError(f"count is 1 or more, not {count}")
    return count


def one_of(known: Sequence[str], *values: str) -> None:
    """Raises UsageError for a value that is not known."""
    for value in values:
        if value not in known:
            raise UsageError(f"{value!r} is not one of {', '.join(known)}")


def _address_of(text: str) -> str:
    try:
        return address_of(text)
    except ValueError as error:
        raise UsageError(str(error)) from None


_MAKERS: dict[str, Callable[[Asked], Condition]] = {
    "listening": _listening,
    "established": _established,
    "closed": _closed,
    "route": _route,
    "link": _link,
    "address": _address,
    "flow": _flow,
    "member": _member,
}

WORDS = tuple(_MAKERS)
"""What a condition may be about."""
