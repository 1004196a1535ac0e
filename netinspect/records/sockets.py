"""Sockets (netinspect sockets)."""

from __future__ import annotations

from .unknown import UnknownAttribute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Annotated, NamedTuple
else:
    from ..startup import Annotated, NamedTuple


class Process(NamedTuple):
    """One file descriptor that holds a socket (proc(5): /proc/PID/fd)."""

    pid: Annotated[int, "process id, in the pid namespace of this /proc"]
    name: Annotated[str, "the process's name (comm), at most 15 bytes; set by the process itself, do not trust it"]
    fd: Annotated[int, "file descriptor number in that process"]
    unit: Annotated[str | None, "systemd unit, from the process's cgroup path"] = None
    container: Annotated[str | None, "container id, from the process's cgroup path"] = None
    via: Annotated[
        str | None,
        "how it holds the socket, if not by a descriptor of the whole process: io_uring (registered with the ring that "
        "``fd`` is), or thread and the id of a thread with its own descriptor table",
    ] = None


class Timer(NamedTuple):
    """The timer that is running on a TCP socket (linux/inet_diag.h: idiag_timer, idiag_expires)."""

    name: Annotated[str, "retransmit, keepalive, timewait, probe (zero window) or delayed_ack"]
    remaining: Annotated[int, "milliseconds until it fires"]
    retransmits: Annotated[int, "retransmissions, or probes, sent without an answer so far"]


class Memory(NamedTuple):
    """Socket memory (linux/sock_diag.h: SK_MEMINFO_*), all but ``drops`` in bytes."""

    receive_allocated: Annotated[int, "bytes allocated to received packets (rmem_alloc)"]
    receive_buffer: Annotated[int, "receive buffer limit, bytes (rcvbuf)"]
    send_allocated: Annotated[int, "bytes handed to the layer below and not yet freed (wmem_alloc)"]
    send_buffer: Annotated[int, "send buffer limit, bytes (sndbuf)"]
    forward_allocated: Annotated[int, "bytes reserved ahead and not in use (fwd_alloc)"]
    send_queued: Annotated[int, "bytes of queued packets (wmem_queued)"]
    option: Annotated[int, "bytes of socket options (optmem)"]
    backlog: Annotated[int, "bytes waiting while the socket is locked (backlog)"]
    drops: Annotated[int, "packets dropped at this socket"]


class CongestionInfo(NamedTuple):
    """Figures of the congestion control algorithm (linux/inet_diag.h: tcp_bbr_info, tcpvegas_info, tcp_dctcp_info)."""

    bandwidth: Annotated[int | None, "BBR: estimated bottleneck bandwidth, bytes/s"] = None
    min_rtt: Annotated[int | None, "BBR, Vegas: smallest round-trip time seen, microseconds"] = None
    pacing_gain: Annotated[float | None, "BBR: pacing gain, a factor"] = None
    cwnd_gain: Annotated[float | None, "BBR: congestion window gain, a factor"] = None
    rtt: Annotated[int | None, "Vegas: round-trip time, microseconds"] = None
    rtt_count: Annotated[int | None, "Vegas: round trips measured in this window"] = None
    enabled: Annotated[bool | None, "Vegas, DCTCP: whether the algorithm is active on this connection"] = None
    ce_state: Annotated[int | None, "DCTCP: whether the last segment carried Congestion Experienced"] = None
    alpha: Annotated[int | None, "DCTCP: estimate of the fraction of marked packets, of 1024"] = None
    ecn_bytes: Annotated[int | None, "DCTCP: bytes acknowledged with ECN-Echo"] = None
    total_bytes: Annotated[int | None, "DCTCP: bytes acknowledged"] = None


