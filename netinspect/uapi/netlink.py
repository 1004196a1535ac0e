"""Netlink itself, and the families of addresses (linux/netlink.h, linux/socket.h)."""

from __future__ import annotations

AF_UNSPEC, AF_UNIX, AF_INET, AF_BRIDGE, AF_INET6, AF_NETLINK, AF_PACKET, AF_MPLS = 0, 1, 2, 7, 10, 16, 17, 28
AF_VSOCK, AF_XDP = 40, 44
NETLINK_ROUTE, NETLINK_SOCK_DIAG, NETLINK_NETFILTER = 0, 4, 12
"""The protocols."""
NETLINK_ADD_MEMBERSHIP, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 1, 11, 12
"""Options of sockets, of the level SOL_NETLINK."""
NLA_TYPE_MASK = 0x3FFF
"""Type bits of an attribute header, without NLA_F_NESTED and NLA_F_NET_BYTEORDER."""
NLA_F_NESTED = 0x8000
NLMSG_NOOP, NLMSG_ERROR, NLMSG_DONE, NLMSG_OVERRUN = 1, 2, 3, 4
NLMSGERR_ATTR_MSG, NLMSGERR_ATTR_OFFS = 1, 2
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_DUMP_FILTERED, NLM_F_CAPPED = 0x1, 0x4, 0x10, 0x20, 0x100
NLM_F_ACK_TLVS, NLM_F_DUMP = 0x200, 0x300
"""NLM_F_DUMP_FILTERED: the kernel applied the request's filters."""
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
"""Of requests that make something, and of events that say so."""
SOL_NETLINK = 270
