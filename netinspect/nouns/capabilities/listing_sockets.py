"""What sock_diag reports here: which sockets, what of them, and with which filters."""

from __future__ import annotations

import _socket
from errno import ENOENT
from typing import TYPE_CHECKING

from ... import procfs
from ...errors import NetinspectError
from ...uapi.netlink import NETLINK_SOCK_DIAG
from ..sockets import decode_other as other_diag
from ..sockets import decode_tcp_info as tcp_info
from ..sockets import decode_unix as unix_diag
from ..sockets import request as inet_request
from ..sockets.listing import FAMILIES, PROTOCOLS
from ..sockets.listing_modules import DIAG_MODULES
from . import request as probes
from .listing_prober import LACKING, PARTIAL, PRIVILEGE, UNCLEAR, YES, Answer, Feature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Capability
    from .listing_prober import Prober

FAMILY_NAMES = {"inet": "IPv4", "inet6": "IPv6"}
_LOOPBACK = "127.0.0.1"

_TOLD = {
    "tcp_info": Feature("sockets", "TCP's own state", "-i: round-trip times, windows, rates and losses", since="2.6"),
    "memory": Feature("sockets", "socket memory", "-m: memory and drops of sockets", since="3.6"),
    "mark": Feature("sockets", "firewall marks", "-e: marks of sockets", since="4.7"),
    "cgroup_id": Feature("sockets", "cgroup ids", "-e: cgroups of sockets", option="SOCK_CGROUP_DATA", since="5.8"),
}
"""By the names of decode.probes.TOLD_OF_SOCKETS."""

_FILTERS = {
    "autobound": Feature("sockets", "filter in the kernel", "speed: netinspect selects the sockets itself"),
    "interface": Feature("sockets", "filter by interface", "speed: netinspect applies `dev` itself", since="4.8"),
    "mark": Feature("sockets", "filter by mark", "`fwmark` in filters", since="4.9"),
    "cgroup": Feature("sockets", "filter by cgroup", "`cgroup` in filters", option="SOCK_CGROUP_DATA", since="5.8"),
}


def probe(prober: Prober) -> Iterator[Capability]:
    """Every protocol and family, what is reported of a socket, and the filters."""
    for protocol in PROTOCOLS:
        for name, request in _requests(protocol):
            feature = Feature("sockets", name, f"{protocol} sockets are not listed", *DIAG_MODULES[protocol])
            answer = prober.ask(NETLINK_SOCK_DIAG, request)
            if protocol == "mptcp" and answer.errno == 0 and not _known(protocol):
                # Before 5.10 the kernel does not see the protocol of the request, and answers for another one.
                answer = Answer(ENOENT, "answered for another protocol")
            found = prober.result(feature, answer, "sock_diag dump")
            yield _without_diag(found, protocol, name) if answer.errno in LACKING else found
    yield from _reported_sizes(prober)
    for condition, feature in _FILTERS.items():
        answer = prober.ask(NETLINK_SOCK_DIAG, probes.filtered(condition))
        yield prober.result(feature, answer, "sock_diag dump with a filter")


def _requests(protocol: str) -> Iterator[tuple[str, bytes]]:
    """Dumps of a protocol: of no state, where the kernel selects by state, so that no socket need be sent."""
    if protocol in inet_request.PROTOCOLS:
        number = inet_request.PROTOCOLS[protocol][0]
        for family in FAMILIES:
            yield (
                f"{protocol} over {FAMILY_NAMES[family]}",
                inet_request.request(inet_request.ADDRESS_FAMILIES[family], number, 0),
            )
    elif protocol == "unix":
        yield protocol, unix_diag.request(0)
    else:
        yield protocol, other_diag.request(protocol)


def _known(protocol: str) -> bool:
    """Whether the kernel has such sockets; where it cannot be known, it is taken to have them."""
    try:
        return procfs.has_protocol(protocol)
    except NetinspectError:
        return True


_OPTIONS = {
    "mptcp": "MPTCP",
    "sctp": "IP_SCTP",
    "dccp": "IP_DCCP",
    "unix": "UNIX",
    "packet": "PACKET",
    "tipc": "TIPC",
    "vsock": "VSOCKETS",
    "xdp": "XDP_SOCKETS",
}
"""Of the sockets themselves."""
_UNTIL = {"udplite": "7.0"}
"""The last Linux that has them."""


def _without_diag(found: Capability, protocol: str, name: str) -> Capability:
    """What it means that a protocol has no sock_diag: less is reported, or there is nothing to be known of."""
    if not _known(protocol):
        option = _OPTIONS.get(protocol)
        until = _UNTIL.get(protocol)
        words = f" (CONFIG_{option})" if option else f" (until Linux {until})" if until else ""
        return found._replace(lost=f"nothing: this kernel has no {protocol} sockets{words}", remedy=None)
    if name.endswith(FAMILY_NAMES["inet6"]) and not procfs.has_network_file("if_inet6"):
        return found._replace(lost="nothing: this kernel has no IPv6", remedy=None)
    if protocol == "raw":
        lost = "interface, cookie, mark, cgroup and memory of raw sockets: listed from procfs"
        return found._replace(state=PARTIAL, lost=lost)
    return found


def _reported_sizes(prober: Prober) -> Iterator[Capability]:
    """What is reported of a TCP socket, seen on one of our own."""
    asked = f"sock_diag of a listener on {_LOOPBACK}"
    answer = _listener(prober)
    sizes = answer.value
    for name, feature in _TOLD.items():
        if sizes is None:  # what failed says nothing of this attribute
            yield prober.result(feature, Answer(UNCLEAR, answer.text), asked)
        elif name not in sizes:
            found = prober.lacks(feature, asked, "answered without it")
            yield found._replace(remedy=PRIVILEGE) if name == "mark" else found
        elif name == "tcp_info" and tcp_info.lacking(sizes[name]):
            lost = f"-i: {', '.join(tcp_info.lacking(sizes[name]))}"
            yield feature.has(PARTIAL, f"{asked}: {sizes[name]} bytes", lost, "a newer kernel")
        else:
            yield feature.has(YES, f"{asked}: {sizes[name]} bytes")


def _listener(prober: Prober) -> Answer:
    try:
        opened = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            opened.bind((_LOOPBACK, 0))
            opened.listen(1)
            port = opened.getsockname()[1]
            request = probes.listener(_socket.inet_aton(_LOOPBACK), port)
            return prober.ask(NETLINK_SOCK_DIAG, request, probes.reported)
        finally:
            opened.close()
    except OSError as error:
        return Answer(UNCLEAR, error.strerror or str(error))
