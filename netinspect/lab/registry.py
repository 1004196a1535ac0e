"""Labs that stay up between commands: a process holds each, and a file says which process and descriptors.

The file is written when the lab is complete, and is only ever as true as its holder is alive: a holder that was killed
took its namespaces along, and ``sweep`` removes the file, and what was started in the lab and outlived it.

The files are in a directory that the registry made and marked, and that its user alone may enter. Nothing is read or
removed there but regular files of that user which say what a lab's file says: whatever else turns up stays. The holder
keeps its file locked, so that a lab is known to be alive also from another pid namespace, where its process id means
nothing.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import re
import signal
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from .. import lab_directory
from ..engine.answering import answered
from ..engine.signals import Ended
from ..lab_directory import DIRECTORY as DIRECTORY
from ..lab_directory import OWN as OWN
from .before import Broken
from .child import fork, outlive_parent
from .errors import LabError
from .fault import Fault
from .lab import Lab
from .processes import Holder, kill, kill_until_gone, orphaned, process_inside
from .topology import Topology
from .topology_file import Wrong
from .world import World

MARKER = ".netinspect-labs"
"""The file that marks a directory as a registry's."""
_MARK = b"The labs that are up, one file each. Made, and emptied, by `netinspect lab`.\n"
_LARGEST = 1 << 24
"""Bytes of a lab's file: one of 10,000 hosts takes 2 MB."""
_LONGEST_NAME = 100
_BROKEN = ".broken"
"""The end of the name of the file that says by which faults a lab is broken."""


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
        return self.descriptor(self.hosts[host]["descriptor"])

    def descriptor(self, number: int) -> str:
        """A path that opens one of the holder's descriptors. Raises LabError where the holder cannot be reached."""
        pid = self.holder.local
        if pid is None:
            raise LabError(
                f"lab {self.name} is held by process {self.holder.pid} of another pid namespace, not visible here: use "
                "it from there"
            )
        return f"/proc/{pid}/fd/{number}"

    @classmethod
    def parse(cls, data: Any) -> State:
        """What a lab's file says. Raises ValueError for anything else."""
        if not isinstance(data, dict) or set(data) != set(cls._fields):
            raise ValueError("not a lab's file")
        holder, hosts, roles = data["holder"], data["hosts"], data["roles"]
        if not (
            isinstance(data["name"], str)
            and isinstance(data["topology"], str)
            and _are(int, holder)
            and 2 <= len(holder) <= 3
            and isinstance(data["created"], (int, float))
            and isinstance(data["user"], (int, type(None)))
            and isinstance(hosts, dict)
            and all(map(_is_host, hosts.values()))
            and isinstance(roles, dict)
            and all(_are(str, players) for players in roles.values())
        ):
            raise ValueError("not a lab's file")
        return cls(**{**data, "holder": Holder(*holder)})


def _are(kind: type, items: Any) -> bool:
    return isinstance(items, list) and all(type(item) is kind for item in items)


def _is_host(host: Any) -> bool:
    return (
        isinstance(host, dict)
        and set(host) == {"descriptor", "interfaces", "addresses"}
        and type(host["descriptor"]) is int
        and isinstance(host["interfaces"], dict)
        and _are(int, list(host["interfaces"].values()))
        and _are(str, host["addresses"])
    )


def directory() -> Path:
    """Where the files are."""
    return Path(lab_directory.directory())


