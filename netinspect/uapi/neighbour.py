"""Neighbours and their tables (linux/neighbour.h)."""

from __future__ import annotations

NDA_DST, NDA_LLADDR, NDA_CACHEINFO, NDA_PROBES, NDA_IFINDEX, NDA_PROTOCOL, NDA_FLAGS_EXT = 1, 2, 3, 4, 8, 12, 15
NDTA_NAME, NDTA_THRESH1, NDTA_THRESH2, NDTA_THRESH3, NDTA_CONFIG, NDTA_STATS = 1, 2, 3, 4, 5, 7
NTF_PROXY = 0x8
