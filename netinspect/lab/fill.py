"""Large tables, made fast: sockets, routes and conntrack entries by the ten thousand.

Sockets are TCP connections over the host's loopback, held by several processes, since one may not have enough open
files. Routes and conntrack entries are one message each, encoded once and then patched.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import struct
from collections.abc import Callable, Iterator
from functools import partial
from ipaddress import IPv4Address, ip_interface
from typing import TYPE_CHECKING, Any

from pyroute2.netlink.nfnetlink import NFNL_SUBSYS_CTNETLINK
from pyroute2.netlink.nfnetlink.nfctsocket import (
    IPCTNL_MSG_CT_NEW,
    IPS_ASSURED,
    IPS_CONFIRMED,
    IPS_SEEN_REPLY,
    TCP_CONNTRACK_ESTABLISHED,
    nfct_msg,
)
from pyroute2.netlink.rtnl import RTM_NEWROUTE

from .child import fork, spawn
from .errors import LabError
from .network import route_message
from .requests import NLM_F_NEW, Requests, encoded
from .topology import Fill, Route

if TYPE_CHECKING:
    from .lab import Host

_FIRST_ROUTE = int(IPv4Address("16.0.0.0"))
_MOST_ROUTES = (224 - 16) << 16
"""/24 prefixes from there to the multicast addresses."""
_FIRST_CLIENT = int(IPv4Address("100.64.0.0"))
"""Made-up clients of the made-up flows are in the shared address space (RFC 6598), 2^22 of them."""
_MOST_FLOWS = 1 << 22
_SERVER = "198.51.100.1"
_FLOW_TIMEOUT = 3600
_SPARE_FILES = 500
_PAIRS_WORTH_A_PROCESS = 1000


def fill_host(host: Host, fill: Fill) -> None:
    """Makes what ``fill`` asks for. Raises LabError where a limit is in the way, naming it."""
    if fill.count:
        {"sockets": _sockets, "routes": _routes, "flows": _flows}[fill.kind](host, fill.count)


def _routes(host: Host, count: int) -> None:
    if count > _MOST_ROUTES:
        raise LabError(f"{count} routes: {_MOST_ROUTES} is the most that a lab makes")
    sentinel = IPv4Address("1.2.3.0")
    interface = next((name for name in host.interfaces if name != "lo"), "lo")
    route = Route(f"{sentinel}/24", via=_neighbour(host), interface=interface)
    template = encoded(route_message(route, host.interfaces.__getitem__), RTM_NEWROUTE, NLM_F_NEW, 0)
    before, after = _around(template, sentinel.packed)
    _send_many(
        Requests(host.namespace.route),
        count,
        (before, after),
        lambda number: (struct.pack(">I", _FIRST_ROUTE + (number << 8)),),
        "a route",
    )


def _neighbour(host: Host) -> str | None:
    """An IPv4 address of another host that is on a network of this host."""
    networks = [
        ip_interface(text).network
        for spec in [host.lab.topology.hosts.get(host.name)]
        if spec is not None
        for interface in spec.interfaces.values()
        for text in interface.addresses
    ]
    others = (address for other in host.lab.hosts.values() if other is not host for address in other.addresses)
    return next((text for text in others if any(ip_interface(text).ip in net for net in networks)), None)


def _flows(host: Host, count: int) -> None:
    if count > _MOST_FLOWS:
        raise LabError(f"{count} flows: {_MOST_FLOWS} is the most that a lab makes")
    limit = host.call(_conntrack_limit)
    if limit is not None and count > limit:
        raise LabError(f"{count} flows: net.netfilter.nf_conntrack_max={limit} allows no more; raise it on the host")
    sentinel = IPv4Address("1.2.3.4")
    template = encoded(
        _flow_message(str(sentinel)),
        NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW,
        NLM_F_NEW,
        0,
    )
    before, between, after = _around(template, sentinel.packed)

    def addresses(number: int) -> tuple[bytes, bytes]:
        packed = struct.pack(">I", _FIRST_CLIENT + number)
        return packed, packed

    _send_many(Requests(host.namespace.netfilter), count, (before, between, after), addresses, "a conntrack entry")


def _conntrack_limit() -> int | None:
    try:
        with open("/proc/sys/net/netfilter/nf_conntrack_max") as file:
            return int(file.read())
    except OSError:
        return None


def _flow_message(client: str) -> Any:
    """An established TCP connection from that client to the server's port 443."""

    def direction(source: str, source_port: int, destination: str, destination_port: int) -> dict[str, Any]:
        addresses = {"attrs": [["CTA_IP_V4_SRC", source], ["CTA_IP_V4_DST", destination]]}
        ports = [["CTA_PROTO_SRC_PORT", source_port], ["CTA_PROTO_DST_PORT", destination_port]]
        protocol = {"attrs": [["CTA_PROTO_NUM", socket.IPPROTO_TCP], *ports]}
        return {"attrs": [["CTA_TUPLE_IP", addresses], ["CTA_TUPLE_PROTO", protocol]]}

    tcp = {"attrs": [["CTA_PROTOINFO_TCP_STATE", TCP_CONNTRACK_ESTABLISHED]]}
    message = nfct_msg()
    message["nfgen_family"] = socket.AF_INET
    message["attrs"] = [
        ["CTA_TUPLE_ORIG", direction(client, 40000, _SERVER, 443)],
        ["CTA_TUPLE_REPLY", direction(_SERVER, 443, client, 40000)],
        ["CTA_TIMEOUT", _FLOW_TIMEOUT],
        ["CTA_STATUS", IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED],
        ["CTA_PROTOINFO", {"attrs": [["CTA_PROTOINFO_TCP", tcp]]}],
    ]
    return message


