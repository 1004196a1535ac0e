"""What can be made here: some topologies of the lab need the program nft, one the module br_netfilter."""

from __future__ import annotations

import os
import shutil

from availability import unavailable
from kernel_lacks import nftables_lacks

from netinspect.lab.topology_file import load


def topology_works(name: str) -> None:
    """Skips, loudly, where a topology of the package cannot be made here."""
    for host in load(name).hosts.values():
        if host.nft and shutil.which("nft") is None:
            unavailable(f"topology {name} needs the program nft")
        if host.nft or host.nat or host.drops:
            nftables_work()
        if any(key.startswith("net.bridge.") for key in host.sysctls) and not os.path.isdir("/proc/sys/net/bridge"):
            unavailable(f"topology {name} needs the kernel module br_netfilter")


def nftables_work() -> None:
    """Skips, loudly, where this kernel refuses rules that labs and tests use."""
    for lack in nftables_lacks():
        unavailable(lack)
