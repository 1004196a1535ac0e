"""Requests that find out what a kernel can do, and what their answers tell. None of them changes anything.

Sources: linux/inet_diag.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h, linux/neighbour.h, linux/fib_rules.h,
linux/nexthop.h, linux/if_bridge.h, linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h and nf_tables.h.
"""

from __future__ import annotations

from struct import pack

from ...engine.netlink.attributes import Shape
from ...engine.netlink.messages import HEADER_SIZE, NLM_F_ACK, NLM_F_DUMP, attribute, attributes, malformed, message
from ..sockets.decode_inet import INET_DIAG_CGROUP_ID, INET_DIAG_MARK
from ..sockets.request import (
    AF_INET,
    AF_INET6,
    INET_DIAG_CONG,
    INET_DIAG_INFO,
    INET_DIAG_SKMEMINFO,
    SOCK_DIAG_BY_FAMILY,
    request,
)
from ..sockets.request_filter import (
    INET_DIAG_BC_AUTO,
    INET_DIAG_BC_CGROUP_COND,
    INET_DIAG_BC_DEV_COND,
    INET_DIAG_BC_MARK_COND,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...engine.netlink.messages import Run

AF_UNSPEC, AF_BRIDGE, AF_MPLS = 0, 7, 28
RTNL_FAMILY_IPMR, RTNL_FAMILY_IP6MR = 128, 129
NETLINK_NETFILTER = 12

# Sockets -------------------------------------------------------------------------------------------------------------

_TCP = 6
_ANY_COOKIE = 0xFFFFFFFF
"""INET_DIAG_NOCOOKIE"""
_INET_DIAG_MSG = 72
_ANY = Shape({})
"""What there is, is counted and not read."""

TOLD_OF_SOCKETS = {
    "tcp_info": INET_DIAG_INFO,
    "congestion control": INET_DIAG_CONG,
    "memory": INET_DIAG_SKMEMINFO,
    "mark": INET_DIAG_MARK,
    "cgroup_id": INET_DIAG_CGROUP_ID,
}
"""What a kernel may tell of a socket, and the attribute in which it does."""


def listener(address: bytes, port: int) -> bytes:
    """One listening TCP socket, with all that the kernel tells of it (struct inet_diag_req_v2)."""
    wanted = sum(1 << kind - 1 for kind in (INET_DIAG_INFO, INET_DIAG_CONG, INET_DIAG_SKMEMINFO))
    identity = pack("!HH16s16s", port, 0, address, b"") + pack("=III", 0, _ANY_COOKIE, _ANY_COOKIE)
    return message(SOCK_DIAG_BY_FAMILY, NLM_F_ACK, pack("=BBBxI", AF_INET, _TCP, wanted, 0xFFFFFFFF) + identity)


def told(run: Run) -> dict[str, int]:
    """What of TOLD_OF_SOCKETS is in the answer, and how many bytes each has. Raises NetlinkError if malformed."""
    (_, layout) = next(run.by_layout(_INET_DIAG_MSG, _ANY))
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

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH, RTM_GETRULE = 18, 22, 26, 30, 34
RTM_GETMULTICAST, RTM_GETNEIGHTBL, RTM_GETMDB, RTM_GETSTATS, RTM_GETNEXTHOP = 58, 66, 86, 94, 106
RTM_F_CLONED = 0x200
RTNLGRP_IPV4_MCADDR, RTNLGRP_IPV6_MCADDR = 37, 38
IFLA_STATS_LINK_64 = 1
IFLA_AF_SPEC, IFLA_INET6_STATS = 26, 3
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
        raise malformed(f"{run.length} bytes where more than a header was due")
    return run.u8(HEADER_SIZE)[0]


def route_exceptions(family: int) -> bytes:
    """A dump of the routes that were learned (redirects, path MTU); only with NETLINK_GET_STRICT_CHK."""
    return message(RTM_GETROUTE, NLM_F_DUMP, pack("=B7xI", family, RTM_F_CLONED))


def strictly_wrong() -> bytes:
    """A dump of routes with a source prefix, which makes no sense: refused by strict checking, ignored without it."""
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

_NFNL_SUBSYS_CTNETLINK, _NFNL_SUBSYS_CTNETLINK_EXP, _NFNL_SUBSYS_NFTABLES = 1, 2, 10
CONNTRACK = _NFNL_SUBSYS_CTNETLINK << 8 | 1
"""IPCTNL_MSG_CT_GET"""
CONNTRACK_CPU_STATISTICS = _NFNL_SUBSYS_CTNETLINK << 8 | 4
"""IPCTNL_MSG_CT_GET_STATS_CPU"""
_CONNTRACK_STATISTICS = _NFNL_SUBSYS_CTNETLINK << 8 | 5
"""IPCTNL_MSG_CT_GET_STATS"""
EXPECTATIONS = _NFNL_SUBSYS_CTNETLINK_EXP << 8 | 1
"""IPCTNL_MSG_EXP_GET"""
NFTABLES = _NFNL_SUBSYS_NFTABLES << 8 | 1
"""NFT_MSG_GETTABLE"""
NFNLGRP_CONNTRACK_NEW = 1

_NLA_F_NESTED = 0x8000
_CTA_STATS_GLOBAL_ENTRIES, _CTA_STATS_GLOBAL_MAX_ENTRIES = 1, 2
_CTA_FILTER, _CTA_FILTER_ORIG_FLAGS, _CTA_FILTER_REPLY_FLAGS = 25, 1, 2
_CTA_FILTER_F_CTA_IP_SRC = 1
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

    return number(_CTA_STATS_GLOBAL_ENTRIES), number(_CTA_STATS_GLOBAL_MAX_ENTRIES)


def wrongly_filtered_conntrack() -> bytes:
    """A dump with a filter on a source address that is not given: refused by kernels that know filters (EINVAL)."""
    flags = attribute(_CTA_FILTER_ORIG_FLAGS, pack("=I", _CTA_FILTER_F_CTA_IP_SRC))
    flags += attribute(_CTA_FILTER_REPLY_FLAGS, pack("=I", 0))
    payload = pack("=B3x", AF_INET) + attribute(_CTA_FILTER | _NLA_F_NESTED, flags)
    return message(CONNTRACK, NLM_F_DUMP, payload)
