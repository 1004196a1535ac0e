"""Counters and size of the connection tracking table (linux/netfilter/nfnetlink_conntrack.h: CTA_STATS_*).

net/netfilter/nf_conntrack_netlink.c; the meaning of the counters is that of net/netfilter/nf_conntrack_core.c and
linux/netfilter/nf_conntrack_common.h (struct ip_conntrack_stat).
"""

from __future__ import annotations

from ...engine.netlink.attributes import NUMBER, Attributes, Shape
from ...engine.netlink.messages import HEADER_SIZE, message
from ...uapi.netlink import NLM_F_ACK, NLM_F_DUMP
from ...uapi.nfnetlink import (
    CTA_STATS_GLOBAL_ENTRIES,
    CTA_STATS_GLOBAL_MAX_ENTRIES,
    IPCTNL_MSG_CT_GET_STATS,
    IPCTNL_MSG_CT_GET_STATS_CPU,
    IPCTNL_MSG_EXP_GET_STATS_CPU,
)
from .decode import flow_body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ...engine.netlink.messages import Run


COUNTERS = {
    2: ("found", "packets whose entry was found by a second lookup, which is rare: not a problem"),
    4: (
        "invalid",
        "packets that belong to no connection and cannot start one: out of window, wrong checksum, late reset; a "
        "steady rise means asymmetric routing, broken offloading, or a scan (nf_conntrack_log_invalid shows which)",
    ),
    8: (
        "insert",
        "entries added over netlink, by conntrackd or `conntrack -I`; entries created by packets are not counted",
    ),
    9: (
        "insert_failed",
        "entries that could not be inserted, with the packet dropped: another with the same tuple was faster; with "
        "NAT, two flows took the same source port (NAT port exhaustion, or parallel DNS queries from one socket)",
    ),
    10: ("drop", "packets dropped because no entry could be created: table full, or out of memory"),
    11: (
        "early_drop",
        "entries not yet assured that were dropped early for new ones: the table is or was full",
    ),
    12: ("error", "packets refused by the protocol's check: ICMP errors for unknown connections, bad headers"),
    13: ("search_restart", "lookups restarted because the table was changed or resized meanwhile: no loss"),
    14: ("clash_resolve", "insertions that found an entry for the same connection and used it: no loss"),
    15: (
        "chain_toolong",
        "entries not inserted because their hash chain was too long: more buckets are needed",
    ),
}
"""Attribute: name, as conntrack(8) -S has it, and what it counts. Those no longer used by kernels are left out."""

EXPECTATION_COUNTERS = {
    1: ("expect_new", "connections that arrived as expected by a helper"),
    2: ("expect_create", "expectations created by helpers"),
    3: ("expect_delete", "expectations removed, including fulfilled ones"),
}

_BODY = 4
_SHAPE = Shape(dict.fromkeys((CTA_STATS_GLOBAL_ENTRIES, CTA_STATS_GLOBAL_MAX_ENTRIES, *COUNTERS), NUMBER))


def size_request() -> bytes:
    """The number of entries and, since Linux 5.9, the maximum."""
    return message(IPCTNL_MSG_CT_GET_STATS, NLM_F_ACK, flow_body(0))


def counters_request(*, expectations: bool = False) -> bytes:
    """The counters of every processor."""
    kind = IPCTNL_MSG_EXP_GET_STATS_CPU if expectations else IPCTNL_MSG_CT_GET_STATS_CPU
    return message(kind, NLM_F_DUMP, flow_body(0))


def size(runs: Iterable[Run]) -> tuple[int, int | None]:
    """Entries, and the most there may be. Raises NetlinkError where the answer is malformed."""
    entries, maximum = 0, None
    for run in runs:
        for _, inside in _messages(run):
            entries = inside.big(CTA_STATS_GLOBAL_ENTRIES) or 0
            maximum = inside.big(CTA_STATS_GLOBAL_MAX_ENTRIES)
    return entries, maximum


def counters(runs: Iterable[Run], *, expectations: bool = False) -> Iterator[tuple[int, dict[str, int]]]:
    """Processor and its counters by name. Raises NetlinkError where the answer is malformed.

    The processor's number stands in the header of netfilter's messages (struct nfgenmsg: res_id).
    """
    names = EXPECTATION_COUNTERS if expectations else COUNTERS
    for run in runs:
        for data, inside in _messages(run):
            found = {name: inside.big(kind) for kind, (name, _) in names.items()}
            yield (
                int.from_bytes(data[18:20], "big"),
                {name: value for name, value in found.items() if value is not None},
            )


def _messages(run: Run) -> Iterator[tuple[bytes, Attributes]]:
    for part, _ in run.by_layout(_BODY, _SHAPE):
        for at in range(0, len(part.data), part.length):
            data = part.data[at : at + part.length]
            yield data, Attributes(data, part.operation, _SHAPE, HEADER_SIZE + _BODY)
