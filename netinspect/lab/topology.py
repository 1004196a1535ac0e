"""What a lab consists of: hosts, links between them, routes, rules, address translation and memberships.

A topology is plain data, either read from a TOML file (``topology_file.py``) or put together in a test. Nothing here
touches the kernel; ``check`` reports errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface, ip_network
from typing import Any

from .errors import TopologyError

Place = tuple[str | int, ...]
"""Where in a topology something is: the path of its table and key, as in the file."""

ROUTE_TYPES = ("unicast", "blackhole", "unreachable", "prohibit", "throw", "local")
RULE_ACTIONS = ("lookup", "blackhole", "unreachable", "prohibit")
NAT_KINDS = ("masquerade", "snat", "dnat", "redirect")
TRANSPORTS = ("tcp", "udp")
DROP_HOOKS = ("forward", "input")
JOIN_MODES = ("include", "exclude")
FILL_KINDS = ("sockets", "routes", "flows")
MOST_FILLED = 20_000_000
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Interface:
    """An end of a link, or a bridge with its ports."""

    addresses: tuple[str, ...] = ()
    mtu: int | None = None
    bridge: tuple[str, ...] | None = None
    """The names of this host's interfaces that are ports of this bridge; None where it is no bridge."""


@dataclass(frozen=True)
class NextHop:
    """One of several ways of a multipath route."""

    via: str
    weight: int = 1


@dataclass(frozen=True)
class Route:
    to: str
    """A prefix, an address, ``default`` (IPv4) or ``default6``."""
    via: str | None = None
    interface: str | None = None
    table: int = 254
    type: str = "unicast"
    metric: int | None = None
    mtu: int | None = None
    source: str | None = None
    nexthops: tuple[NextHop, ...] = ()


@dataclass(frozen=True)
class Rule:
    priority: int
    table: int = 254
    source: str | None = None
    to: str | None = None
    mark: int | None = None
    iif: str | None = None
    action: str = "lookup"
    family: int = 4
    """4 or 6, if no prefix determines it."""


@dataclass(frozen=True)
class Nat:
    """One rule of address translation (nft(8): masquerade, snat, dnat, redirect)."""

    kind: str
    family: int = 4
    out: str | None = None
    """The interface that packets leave by: masquerade and snat."""
    into: str | None = None
    """The interface that packets come in by: dnat and redirect."""
    source: str | None = None
    to: str | None = None
    protocol: str | None = None
    port: int | None = None
    to_port: int | None = None


@dataclass(frozen=True)
class Drop:
    """Packets that are dropped without a word: forwarded ones or, at the hook "input", those for the host itself."""

    family: int = 4
    into: str | None = None
    protocol: str | None = None
    port: int | None = None
    source_port: int | None = None
    hook: str = "forward"


@dataclass(frozen=True)
class Join:
    """A multicast membership, held for as long as the lab is up (ip(7), ipv6(7), RFC 3678)."""

    group: str
    interface: str
    mode: str = "exclude"
    sources: tuple[str, ...] = ()
    """include: only from these; exclude: from all except these."""


@dataclass(frozen=True)
class Fill:
    """Many of a kind at once, for measuring: ``count`` sockets, routes or conntrack entries ("flows")."""

    kind: str
    count: int


@dataclass(frozen=True)
class HostSpec:
    forwarding: bool = False
    sysctls: dict[str, str] = field(default_factory=dict)
    interfaces: dict[str, Interface] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    nat: tuple[Nat, ...] = ()
    drops: tuple[Drop, ...] = ()
    joins: tuple[Join, ...] = ()
    fill: tuple[Fill, ...] = ()
    nft: str = ""
    """What nft(8) shall read, once everything else is there: for rules that ``nat`` and ``drops`` have no words for."""

    @property
    def bare(self) -> bool:
        """Whether it has nothing but sysctls: a namespace with ``lo`` up is all of it."""
        return self == HostSpec(self.forwarding, self.sysctls)


@dataclass(frozen=True)
class Impairment:
    """What a link does to the packets that are sent into it (tc-netem(8)); None: nothing of the kind."""

    delay: str | None = None
    """As ``20ms``: us, ms or s, 60 s at most."""
    loss: str | None = None
    """As ``1%`` of the packets."""
    rate: str | None = None
    """As ``10mbit``: bit, kbit, mbit or gbit a second."""


