"""Connections that programs of the gateway itself are opening, and that never leave it."""

from __future__ import annotations

from ..path.walk_packet import TCP, Packet
from .diagnose_findings import NOTE
from .diagnose_paths import found_on, walk_flow

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...records import Finding, Socket
    from .diagnose_situation import Situation

_SYN_SENT = 1 << 2
"""net/tcp_states.h: TCPF_SYN_SENT"""
_WALKED = 8
"""Destinations whose way is walked, at most."""


def own(situation: Situation) -> Iterator[Finding]:
    """What programs here open and connection tracking never saw: it does not leave this machine.

    A rule that drops it is mostly meant to; a policy is not, where nothing else of this machine gets an answer.
    """
    if not situation.sample or not situation.home_tracks:
        return  # a moment after it is sent it may be anywhere; where nothing is tracked that says nothing
    for opened in _opening(situation):
        local, remote, port = opened.local_address or "", opened.remote_address or "", opened.remote_port or 0
        if situation.home.tracked(TCP, local, remote, (opened.local_port or 0, port)) is not None:
            continue  # it left: its entry is walked
        packet = Packet(TCP, local, remote, 0, port)
        known_by = f"sock_diag: a program here opens a connection to {remote} port {port}, and it is not tracked"
        paths = walk_flow(situation, packet, None)
        failing = [path for path in paths if path.cause is not None and path.where is situation.home]
        meant = any(path.cause == "rule" for path in failing) or situation.traffic.own_answered
        for found in found_on(situation, failing, known_by, asked=False) if len(failing) == len(paths) else ():
            ruled = failing[0].cause in ("rule", "policy")
            yield found._replace(severity=NOTE, fix="") if ruled and meant else found


def _opening(situation: Situation) -> list[Socket]:
    """One socket for each destination that a connection is being opened to."""
    from ..sockets.listing import Query, SocketListing

    found: dict[tuple[str | None, int | None], Socket] = {}
    for batch in SocketListing(Query(("tcp",), states=_SYN_SENT), [situation.again()]).batches():
        for opened in batch:
            remote = opened.remote_address
            if remote is None or remote.startswith(("127.", "fe80:")) or situation.home.is_local(remote):
                continue
            if len(found) < _WALKED:
                found.setdefault((remote, opened.remote_port), opened)
    return list(found.values())
