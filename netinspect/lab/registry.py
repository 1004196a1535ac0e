"""Labs that stay up between commands: a process holds each, and a file says which process and descriptors.

The file is written when the lab is complete, and is only ever as true as its holder is alive: a holder that was killed
took its namespaces along, and ``sweep`` removes the file, and what was started in the lab and outlived it.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from .child import fork, outlive_parent
from .errors import LabError
from .lab import Lab
from .processes import Holder, kill, kill_until_gone, orphans, processes_inside
from .topology import Topology
from .world import World

DIRECTORY = "NETINSPECT_LAB_DIRECTORY"
"""The environment variable that puts the files elsewhere."""
_BUILD_PATIENCE = 600


class State(NamedTuple):
    """What a lab's file says."""

    name: str
    topology: str
    holder: Holder
    created: float
    """Seconds since the epoch."""
    user: int | None
    """The holder's descriptor of the user namespace, where the lab has one of its own."""
    hosts: dict[str, dict[str, Any]]
    """By name: ``descriptor`` (of the holder), ``interfaces`` and ``addresses``."""
    roles: dict[str, list[str]]

    def path(self, host: str) -> str:
        """A path that opens the host's network namespace."""
        if host not in self.hosts:
            raise LabError(f"lab {self.name} has no host {host!r}: it has {', '.join(self.hosts)}")
        return f"/proc/{self.holder.pid}/fd/{self.hosts[host]['descriptor']}"


def directory() -> Path:
    """Where the files are: below /run for root, else in the user's runtime directory or, without one, below /tmp.

    Raises LabError where that is not ours alone.
    """
    chosen = os.environ.get(DIRECTORY)
    uid = os.geteuid()
    if chosen:
        path = Path(chosen)
    elif uid == 0:
        path = Path("/run/netinspect/labs")
    else:
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        path = Path(runtime, "netinspect-labs") if runtime else Path(f"/tmp/netinspect-labs-{uid}")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.lstat()
    except OSError as error:
        raise LabError(f"{path}: {error.strerror}; set {DIRECTORY} to a directory of yours") from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != uid or status.st_mode & 0o022:
        raise LabError(f"{path} is not a directory that only you may write to; set {DIRECTORY} to one")
    return path


def labs() -> list[State]:
    """The labs that are up, by name."""
    found = (_read(path) for path in sorted(directory().glob("*.json")))
    return [state for state in found if state is not None and state.holder.alive]


def find(name: str) -> State:
    """The lab of that name. Raises LabError where it is not up."""
    up = {state.name: state for state in labs()}
    if name not in up:
        raise LabError(f"no lab {name!r} is up: {', '.join(up) or 'none'} is" if up else f"no lab {name!r} is up")
    return up[name]


