"""What sockets of each protocol are listed by: asked for where the kernel has none."""

from __future__ import annotations

DIAG_MODULES = {
    "tcp": ("tcp_diag", "INET_TCP_DIAG"),
    "mptcp": ("mptcp_diag", "INET_MPTCP_DIAG"),
    "udp": ("udp_diag", "INET_UDP_DIAG"),
    "udplite": ("udp_diag", "INET_UDP_DIAG"),
    "sctp": ("sctp_diag", "INET_SCTP_DIAG"),
    "dccp": ("dccp_diag", "INET_DCCP_DIAG"),
    "raw": ("raw_diag", "INET_RAW_DIAG"),
    "unix": ("unix_diag", "UNIX_DIAG"),
    "packet": ("af_packet_diag", "PACKET_DIAG"),
    "netlink": ("netlink_diag", "NETLINK_DIAG"),
    "tipc": ("diag", "TIPC_DIAG"),
    "vsock": ("vsock_diag", "VSOCKETS_DIAG"),
    "xdp": ("xsk_diag", "XDP_SOCKETS_DIAG"),
}
"""Kernel module and configuration option behind each protocol's sock_diag."""
