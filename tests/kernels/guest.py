"""A guest: a kernel of packages.py that runs one command as root on this machine's files, and is gone after it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import packages

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
# Grace periods that end at once: without them each namespace takes seconds to go. No interfaces that nobody asked for.
SETTINGS = ("rcupdate.rcu_expedited=1", "bonding.max_bonds=0", "dummy.numdummies=0", "ifb.numifbs=0")


def run(version: str, command: str, out: Path, *, seconds: float, memory: int = 3072) -> int | None:
    """Runs ``command`` (of sh) in the repository in a guest; its words are in ``out/output``, its files in ``out``,
    which is /out there. Returns its exit status; None where the guest died or took longer than ``seconds``."""
    place = packages.kernel(version)
    (out / "status").unlink(missing_ok=True)
    (out / "command").write_text(command + "\n")
    argv = [
        *(place / "linux", f"mem={memory}M", "rootfstype=hostfs", "rootflags=/", "root=/dev/root", "ro"),
        *(f"init={HERE / 'init.sh'}", "con=null", "con0=null,fd:1", f"uml_dir={out}/", "loglevel=4", *SETTINGS),
        *(f"NI_KERNEL={place}", f"NI_OUT={out}", f"NI_TREE={TREE}"),
    ]
    # The guest's memory is a file, in memory where that can be.
    environment = {**os.environ, "TMPDIR": "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(out)}
    if (place / "xstate.so").exists():
        environment["LD_PRELOAD"] = str(place / "xstate.so")
    with (out / "console").open("wb") as console:
        guest = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment, start_new_session=True
        )
        try:
            guest.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            # Its processes are this machine's too.
            try:
                os.killpg(guest.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            guest.wait()
    try:
        return int((out / "status").read_text())
    except (OSError, ValueError):
        return None