class TcpInfo(NamedTuple):
    """TCP's own state (linux/tcp.h: struct tcp_info). A field that this kernel's struct is too short for is None."""

    congestion_control: Annotated[str | None, "name of the congestion control algorithm"]
    congestion_state: Annotated[str, "open, disorder, cwr, recovery or loss"]
    congestion_info: Annotated[CongestionInfo | None, "the algorithm's own figures, where it has any"]
    rtt: Annotated[float, "smoothed round-trip time, milliseconds"]
    rttvar: Annotated[float, "round-trip time's mean deviation, milliseconds"]
    min_rtt: Annotated[float | None, "smallest round-trip time seen, milliseconds"]
    retransmission_timeout: Annotated[float, "retransmission timeout (RTO), milliseconds"]
    acknowledgment_timeout: Annotated[float, "delayed acknowledgment timeout (ATO), milliseconds"]
    send_window_scale: Annotated[int | None, "window scale the peer asked for; None where not negotiated"]
    receive_window_scale: Annotated[int | None, "window scale we asked for; None where not negotiated"]
    send_mss: Annotated[int, "maximum segment size for sending, bytes"]
    receive_mss: Annotated[int, "maximum segment size seen in receiving, bytes"]
    advertised_mss: Annotated[int, "maximum segment size advertised, bytes"]
    path_mtu: Annotated[int, "path MTU, bytes"]
    congestion_window: Annotated[int, "congestion window, segments"]
    slow_start_threshold: Annotated[int | None, "slow start threshold, segments; None while still at infinity"]
    unacknowledged: Annotated[int, "segments sent and not acknowledged"]
    selectively_acknowledged: Annotated[int, "segments that the peer has beyond a gap (SACK)"]
    lost: Annotated[int, "segments believed lost"]
    retransmitted: Annotated[int, "segments retransmitted and still in flight"]
    total_retransmits: Annotated[int, "segments retransmitted since the connection began"]
    retransmits: Annotated[int, "timeouts in a row without an answer"]
    probes: Annotated[int, "zero-window or keepalive probes in a row without an answer"]
    backoff: Annotated[int, "how often the retransmission timeout was doubled"]
    last_data_sent: Annotated[int, "milliseconds since data was last sent"]
    last_data_received: Annotated[int, "milliseconds since data was last received"]
    last_ack_received: Annotated[int, "milliseconds since an acknowledgment was last received"]
    receive_space: Annotated[int, "receive buffer auto-tuning: bytes read per round trip"]
    pacing_rate: Annotated[int | None, "pacing rate, bytes/s; None where unlimited"]
    max_pacing_rate: Annotated[int | None, "limit of the pacing rate, bytes/s; None where unlimited"]
    delivery_rate: Annotated[int | None, "latest delivery rate, bytes/s"]
    delivery_rate_app_limited: Annotated[bool, "whether the sender, not the network, limited the delivery rate"]
    bytes_acked: Annotated[int | None, "bytes the peer has acknowledged"]
    bytes_received: Annotated[int | None, "bytes received in order"]
    bytes_sent: Annotated[int | None, "data bytes sent, retransmissions included"]
    bytes_retransmitted: Annotated[int | None, "data bytes retransmitted"]
    segments_out: Annotated[int | None, "segments sent"]
    segments_in: Annotated[int | None, "segments received"]
    data_segments_out: Annotated[int | None, "segments sent with data"]
    data_segments_in: Annotated[int | None, "segments received with data"]
    delivered: Annotated[int | None, "data segments delivered, according to acknowledgments"]
    delivered_ce: Annotated[int | None, "of these, acknowledged with ECN-Echo"]
    not_sent: Annotated[int | None, "bytes in the send queue and not yet sent"]
    busy_time: Annotated[int | None, "microseconds with data outstanding"]
    receive_window_limited: Annotated[int | None, "microseconds stalled by the peer's window"]
    send_buffer_limited: Annotated[int | None, "microseconds stalled by our send buffer"]
    reordering: Annotated[int, "segments that may arrive out of order before one counts as lost"]
    reordering_seen: Annotated[int | None, "reordering events"]
    duplicate_sacks: Annotated[int | None, "duplicate SACK blocks received (RFC 2883)"]
    out_of_order_packets: Annotated[int | None, "packets received out of order"]
    receive_rtt: Annotated[float | None, "round-trip time as the receiver estimates it, milliseconds"]
    receive_threshold: Annotated[int, "receive window up to which it may grow now, bytes (rcv_ssthresh)"]
    send_window: Annotated[int | None, "window that the peer advertises, bytes"]
    receive_window: Annotated[int | None, "window that we advertise, bytes"]
    rehashes: Annotated[int | None, "times another path was tried after timeouts"]
    timeouts: Annotated[int | None, "retransmission timeouts since the connection began"]
    fastopen_failure: Annotated[
        str | None, "why TCP Fast Open did not work: cookie_unavailable, data_not_acked or syn_retransmitted"
    ]
    options: Annotated[tuple[str, ...], "options in force: timestamps, sack, ecn, ecn_seen, syn_data …"]


