"""What a host of a lab has in the kernel: its sockets, routes, flows and multicast groups, as small records."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ..engine.netlink.transport import NETLINK_NETFILTER, NETLINK_SOCK_DIAG, Dump, connect
from ..nouns.conntrack import decode as conntrack
from ..nouns.conntrack import request as conntrack_filter
from ..nouns.sockets import decode_inet as inet_diag
from ..nouns.sockets import request as inet_request
from ..waiting.render import endpoint as endpoint
from ..waiting.render import socket_line as socket_line
from .topology import destination

if TYPE_CHECKING:
    from ..records import Flow, Socket
    from .lab import Host

_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
_RTM_F_CLONED = 0x200
_RT_TABLE_LOCAL = 255
_RT_TABLES = {253: "default", 254: "main", 255: "local"}


class HostRoute(NamedTuple):
    """A route, or the answer to a route look-up."""

    to: str
    """Prefix, or ``default``."""
    type: str
    via: tuple[str, ...]
    """Gateways: several for multipath."""
    interface: str | None
    table: int
    metric: int | None
    source: str | None
    mtu: int | None
    """The route's, or exception's, path MTU."""

    def __str__(self) -> str:
        words = [] if self.type == "unicast" else [self.type]
        words.append(self.to)
        words += [f"via {gateway}" for gateway in self.via]
        for name, value in (
            ("dev", self.interface),
            ("table", _RT_TABLES.get(self.table, self.table) if self.table != 254 else None),
            ("src", self.source),
            ("metric", self.metric),
            ("mtu", self.mtu),
        ):
            if value is not None:
                words.append(f"{name} {value}")
        return " ".join(words)


class Tuple(NamedTuple):
    """One direction of a flow."""

    source: str
    source_port: int | None
    destination: str
    destination_port: int | None

    def __str__(self) -> str:
        return f"{endpoint(self.source, self.source_port)} -> {endpoint(self.destination, self.destination_port)}"


class HostFlow(NamedTuple):
    """A conntrack entry."""

    protocol: str
    original: Tuple
    reply: Tuple
    state: str | None
    """TCP's state, by conntrack's name."""
    status: tuple[str, ...]
    """SEEN_REPLY, ASSURED, SRC_NAT …"""

    @property
    def translated_source(self) -> bool:
        return (self.reply.destination, self.reply.destination_port) != (
            self.original.source,
            self.original.source_port,
        )

    @property
    def translated_destination(self) -> bool:
        return (self.reply.source, self.reply.source_port) != (
            self.original.destination,
            self.original.destination_port,
        )

    def __str__(self) -> str:
        words = [self.protocol, *([self.state] if self.state else []), str(self.original)]
        if self.translated_source:
            words.append(f"(source becomes {endpoint(self.reply.destination, self.reply.destination_port)})")
        if self.translated_destination:
            words.append(f"(destination becomes {endpoint(self.reply.source, self.reply.source_port)})")
        return " ".join(words)


class HostMembership(NamedTuple):
    """A multicast group that an interface receives, with its source filter (RFC 3376, RFC 3810)."""

    group: str
    interface: str
    included: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()

    def __str__(self) -> str:
        words = [self.group, "on", self.interface]
        if self.included:
            words.append(f"only from {', '.join(self.included)}")
        if self.excluded:
            words.append(f"not from {', '.join(self.excluded)}")
        return " ".join(words)


def sockets(host: Host, protocols: tuple[str, ...] = ("tcp", "udp")) -> list[Socket]:
    """The host's internet sockets."""
    found: list[Socket] = []
    for protocol in protocols:
        families = (socket.AF_UNSPEC,) if protocol == "tcp" else (socket.AF_INET, socket.AF_INET6)
        for family in families:
            opened = host.call(lambda: connect(NETLINK_SOCK_DIAG))
            request = inet_request.request(family, inet_request.PROTOCOLS[protocol][0], 0xFFFF)
            decoder = inet_diag.Decoder(protocol, host.interface_name)
            for run in Dump(opened, request, f"listing the {protocol} sockets of {host.name}"):
                found += (record for batch in decoder.batches(run) for record in batch)
    return found