def _read(path: Path) -> State | None:
    try:
        data = json.loads(path.read_text("utf-8"))
        return State(**{**data, "holder": Holder(*data["holder"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def up(topology: Topology, name: str | None = None) -> State:
    """Brings up a lab that stays until ``down``. Raises LabError or TopologyError; nothing is left behind then."""
    if name is not None and (not name or name.startswith((".", "-")) or not _plain(name)):
        raise LabError(f"{name!r} is no name for a lab: letters, digits, dots, dashes and underscores")
    place = directory()
    sweep()
    told, tell = os.pipe()
    go, let_go = os.pipe()
    child = fork()
    if child == 0:
        os.close(told)
        os.close(let_go)
        try:
            _hold(topology, name, place, tell, go)
        finally:
            os._exit(0)
    os.close(tell)
    os.close(go)
    with open(told, encoding="utf-8") as answer, open(let_go, "wb") as permission:
        result = json.loads(answer.readline() or '{"error": "the process that holds the lab ended"}')
        if "error" in result:
            os.waitpid(child, 0)
            raise LabError(result["error"])
        permission.write(b"+")
        permission.flush()
        answer.readline()  # the holder no longer depends on this process
    return find(result["name"])


def _plain(name: str) -> bool:
    return all(character.isascii() and (character.isalnum() or character in "._-") for character in name)


def _hold(topology: Topology, name: str | None, place: Path, tell: int, go: int) -> None:
    """The holder: builds, says so, and waits to be killed. Dies with the command that started it until told to stay."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    path = None
    try:
        with open(tell, "w", encoding="utf-8") as answer:
            try:
                lab: Lab[Any] = Lab(topology, name=name)
                path = _register(lab, name or topology.name, name is None, place)
            except Exception as error:
                json.dump({"error": str(error)}, answer)
                return
            print(json.dumps({"name": path.stem}), file=answer, flush=True)
            if os.read(go, 1) != b"+":
                return
            path_kept, path = path, None
            outlive_parent()
            print(file=answer, flush=True)
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
        signal.sigwait((signal.SIGTERM,))
        path_kept.unlink(missing_ok=True)
        lab.close()
    finally:
        if path is not None:
            path.unlink(missing_ok=True)


def _register(lab: Lab[Any], wanted: str, may_number: bool, place: Path) -> Path:
    """Writes the lab's file, whole or not at all, under a name that no other lab has."""
    number = 1
    while True:
        name = wanted if number == 1 else f"{wanted}-{number}"
        lab.name = name
        lab.mark = Holder.current().mark(name)
        path, draft = place / f"{name}.json", place / f".{name}.{os.getpid()}"
        draft.write_text(json.dumps(_state(lab)._asdict()), "utf-8")
        try:
            os.link(draft, path)
            return path
        except FileExistsError:
            if not may_number:
                raise LabError(f"a lab {name!r} is up already: take it down, or give another name") from None
            number += 1
        finally:
            draft.unlink()


def _state(lab: Lab[Any]) -> State:
    hosts = {
        name: {
            "descriptor": host.namespace.descriptor,
            "interfaces": host.interfaces,
            "addresses": host.addresses,
        }
        for name, host in lab.hosts.items()
    }
    roles = {role: list(players) for role, players in lab.roles.items()}
    return State(lab.name, lab.topology.name, Holder.current(), time.time(), lab.world.user, hosts, roles)


def attach(state: State, hosts: Callable[[str], bool] = lambda name: True) -> Lab[Any]:
    """A lab object for a lab that another process holds; closing it leaves that lab up."""
    user = None if state.user is None else _open(f"/proc/{state.holder.pid}/fd/{state.user}", state)
    lab: Lab[Any] = Lab(name=state.name, world=World(user))
    lab.mark = state.holder.mark(state.name)
    lab.roles = {role: tuple(players) for role, players in state.roles.items()}
    try:
        for name, host in state.hosts.items():
            if hosts(name):
                lab.adopt(name, _open(state.path(name), state), host["interfaces"], host["addresses"])
    except BaseException:
        lab.close()
        raise
    return lab


def enter(state: State, host: str) -> None:
    """Moves this process into a host's namespace for good."""
    namespace = _open(state.path(host), state)
    user = None if state.user is None else _open(f"/proc/{state.holder.pid}/fd/{state.user}", state)
    try:
        World(user).enter(namespace)
    except OSError as error:
        raise LabError(f"entering host {host} of lab {state.name}: {error.strerror}") from None


def _open(path: str, state: State) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise LabError(f"lab {state.name} is being taken down") from None
    except OSError as error:
        raise LabError(f"lab {state.name}: {path}: {error.strerror}") from None


def down(state: State) -> None:
    """Takes a lab down: kills what runs in it, then its holder. Doing so twice does no harm."""
    held = []
    try:
        for name in state.hosts:
            with suppress(LabError):
                held.append(_open(state.path(name), state))
        # While a namespace is held here its inode number is its own: processes are told by it.
        inodes = {os.fstat(descriptor).st_ino for descriptor in held}
        kill_until_gone(lambda: (pid for pid in processes_inside(inodes) if pid != state.holder.pid))
    finally:
        for descriptor in held:
            os.close(descriptor)
    kill(state.holder)
    _remove(directory() / f"{state.name}.json", state.holder)
    kill_until_gone(orphans)


def sweep() -> int:
    """Removes what labs left behind whose holder is gone: their files, and processes started in them.

    Returns how many files and processes that were.
    """
    removed = 0
    for path in directory().iterdir():
        if path.suffix == ".json" and not path.name.startswith("."):
            state = _read(path)
            if state is None or not state.holder.alive:
                removed += _remove(path, state.holder if state else None)
        elif path.name.startswith("."):
            pid = path.name.rpartition(".")[2]
            if not pid.isdecimal() or not Path(f"/proc/{pid}").exists():
                path.unlink(missing_ok=True)
                removed += 1
    return removed + kill_until_gone(orphans)


def _remove(path: Path, holder: Holder | None) -> bool:
    """Removes a lab's file, if it is still that lab's: the name may have gone to another meanwhile."""
    state = _read(path)
    if (state.holder if state else None) != holder:
        return False
    path.unlink(missing_ok=True)
    return True
