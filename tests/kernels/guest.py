"""A guest: a kernel of made.py that runs one command as root on this machine's files, and is gone after it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from pathlib import Path

import made
import programs
import s390x

HERE = Path(__file__).resolve().parent
TREE = HERE.parent.parent
# Grace periods that end at once: without them each namespace takes seconds to go. No interfaces that nobody asked for.
SETTINGS = ("rcupdate.rcu_expedited=1", "bonding.max_bonds=0", "dummy.numdummies=0", "ifb.numifbs=0")
# Since Linux 6.16 a guest's programs can come to their kernel by seccomp: a third of the time, and a hang now and then.
FAST = "seccomp=auto"

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)
_running: list[subprocess.Popen[bytes]] = []


def _end_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def end_all() -> None:
    """Ends the guests that run."""
    for guest in list(_running):
        guest.kill()


def _programs() -> list[str]:
    """Where the programs are that this machine lacks: none, or one directory."""
    place = programs.there(made.CACHE)
    return [str(place)] if place is not None else []


def _here(command: str, out: Path, seconds: float) -> int | None:
    """The same on this machine, in network and mount namespaces of its own."""
    own = ["unshare", "--net", "--mount", "--fork", "--kill-child=KILL"]
    own += [] if os.geteuid() == 0 else ["--map-root-user"]
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_programs()])
    with (out / "output").open("wb") as output:
        try:
            return subprocess.run(
                [*own, "sh", "-c", f"ip link set lo up; {command}"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=TREE,
                env={**os.environ, "PATH": path, "NI_HERE": str(out)},
                preexec_fn=_end_with_parent,
                timeout=seconds,
            ).returncode
        except subprocess.TimeoutExpired:
            return None


def run(
    version: str, command: str, out: Path, *, seconds: float, memory: int = 3072, plain: bool = False
) -> int | None:
    """Runs ``command`` (of sh) in the repository in a guest; its words are in ``out/output``, its files in ``out``,
    which is /out there. Returns its exit status; None where the guest died or took longer than ``seconds``.
    ``plain``: without what makes it fast, but may make it hang."""
    if version == made.HOST:
        return _here(command, out, seconds)
    place = made.kernel(version)
    (out / "status").unlink(missing_ok=True)
    (out / "command").write_text(command + "\n")
    # In process ids of its own: whoever ends unshare, or us, ends all of the guest.
    own = ["unshare", "--pid", "--fork", "--kill-child=KILL", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    uml = [
        *(place / "linux", f"mem={memory}M", "rootfstype=hostfs", "rootflags=/", "root=/dev/root", "ro"),
        *(f"init={HERE / 'init.sh'}", "con=null", "con0=null,fd:1", f"uml_dir={out}/", "loglevel=4", *SETTINGS),
        *(() if plain else (FAST,)),
        *(f"NI_KERNEL={place}", f"NI_OUT={out}", f"NI_TREE={TREE}"),
        *(f"NI_PROGRAMS={directory}" for directory in _programs()),
    ]
    argv = [*own, *(s390x.command(place, out, TREE, memory=memory) if version == s390x.NAME else uml)]
    # The guest's memory is a file, in memory where that can be.
    environment = {**os.environ, "TMPDIR": "/dev/shm" if os.access("/dev/shm", os.W_OK) else str(out)}
    if (place / "xstate.so").exists():
        environment["LD_PRELOAD"] = str(place / "xstate.so")
    with (out / "console").open("wb") as console:
        guest = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=console, stderr=console, env=environment, preexec_fn=_end_with_parent
        )
        _running.append(guest)
        try:
            guest.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            guest.kill()
            guest.wait()
            _running.remove(guest)
    try:
        return int((out / "status").read_text())
    except (OSError, ValueError):
        return None