def routes(
    host: Host, *, to: str | None = None, family: int | None = None, exceptions: bool = False
) -> list[HostRoute]:
    """The host's routes in all tables, without those that the kernel keeps for its own addresses.

    ``to``: only those to that prefix, ``default`` or ``default6``. ``exceptions``: instead of routes, what path MTU
    discovery and redirects have taught (RTM_F_CLONED).
    """
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

    bodies = _route_bodies(host, family, exceptions)
    if to is not None:
        wanted = destination(to)
        packed = wanted.network_address.packed if wanted.prefixlen else b""
        number = _FAMILIES[wanted.version]
        # struct rtmsg, behind the header: the family, then the prefix length.
        bodies = [body for body in bodies if body[16] == number and body[17] == wanted.prefixlen and packed in body]
    found = []
    for body in bodies:
        answer = rtmsg(body)
        answer.decode()
        found.append(_route(answer, host))
    if to is not None:
        shown = "default" if not destination(to).prefixlen else str(destination(to))
        return [route for route in found if route.to == shown]
    return found


def _route_bodies(host: Host, family: int | None, exceptions: bool) -> list[bytes]:
    """The messages of the routes: chosen before they are decoded, which takes long for large tables."""
    from pyroute2.netlink.rtnl import RTM_GETROUTE
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

    from .requests import NLM_F_DUMP, dump_raw, encoded

    found = []
    for version in (family,) if family else (4, 6):
        message = rtmsg()
        message["family"] = _FAMILIES[version]
        if exceptions:
            message["flags"] = _RTM_F_CLONED
        request = encoded(message, RTM_GETROUTE, NLM_F_DUMP, 1)
        for body in dump_raw(host.namespace.route, request, f"listing the routes of {host.name}"):
            (flags,) = struct.unpack_from("=I", body, 24)
            if bool(flags & _RTM_F_CLONED) == exceptions and body[20] != _RT_TABLE_LOCAL:
                found.append(body)
    return found


def route_to(host: Host, address: str, *, source: str | None = None, mark: int | None = None) -> HostRoute:
    """The route that the kernel takes to that address. Raises LabError where it has none."""
    from pyroute2.netlink.rtnl import RTM_GETROUTE
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

    from .network import family_of
    from .requests import dump

    message = rtmsg()
    message["family"] = family_of(address)
    message["dst_len"] = 32 if ":" not in address else 128
    message["attrs"] = [["RTA_DST", address]]
    if source is not None:
        message["src_len"] = message["dst_len"]
        message["attrs"].append(["RTA_SRC", source])
    if mark is not None:
        message["attrs"].append(["RTA_MARK", mark])
    answers = list(dump(host.namespace.route, message, RTM_GETROUTE, f"a route to {address} on {host.name}", flags=0))
    return _route(answers[0], host)


def _route(answer: Any, host: Host) -> HostRoute:
    from pyroute2.netlink.rtnl import rt_type

    hops = answer.get_attr("RTA_MULTIPATH") or []
    gateways = [gateway for gateway in (hop.get_attr("RTA_GATEWAY") for hop in hops) if gateway]
    if gateway := answer.get_attr("RTA_GATEWAY"):
        gateways.append(gateway)
    elif via := answer.get_attr("RTA_VIA"):
        gateways.append(via["addr"])
    index = answer.get_attr("RTA_OIF") or (hops[0]["oif"] if len(hops) == 1 else None)
    metrics = answer.get_attr("RTA_METRICS")
    prefix = answer.get_attr("RTA_DST")
    return HostRoute(
        f"{prefix}/{answer['dst_len']}" if prefix else "default",
        rt_type.get(answer["type"], str(answer["type"])),
        tuple(gateways),
        None if index is None else host.interface_name(index),
        answer.get_attr("RTA_TABLE") or answer["table"],
        answer.get_attr("RTA_PRIORITY"),
        answer.get_attr("RTA_PREFSRC"),
        metrics.get_attr("RTAX_MTU") if metrics else None,
    )


def flows(host: Host) -> list[HostFlow]:
    """The host's conntrack entries."""
    opened = host.call(lambda: connect(NETLINK_NETFILTER))
    found: list[HostFlow] = []
    for run in Dump(opened, conntrack_filter.request(socket.AF_UNSPEC), f"listing the flows of {host.name}"):
        for batch in conntrack.Decoder().batches(run):
            found += map(_flow, batch)
    return found


def _flow(record: Flow) -> HostFlow:
    return HostFlow(
        record.protocol,
        Tuple(
            record.source_address or "",
            record.source_port,
            record.destination_address or "",
            record.destination_port,
        ),
        Tuple(
            record.reply_source_address or "",
            record.reply_source_port,
            record.reply_destination_address or "",
            record.reply_destination_port,
        ),
        record.state,
        record.status,
    )


