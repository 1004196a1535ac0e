"""Addresses of interfaces (linux/if_addr.h)."""

from __future__ import annotations

IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST, IFA_ANYCAST, IFA_CACHEINFO, IFA_MULTICAST = 1, 2, 3, 4, 5, 6, 7
IFA_FLAGS, IFA_RT_PRIORITY, IFA_PROTO = 8, 9, 11
IFA_F_NODAD = 0x02
