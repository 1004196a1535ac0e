"""Runs files of the suite in a guest, one after another; /out/files names them, /out/results gets what came of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

SECONDS_A_FILE = 600
OUT = Path("/out")


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


main()
