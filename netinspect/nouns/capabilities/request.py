"""Requests that probe the kernel's features, and decoders of their answers. None of them changes anything.

Sources: linux/inet_diag.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/neighbour.h, linux/fib_rules.h,
linux/nexthop.h, linux/if_bridge.h, linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h and nf_tables.h.
"""

from __future__ import annotations

from struct import pack

from ...engine.netlink.attributes import Shape
from ...engine.netlink.messages import HEADER_SIZE, attribute, attributes, malformed, message
from ...uapi.if_link import IFLA_AF_SPEC, IFLA_INET6_STATS, IFLA_STATS_LINK_64
from ...uapi.netlink import AF_INET, AF_INET6, AF_UNSPEC, NLA_F_NESTED, NLM_F_ACK, NLM_F_DUMP
from ...uapi.nf_tables import NFNL_SUBSYS_NFTABLES
from ...uapi.nfnetlink import (
    CTA_FILTER,
    CTA_FILTER_F_CTA_IP_SRC,
    CTA_FILTER_ORIG_FLAGS,
    CTA_FILTER_REPLY_FLAGS,
    CTA_STATS_GLOBAL_ENTRIES,
    CTA_STATS_GLOBAL_MAX_ENTRIES,
    NFNL_SUBSYS_CTNETLINK,
    NFNL_SUBSYS_CTNETLINK_EXP,
)
from ...uapi.rtnetlink import (
    RTM_F_CLONED,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETMDB,
    RTM_GETMULTICAST,
    RTM_GETNEIGH,
    RTM_GETNEIGHTBL,
    RTM_GETNEXTHOP,
    RTM_GETROUTE,
    RTM_GETRULE,
    RTM_GETSTATS,
)
from ...uapi.sock_diag import (
    INET_DIAG_BC_AUTO,
    INET_DIAG_BC_CGROUP_COND,
    INET_DIAG_BC_DEV_COND,
    INET_DIAG_BC_MARK_COND,
    INET_DIAG_CGROUP_ID,
    INET_DIAG_CONG,
    INET_DIAG_INFO,
    INET_DIAG_MARK,
    INET_DIAG_SKMEMINFO,
    SOCK_DIAG_BY_FAMILY,
)
from ..sockets.request import request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...engine.netlink.messages import Run


# Sockets -------------------------------------------------------------------------------------------------------------

_TCP = 6
_ANY_COOKIE = 0xFFFFFFFF
"""INET_DIAG_NOCOOKIE"""
_SOCKET_BODY = 72
"""Size of struct inet_diag_msg."""
_ANY = Shape({})
"""What there is, is counted and not read."""

TOLD_OF_SOCKETS = {
    "tcp_info": INET_DIAG_INFO,
    "congestion control": INET_DIAG_CONG,
    "memory": INET_DIAG_SKMEMINFO,
    "mark": INET_DIAG_MARK,
    "cgroup_id": INET_DIAG_CGROUP_ID,
}
"""Optional facts about a socket, and their attributes."""


def listener(address: bytes, port: int) -> bytes:
    """One listening TCP socket, with all that the kernel reports it (struct inet_diag_req_v2)."""
    wanted = sum(1 << kind - 1 for kind in (INET_DIAG_INFO, INET_DIAG_CONG, INET_DIAG_SKMEMINFO))
    identity = pack("!HH16s16s", port, 0, address, b"") + pack("=III", 0, _ANY_COOKIE, _ANY_COOKIE)
    return message(SOCK_DIAG_BY_FAMILY, NLM_F_ACK, pack("=BBBxI", AF_INET, _TCP, wanted, 0xFFFFFFFF) + identity)


def reported(run: Run) -> dict[str, int]:
    """What of TOLD_OF_SOCKETS is in the answer, and how many bytes each has. Raises NetlinkError if malformed."""
    (_, layout) = next(run.by_layout(_SOCKET_BODY, _ANY))
    return {name: layout[kind][1] for name, kind in TOLD_OF_SOCKETS.items() if kind in layout}


def filtered(condition: str) -> bytes:
    """A dump of TCP sockets in no state at all, with a filter on an interface, a mark, a cgroup or "autobound".

    The kernel checks the filter before it looks for sockets.
    """
    code, argument = {
        "interface": (INET_DIAG_BC_DEV_COND, pack("=I", 1)),
        "mark": (INET_DIAG_BC_MARK_COND, pack("=II", 1, 0xFFFFFFFF)),
        "cgroup": (INET_DIAG_BC_CGROUP_COND, pack("=Q", 1)),
        "autobound": (INET_DIAG_BC_AUTO, b""),
    }[condition]
    size = 4 + len(argument)
    # Where the condition does not hold, the jump goes four bytes behind the end: not selected.
    return request(AF_INET, _TCP, 0, bytecode=pack("=BBH", code, size, size + 4) + argument)


# Routing -------------------------------------------------------------------------------------------------------------

RTNLGRP_IPV4_MCADDR, RTNLGRP_IPV6_MCADDR = 37, 38
_IFINFOMSG = 16
_LOOPBACK_INDEX = 1
"""drivers/net/loopback.c: it is the first interface of every network namespace."""

