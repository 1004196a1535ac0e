"""Requests to inet_diag (linux/inet_diag.h); a separate module, so that the request does not wait for the decoder."""

from __future__ import annotations

from _struct import pack

from ...engine.netlink.messages import attribute, message
from ...uapi.netlink import AF_INET, AF_INET6, AF_UNSPEC, NLM_F_DUMP
from ...uapi.sock_diag import (
    INET_DIAG_CONG,
    INET_DIAG_INFO,
    INET_DIAG_REQ_BYTECODE,
    INET_DIAG_REQ_PROTOCOL,
    INET_DIAG_SKMEMINFO,
    INET_DIAG_VEGASINFO,
    SOCK_DIAG_BY_FAMILY,
    TCPDIAG_GETSOCK,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ADDRESS_FAMILIES = {"inet": AF_INET, "inet6": AF_INET6}

PROTOCOLS = {
    "tcp": (6, "stream"),
    "udp": (17, "dgram"),
    "dccp": (33, "dccp"),
    "sctp": (132, "seqpacket"),
    "udplite": (136, "dgram"),
    "raw": (255, "raw"),
    "mptcp": (262, "stream"),
}
"""IP protocol number (linux/in.h) and socket type of what inet_diag lists."""


NEEDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("tcp_info", "mptcp_info", "upper_layer_protocol", "retransmits", "probes"), ("tcp_info",)),
    **dict.fromkeys(("memory", "drops"), ("memory",)),
}
"""Columns of sockets that the kernel reports only where it is asked, by the names of the parameters of `request`."""


def needed(columns: Iterable[str]) -> set[str]:
    """The extensions to request for these columns."""
    return {need for column in columns if column in NEEDS for need in NEEDS[column]}


def request(
    family: int,
    protocol: int,
    states: int,
    *,
    tcp_info: bool = False,
    memory: bool = False,
    bytecode: bytes = b"",
) -> bytes:
    """A dump of one protocol in the states whose bits are set (struct inet_diag_req_v2).

    TCP can be dumped for AF_UNSPEC: both families in one (struct inet_diag_req).
    """
    extensions = 0
    if tcp_info:
        extensions |= 1 << INET_DIAG_INFO - 1 | 1 << INET_DIAG_VEGASINFO - 1 | 1 << INET_DIAG_CONG - 1
    if memory:
        extensions |= 1 << INET_DIAG_SKMEMINFO - 1
    if family == AF_UNSPEC:
        payload = pack("=BxxB48xII", family, extensions, states, 0)
    else:
        payload = pack("=BBBxI48x", family, protocol if protocol < 256 else 255, extensions, states)
    if bytecode:
        payload += attribute(INET_DIAG_REQ_BYTECODE, bytecode)
    if protocol > 255:
        # The header's field has eight bits only (since 5.10, for MPTCP).
        payload += attribute(INET_DIAG_REQ_PROTOCOL, pack("=I", protocol))
    kind = TCPDIAG_GETSOCK if family == AF_UNSPEC else SOCK_DIAG_BY_FAMILY
    return message(kind, NLM_F_DUMP, payload)
