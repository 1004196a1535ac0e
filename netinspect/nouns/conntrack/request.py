"""Dumps of the connection tracking table, with what the kernel can select by.

linux/netfilter/nfnetlink_conntrack.h, net/netfilter/nf_internals.h (CTA_FILTER_F_*) and nf_conntrack_netlink.c.
"""

from __future__ import annotations

from _struct import pack
from errno import EINVAL, EOPNOTSUPP, EPERM, EPROTONOSUPPORT

from ...engine.netlink.messages import attribute, message
from ...errors import ConntrackError, NetinspectError, NetlinkError
from ...uapi.netlink import NLA_F_NESTED, NLM_F_DUMP
from ...uapi.nfnetlink import (
    CTA_FILTER,
    CTA_FILTER_ORIG_FLAGS,
    CTA_FILTER_REPLY_FLAGS,
    CTA_IP_V4_SRC,
    CTA_MARK,
    CTA_MARK_MASK,
    CTA_PROTO_NUM,
    CTA_PROTO_SRC_PORT,
    CTA_STATUS,
    CTA_STATUS_MASK,
    CTA_TUPLE_IP,
    CTA_TUPLE_ORIG,
    CTA_TUPLE_PROTO,
    CTA_TUPLE_REPLY,
    CTA_ZONE,
    IPCTNL_MSG_CT_GET,
)
from .decode import flow_body
from .decode_names import STATUS_BITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


_F_IP_SRC, _F_PROTO_NUM, _F_PROTO_SRC_PORT = 1 << 0, 1 << 3, 1 << 4
"""CTA_FILTER_F_CTA_*: the flag of a destination is the next higher bit."""


class Direction:
    """What one direction of an entry must have; None where it does not matter. Index 0 is the source."""

    __slots__ = ("addresses", "ports")

    def __init__(self) -> None:
        self.addresses: list[bytes | None] = [None, None]
        """IPv4 addresses. Not IPv6 ones: kernels since 5.8 select all but the address asked for (net/netfilter:
        ``!ipv6_addr_cmp()`` where equality was meant), and rows that they leave out cannot be put back."""
        self.ports: list[int | None] = [None, None]

    def __bool__(self) -> bool:
        return any(value is not None for value in self.addresses + self.ports)


class KernelFilter:
    """What a dump is restricted to. ``mark`` is a value and a mask; ``protocol`` is needed where ports are given."""

    __slots__ = ("mark", "original", "protocol", "reply", "status", "zone")

    def __init__(self) -> None:
        self.original = Direction()
        self.reply = Direction()
        self.protocol: int | None = None
        self.mark: tuple[int, int] | None = None
        self.status: tuple[int, int] | None = None
        self.zone: int | None = None

    @property
    def of_tuples(self) -> bool:
        """Whether it takes CTA_FILTER, for which the request must name one address family."""
        return self.protocol is not None or bool(self.original) or bool(self.reply)


def status_bits(names: Iterable[str]) -> int:
    """The bits of these names. Raises ValueError for one that is none."""
    return sum(1 << STATUS_BITS.index(name) for name in names)


def request(family: int, wanted: KernelFilter | None = None) -> bytes:
    """A dump of the table; of both address families for AF_UNSPEC."""
    payload = flow_body(family)
    if wanted is not None:
        payload += _attributes(wanted)
    return message(IPCTNL_MSG_CT_GET, NLM_F_DUMP, payload)


def _attributes(wanted: KernelFilter) -> bytes:
    payload = b""
    if wanted.mark is not None:
        value, mask = wanted.mark
        payload += attribute(CTA_MARK, pack(">I", value & mask)) + attribute(CTA_MARK_MASK, pack(">I", mask))
    if wanted.status is not None:
        value, mask = wanted.status
        payload += attribute(CTA_STATUS, pack(">I", value)) + attribute(CTA_STATUS_MASK, pack(">I", mask))
    if wanted.zone is not None:
        payload += attribute(CTA_ZONE, pack(">H", wanted.zone))
    if wanted.of_tuples:
        original, original_flags = _tuple(wanted.original, wanted.protocol)
        # The protocol is the same in both directions: it is asked for in one, unless the other has ports.
        reply, reply_flags = _tuple(wanted.reply, wanted.protocol if wanted.reply else None)
        for kind, content in ((CTA_TUPLE_ORIG, original), (CTA_TUPLE_REPLY, reply)):
            payload += attribute(kind | NLA_F_NESTED, content) if content else b""
        flags = attribute(CTA_FILTER_ORIG_FLAGS, pack("=I", original_flags))
        flags += attribute(CTA_FILTER_REPLY_FLAGS, pack("=I", reply_flags))
        payload += attribute(CTA_FILTER | NLA_F_NESTED, flags)
    return payload


def _tuple(direction: Direction, protocol: int | None) -> tuple[bytes, int]:
    """The attributes of one direction, and the flags that say which of them count."""
    flags = 0
    addresses = ports = b""
    for side, address in enumerate(direction.addresses):
        if address is not None:
            addresses += attribute(CTA_IP_V4_SRC + side, address)
            flags |= _F_IP_SRC << side
    if protocol is not None:
        ports = attribute(CTA_PROTO_NUM, bytes((protocol,)))
        flags |= _F_PROTO_NUM
        for side, port in enumerate(direction.ports):
            if port is not None:
                ports += attribute(CTA_PROTO_SRC_PORT + side, pack(">H", port))
                flags |= _F_PROTO_SRC_PORT << side
    content = b""
    for kind, inner in ((CTA_TUPLE_IP, addresses), (CTA_TUPLE_PROTO, ports)):
        content += attribute(kind | NLA_F_NESTED, inner) if inner else b""
    return content, flags


def explained(error: NetlinkError) -> NetinspectError:
    """What a refusal of ctnetlink means, and what to do."""
    if error.errno == EPERM:
        return ConntrackError(f"{error.operation} needs CAP_NET_ADMIN in this network namespace: run as root")
    if error.errno in (EPROTONOSUPPORT, EOPNOTSUPP, EINVAL):
        return ConntrackError(
            f"{error.operation}: this kernel has no ctnetlink (CONFIG_NF_CT_NETLINK): "
            "try `modprobe nf_conntrack_netlink`"
        )
    return error
