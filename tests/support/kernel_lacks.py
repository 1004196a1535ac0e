"""What this kernel's nftables lack: labs and rules of tests that need it are refused, which is no fault of ours."""

from __future__ import annotations

import subprocess
from functools import cache

_RULES = {
    "NAT of nftables (CONFIG_NFT_NAT)": "snat to 192.0.2.1",
    "masquerading of nftables (CONFIG_NFT_MASQ)": "masquerade",
    "expressions of connection tracking in nftables (CONFIG_NFT_CT)": "ct state new",
}
_REFUSALS = ("nftables", "Could not process rule", "TABLE_ADD failed", "RULE_APPEND failed", "CHAIN_ADD failed")


def lacking(failure: str) -> str | None:
    """Why a test that failed with this text cannot run here: nftables refused it, and has not all that there is."""
    return next(iter(_lacking()), None) if any(word in failure for word in _REFUSALS) else None


@cache
def _lacking() -> tuple[str, ...]:
    found = []
    for what, rule in _RULES.items():
        script = f"table ip probe {{ chain c {{ type nat hook postrouting priority 100; {rule}; }}; }}"
        argv = ["unshare", "--net", "nft", "--check", "--file", "-"]
        try:
            result = subprocess.run(argv, input=script, capture_output=True, text=True, timeout=60)
        except FileNotFoundError:
            return ()
        if "No such file" in result.stderr or "not supported" in result.stderr:
            found.append(f"this kernel has no {what}")
    return tuple(found)