def _around(template: bytes, packed: bytes) -> list[bytes]:
    """The parts of a message around each place where a sentinel address stands."""
    parts = template.split(packed)
    assert len(parts) > 1
    return parts


def _send_many(
    requests: Requests, count: int, parts: tuple[bytes, ...], values: Callable[[int], tuple[bytes, ...]], what: str
) -> None:
    for number in range(count):
        # The sequence number is the third field of the header (struct nlmsghdr), at byte 8.
        data = parts[0][:8] + struct.pack("=I", number + 1) + parts[0][12:]
        for value, part in zip(values(number), parts[1:], strict=True):
            data += value + part
        requests.add_quiet(data, what)
    requests.send()


def _sockets(host: Host, count: int) -> None:
    """``count`` connected TCP sockets over loopback, both ends counted, and one listening where it is odd."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = (files - _SPARE_FILES) // 2
    if most < 1:
        raise LabError(f"{count} sockets: a hard limit of {files} open files is too low")
    pairs = count // 2
    processes = max(-(-pairs // most), min(os.cpu_count() or 1, -(-pairs // _PAIRS_WORTH_A_PROCESS)), 1)
    ready = [
        spawn(partial(_holder, host, number, share, count % 2 == 1 and number == 0))
        for number, share in enumerate(_shares(pairs, processes))
    ]
    for pipe in ready:
        with open(pipe, "rb") as file:
            answer = file.read()
        if answer != b"ready":
            raise LabError(f"{count} sockets: {answer.decode() or 'the process that opens them ended'}")


def _shares(total: int, parts: int) -> Iterator[int]:
    for number in range(parts):
        yield total // parts + (number < total % parts)


def _holder(host: Host, number: int, pairs: int, listening: bool) -> int:
    """Starts a child that opens and holds that many connections; returns a pipe that says when it has them."""
    reading, writing = os.pipe()
    child = fork()
    if child == 0:
        try:
            os.close(reading)
            try:
                held = _hold(host, number, pairs, listening)
                os.write(writing, b"ready")
            except OSError as error:
                os.write(writing, (error.strerror or str(error)).encode())
                os._exit(1)
            os.close(writing)
            while held or listening:
                signal.pause()
        finally:
            os._exit(0)
    os.close(writing)
    host.lab.holders.append(child)
    return reading


def _hold(host: Host, number: int, pairs: int, listening: bool) -> list[socket.socket]:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    host.lab.world.enter(host.namespace.descriptor)
    # An address of its own for each process, so that ports last: 28,232 to a destination (ip_local_port_range).
    address = f"127.{1 + (number >> 8)}.{number & 255}.1"
    listener = socket.create_server((address, 0))
    there = listener.getsockname()
    held = []
    for _ in range(pairs):
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.connect(there)
        held += [client, listener.accept()[0]]
    if listening:
        held.append(listener)
    else:
        listener.close()
    return held
