"""Runs files of the suite in a guest; /out/files names them, /out/results gets what came of them.

Several run in one process, since pytest takes seconds to start there. What hangs, or ends the process, costs its file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

SECONDS_A_TEST = 1800 if os.uname().machine == "s390x" else 200
FILES_AT_ONCE = 15
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
    environment["NETINSPECT_LAB_ROUNDS"] = "4"
    left = (OUT / "files").read_text().split()
    while left:
        several = left[:FILES_AT_ONCE]
        status = run(several, environment)
        ended = {line["file"] for line in lines() if "file" in line}
        hurt = next((name for name in several if name not in ended), None)
        if hurt is not None:
            ended.add(hurt)
            with (OUT / "results").open("a") as file:
                file.write(json.dumps({"file": hurt, "status": status or -1, "seconds": 0}) + "\n")
        left = [name for name in left if name not in ended]
    # Behind the tests, which are to find the modules that they need by themselves.
    capabilities()


def run(files: list[str], environment: dict[str, str]) -> int:
    """Runs pytest on these files, until no test has ended for a long time."""
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "recorder", "--tb=short"]
    with subprocess.Popen([*pytest, "--continue-on-collection-errors", *files], env=environment) as running:
        known, since = size(), time.monotonic()
        while running.poll() is None:
            try:
                running.wait(2)
            except subprocess.TimeoutExpired:
                pass
            if (now := size()) != known:
                known, since = now, time.monotonic()
            elif time.monotonic() - since > SECONDS_A_TEST:
                running.kill()
        return running.returncode


def size() -> int:
    """How much has been written on what came of the tests."""
    try:
        return (OUT / "results").stat().st_size
    except OSError:
        return 0


def lines() -> list[dict[str, object]]:
    """What came of the tests so far."""
    text = (OUT / "results").read_text() if size() else ""
    return [json.loads(line) for line in text.splitlines() if line.endswith("}")]


main()
