"""Next-hop objects (linux/nexthop.h)."""

from __future__ import annotations

NHA_ID, NHA_GROUP, NHA_GROUP_TYPE, NHA_BLACKHOLE, NHA_OIF, NHA_GATEWAY, NHA_ENCAP_TYPE = 1, 2, 3, 4, 5, 6, 7
NHA_ENCAP, NHA_FDB, NHA_OP_FLAGS = 8, 11, 14
NHA_OP_FLAG_RESP_GRP_RESVD_0 = 1 << 31
