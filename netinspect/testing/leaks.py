"""What code under test has left behind in a lab: processes, sockets, conntrack entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..lab.processes import command, processes_inside
from ..waiting.render import line
from . import observing
from .assertions import shown, wait

if TYPE_CHECKING:
    from .labs import AssertingLab

Inventory = dict[tuple[Any, ...], str]
"""Objects found: an identifying key, and a description."""

_CLOSED = frozenset(("TIME_WAIT", "CLOSE", "LAST_ACK", "FIN_WAIT", "CLOSE_WAIT"))
"""Conntrack's states of a connection that at least one end has closed: a timeout of minutes at most is running."""


def inventory(lab: AssertingLab) -> Inventory:
    """The processes, sockets and open TCP flows of a lab."""
    found: Inventory = {}
    for host in lab.hosts.values():
        for pid in processes_inside((host.inode,)):
            if pid not in lab.holders:
                found["process", pid] = f"on {host.name}: process {pid} ({command(pid)})"
        for record in observing.sockets(host):
            if record.state != "TIME_WAIT":
                found["socket", host.name, record.cookie] = f"on {host.name}: socket {line(record)}"
        for flow in observing.flows(host):
            if flow.protocol == "tcp" and flow.state not in _CLOSED:
                ends = flow.source_address, flow.source_port, flow.destination_address, flow.destination_port
                found["flow", host.name, *ends] = f"on {host.name}: conntrack entry {line(flow)}"
    return found


def assert_no_leaks(lab: AssertingLab, since: Inventory | None, timeout: float) -> None:
    """See AssertingLab.assert_no_leaks."""
    __tracebackhide__ = True

    def left() -> list[str]:
        return [text for key, text in inventory(lab).items() if key not in (since or {})]

    wait(lab, lambda: None if left() else True, lambda: f"left behind in lab {lab.name}:{shown(left())}", timeout)
