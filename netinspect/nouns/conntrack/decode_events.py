"""Events of the connection tracking table (linux/netfilter/nfnetlink_compat.h, nfnetlink_conntrack.h)."""

from __future__ import annotations

from ...engine.columns import NONE
from ...engine.netlink.messages import HEADER, Run
from ...engine.schema import Schema
from ...uapi.netlink import NLM_F_CREATE
from ...uapi.nfnetlink import IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_NEW, IPCTNL_MSG_EXP_DELETE, IPCTNL_MSG_EXP_NEW
from .decode import FLOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


FLOW_EVENT = Schema(
    "FlowEvent",
    {
        **dict.fromkeys(("event", "time", "lost"), NONE),
        **{name: maker for name, maker in FLOW.columns.items() if name not in FLOW.extra},
    },
    extra={name: FLOW.columns[name] for name in FLOW.extra},
)
"""Entries, each with what happened to it."""

ENTRY_EVENTS = ("new", "update", "destroy")
"""Those of entries; the others are of what helpers expect."""
EVENT_GROUPS = {"new": 1, "update": 2, "destroy": 3, "expect": 4, "expect-destroy": 6}
"""Events and their multicast groups (linux/netfilter/nfnetlink_compat.h: NFNLGRP_CONNTRACK_*)."""
_KINDS = {
    IPCTNL_MSG_CT_NEW: "new",
    IPCTNL_MSG_CT_DELETE: "destroy",
    IPCTNL_MSG_EXP_NEW: "expect",
    IPCTNL_MSG_EXP_DELETE: "expect-destroy",
}


def event_runs(messages: Iterable[bytes], operation: str) -> Iterator[tuple[str, Run]]:
    """Messages of events in runs of equal ones, with the name of what happened. Their order is kept."""
    key = event = None
    same: list[bytes] = []
    for single in messages:
        length, kind, flags, _, _ = HEADER.unpack_from(single)
        happened = _KINDS.get(kind)
        if happened is None:
            continue
        if happened == "new" and not flags & NLM_F_CREATE:
            happened = "update"
        if (length, happened) != key:
            if same and event:
                yield event, _run_of(same, operation)
            key, event, same = (length, happened), happened, []
        same.append(single)
    if same and event:
        yield event, _run_of(same, operation)


def _run_of(messages: list[bytes], operation: str) -> Run:
    length, kind, _, _, _ = HEADER.unpack_from(messages[0])
    padding = bytes(-length % 4)
    data = padding.join(messages) + padding
    return Run(data, kind, length + len(padding), len(messages), operation)
