"""Next-hop objects (linux/nexthop.h)."""

from __future__ import annotations

NHA_ID, NHA_GROUP, NHA_GROUP_TYPE, NHA_BLACKHOLE, NHA_OIF, NHA_GATEWAY, NHA_ENCAP_TYPE = 1, 2, 3, 4, 5, 6, 7
NHA_ENCAP, NHA_FDB = 8, 11
