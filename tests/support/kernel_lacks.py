"""What this kernel's nftables lack: labs and rules of tests that need it are refused, which is no fault of ours."""

from __future__ import annotations

import re
import subprocess
from functools import cache

_SCRIPTS = {
    "tables of nftables for IPv4 (CONFIG_NF_TABLES_IPV4)": "table ip probe { }",
    "tables of nftables for both IPs (CONFIG_NF_TABLES_INET)": "table inet probe { }",
    **{
        what: f"table ip probe {{ chain c {{ type nat hook postrouting priority 100; {rule}; }}; }}"
        for what, rule in {
            "NAT of nftables (CONFIG_NFT_NAT)": "snat to 192.0.2.1",
            "masquerading of nftables (CONFIG_NFT_MASQ)": "masquerade",
            "expressions of connection tracking in nftables (CONFIG_NFT_CT)": "ct state new",
        }.items()
    },
}
_EXTENSION = re.compile(r"Extension (\w+) revision \d+ not supported, missing kernel module")
_REFUSALS = ("nftables", "Could not process rule", "TABLE_ADD failed", "RULE_APPEND failed", "CHAIN_ADD failed")


def lacking(failure: BaseException) -> str | None:
    """Why a test that failed so cannot run here: nftables refused something, and has not all that there is."""
    texts = []
    cause: BaseException | None = failure
    while cause is not None:
        texts.append(str(cause))
        cause = cause.__cause__ or cause.__context__
    for text in texts:
        if missing := _EXTENSION.search(text):
            return f"this kernel has no extension {missing[1]} of iptables"
    return next(iter(nftables_lacks()), None) if any(word in text for word in _REFUSALS for text in texts) else None


@cache
def nftables_lacks() -> tuple[str, ...]:
    """What of nftables our labs and tests use and this kernel has not: reasons, ready to be given."""
    found = []
    for what, script in _SCRIPTS.items():
        argv = ["unshare", "--net", "nft", "--check", "--file", "-"]
        try:
            result = subprocess.run(argv, input=script, capture_output=True, text=True, timeout=60)
        except FileNotFoundError:
            return ()
        if "No such file" in result.stderr or "not supported" in result.stderr:
            found.append(f"this kernel has no {what}")
    return tuple(found)
