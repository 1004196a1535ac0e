"""What the sock_diag families share (linux/sock_diag.h, net/sock_diag.c): numbers, states, address text, memory."""

from __future__ import annotations

from sys import byteorder

from ...engine.columns import NONE, Array, Column, Constant, Nested, Numbers
from ...engine.fields import numbers, place
from ...engine.netlink.messages import HEADER_SIZE, alike, malformed
from ...engine.schema import Schema

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ...engine.netlink.messages import Layout, Run
    from ...startup import array

STATES = (
    "UNKNOWN",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
    "NEW_SYN_RECV",
    "BOUND_INACTIVE",
    *(f"UNKNOWN_{number}" for number in range(14, 256)),
)
"""The kernel's names (net/tcp_states.h, without the TCP_) by its numbers; every family uses the same numbers."""

UNCONNECTED_STATES = tuple("UNCONNECTED" if state == "CLOSE" else state for state in STATES)
"""For families without connections TCP_CLOSE means no more than that there is no peer."""

TYPES = {1: "stream", 2: "dgram", 3: "raw", 4: "rdm", 5: "seqpacket"}
"""Socket types (linux/net.h: enum sock_type)."""

SHUTDOWNS = ("none", "receive", "send", "both")
"""By the bits of sk_shutdown."""


def cookies(run: Run, offset: int) -> Numbers:
    """A column of socket cookies: two 32-bit words, the low one first, wherever they lie."""
    if byteorder == "little":
        return Numbers(run.u64(offset))
    return Numbers([low | high << 32 for low, high in run.rows(offset, "II")])


def identities(run: Run, body: int, offset: int) -> array[int]:
    """The low words of the cookies: enough to know a socket again within one listing, and cheap to take.

    ``body`` is the size of the family's header, ``offset`` the place of the cookie in the message.
    """
    if run.length < HEADER_SIZE + body:
        raise malformed(f"{run.length} bytes where at least {HEADER_SIZE + body} were expected", run.operation)
    return run.words(offset)


def expect_family(run: Run, family: int) -> None:
    """Raises NetlinkError where a message, which begins with its address family, is of another one."""
    families = run.u8(HEADER_SIZE)
    if families.count(family) != run.count:
        raise malformed(f"a socket of another address family than {family}", run.operation)


def interfaces(indices: array[int], name: Callable[[int], str]) -> Column:
    """Names for a column of interface indices, 0 meaning none."""
    if alike(indices):
        return Constant(name(indices[0])) if indices[0] else NONE
    return Array([name(index) if index else None for index in indices])


def attribute_interfaces(run: Run, layout: Layout, kind: int, name: Callable[[int], str]) -> Column:
    """Names for an attribute that begins with an interface index."""
    at = place(run, layout, kind, 4)
    return NONE if at is None else interfaces(run.words(at), name)


def shutdowns(run: Run, layout: Layout, kind: int) -> Column:
    """Which directions are shut down, from an attribute of one byte (net/sock.h: RCV_SHUTDOWN, SEND_SHUTDOWN)."""
    at = place(run, layout, kind, 1)
    return NONE if at is None else Array([SHUTDOWNS[bits & 3] for bits in run.u8(at)])


def _figure(number: int) -> Callable[[Run, int, int], Column]:
    offset = 4 * number
    return lambda run, at, size: numbers(run, at + offset) if offset + 4 <= size else Constant(0)


_MEMORY = Schema(
    "Memory",
    {
        name: _figure(number)
        for number, name in enumerate(
            (
                *("receive_allocated", "receive_buffer", "send_allocated", "send_buffer"),
                *("forward_allocated", "send_queued", "option", "backlog", "drops"),
            )
        )
    },
)
"""linux/sock_diag.h: SK_MEMINFO_*."""


def memory(run: Run, layout: Layout, kind: int) -> Column:
    """SK_MEMINFO_* (linux/sock_diag.h); kernels before about 4.6 report fewer than nine figures: the others are 0."""
    at = place(run, layout, kind, 4)
    return NONE if at is None else Nested(_MEMORY.batch(run.count, run, at, layout[kind][1]))


def drops(run: Run, layout: Layout, kind: int) -> Column:
    """SK_MEMINFO_DROPS alone."""
    at = place(run, layout, kind, 4)
    return NONE if at is None else _MEMORY.batch(run.count, run, at, layout[kind][1]).column("drops")


SOCKET = Schema(
    "Socket",
    {
        **dict.fromkeys(
            (
                *("protocol", "family", "type", "state", "recv_queue", "send_queue"),
                *("local_address", "local_port", "remote_address", "remote_port", "interface"),
                *("uid", "inode", "cookie", "timer", "mark", "cgroup_id", "shutdown", "v6only", "peer_inode"),
                *("tcp_info", "mptcp_info", "upper_layer_protocol", "options", "groups", "memory", "drops", "source"),
            ),
            NONE,  # unless the family's decoder makes it
        ),
        "unknown_attributes": Constant(()),
        # Unless joined:
        **dict.fromkeys(("cgroup", "netns", "user", "processes", "owner_reason", "peers", "container", "behind"), NONE),
    },
    extra=dict.fromkeys(
        (
            # What only netstat shows, of TCP and SCTP, and of unix sockets.
            *("retransmits", "probes", "local_addresses", "remote_addresses", "waiting", "references", "context"),
            # Owners as ss(8) and netstat(8) write them.
            *("owners", "peer_owners", "program"),
        ),
        NONE,
    ),
)
"""The columns of sockets: each family's decoder makes those that its messages have."""
