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
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import Any, NamedTuple

from .child import die_with_parent, spawn
from .errors import LabError

MARK = "NETINSPECT_LAB"
"""The environment variable: NAME/PID-NAMESPACE/PID/START-TIME of the holder."""


_AT_ONCE = 200
"""Processes that are killed together, for each of which a descriptor is held."""


class Holder(NamedTuple):
    """The process that keeps a lab alive. Its start time distinguishes it from a later process with the same id."""

    pid: int
    start: int
    """Clock ticks since boot (proc_pid_stat(5): starttime)."""
    space: int = 0
    """The inode number of the pid namespace that the id belongs to; 0 stands for this process's own."""

    @classmethod
    def current(cls) -> Holder:
        return cls(os.getpid(), start_time("self") or 0, _pid_namespace())

    @property
    def here(self) -> bool:
        """Whether its id is one of this process's own pid namespace."""
        return self.space in (0, _pid_namespace())

    @property
    def local(self) -> int | None:
        """Its id in /proc; None where its pid namespace is none of those that are shown there."""
        if self.here and _proc_is_own():
            return self.pid
        space = self.space or _pid_namespace()
        return next((pid for pid in _listed() if _id_inside(pid, space) == self.pid), None)

    @property
    def alive(self) -> bool:
        """Whether it is known to be alive."""
        pid = self.local
        return pid is not None and start_time(pid) == self.start

    @property
    def may_be_alive(self) -> bool:
        """Whether it is alive, or in a pid namespace of which nothing is seen here."""
        return self.alive or (self.local is None and not (self.here and _proc_is_own()))

    def mark(self, name: str) -> str:
        """What processes of the lab of that name carry."""
        return f"{name}/{self.space or _pid_namespace()}/{self.pid}/{self.start}"


def start_time(pid: int | str) -> int | None:
    """When that process started; None where there is none, or only its zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The name may contain anything, parentheses too.
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19]) - _clock_offset()


def _clock_offset() -> int:
    """Clock ticks that this process's time namespace adds to what /proc shows (time_namespaces(7))."""
    try:
        with open("/proc/self/timens_offsets", "rb") as file:
            seconds = {words[0]: int(words[1]) for words in map(bytes.split, file)}.get(b"boottime", 0)
    except (OSError, ValueError, IndexError):
        return 0
    return seconds * os.sysconf("SC_CLK_TCK")


def process_inside(pid: int, namespaces: Container[int]) -> bool:
    """Whether that process is in a network namespace with one of these inode numbers, as far as we may look."""
    try:
        inode = os.readlink(f"/proc/{pid}/ns/net")[5:-1]
    except OSError:
        return False
    return int(inode) in namespaces and start_time(pid) is not None


def processes_inside(namespaces: Iterable[int]) -> Iterator[int]:
    """The ids of the processes in network namespaces with these inode numbers, as far as we may look."""
    wanted = frozenset(namespaces)
    return (pid for pid in _pids() if process_inside(pid, wanted))


def orphaned(pid: int) -> bool:
    """Whether that process was started in a lab whose holder is gone."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
    except OSError:
        return False
    for entry in environment.split(b"\0"):
        if entry.startswith(_MARK_START):
            holder = _holder(entry)
            return holder is not None and not holder.alive and start_time(pid) is not None
    return False


def orphans() -> Iterator[int]:
    """The ids of processes that were started in a lab whose holder is gone."""
    return filter(orphaned, _pids())


_MARK_START = f"{MARK}=".encode()


def _holder(entry: bytes) -> Holder | None:
    """The holder that a mark names; None where its process id is one of another pid namespace, a container's."""
    fields = entry.rsplit(b"/", 3)[1:]
    if len(fields) != 3 or not all(field.isdigit() and len(field) < 20 for field in fields):
        return None
    space, pid, start = map(int, fields)
    return Holder(pid, start, space) if space == _pid_namespace() else None


def _pid_namespace() -> int:
    """Its inode number."""
    return os.stat("/proc/self/ns/pid").st_ino


def _id_inside(pid: int, space: int) -> int | None:
    """The id that a process has in the pid namespace with that inode number, which is its own; else None."""
    try:
        if os.readlink(f"/proc/{pid}/ns/pid") != f"pid:[{space}]":
            return None
        with open(f"/proc/{pid}/status", "rb") as file:
            found = next((line for line in file if line.startswith(b"NSpid:")), None)
    except OSError:
        return None
    return int(found.split()[-1]) if found else None


def command(pid: int) -> str:
    """A process's command line, for messages."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return "?"
    return " ".join(word.decode("utf-8", "backslashreplace") for word in words).strip() or "?"


def _proc_is_own() -> bool:
    """Whether /proc has the ids of this process's own pid namespace: after unshare(1) it may be another's."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def _pids() -> Iterator[int]:
    """The ids of all other processes; none where /proc has those of another pid namespace."""
    own = os.getpid()
    return (pid for pid in _listed() if pid != own) if _proc_is_own() else iter(())


def _listed() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdecimal())


def kill_until_gone(is_meant: Callable[[int], bool], patience: float = 5.0) -> int:
    """Kills the processes that are meant, again and again until there is none: they may be forking meanwhile.

    Returns how many were killed. Raises LabError when some are still there after ``patience`` seconds.
    """
    killed: set[int] = set()
    deadline = time.monotonic() + patience
    pause = 0.001
    while found := list(islice(filter(is_meant, _pids()), _AT_ONCE)):
        with ExitStack() as opened:
            # All are held before the first is killed: a process that waits for it might end meanwhile.
            held = {pid: descriptor for pid in found if (descriptor := _hold(pid, opened)) is not None}
            for pid, descriptor in held.items():
                if is_meant(pid):
                    _kill(pid, descriptor)
        killed.update(found)
        if time.monotonic() > deadline:
            listed = ", ".join(f"{pid} ({command(pid)})" for pid in found)
            raise LabError(f"still running {patience:.0f} s after SIGKILL: {listed}")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)
    return len(killed)


def kill(holder: Holder) -> None:
    """Kills that process and no other, and returns when it is gone."""
    pid = holder.local
    if pid is None or not holder.alive:
        return
    if not _proc_is_own():
        raise LabError("/proc belongs to another pid namespace: mount this one's /proc before taking a lab down")
    with ExitStack() as opened:
        descriptor = _hold(pid, opened)
        if descriptor is not None and holder.alive:
            _kill(pid, descriptor)
            select.select([descriptor], [], [], 5)


def _hold(pid: int, opened: ExitStack) -> int | None:
    """A descriptor of that process; None where there is none. What is asked about the id afterwards is true of it."""
    try:
        return opened.enter_context(open(os.pidfd_open(pid), closefd=True)).fileno()
    except ProcessLookupError:
        return None


def _kill(pid: int, descriptor: int) -> None:
    """Kills that process. Raises LabError where that is forbidden."""
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        return
    except PermissionError:
        raise LabError(f"process {pid} ({command(pid)}) cannot be killed: it belongs to another user") from None


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