def memberships(host: Host) -> list[HostMembership]:
    """The host's multicast groups, as its interfaces receive them, with their source filters."""
    filters = host.call(_source_filters)
    found = []
    for group, index in _groups(host):
        included, excluded = filters.get((group, index), ((), ()))
        found.append(HostMembership(group, host.interface_name(index), included, excluded))
    return found


def _groups(host: Host) -> Iterator[tuple[str, int]]:
    from pyroute2.netlink.rtnl import RTM_GETMULTICAST
    from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg

    from .errors import LabError
    from .requests import dump

    for family in (socket.AF_INET, socket.AF_INET6):
        message = ifaddrmsg()
        message["family"] = family
        try:
            for answer in dump(host.namespace.route, message, RTM_GETMULTICAST, f"listing the groups of {host.name}"):
                yield answer.get_attr("IFA_MULTICAST"), answer["index"]
        except LabError:
            if family == socket.AF_INET6:
                raise
            # IPv4 groups have been dumped since about Linux 6.15 only (commit eb4e17a1d915).
            yield from host.call(_igmp_groups)


def _igmp_groups() -> list[tuple[str, int]]:
    """/proc/net/igmp: a line for each interface, and indented below it its groups, in host byte order."""
    found, index = [], 0
    with open("/proc/thread-self/net/igmp") as file:
        for line in file.readlines()[1:]:
            words = line.split()
            if line[0] not in " \t":
                index = int(words[0])
            else:
                found.append((socket.inet_ntop(socket.AF_INET, struct.pack("=I", int(words[0], 16))), index))
    return found


Filters = dict[tuple[str, int], tuple[tuple[str, ...], tuple[str, ...]]]


def _source_filters() -> Filters:
    """/proc/net/mcfilter and mcfilter6, for which no netlink source is known: group and index to both lists."""
    filters: Filters = {}
    for name, address in (("mcfilter", _hexadecimal_ipv4), ("mcfilter6", _hexadecimal_ipv6)):
        try:
            with open(f"/proc/thread-self/net/{name}") as file:
                rows = file.readlines()[1:]
        except FileNotFoundError:
            continue  # no IPv6, or no multicast, in this kernel
        for row in rows:
            index, _, group, source, includes, excludes = row.split()
            key = (address(group), int(index))
            included, excluded = filters.get(key, ((), ()))
            if int(includes):
                included += (address(source),)
            if int(excludes):
                excluded += (address(source),)
            filters[key] = (included, excluded)
    return filters


def _hexadecimal_ipv4(text: str) -> str:
    return socket.inet_ntop(socket.AF_INET, int(text, 16).to_bytes(4, "big"))


def _hexadecimal_ipv6(text: str) -> str:
    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(text))


def snapshot(hosts: list[Host], limit: int = 40) -> str:
    """What the hosts have, in lines: at most ``limit`` of a kind, and how many more there are."""
    lines = []
    views: tuple[tuple[str, Callable[[Host, int], tuple[list[str], int]]], ...] = (
        ("sockets", lambda host, limit: _some(sockets(host), socket_line, limit)),
        ("routes", _some_routes),
        ("flows", lambda host, limit: _some(flows(host), str, limit)),
    )
    for host in hosts:
        lines.append(f"{host.name}:")
        for kind, view in views:
            try:
                shown, total = view(host, limit)
            except Exception as error:  # a report must not fail for want of a part
                shown, total = [f"could not be read: {error}"], 1
            lines.append(f"  {kind}: {'none' if not shown else ''}".rstrip())
            lines += [f"    {line}" for line in shown]
            if total > len(shown):
                lines.append(f"    … and {total - len(shown):,} more")
    return "\n".join(lines)


def _some(records: list[Any], line: Callable[[Any], str], limit: int) -> tuple[list[str], int]:
    return [line(record) for record in records[:limit]], len(records)


def _some_routes(host: Host, limit: int) -> tuple[list[str], int]:
    from pyroute2.netlink.rtnl.rtmsg import rtmsg

    bodies = _route_bodies(host, None, False)
    answers = [rtmsg(body) for body in bodies[:limit]]
    for answer in answers:
        answer.decode()
    return [str(_route(answer, host)) for answer in answers], len(bodies)
