"""What sockets carry a second (netinspect top)."""

from __future__ import annotations

from .sockets import Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class SocketRates(NamedTuple):
    """One socket, with its counters' changes between two samples."""

    protocol: Annotated[str, "as in Socket"]
    family: Annotated[str, "as in Socket"]
    state: Annotated[str, "as in Socket"]
    local_address: Annotated[str | None, "as in Socket"]
    local_port: Annotated[int | None, "as in Socket"]
    remote_address: Annotated[str | None, "as in Socket"]
    remote_port: Annotated[int | None, "as in Socket"]
    interface: Annotated[str | None, "as in Socket"]
    seconds: Annotated[float, "length of the interval"]
    new: Annotated[bool, "whether it began in this interval"]
    rate: Annotated[float | None, "bytes per second, sent and received; None where the kernel does not count them: UDP"]
    sent_rate: Annotated[
        float | None, "bytes per second that the peer acknowledged (tcp_info: bytes_acked); None for other than TCP"
    ]
    received_rate: Annotated[
        float | None, "bytes per second received in order (tcp_info: bytes_received); None for other than TCP"
    ]
    retransmit_rate: Annotated[float | None, "segments retransmitted per second; None for other than TCP"]
    drop_rate: Annotated[
        float | None, "packets dropped at this socket per second; None where the kernel counts none: socket memory"
    ]
    rtt: Annotated[float | None, "smoothed round-trip time, milliseconds"]
    congestion_window: Annotated[int | None, "congestion window, segments"]
    recv_queue: Annotated[int, "bytes not yet read by the owner"]
    send_queue: Annotated[int, "bytes not yet acknowledged by the peer"]
    cookie: Annotated[int | None, "the kernel's unique number for this socket"]
    inode: Annotated[int, "as in Socket"]
    peer_inode: Annotated[int | None, "as in Socket"] = None
    processes: Annotated[tuple[Process, ...] | None, "every process that holds it, where requested"] = None
    owner_reason: Annotated[str | None, "as in Socket"] = None
    container: Annotated[str | None, "as in Socket"] = None
    netns: Annotated[str | None, "network namespace, where more than the current one was requested"] = None


class GroupRates(NamedTuple):
    """Sockets that have something in common, with their rates added up."""

    group: Annotated[str, "what they share: a process, a remote address, a container or a state"]
    sockets: Annotated[int, "how many"]
    new: Annotated[int, "how many of them began in this interval"]
    rate: Annotated[float | None, "bytes per second, sent and received; None where no socket has counters"]
    sent_rate: Annotated[float | None, "bytes per second that peers acknowledged; None where no socket is TCP's"]
    received_rate: Annotated[float | None, "bytes per second received in order; None where no socket is TCP's"]
    retransmit_rate: Annotated[float | None, "segments retransmitted per second; None where no socket is TCP's"]
    drop_rate: Annotated[
        float | None, "packets dropped at these sockets per second; None where the kernel counts none: socket memory"
    ]
    netns: Annotated[str | None, "network namespace, where more than the current one was requested"] = None
