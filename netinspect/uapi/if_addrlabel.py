"""Labels of IPv6 addresses, which choose source addresses (linux/if_addrlabel.h)."""

from __future__ import annotations

RTM_GETADDRLABEL = 74
IFAL_ADDRESS, IFAL_LABEL = 1, 2