class Registry:
    """The directory, open: its files are reached by its descriptor, whatever becomes of its path meanwhile."""

    def __init__(self) -> None:
        """Makes and marks the directory where there is none. Raises LabError where it is not ours alone."""
        path = directory()
        chosen = os.environ.get(DIRECTORY)
        try:
            answered(os.path.lexists, chosen or path)
            if chosen:
                Path(chosen).mkdir(mode=0o700, parents=True, exist_ok=True)
                _check_owner(Path(chosen), os.lstat(chosen), 0o022)
            self._made = not path.exists()
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            status = path.lstat()
            _check_owner(path, status, 0o077)
            self.path = path
            self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            raise LabError(f"{path}: {error.strerror}; set {DIRECTORY} to a directory of yours") from None
        try:
            opened = os.fstat(self.descriptor)
            if (opened.st_dev, opened.st_ino) != (status.st_dev, status.st_ino):
                raise LabError(f"{path} was replaced while it was being opened")
            with self._writing():
                self._mark()
        except BaseException:
            self.close()
            raise

    def _mark(self) -> None:
        names = os.listdir(self.descriptor)
        if MARKER in names:
            return
        foreign = [
            name for name in names if self.entry(name) is None and not _is_draft(name) and not name.endswith(_BROKEN)
        ]
        if foreign:
            raise LabError(
                f"{self.path} has files of other programs, such as {foreign[0]!r}: set {DIRECTORY} to another directory"
            )
        with suppress(FileExistsError):
            marker = os.open(MARKER, _NEW_FILE, 0o600, dir_fd=self.descriptor)
            with open(marker, "wb") as file:
                file.write(_MARK)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets go of it. Where it was made for this and no lab came of it, it goes."""
        if self._made:
            with suppress(OSError), self.alone():
                if set(os.listdir(self.descriptor)) <= {MARKER}:
                    with suppress(FileNotFoundError):
                        os.unlink(MARKER, dir_fd=self.descriptor)
                    os.rmdir(self.path)
        os.close(self.descriptor)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """No other process writes or removes files meanwhile: a name stays with its lab."""
        again = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.descriptor)
        try:
            fcntl.flock(again, fcntl.LOCK_EX)
            yield
        finally:
            os.close(again)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """What the file system refuses meanwhile, such as where it is full, is a LabError."""
        try:
            yield
        except OSError as error:
            raise LabError(f"{self.path}: {error.strerror}") from None

    def entries(self) -> list[Entry]:
        """The labs' files, by name."""
        found = (self.entry(name) for name in sorted(os.listdir(self.descriptor)))
        return [entry for entry in found if entry is not None]

    def entry(self, name: str) -> Entry | None:
        """The lab's file of that name; None where it is no lab's file."""
        stem, dot, suffix = name.rpartition(".")
        if not dot or suffix != "json" or not is_name(stem):
            return None
        try:
            opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.descriptor)
        except OSError:
            return None
        try:
            status = os.fstat(opened)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_size > _LARGEST:
                return None
            with open(opened, "rb", closefd=False) as file:
                state = State.parse(json.loads(file.read(_LARGEST)))
            return Entry(state, _is_locked(opened)) if state.name == stem else None
        except (OSError, ValueError, RecursionError):
            return None
        finally:
            os.close(opened)

    def remove(self, name: str, holder: Holder) -> bool:
        """Removes a lab's file, if it is still that lab's: the name may have gone to another meanwhile."""
        with self.alone():
            entry = self.entry(f"{name}.json")
            if entry is None or entry.state.holder != holder:
                return False
            os.unlink(f"{name}.json", dir_fd=self.descriptor)
            with suppress(OSError):
                os.unlink(f"{name}{_BROKEN}", dir_fd=self.descriptor)
        return True

    def write_broken(self, name: str, holder: Holder, broken: Broken | None) -> None:
        """Keeps by what faults a lab is broken, and what it was before; None where it is whole."""
        file_name = f"{name}{_BROKEN}"
        with self._writing(), self.alone(), suppress(FileNotFoundError):
            entry = self.entry(f"{name}.json")
            if broken is None or entry is None or entry.state.holder != holder:
                os.unlink(file_name, dir_fd=self.descriptor)
                return
            draft = f".draft-{'-'.join(map(str, (holder.space, *Holder.current()[:2])))}"
            opened = os.open(draft, _NEW_FILE, 0o600, dir_fd=self.descriptor)
            try:
                with open(opened, "w") as file:
                    json.dump({"holder": holder, **broken.as_json()}, file)
                os.rename(draft, file_name, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            except BaseException:
                os.unlink(draft, dir_fd=self.descriptor)
                raise

    def read_broken(self, name: str, holder: Holder) -> Broken | None:
        """What ``write_broken`` kept of that lab. Raises LabError where it cannot be read."""
        try:
            opened = os.open(
                f"{name}{_BROKEN}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self.descriptor
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LabError(f"{self.path / name}{_BROKEN}: {error.strerror}") from None
        with open(opened, "rb") as file:
            status = os.fstat(opened)
            try:
                if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                    raise ValueError("not a lab's file")
                data = json.load(file)
                return Broken.parse(data) if data.pop("holder") == list(holder) else None
            except (ValueError, KeyError, TypeError, AttributeError, Wrong, OSError, RecursionError) as error:
                raise LabError(f"{self.path / name}{_BROKEN}: {error}") from None

    def register(self, lab: Lab[Any], wanted: str, may_number: bool) -> int:
        """Writes the lab's file, whole or not at all, under a name that no other lab has.

        Returns a descriptor: the lab counts as alive for as long as it is open. Raises LabError.
        """
        with self._writing():
            return self._register(lab, wanted, may_number)

    def _register(self, lab: Lab[Any], wanted: str, may_number: bool) -> int:
        holder = Holder.current()
        draft = f".draft-{holder.space}-{holder.pid}-{holder.start}"
        opened = os.open(draft, _NEW_FILE, 0o600, dir_fd=self.descriptor)
        try:
            fcntl.flock(opened, fcntl.LOCK_EX)
            number = 1
            while True:
                name = wanted if number == 1 else f"{wanted}-{number}"
                lab.name = name
                lab.mark = holder.mark(name)
                os.ftruncate(opened, 0)
                os.lseek(opened, 0, os.SEEK_SET)
                with open(opened, "r+b", closefd=False) as file:  # which goes on where a limit lets in a part only
                    file.write(json.dumps(_state(lab)._asdict()).encode())
                try:
                    with self.alone():
                        os.link(draft, f"{name}.json", src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
                    return opened
                except FileExistsError:
                    if not may_number and self.entry(f"{name}.json") is None:
                        raise LabError(f"{self.path}/{name}.json is in the way: it is not a lab's file") from None
                    if not may_number:
                        raise LabError(f"a lab {name!r} is already up: take it down, or choose another name") from None
                    number += 1
        except BaseException:
            os.close(opened)
            raise
        finally:
            os.unlink(draft, dir_fd=self.descriptor)

    def remove_drafts(self) -> int:
        """Removes what processes left that were killed while they wrote a lab's file; returns how many."""
        removed = 0
        for name in filter(_is_draft, os.listdir(self.descriptor)):
            space, pid, start = map(int, name.split("-")[1:])
            with suppress(OSError):
                status = os.lstat(name, dir_fd=self.descriptor)
                mine = stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid()
                if mine and not Holder(pid, start, space).may_be_alive:
                    os.unlink(name, dir_fd=self.descriptor)
                    removed += 1
        return removed


class Entry(NamedTuple):
    """A lab's file."""

    state: State
    locked: bool
    """Whether it is locked, by its holder."""

    @property
    def alive(self) -> bool:
        """Whether the lab is up."""
        return self.locked or self.state.holder.alive


_NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def _check_owner(path: Path, status: os.stat_result, refused: int) -> None:
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & refused:
        who = "only you may enter" if refused & 0o055 else "only you may write to"
        raise LabError(f"{path} is not a directory that {who}; set {DIRECTORY} to one")


def _is_locked(opened: int) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _is_draft(name: str) -> bool:
    return re.fullmatch(r"\.draft(-[0-9]{1,20}){3}", name, re.ASCII) is not None


def labs() -> list[State]:
    """The labs that are up, by name."""
    with Registry() as registry:
        return [entry.state for entry in registry.entries() if entry.alive]


def find(name: str) -> State:
    """The lab of that name. Raises LabError where it is not up."""
    up = {state.name: state for state in labs()}
    if name not in up:
        raise LabError(f"no lab {name!r} is up: {', '.join(up) or 'none'} is" if up else f"no lab {name!r} is up")
    return up[name]


def is_name(name: str) -> bool:
    """Whether a lab may be called so: letters, digits, dots, dashes and underscores."""
    return re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,%d}" % (_LONGEST_NAME - 1), name) is not None


def _name_after(topology: str) -> str:
    """A name for a lab of that topology, whose own may be that of any file."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", topology).lstrip(".-")[: _LONGEST_NAME - 10]
    return name or "lab"


def up(topology: Topology, name: str | None = None, faults: Sequence[Fault] = ()) -> State:
    """Brings up a lab, broken by these faults, that stays until ``down``.

    Raises LabError or TopologyError; nothing is left behind then.
    """
    if name is not None and not is_name(name):
        raise LabError(
            f"{name!r} is not a valid lab name: letters, digits, dots, dashes and underscores, {_LONGEST_NAME} at most"
        )
    sweep()
    reader, writer = os.pipe()
    go, let_go = os.pipe()
    with Registry() as registry:
        child = fork()
        if child == 0:
            try:
                _leave_the_caller(writer, go, registry.descriptor)
                _hold(topology, name, faults, registry, writer, go)
            finally:
                os._exit(0)
        os.close(writer)
        os.close(go)
        permitted = False
        try:
            with open(reader, encoding="utf-8") as answer, open(let_go, "wb") as permission:
                result = json.loads(answer.readline() or '{"error": "the process that holds the lab ended"}')
                if "error" in result:
                    os.waitpid(child, 0)
                    raise LabError(result["error"])
                permitted = True
                permission.write(b"+")
                permission.flush()
                answer.readline()  # the holder no longer depends on this process
        except Ended:
            if not permitted:
                os.waitpid(
                    child, 0
                )  # it takes down what it has created so far; nothing would if this process were gone
            raise
    return find(result["name"])


def _leave_the_caller(*kept: int) -> None:
    """Lets go of what a holder inherits and its caller may want back: terminal, directory, all descriptors but these.

    A lock that the caller holds would stay held, a pipe would not end, a file system could not be unmounted.
    """
    # Nothing that exists by now is ever finalized here: an object would close a number that is another's then.
    gc.freeze()
    os.setsid()
    os.chdir("/")
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with suppress(OSError):  # that of the listing is closed already
                os.close(int(name))
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    if nothing > 2:
        os.close(nothing)


def _hold(
    topology: Topology, name: str | None, faults: Sequence[Fault], registry: Registry, writer: int, go: int
) -> None:
    """The holder: builds the lab, reports it, and waits to be killed. Until detached, it ends with its parent."""
    registered = None
    try:
        with open(writer, "w", encoding="utf-8") as answer:
            try:
                lab: Lab[Any] = Lab(topology, name=name)
                for fault in faults:
                    from .breaking import break_lab

                    break_lab(lab, fault)
                registry.register(lab, name or _name_after(topology.name), name is None)
                registered = lab.name
                if lab.broken is not None:
                    registry.write_broken(lab.name, Holder.current(), lab.broken)
            except Exception as error:
                json.dump({"error": str(error)}, answer)
                return
            print(json.dumps({"name": lab.name}), file=answer, flush=True)
            if os.read(go, 1) != b"+":
                return
            stays, registered = registered, None
            outlive_parent()
            print(file=answer, flush=True)
        os.close(go)
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM,))
        signal.sigwait((signal.SIGTERM,))
        registry.remove(stays, Holder.current())
        lab.close()
    finally:
        if registered is not None:
            registry.remove(registered, Holder.current())


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
    user = None if state.user is None else _open(state.descriptor(state.user), state)
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


@contextmanager
def attach_to_break(state: State) -> Iterator[Lab[Any]]:
    """A lab object for a lab that another process holds, with its faults; what becomes of these is kept."""
    with Registry() as registry, attach(state) as lab:
        lab.broken = registry.read_broken(state.name, state.holder)
        try:
            yield lab
        finally:
            registry.write_broken(state.name, state.holder, lab.broken)


def enter(state: State, host: str) -> None:
    """Moves this process into a host's namespace for good."""
    namespace = _open(state.path(host), state)
    user = None if state.user is None else _open(state.descriptor(state.user), state)
    try:
        World(user).enter(namespace)
    except OSError as error:
        raise LabError(f"entering host {host} of lab {state.name}: {error.strerror}") from None


def _open(path: str, state: State) -> int:
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise LabError(f"lab {state.name} is being taken down") from None
    except OSError as error:
        raise LabError(f"lab {state.name}: {path}: {error.strerror}") from None
    if not state.holder.alive:  # asked afterwards: another process may have got its id
        os.close(opened)
        raise LabError(f"lab {state.name} is being taken down")
    return opened


def down(state: State) -> None:
    """Takes a lab down: kills what runs in it, then its holder. Doing so twice does no harm.

    Raises LabError where its holder is in a pid namespace that is not visible here.
    """
    held = []
    try:
        if state.holder.may_be_alive:
            state.descriptor(0)  # raises where it cannot be reached
        for name in state.hosts:
            with suppress(LabError):
                held.append(_open(state.path(name), state))
        # While a namespace is held here its inode number is its own: processes are reported by it.
        inodes = {os.fstat(descriptor).st_ino for descriptor in held}
        holder = state.holder.local
        kill_until_gone(lambda pid: pid != holder and process_inside(pid, inodes))
    finally:
        for descriptor in held:
            os.close(descriptor)
    kill(state.holder)
    with Registry() as registry:
        registry.remove(state.name, state.holder)
    kill_until_gone(orphaned)


def sweep() -> int:
    """Removes what labs left behind whose holder is gone: their files, and processes started in them.

    Returns how many files and processes that were.
    """
    with Registry() as registry:
        removed = registry.remove_drafts()
        for state, locked in registry.entries():
            if not locked and not state.holder.may_be_alive:
                removed += registry.remove(state.name, state.holder)
    return removed + kill_until_gone(orphaned)
