"""Names that connection tracking has for its numbers: protocols, states, status bits.

linux/netfilter/nf_conntrack_common.h, nf_conntrack_tcp.h, nf_conntrack_sctp.h; linux/in.h.
"""

from __future__ import annotations

from ...uapi.nfnetlink import CTA_PROTOINFO_DCCP, CTA_PROTOINFO_SCTP, CTA_PROTOINFO_TCP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PROTOCOLS = {
    1: "icmp",
    2: "igmp",
    4: "ipip",
    6: "tcp",
    17: "udp",
    33: "dccp",
    41: "ipv6",
    47: "gre",
    50: "esp",
    51: "ah",
    58: "icmpv6",
    89: "ospf",
    103: "pim",
    112: "vrrp",
    115: "l2tp",
    132: "sctp",
    136: "udplite",
}
"""IP protocol numbers (linux/in.h, IANA) with the names that conntrack(8) and /etc/protocols have."""

_TCP_STATES = (
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
)
_DCCP_STATES = (
    "NONE",
    "REQUEST",
    "RESPOND",
    "PARTOPEN",
    "OPEN",
    "CLOSEREQ",
    "CLOSING",
    "TIMEWAIT",
    "IGNORE",
    "INVALID",
)
_SCTP_STATES = (
    "NONE",
    "CLOSED",
    "COOKIE_WAIT",
    "COOKIE_ECHOED",
    "ESTABLISHED",
    "SHUTDOWN_SENT",
    "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT",
    "HEARTBEAT_SENT",
    "HEARTBEAT_ACKED",
)
STATES = {CTA_PROTOINFO_TCP: _TCP_STATES, CTA_PROTOINFO_DCCP: _DCCP_STATES, CTA_PROTOINFO_SCTP: _SCTP_STATES}
"""Names by number for each kind of CTA_PROTOINFO (nf_conntrack_tcp.h: enum tcp_conntrack, and so on)."""

STATUS_BITS = (
    "EXPECTED",
    "SEEN_REPLY",
    "ASSURED",
    "CONFIRMED",
    "SRC_NAT",
    "DST_NAT",
    "SEQ_ADJUST",
    "SRC_NAT_DONE",
    "DST_NAT_DONE",
    "DYING",
    "FIXED_TIMEOUT",
    "TEMPLATE",
    "UNTRACKED",
    "HELPER",
    "OFFLOAD",
    "HW_OFFLOAD",
)
"""enum ip_conntrack_status: IPS_* by bit."""


class BitNames(dict[int, tuple[str, ...]]):
    """The names of the bits that are set; what has no name is reported in hexadecimal, and never dropped."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, value: int) -> tuple[str, ...]:
        known = [name for bit, name in enumerate(self._names) if value >> bit & 1]
        rest = value >> len(self._names) << len(self._names)
        names = self[value] = (*known, *([f"{rest:#x}"] if rest else ()))
        return names