@dataclass(frozen=True)
class Link:
    """A veth pair: two (host, interface) ends."""

    ends: tuple[tuple[str, str], tuple[str, str]]
    mtu: int | None = None
    delay: str | None = None
    loss: str | None = None
    rate: str | None = None

    @property
    def impairment(self) -> Impairment:
        """What both ends do to what they send."""
        return Impairment(self.delay, self.loss, self.rate)


@dataclass(frozen=True)
class Topology:
    name: str = "lab"
    description: str = ""
    hosts: dict[str, HostSpec] = field(default_factory=dict)
    links: tuple[Link, ...] = ()
    roles: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Which hosts play which part in the traffic scenarios: client, server, router, members …"""

    @property
    def bare(self) -> bool:
        """Whether there is nothing to make but namespaces."""
        return not self.links and all(host.bare for host in self.hosts.values())


def check(topology: Topology, known: dict[str, set[str]] | None = None) -> None:
    """Raises TopologyError for the first error; ``known`` are interfaces created before, by host."""
    for place, complaint in complaints(topology, known):
        raise TopologyError(f"{describe(place)}: {complaint}")


def complaints(topology: Topology, known: dict[str, set[str]] | None = None) -> Iterator[tuple[Place, str]]:
    """Place and description of the error."""
    interfaces = {host: set(names) for host, names in (known or {}).items()}
    for host, spec in topology.hosts.items():
        if not 0 < len(host) <= _LONGEST_NAME or not host.isprintable() or any(c in host for c in " /:"):
            yield ("hosts", host), f"a host's name has no blank, slash or colon, and at most {_LONGEST_NAME} letters"
        interfaces.setdefault(host, set()).update(
            name for name, interface in spec.interfaces.items() if interface.bridge is not None
        )
    for number, link in enumerate(topology.links):
        for end, (host, name) in enumerate(link.ends):
            place: Place = ("links", number, "ends", end)
            if host not in interfaces:
                yield place, f"no host {shown(host)}"
                continue
            complaint = _interface_name(name)
            if complaint:
                yield place, complaint
            if name in interfaces[host]:
                yield place, f"{host} has an interface {shown(name)} already"
            interfaces[host].add(name)
        if complaint := _mtu(link.mtu):
            yield ("links", number, "mtu"), complaint
        for key, complaint in impairment_complaints(link.impairment):
            yield ("links", number, *key), complaint
    for host, spec in topology.hosts.items():
        for place, complaint in _host_complaints(spec, interfaces[host]):
            yield ("hosts", host, *place), complaint
    for role, hosts in topology.roles.items():
        for host in hosts:
            if host not in interfaces:
                yield ("roles", role), f"no host {shown(host)}"


def _host_complaints(spec: HostSpec, interfaces: set[str]) -> Iterator[tuple[Place, str]]:
    for name, value in spec.sysctls.items():
        if not name.startswith(("net.", "net/")) or ".." in name or not name.isprintable():
            yield ("sysctls", name), "only sysctls below net. belong to a network namespace"
        if not all(character.isprintable() or character == "\t" for character in value):
            yield ("sysctls", name), "a value is one line"
    for name, interface in spec.interfaces.items():
        place: Place = ("interfaces", name)
        if complaint := _interface_name(name) or _mtu(interface.mtu):
            yield place, complaint
        elif name not in interfaces and name != "lo":
            yield place, "no link ends here, and it is not a bridge"
        for number, address in enumerate(interface.addresses):
            if complaint := _interface_address(address):
                yield (*place, "addresses", number), complaint
        for number, port in enumerate(interface.bridge or ()):
            if port not in interfaces:
                yield (*place, "bridge", number), f"no interface {shown(port)}"
    for kind, items in (
        ("routes", spec.routes),
        ("rules", spec.rules),
        ("nat", spec.nat),
        ("drops", spec.drops),
        ("joins", spec.joins),
        ("fill", spec.fill),
    ):
        for number, item in enumerate(items):
            for where, complaint in _CHECKS[kind](item):
                yield (kind, number, *where), complaint
            for key in ("interface", "out", "into", "iif"):
                used = getattr(item, key, None)
                if used is not None and used not in interfaces | {"lo"}:
                    yield (kind, number, key), f"no interface {shown(used)}"


Complaints = Iterator[tuple[Place, str]]


def _route(route: Route) -> Complaints:
    if route.to not in ("default", "default6") and (complaint := _parses(ip_network, route.to, "a prefix")):
        yield ("to",), complaint
        return
    family = destination(route.to).version
    if route.type not in ROUTE_TYPES:
        yield ("type",), f"{shown(route.type)} is not one of {', '.join(ROUTE_TYPES)}"
    elif route.type == "unicast" and not (route.via or route.interface or route.nexthops):
        yield (), "a route needs via, interface or nexthops"
    elif route.type != "unicast" and (route.via or route.nexthops):
        yield ("type",), f"a {route.type} route takes no next hop"
    for place, text in (
        (("via",), route.via),
        (("source",), route.source),
        *((("nexthops", number, "via"), hop.via) for number, hop in enumerate(route.nexthops)),
    ):
        if text is not None and (complaint := _address(text, family)):
            yield place, complaint
    for number, hop in enumerate(route.nexthops):
        if not 1 <= hop.weight <= 256:
            yield ("nexthops", number, "weight"), "a weight is 1 to 256"
    yield from _numbers(route, "metric")
    if not 1 <= route.table < 1 << 32:
        yield ("table",), "a table's number is 1 to 4294967295"
    if complaint := _mtu(route.mtu):
        yield ("mtu",), complaint


def _rule(rule: Rule) -> Complaints:
    versions = set()
    for key, text in (("source", rule.source), ("to", rule.to)):
        if text is None:
            continue
        if complaint := _parses(ip_network, text, "a prefix"):
            yield (key,), complaint
        else:
            versions.add(ip_network(text).version)
    if len(versions) > 1:
        yield ("to",), "source and to are of one family"
    if rule.action not in RULE_ACTIONS:
        yield ("action",), f"{shown(rule.action)} is not one of {', '.join(RULE_ACTIONS)}"
    elif not 1 <= rule.table < 1 << 32:
        yield ("table",), "a table's number is 1 to 4294967295"
    yield from _numbers(rule, "priority", "mark")
    yield from _family(rule.family)


def _numbers(record: Route | Rule, *keys: str) -> Complaints:
    """What the kernel has 32 bits for."""
    for key in keys:
        value = getattr(record, key)
        if value is not None and not 0 <= value < 1 << 32:
            yield (key,), f"a {key} is 0 to 4294967295"


def _nat(nat: Nat) -> Complaints:
    yield from _family(nat.family)
    if nat.kind not in NAT_KINDS:
        yield ("kind",), f"{shown(nat.kind)} is not one of {', '.join(NAT_KINDS)}"
        return
    if nat.kind in ("snat", "dnat"):
        if nat.to is None:
            yield (), f"{nat.kind} needs the address to translate to"
    elif nat.to is not None:
        yield ("to",), f"{nat.kind} takes no address"
    if nat.kind == "redirect" and nat.to_port is None:
        yield (), "redirect needs to_port"
    wrong = "into" if nat.kind in ("masquerade", "snat") else "out"
    if getattr(nat, wrong) is not None:
        yield (wrong,), f"{nat.kind} is done where packets {'leave' if wrong == 'into' else 'come in'}"
    if nat.to is not None and (complaint := _address(nat.to, nat.family)):
        yield ("to",), complaint
    if nat.source is not None:
        if complaint := _parses(ip_network, nat.source, "a prefix"):
            yield ("source",), complaint
        elif ip_network(nat.source).version != nat.family:
            yield ("source",), f"{shown(nat.source)} is not of family {nat.family}"
    yield from _transport(nat.protocol, port=nat.port, to_port=nat.to_port)


def _drop(drop: Drop) -> Complaints:
    yield from _family(drop.family)
    if drop.hook not in DROP_HOOKS:
        yield ("hook",), f"{shown(drop.hook)} is not one of {', '.join(DROP_HOOKS)}"
    yield from _transport(drop.protocol, port=drop.port, source_port=drop.source_port)


def _join(join: Join) -> Complaints:
    if complaint := _parses(ip_address, join.group, "an address"):
        yield ("group",), complaint
        return
    group = ip_address(join.group)
    if not group.is_multicast:
        yield ("group",), f"{shown(join.group)} is not a multicast address"
    if join.mode not in JOIN_MODES:
        yield ("mode",), f"{shown(join.mode)} is not one of {', '.join(JOIN_MODES)}"
    elif join.mode == "include" and not join.sources:
        yield (), "include needs sources"
    for number, source in enumerate(join.sources):
        if complaint := _address(source, group.version):
            yield ("sources", number), complaint


def _fill(fill: Fill) -> Complaints:
    if fill.kind not in FILL_KINDS:
        yield ("kind",), f"{shown(fill.kind)} is not one of {', '.join(FILL_KINDS)}"
    if not 0 <= fill.count <= MOST_FILLED:
        yield ("count",), f"a count is 0 to {MOST_FILLED}"


_UNITS = {
    "delay": {"us": 1_000, "ms": 1_000_000, "s": 1_000_000_000},  # nanoseconds
    "loss": {"%": 1},
    "rate": {"bit": 1, "kbit": 1_000, "mbit": 1_000_000, "gbit": 1_000_000_000},
}
_MOST = {"delay": 60e9, "loss": 100, "rate": 1e12}
_AMOUNTS = {
    "delay": "a delay is as 20ms: us, ms or s, up to 60s",
    "loss": "a loss is as 1%, up to 100%",
    "rate": "a rate is as 10mbit: bit, kbit, mbit or gbit, from 8bit to 1000gbit",
}


def amount(key: str, text: str) -> float | None:
    """A delay in nanoseconds, a loss in percent, a rate in bits a second; None where it is none."""
    match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)([a-z%]+)", text, re.ASCII)
    unit = _UNITS[key].get(match[2]) if match else None
    if match is None or unit is None:
        return None
    value = float(match[1]) * unit
    return value if (8 if key == "rate" else 0) <= value <= _MOST[key] else None


def impairment_complaints(impairment: Impairment) -> Complaints:
    """What is wrong with it, by key."""
    for key, complaint in _AMOUNTS.items():
        text = getattr(impairment, key)
        if text is not None and amount(key, text) is None:
            yield (key,), complaint


_CHECKS: dict[str, Any] = {
    "routes": _route,
    "rules": _rule,
    "nat": _nat,
    "drops": _drop,
    "joins": _join,
    "fill": _fill,
}


def _transport(protocol: str | None, **ports: int | None) -> Complaints:
    if protocol is not None and protocol not in TRANSPORTS:
        yield ("protocol",), f"{shown(protocol)} is not one of {', '.join(TRANSPORTS)}"
    for key, number in ports.items():
        if number is not None and protocol is None:
            yield (key,), "a port needs a protocol"
        elif number is not None and not 1 <= number <= 65535:
            yield (key,), "a port is 1 to 65535"


def _family(family: int) -> Complaints:
    if family not in (4, 6):
        yield ("family",), "a family is 4 or 6"


def _interface_name(name: str) -> str | None:
    if (
        not 0 < len(name.encode("utf-8", "surrogateescape")) < 16
        or not name.isprintable()
        or any(c in "/: %" for c in name)
        or name in (".", "..")
    ):
        return f"{shown(name)} is not a valid interface name: 1 to 15 bytes, no blank, slash, colon or percent sign"
    return None


def _mtu(mtu: int | None) -> str | None:
    return "an MTU is 68 to 65535 bytes" if mtu is not None and not 68 <= mtu <= 65535 else None


def _interface_address(text: str) -> str | None:
    return _parses(ip_interface, text, "an address with its prefix length")


def _parses(parse: Any, text: str, what: str) -> str | None:
    if "%" in text:  # ipaddress takes a scope, for which a topology has a key of its own: the interface
        return f"{shown(text)} is not {what}: it has a scope"
    try:
        parse(text)
    except ValueError as error:
        return f"{shown(text)} is not {what}" + (f": {error}" if len(text) <= _LONGEST_NAME else "")
    return None


def shown(value: object) -> str:
    """A value for a message: its beginning, where it is long."""
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, str):
        value = value if len(value) <= _LONGEST_NAME else value[: _LONGEST_NAME - 1] + "…"
        return repr(value)
    text = repr(value)
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 1] + "…"


def _address(text: str, family: int) -> str | None:
    if complaint := _parses(ip_address, text, "an address"):
        return complaint
    return None if ip_address(text).version == family else f"{shown(text)} is not an IPv{family} address"


def destination(to: str) -> Any:
    """The prefix that a route's ``to`` stands for."""
    return ip_network({"default": "0.0.0.0/0", "default6": "::/0"}.get(to, to))


def describe(place: Place) -> str:
    """A place as TOML writes it: ``hosts.gateway.routes[0].via``."""
    text = ""
    for part in place:
        name = str(part) if len(str(part)) <= _LONGEST_NAME else f"{str(part)[: _LONGEST_NAME - 1]}…"
        text += f"[{part}]" if isinstance(part, int) else f".{name}" if text else name
    return text or "the topology"
