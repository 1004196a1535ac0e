"""Runs files of the suite in a guest, one after another; /out/files names them, /out/results gets what came of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

SECONDS_A_FILE = 3600 if os.uname().machine == "s390x" else 600
HERE = os.environ.get("NI_HERE")
"""Set where there is no guest: its modules are for others to load."""
OUT = Path(HERE or "/out")
# Modules that nothing loads by itself, and what counts or keeps times only where it is asked to.
MODULES = (
    "sctp_diag",
    "dccp_diag",
    "raw_diag",
    "udp_diag",
    "mptcp_diag",
    "unix_diag",
    "af_packet_diag",
    "netlink_diag",
)
MODULES += (
    "diag",
    "vsock_diag",
    "xsk_diag",
    "nf_conntrack_netlink",
    "nf_tables",
    "nft_ct",
    "mpls_router",
    "bridge",
    "tcp_bbr",
)
SETTINGS = ("nf_conntrack_acct", "nf_conntrack_timestamp")


def capabilities() -> None:
    """The output of `netinspect capabilities` on this kernel, in /out/capabilities."""
    for module in () if HERE else MODULES:
        subprocess.run(["modprobe", "-q", module])
    for name in SETTINGS:
        try:
            Path("/proc/sys/net/netfilter", name).write_text("1")
        except OSError:
            pass  # then it is asked to be off
    command = [sys.executable, "-m", "netinspect", "capabilities", "--json"]
    (OUT / "capabilities").write_bytes(subprocess.run(command, stdout=subprocess.PIPE).stdout)


def main() -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "NI_RESULTS": str(OUT / "results")}
    environment.pop("NETINSPECT_NO_SKIP", None)
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "recorder", "--tb=short"]
    for name in (OUT / "files").read_text().split():
        began = time.monotonic()
        try:
            status = subprocess.run([*pytest, name], env=environment, timeout=SECONDS_A_FILE).returncode
        except subprocess.TimeoutExpired:
            status = -1
        line = {"file": name, "status": status, "seconds": round(time.monotonic() - began, 1)}
        with (OUT / "results").open("a") as results:
            results.write(json.dumps(line) + "\n")
    # Behind the tests, which are to find the modules that they need by themselves.
    capabilities()


main()