class MptcpInfo(NamedTuple):
    """MPTCP's own state (linux/mptcp.h: struct mptcp_info). A field that this kernel's struct is too short for is None.

    Sequence numbers and bytes are those of the whole connection, over all subflows.
    """

    subflows: Annotated[int, "subflows beside the first"]
    subflows_max: Annotated[int, "limit of these"]
    subflows_total: Annotated[int | None, "subflows, the first included"]
    addresses_signaled: Annotated[int, "addresses announced to the peer (ADD_ADDR)"]
    addresses_signaled_max: Annotated[int, "limit of these"]
    addresses_accepted: Annotated[int, "addresses accepted from the peer"]
    addresses_accepted_max: Annotated[int, "limit of these"]
    local_addresses_used: Annotated[int | None, "local addresses in use for further subflows"]
    local_addresses_max: Annotated[int | None, "limit of these"]
    fallback: Annotated[bool, "whether the connection fell back to plain TCP"]
    remote_key_received: Annotated[bool, "whether the peer's key is known"]
    checksum: Annotated[bool | None, "whether data carries MPTCP's checksum"]
    token: Annotated[int, "token of the connection"]
    write_sequence: Annotated[int, "data sequence number of the next byte to be written"]
    send_unacknowledged: Annotated[int, "data sequence number of the oldest byte not acknowledged"]
    receive_next: Annotated[int, "data sequence number of the next byte expected"]
    retransmits: Annotated[int | None, "retransmissions at the level of the connection"]
    bytes_retransmitted: Annotated[int | None, "bytes retransmitted at the level of the connection"]
    bytes_sent: Annotated[int | None, "bytes sent"]
    bytes_received: Annotated[int | None, "bytes received"]
    bytes_acked: Annotated[int | None, "bytes acknowledged"]
    last_data_sent: Annotated[int | None, "milliseconds since data was last sent"]
    last_data_received: Annotated[int | None, "milliseconds since data was last received"]
    last_ack_received: Annotated[int | None, "milliseconds since an acknowledgment was last received"]


