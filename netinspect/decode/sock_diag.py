"""What the sock_diag families share (linux/sock_diag.h, net/sock_diag.c): numbers, states, address text, memory."""

from __future__ import annotations

from _socket import inet_ntop
from itertools import repeat

from ..batch import NONE, Constant

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..batch import Column
    from ..netlink.messages import Layout, Run
    from ..records import Memory

SOCK_DIAG_BY_FAMILY = 20
SOCK_DESTROY = 21

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

TYPES = {1: "stream", 2: "dgram", 3: "raw", 5: "seqpacket"}
"""Socket types (linux/net.h: enum sock_type)."""

_ADDRESS_TEXTS = 20_000
"""Addresses of which a cache keeps the text: about 4 MiB, so that memory stays flat whatever the table holds."""


class IPv4Texts(dict[int, str]):
    """Address text by the 32-bit word as it lies in memory."""

    def __missing__(self, word: int) -> str:
        if len(self) >= _ADDRESS_TEXTS:
            self.clear()
        from sys import byteorder

        text = self[word] = "%d.%d.%d.%d" % tuple(word.to_bytes(4, byteorder))
        return text


class IPv6Texts(dict[bytes, str]):
    """Address text by its sixteen bytes (RFC 5952)."""

    def __missing__(self, raw: bytes) -> str:
        if len(self) >= _ADDRESS_TEXTS:
            self.clear()
        text = self[raw] = inet_ntop(10, raw)
        return text


def interfaces(indices: Sequence[int], name: Callable[[int], str]) -> Column:
    """Names for a column of interface indices, 0 meaning none."""
    if not any(indices):
        return NONE
    return [name(index) if index else None for index in indices]


def attribute_u32(run: Run, layout: Layout, kind: int) -> Column:
    """The values of a 32-bit attribute, None where the messages have none."""
    at, size = layout.get(kind, (0, 0))
    return run.u32(at) if size >= 4 else NONE


def memory_records(run: Run, layout: Layout, kind: int) -> Sequence[Memory] | Constant:
    """SK_MEMINFO_* (linux/sock_diag.h); kernels before 4.6 or so tell fewer than nine figures."""
    at, size = layout.get(kind, (0, 0))
    if not size:
        return NONE
    from ..records import Memory

    figures = len(Memory._fields)
    known = min(size // 4, figures)
    # The kernel's order is Memory's but for drops, which comes last in both.
    columns = [run.u32(at + 4 * index) for index in range(known)]
    return list(map(Memory, *columns, *(repeat(0) for _ in range(figures - known))))


def text(raw: bytes) -> str:
    """Names are bytes to the kernel: what is not UTF-8 is shown as escapes, so JSON stays valid."""
    return raw.decode("utf-8", "backslashreplace")
