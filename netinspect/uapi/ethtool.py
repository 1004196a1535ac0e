"""A driver's own counters (linux/ethtool.h, sockios.h): they have no netlink source, ethtool -S asks by ioctl(2)."""

from __future__ import annotations

SIOCETHTOOL = 0x8946
ETHTOOL_GSTRINGS, ETHTOOL_GSTATS, ETHTOOL_GSSET_INFO = 0x1B, 0x1D, 0x37
ETH_SS_STATS = 1
ETH_GSTRING_LEN = 32
IFNAMSIZ = 16