_BODIES = {
    RTM_GETLINK: "=B15x",
    RTM_GETADDR: "=B7x",
    RTM_GETROUTE: "=B11x",
    RTM_GETNEIGH: "=B11x",
    RTM_GETRULE: "=B11x",
    RTM_GETMULTICAST: "=B7x",
    RTM_GETNEIGHTBL: "=B3x",
    RTM_GETMDB: "=B7x",
    RTM_GETNEXTHOP: "=B7x",
}
"""The fixed headers: the address family, and nothing asked of the rest."""


def table(kind: int, family: int = AF_UNSPEC) -> bytes:
    """A dump of one table, of one address family."""
    return message(kind, NLM_F_DUMP, pack(_BODIES[kind], family))


def family_of(run: Run) -> int:
    """The address family of the first row: for a family that the kernel lacks, rtnetlink answers with all the others.

    Raises NetlinkError where the row is too short for it.
    """
    if run.length <= HEADER_SIZE:
        raise malformed(f"{run.length} bytes where more than a header was expected")
    return run.u8(HEADER_SIZE)[0]


def route_exceptions(family: int) -> bytes:
    """A dump of the routes that were learned (redirects, path MTU); only with NETLINK_GET_STRICT_CHK."""
    return message(RTM_GETROUTE, NLM_F_DUMP, pack("=B7xI", family, RTM_F_CLONED))


def strictly_wrong() -> bytes:
    """A dump of routes with a source prefix, which is invalid: refused by strict checking, ignored without it."""
    return message(RTM_GETROUTE, NLM_F_DUMP, pack("=BxB9x", AF_INET, 1))


def link_counters() -> bytes:
    """A dump of the 64-bit counters of the interfaces (struct if_stats_msg)."""
    return message(RTM_GETSTATS, NLM_F_DUMP, pack("=B3xII", AF_UNSPEC, 0, IFLA_STATS_LINK_64))


def loopback() -> bytes:
    """The first interface, with all that belongs to it."""
    return message(RTM_GETLINK, NLM_F_ACK, pack("=BxHiII", AF_UNSPEC, 0, _LOOPBACK_INDEX, 0, 0))


def has_ipv6_counters(run: Run) -> bool:
    """Whether an interface's IPv6 counters are in the answer. Raises NetlinkError where it is malformed."""
    (part, layout) = next(run.by_layout(_IFINFOMSG, _ANY))
    for kind in (IFLA_AF_SPEC, AF_INET6):
        if kind not in layout:
            return False
        at, size = layout[kind]
        layout = attributes(part.data, at, at + size)
    return IFLA_INET6_STATS in layout


# Netfilter -----------------------------------------------------------------------------------------------------------

CONNTRACK = NFNL_SUBSYS_CTNETLINK << 8 | 1
"""IPCTNL_MSG_CT_GET"""
CONNTRACK_CPU_STATISTICS = NFNL_SUBSYS_CTNETLINK << 8 | 4
"""IPCTNL_MSG_CT_GET_STATS_CPU"""
_CONNTRACK_STATISTICS = NFNL_SUBSYS_CTNETLINK << 8 | 5
"""IPCTNL_MSG_CT_GET_STATS"""
EXPECTATIONS = NFNL_SUBSYS_CTNETLINK_EXP << 8 | 1
"""IPCTNL_MSG_EXP_GET"""
NFTABLES = NFNL_SUBSYS_NFTABLES << 8 | 1
"""NFT_MSG_GETTABLE"""

_NFGENMSG = 4


def netfilter_table(kind: int, family: int = AF_UNSPEC) -> bytes:
    """A dump of one of netfilter's tables (struct nfgenmsg)."""
    return message(kind, NLM_F_DUMP, pack("=B3x", family))


def conntrack_size() -> bytes:
    """How many entries there are, and may be."""
    return message(_CONNTRACK_STATISTICS, NLM_F_ACK, pack("=B3x", AF_UNSPEC))


def entries(run: Run) -> tuple[int | None, int | None]:
    """What the answer to ``conntrack_size`` says. Raises NetlinkError where it is malformed."""
    (part, layout) = next(run.by_layout(_NFGENMSG, _ANY))

    def number(kind: int) -> int | None:
        at, size = layout.get(kind, (0, 0))
        return int.from_bytes(part.data[at : at + size], "big") if size == 4 else None

    return number(CTA_STATS_GLOBAL_ENTRIES), number(CTA_STATS_GLOBAL_MAX_ENTRIES)


def wrongly_filtered_conntrack() -> bytes:
    """A dump with a filter on a source address that is not given: refused by kernels that know filters (EINVAL)."""
    flags = attribute(CTA_FILTER_ORIG_FLAGS, pack("=I", CTA_FILTER_F_CTA_IP_SRC))
    flags += attribute(CTA_FILTER_REPLY_FLAGS, pack("=I", 0))
    payload = pack("=B3x", AF_INET) + attribute(CTA_FILTER | NLA_F_NESTED, flags)
    return message(CONNTRACK, NLM_F_DUMP, payload)
