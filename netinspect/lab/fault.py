"""Faults: what breaks a lab, as data. A TOML file in ``netns-lab/faults`` says what is changed on which host.

Beside that it says what a user sees, which topologies it fits, and a probe: traffic that passes before and not after.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from .errors import TopologyError
from .topology import (
    TRANSPORTS,
    HostSpec,
    Impairment,
    Interface,
    Place,
    Route,
    Rule,
    complaints,
    destination,
    impairment_complaints,
    shown,
)
from .topology import Topology as _Topology
from .topology_file import Wrong, data_directory, parsed, read, typed


@dataclass(frozen=True)
class LostRoute:
    """A route that is taken away."""

    to: str
    table: int = 254


@dataclass(frozen=True)
class Change:
    """What is changed on one host, in this order."""

    sysctls: dict[str, str] = field(default_factory=dict)
    no_routes: tuple[LostRoute, ...] = ()
    no_rules: tuple[int, ...] = ()
    """The priorities of rules that are taken away, in both families."""
    no_addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By interface, with their prefix lengths."""
    addresses: dict[str, tuple[str, ...]] = field(default_factory=dict)
    mtu: dict[str, int] = field(default_factory=dict)
    down: tuple[str, ...] = ()
    """Interfaces that are set down."""
    routes: tuple[Route, ...] = ()
    rules: tuple[Rule, ...] = ()
    nft: str = ""
    impairments: dict[str, Impairment] = field(default_factory=dict)
    full: bool = False
    """Whether its table of flows is filled up (net.netfilter.nf_conntrack_max)."""


@dataclass(frozen=True)
class Probe:
    """Traffic that shows the fault: a client asks, a server answers."""

    client: str
    """A host."""
    server: str
    """The host that answers."""
    to: str
    """The address that the client asks for; behind a translation it need not be the server's."""
    port: int
    also: tuple[str, ...] = ()
    """More hosts that answer, where connections are shared out among several."""
    serve: int | None = None
    """The server's port; None: the same."""
    protocol: str = "tcp"
    source_port: int | None = None
    size: int = 10
    """Bytes that the client sends."""
    connections: int = 1
    """How many are held at the same time: all must be answered."""
    pause: int = 0
    """Milliseconds of silence after the answer, before the server sends again."""
    passive: int | None = None
    """A port that the server announces in its answer, as that to FTP's PASV (RFC 959): the client connects to it too.
    """


@dataclass(frozen=True)
class Fault:
    """A fault."""

    name: str
    description: str
    """What a user sees, in one line."""
    cause: str
    """What is wrong, in one line: for those who give up."""
    fits: tuple[str, ...]
    """The topologies that it fits."""
    hosts: dict[str, Change]
    probe: Probe
    flush: bool = True
    """Whether to flush flows, so that ongoing traffic is translated and tracked again. Neighbours always are flushed.
    """

    @property
    def host(self) -> str:
        """The host that is broken: the first that is changed."""
        return next(iter(self.hosts))


def names() -> list[str]:
    """The names of the faults that come with the package."""
    return sorted(path.stem for path in (data_directory() / "faults").glob("*.toml"))


def load(name: str) -> Fault:
    """The fault of that name, or in that file (with a slash or ``.toml``).

    Raises TopologyError, with file and line, for whatever is wrong with it.
    """
    if "/" in name or name.endswith(".toml"):
        path = Path(name)
    else:
        path = data_directory() / "faults" / f"{name}.toml"
        if name not in names():
            error = TopologyError(
                f"no fault {name!r}: give a name from `netinspect lab list`, or the path of a TOML file"
            )
            error.slip = name, names()
            raise error
    return parse(read(path), str(path), path.stem)


def parse(text: str, source: str, name: str) -> Fault:
    """The fault in that text; ``source`` names the text in errors."""

    def make(document: dict[str, Any]) -> Fault:
        if "name" in document:
            raise Wrong(("name",), "the file's name is the fault's")
        fault: Fault = typed({**document, "name": name}, Fault, (), {})
        for place, complaint in _complaints(fault):
            raise Wrong(place, complaint)
        return fault

    return parsed(text, source, make)


def _complaints(fault: Fault) -> Iterator[tuple[Place, str]]:
    for key, what in (("description", "what a user sees"), ("cause", "what is wrong")):
        text = getattr(fault, key)
        if not text or not text.isprintable():
            yield (key,), f"one line that says {what}"
    if not fault.hosts:
        yield ("hosts",), "a fault changes something on some host"
    for host, change in fault.hosts.items():
        for place, complaint in _change_complaints(change):
            yield ("hosts", host, *place), complaint
    probe = fault.probe
    for key, least, most in (
        ("port", 1, 65535),
        ("serve", 1, 65535),
        ("source_port", 1, 65535),
        ("size", 1, 10_000_000),
        ("connections", 1, 1000),
        ("pause", 0, 60_000),
        ("passive", 1, 65535),
    ):
        value = getattr(probe, key)
        if value is not None and not least <= value <= most:
            yield ("probe", key), f"{key} is {least} to {most}"
    if probe.protocol not in TRANSPORTS:
        yield ("probe", "protocol"), f"{shown(probe.protocol)} is not one of {', '.join(TRANSPORTS)}"
    try:
        ip_address(probe.to)
    except ValueError:
        yield ("probe", "to"), f"{shown(probe.to)} is not an address"


_BY_INTERFACE = ("no_addresses", "addresses", "mtu")


def _change_complaints(change: Change) -> Iterator[tuple[Place, str]]:
    """By way of a topology that has the same: interfaces are known only where the fault meets a lab."""
    interfaces = {
        name: Interface(change.addresses.get(name, ()) + change.no_addresses.get(name, ()), change.mtu.get(name))
        for name in (*change.addresses, *change.no_addresses, *change.mtu)
    }
    spec = HostSpec(sysctls=change.sysctls, interfaces=interfaces, routes=change.routes, rules=change.rules)
    everything = {*interfaces, *(route.interface for route in change.routes), *(rule.iif for rule in change.rules)}
    known = {"h": {name for name in everything if name is not None}}
    for place, complaint in complaints(_Topology(hosts={"h": spec}), known):
        if place[2:3] == ("interfaces",):  # as ("interfaces", NAME, "mtu")
            key = place[4] if len(place) > 4 else next(key for key in _BY_INTERFACE if place[3] in getattr(change, key))
            yield (key, place[3], *place[5:]), complaint
        else:
            yield place[2:], complaint
    for number, lost in enumerate(change.no_routes):
        try:
            destination(lost.to)
        except ValueError:
            yield ("no_routes", number, "to"), f"{shown(lost.to)} is not a prefix"
        if not 1 <= lost.table < 1 << 32:
            yield ("no_routes", number, "table"), "a table's number is 1 to 4294967295"
    for number, priority in enumerate(change.no_rules):
        if not 0 <= priority < 1 << 32:
            yield ("no_rules", number), "a priority is 0 to 4294967295"
    for name, impairment in change.impairments.items():
        for within, complaint in impairment_complaints(impairment):
            yield ("impairments", name, *within), complaint
