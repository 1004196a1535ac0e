"""What code under test has left behind in a lab: processes, sockets, conntrack entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..lab import views
from ..lab.processes import command, processes_inside
from .assertions import shown, wait

if TYPE_CHECKING:
    from ..lab.lab import Lab

Inventory = dict[tuple[Any, ...], str]
"""What is there: a key that tells one from another, and how to call it."""

_CLOSED = frozenset(("TIME_WAIT", "CLOSE", "LAST_ACK", "FIN_WAIT", "CLOSE_WAIT"))
"""Conntrack's states of a connection that at least one end has closed: a timeout of minutes at most is running."""


def inventory(lab: Lab[Any]) -> Inventory:
    """The processes, sockets and open TCP flows of a lab."""
    found: Inventory = {}
    for host in lab.hosts.values():
        for pid in processes_inside((host.inode,)):
            if pid not in lab.holders:
                found["process", pid] = f"on {host.name}: process {pid} ({command(pid)})"
        for record in views.sockets(host):
            if record.state != "TIME_WAIT":
                found["socket", host.name, record.cookie] = f"on {host.name}: socket {views.socket_line(record)}"
        for flow in views.flows(host):
            if flow.protocol == "tcp" and flow.state not in _CLOSED:
                found["flow", host.name, flow.original] = f"on {host.name}: conntrack entry {flow}"
    return found


def assert_no_leaks(lab: Lab[Any], since: Inventory | None, timeout: float) -> None:
    """See AssertingLab.assert_no_leaks."""
    __tracebackhide__ = True

    def left() -> list[str]:
        return [text for key, text in inventory(lab).items() if key not in (since or {})]

    wait(lab, lambda: None if left() else True, lambda: f"left behind in lab {lab.name}:{shown(left())}", timeout)
