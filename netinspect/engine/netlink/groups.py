"""Multicast groups in which the kernel reports that a table changed."""

from __future__ import annotations

# linux/rtnetlink.h: RTNLGRP_*
_LINK, _IPV4_ADDRESS, _IPV4_ROUTE, _IPV4_RULE = 1, 5, 7, 8
_IPV6_ADDRESS, _IPV6_ROUTE, _IPV6_RULE, _NEXTHOP = 9, 11, 19, 32

MEMBERSHIP_EVENTS = {"inet": 37, "inet6": 38}
"""linux/rtnetlink.h: RTNLGRP_IPV4_MCADDR, RTNLGRP_IPV6_MCADDR."""

NEIGHBOUR_CHANGES = 3
"""linux/rtnetlink.h: RTNLGRP_NEIGH."""
IPV6_ROUTE_CHANGES = _IPV6_ROUTE
RULE_CHANGES = {"inet": _IPV4_RULE, "inet6": _IPV6_RULE}
MULTICAST_ROUTE_CHANGES = {"inet": 6, "inet6": 10}
"""linux/rtnetlink.h: RTNLGRP_IPV4_MROUTE, RTNLGRP_IPV6_MROUTE."""
BRIDGE_GROUP_CHANGES = 26
"""linux/rtnetlink.h: RTNLGRP_MDB."""

LINK_CHANGES = (_LINK,)
ADDRESS_CHANGES = (_LINK, _IPV4_ADDRESS, _IPV6_ADDRESS)
ROUTE_CHANGES = (*ADDRESS_CHANGES, _IPV4_ROUTE, _IPV6_ROUTE, _IPV4_RULE, _IPV6_RULE, _NEXTHOP)
"""Routes go with a link or an address without a word of their own (net/ipv4/fib_frontend.c: fib_disable_ip)."""

MEMBERSHIP_CHANGES = (_LINK, *MEMBERSHIP_EVENTS.values())
"""Memberships, reported since about Linux 6.14."""

FLOW_CHANGES = (1, 2, 3)
"""linux/netfilter/nfnetlink_compat.h: NFNLGRP_CONNTRACK_NEW, _UPDATE, _DESTROY."""

SOCKET_ENDS = {"tcp": (1, 3), "udp": (2, 4)}
"""linux/sock_diag.h: SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY, and the same of UDP. The kernel does not
report new sockets.
"""
