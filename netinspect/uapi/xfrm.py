"""IPsec's policies and security associations (linux/xfrm.h)."""

from __future__ import annotations

NETLINK_XFRM = 6
XFRM_MSG_GETSA, XFRM_MSG_GETPOLICY = 0x12, 0x15
XFRM_POLICY_IN, XFRM_POLICY_OUT, XFRM_POLICY_FWD = 0, 1, 2
XFRM_POLICY_BLOCK = 1
XFRMA_TMPL, XFRMA_MARK, XFRMA_IF_ID = 5, 21, 31
XFRM_MODES = ("transport", "tunnel", "ro", "in_trigger", "beet", "iptfs")
