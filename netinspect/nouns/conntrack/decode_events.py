"""Events of the connection tracking table (linux/netfilter/nfnetlink_compat.h, nfnetlink_conntrack.h)."""

from __future__ import annotations

from _struct import Struct

from ...engine.columns import NONE
from ...engine.netlink.messages import Run
from ...engine.schema import Schema
from ...uapi.netlink import NLM_F_CREATE
from ...uapi.nfnetlink import IPCTNL_MSG_CT_DELETE, IPCTNL_MSG_CT_NEW, IPCTNL_MSG_EXP_DELETE, IPCTNL_MSG_EXP_NEW
from .decode import FLOW

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


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
_SHAPE = Struct("=IHH")
"""Length, kind and flags: the first fields of struct nlmsghdr."""
_KINDS = {
    IPCTNL_MSG_CT_NEW: "new",
    IPCTNL_MSG_CT_DELETE: "destroy",
    IPCTNL_MSG_EXP_NEW: "expect",
    IPCTNL_MSG_EXP_DELETE: "expect-destroy",
}


def event_runs(messages: Sequence[bytes], operation: str) -> Iterator[tuple[str, Run]]:
    """Messages of events in runs of equal ones, with the name of what happened: a run's positions are the numbers of
    its messages among all of them.
    """
    groups: dict[bytes, list[int]] = {}
    for number, single in enumerate(messages):
        # The length, the kind and the flags of the header, which is all that tells one kind of event from another.
        key = single[:8]
        try:
            groups[key].append(number)
        except KeyError:
            groups[key] = [number]
    for key, numbers in groups.items():
        length, kind, flags = _SHAPE.unpack(key)
        happened = _KINDS.get(kind)
        if happened is None:
            continue
        if happened == "new" and not flags & NLM_F_CREATE:
            happened = "update"
        padding = bytes(-length % 4)
        data = padding.join([messages[number] for number in numbers]) + padding
        yield happened, Run(data, kind, length + len(padding), len(numbers), operation, numbers)
