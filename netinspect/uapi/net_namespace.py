"""Numbers of network namespaces (linux/net_namespace.h)."""

from __future__ import annotations

NETNSA_NSID, NETNSA_FD = 1, 3