class Socket(NamedTuple):
    """One socket, of any family. None means: does not apply to this kind of socket, or was not asked for."""

    protocol: Annotated[
        str, "tcp, udp, udplite, mptcp, raw, sctp, dccp, unix, packet, netlink, tipc, vsock, xdp (or its number)"
    ]
    family: Annotated[str, "inet, inet6, unix, packet, netlink, tipc, vsock or xdp"]
    type: Annotated[str, "stream, dgram, seqpacket, raw or rdm"]
    state: Annotated[str, "the state, by the kernel's name: see `netinspect explain`"]
    recv_queue: Annotated[
        int, "bytes not yet read by the owner (tipc: messages); for a listening socket, connections waiting for accept"
    ]
    send_queue: Annotated[
        int,
        "bytes not yet acknowledged by the peer (tipc: messages); for a listening socket, the limit of that backlog",
    ]
    local_address: Annotated[
        str | None,
        "address, numeric; unix: path, '@' before an abstract name; netlink: its protocol; tipc: node",
    ]
    local_port: Annotated[int | None, "port; netlink: port id; xdp: device queue; None for families without ports"]
    remote_address: Annotated[str | None, "the peer's address; unix: its name, if it has one"]
    remote_port: Annotated[int | None, "the peer's port"]
    interface: Annotated[str | None, "interface that the socket is bound to, or the scope of a link-local address"]
    uid: Annotated[int | None, "user id of the owner"]
    inode: Annotated[int, "inode number in sockfs; 0 if no file refers to the socket any more"]
    cookie: Annotated[int | None, "the kernel's unique number for this socket; None from procfs"]
    timer: Annotated[Timer | None, "the TCP timer that is running"] = None
    mark: Annotated[int | None, "firewall mark; visible only with CAP_NET_ADMIN"] = None
    cgroup_id: Annotated[int | None, "id of the cgroup in which the socket was created (cgroup v2)"] = None
    cgroup: Annotated[str | None, "that cgroup's path; '(deleted)' if it is gone"] = None
    shutdown: Annotated[str | None, "which directions are shut down: none, receive, send or both"] = None
    v6only: Annotated[bool | None, "whether an IPv6 listener refuses IPv4 (IPV6_V6ONLY)"] = None
    peer_inode: Annotated[int | None, "unix: inode of the connected peer"] = None
    tcp_info: Annotated[TcpInfo | None, "TCP information, if requested"] = None
    mptcp_info: Annotated[MptcpInfo | None, "MPTCP information, if requested"] = None
    upper_layer_protocol: Annotated[str | None, "protocol attached to the TCP socket: tls, mptcp, espintcp, smc"] = None
    options: Annotated[
        tuple[str, ...] | None, "enabled socket options: freebind, transparent, bind_address_no_port, recverr …"
    ] = None
    groups: Annotated[tuple[int, ...] | None, "netlink: numbers of the multicast groups it has joined"] = None
    memory: Annotated[Memory | None, "socket memory, if requested"] = None
    drops: Annotated[
        int | None,
        "packets dropped at this socket, because its queue was full or by its filter (SK_MEMINFO_DROPS), if requested",
    ] = None
    netns: Annotated[str | None, "network namespace; None unless namespaces were selected"] = None
    source: Annotated[str, "source: sock_diag, or procfs if the kernel has no sock_diag for this protocol"] = (
        "sock_diag"
    )
    user: Annotated[str | None, "name of the owning user, if requested"] = None
    processes: Annotated[tuple[Process, ...] | None, "every process and descriptor that holds it, if requested"] = None
    owner_reason: Annotated[
        str | None,
        "why no process is listed: kernel, in flight or kernel, orphaned, not accepted, no permission, unreadable, "
        "other pid namespace or gone; in flight: the process listed has yet to receive it",
    ] = None
    peers: Annotated[
        tuple[Process, ...] | None, "holders of the other end, if requested and on this machine; may be empty"
    ] = None
    container: Annotated[
        str | None, "container of the holder, or that a port is published for, by name or id; where asked for"
    ] = None
    behind: Annotated[
        tuple[Process, ...] | None,
        "processes that a published port leads to, where the holder is a container engine's; where asked for",
    ] = None
    unknown_attributes: Annotated[tuple[UnknownAttribute, ...], "attributes that this release does not know"] = ()


class SocketCount(NamedTuple):
    """How many sockets there are of one protocol and family in one state (`netinspect sockets --summary`)."""

    protocol: Annotated[str, "as in Socket"]
    family: Annotated[str, "as in Socket"]
    state: Annotated[str, "as in Socket"]
    sockets: Annotated[int, "how many"]
    netns: Annotated[str | None, "network namespace; None unless namespaces were selected"] = None
