"""MPTCP's own state (linux/mptcp.h: struct mptcp_info)."""

from __future__ import annotations

from ...engine.fields import GrowingStruct, place
from ...records import MptcpInfo
from ...uapi.sock_diag import INET_DIAG_INFO, MPTCP_INFO_FLAG_FALLBACK, MPTCP_INFO_FLAG_REMOTE_KEY_RECEIVED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ...engine.netlink.messages import Layout, Run


_STRUCT = GrowingStruct(
    ("subflows", "B"),
    ("addresses_signaled", "B"),
    ("addresses_accepted", "B"),
    ("subflows_max", "B"),
    ("addresses_signaled_max", "B"),
    ("addresses_accepted_max", "B"),
    ("", "2x"),
    ("flags", "I"),
    ("token", "I"),
    ("write_sequence", "Q"),
    ("send_unacknowledged", "Q"),
    ("receive_next", "Q"),
    ("local_addresses_used", "B"),
    ("local_addresses_max", "B"),
    ("checksum", "B"),
    ("", "x"),
    ("retransmits", "I"),
    ("bytes_retransmitted", "Q"),
    ("bytes_sent", "Q"),
    ("bytes_received", "Q"),
    ("bytes_acked", "Q"),
    ("subflows_total", "B"),
    ("", "3x"),
    ("last_data_sent", "I"),
    ("last_data_received", "I"),
    ("last_ack_received", "I"),
)


def mptcp_info_records(run: Run, layout: Layout) -> list[MptcpInfo]:
    """The records of a run whose INET_DIAG_INFO is a struct mptcp_info. Raises NetlinkError where it is too short."""
    at = place(run, layout, INET_DIAG_INFO, 0)
    if at is None:
        return []
    columns: dict[str, Iterable[Any]] = dict(_STRUCT.columns(run, at, layout[INET_DIAG_INFO][1]))
    flags = list(columns.pop("flags"))
    columns["fallback"] = [bool(bits & MPTCP_INFO_FLAG_FALLBACK) for bits in flags]
    columns["remote_key_received"] = [bool(bits & MPTCP_INFO_FLAG_REMOTE_KEY_RECEIVED) for bits in flags]
    if "checksum" in columns:
        columns["checksum"] = map(bool, columns["checksum"])
    missing = [None] * run.count
    return list(map(MptcpInfo._make, zip(*(columns.get(name, missing) for name in MptcpInfo._fields), strict=True)))
