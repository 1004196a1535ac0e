"""The processes of a lab: started inside its namespaces, found there, and killed when their lab is gone.

Children die with the process that holds the lab (PR_SET_PDEATHSIG). Their own children do not, so everything that is
started in a lab carries a mark in its environment, which is inherited, and names the holder. Processes whose mark
names a holder that is no more are orphans.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from .child import die_with_parent, spawn
from .errors import LabError

MARK = "NETINSPECT_LAB"
"""The environment variable: NAME/PID-NAMESPACE/PID/START-TIME of the holder."""


class Holder(NamedTuple):
    """The process that keeps a lab alive. Its start time tells it from a later process with the same id."""

    pid: int
    start: int
    """Clock ticks since boot (proc_pid_stat(5): starttime)."""

    @classmethod
    def current(cls) -> Holder:
        pid = os.getpid()
        return cls(pid, start_time(pid) or 0)

    @property
    def alive(self) -> bool:
        return start_time(self.pid) == self.start

    def mark(self, name: str) -> str:
        """What processes of the lab of that name carry."""
        return f"{name}/{_pid_namespace()}/{self.pid}/{self.start}"


def start_time(pid: int) -> int | None:
    """When that process started; None where there is none, or only its zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name may contain anything, parentheses too.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def processes_inside(namespaces: Iterable[int]) -> Iterator[int]:
    """The ids of the processes in network namespaces with these inode numbers, as far as we may look."""
    wanted = {f"net:[{inode}]" for inode in namespaces}
    for pid in _pids():
        try:
            if os.readlink(f"/proc/{pid}/ns/net") in wanted and start_time(pid) is not None:
                yield pid
        except OSError:
            continue


def orphans() -> Iterator[int]:
    """The ids of processes that were started in a lab whose holder is gone."""
    start = f"{MARK}=".encode()
    for pid in _pids():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                environment = file.read()
        except OSError:
            continue
        for entry in environment.split(b"\0"):
            if entry.startswith(start):
                holder = _holder(entry)
                if holder is not None and not holder.alive and start_time(pid) is not None:
                    yield pid
                break


def _holder(entry: bytes) -> Holder | None:
    """The holder that a mark names; None where its process id is one of another pid namespace, a container's."""
    fields = entry.rsplit(b"/", 3)[1:]
    if len(fields) != 3 or not all(map(bytes.isdigit, fields)) or int(fields[0]) != _pid_namespace():
        return None
    return Holder(int(fields[1]), int(fields[2]))


def _pid_namespace() -> int:
    """Its inode number."""
    return os.stat("/proc/self/ns/pid").st_ino


def command(pid: int) -> str:
    """A process's command line, for messages."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return "?"
    return " ".join(word.decode("utf-8", "backslashreplace") for word in words).strip() or "?"


def _pids() -> Iterator[int]:
    own = os.getpid()
    return (int(name) for name in os.listdir("/proc") if name.isdecimal() and int(name) != own)


def kill_until_gone(find: Callable[[], Iterable[int]], patience: float = 5.0) -> int:
    """Kills what ``find`` finds, again and again until it finds nothing: processes may be forking meanwhile.

    Returns how many were killed. Raises LabError when some are still there after ``patience`` seconds.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + patience
    pause = 0.001
    while found := set(find()):
        for pid in found:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            except PermissionError:
                raise LabError(
                    f"process {pid} ({command(pid)}) may not be killed: it belongs to another user"
                ) from None
        killed |= found
        if time.monotonic() > deadline:
            listed = ", ".join(f"{pid} ({command(pid)})" for pid in sorted(found))
            raise LabError(f"killed, and still there after {patience:.0f} s: {listed}")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
    return len(killed)


def kill(holder: Holder) -> None:
    """Kills that process and no other, and returns when it is gone."""
    try:
        descriptor = os.pidfd_open(holder.pid)
    except ProcessLookupError:
        return
    with open(descriptor, closefd=True):
        if holder.alive:  # asked when the descriptor is held: the id cannot pass to another process any more
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            select.select([descriptor], [], [], 5)


def popen(
    argv: Sequence[str], enter: Callable[[], None], mark: str, env: Mapping[str, str] | None = None, **options: Any
) -> subprocess.Popen[Any]:
    """subprocess.Popen for a command that runs inside a namespace, and dies with this process."""
    parent = os.getpid()

    def prepare() -> None:
        die_with_parent(parent)
        enter()

    environment = {**(os.environ if env is None else env), MARK: mark}
    try:
        return spawn(lambda: subprocess.Popen(list(argv), env=environment, preexec_fn=prepare, **options))
    except subprocess.SubprocessError:
        raise LabError(f"could not enter the lab's namespaces to run {argv[0]}") from None
