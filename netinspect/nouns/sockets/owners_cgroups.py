"""What a control group says of a process or socket: its systemd unit, its container, and the path behind an id.

A container runtime or systemd names the cgroup of what it starts; only these names distinguish the two. Sources:
cgroups(7), systemd.unit(5), systemd's "Control Group APIs and Delegation", the Kubernetes kubelet's cgroup drivers.
"""

from __future__ import annotations

import os

from ...procfs import cgroup2_mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ...engine.columns import Batch, Values

DELETED = "(deleted)"
HIDDEN = "(not visible)"

_UNIT_SUFFIXES = (".service", ".scope", ".socket", ".mount", ".swap")
_HEXADECIMAL = frozenset("0123456789abcdef")
_ID_LENGTH = 64
_ROOT_ID = 1
"""Id of the topmost cgroup of the system; a cgroup namespace has another one at its top."""


def unit_and_container(groups: Iterable[tuple[str, str]]) -> tuple[str | None, str | None]:
    """The unit and the container of a process, from its controllers and paths as /proc/PID/cgroup has them.

    systemd keeps its units in cgroup v2, or in the v1 hierarchy "name=systemd"; a container's name is in all
    hierarchies, or only in those of the controllers that limit it.
    """
    paths = dict(groups)
    ours = [path for path in (paths.get(""), paths.get("name=systemd")) if path]
    units = filter(None, map(unit, ours))
    containers = filter(None, map(container, dict.fromkeys((*ours, *paths.values()))))
    return next(units, None), next(containers, None)


def unit(path: str) -> str | None:
    """The systemd unit that a cgroup path names, None where it names none.

    That is the system's unit, whatever it makes below its own group; under ``user@1000.service``, which is a whole
    service manager, it is the user's unit where there is one.
    """
    found = None
    for name in path.split("/"):
        # systemd puts a "_" before names that would collide with the kernel's files.
        name = name.removeprefix("_")
        if name.endswith(_UNIT_SUFFIXES):
            if found is not None:
                return name
            found = name
            if not name.startswith("user@"):
                break
    return found


def container(path: str) -> str | None:
    """The container or virtual machine that a cgroup path names, None where it names none.

    It is the innermost one: an id of 64 digits (Docker, containerd, CRI-O, Podman, Kubernetes, Amazon ECS), a name
    (LXC, Incus, systemd-nspawn, libvirt), or ``pod`` and the id of a Kubernetes pod outside of its containers.
    """
    found = None
    parent = ""
    for name in path.split("/"):
        inside = _container_name(name, parent)
        # A pod is around its containers; what a container makes below its own group may look like anything.
        if inside is not None and not (inside.startswith("pod") and found is not None):
            found = inside
        parent = name
    return found


def _container_name(name: str, parent: str) -> str | None:
    bare = name.removesuffix(".scope").removesuffix(".service").removesuffix(".slice")
    prefix, separator, last = bare.rpartition(":") if ":" in bare else bare.rpartition("-")
    if len(last) == _ID_LENGTH and _HEXADECIMAL.issuperset(last):
        # conmon is Podman's and CRI-O's own process beside a container.
        return None if separator and prefix.endswith("conmon") else last
    if name.startswith("lxc.payload."):
        return name.removeprefix("lxc.payload.")
    if parent in ("lxc", "lxc.payload"):
        return name
    if name.startswith("machine-") and name.endswith(".scope"):
        return _unescaped(bare.removeprefix("machine-"))
    if name.startswith("systemd-nspawn@") and name.endswith(".service"):
        return _unescaped(bare.removeprefix("systemd-nspawn@"))
    if name.startswith("pod") and parent in _POD_PARENTS:
        return name
    if name.startswith("kubepods") and name.endswith(".slice") and "-pod" in bare:
        # A "-" in a slice's name makes another level, so the driver writes "_" in the id instead.
        return "pod" + bare.rpartition("-pod")[2].replace("_", "-")
    return None


_POD_PARENTS = ("kubepods", "burstable", "besteffort", "guaranteed")


def _unescaped(name: str) -> str:
    r"""systemd.unit(5): ``\x2d`` in a unit's name stands for a "-"."""
    first, *rest = name.split("\\x")
    try:
        return first + "".join(chr(int(part[:2], 16)) + part[2:] for part in rest)
    except ValueError:
        return name


class CgroupPaths(dict[int, str]):
    """Path of each cgroup v2 by its id (linux/inet_diag.h: INET_DIAG_CGROUP_ID), as /proc/PID/cgroup writes it.

    The id is the inode number of the group's directory. The tree is walked when the first id is asked for, and again
    for a column with an id that was not there. An id that the tree does not have is "(deleted)", or "(not visible)"
    where only a part of the tree can be seen.
    """

    def __init__(self, mounts: Sequence[tuple[str, str]] | None = None) -> None:
        """``mounts`` has the cgroup at the root of each mount, and its directory: without it, those of this system."""
        super().__init__()
        self._mounts = mounts
        self._missing = HIDDEN

    def column(self, batch: Batch) -> Values:
        """The paths of a batch's ``cgroup_id``."""
        ids = batch.column("cgroup_id")
        missing = set(ids.distinct()).difference(self, (None,))
        if missing:
            self._walk()
            for number in missing.difference(self):
                self[number] = self._missing
        return ids.map(self.get)

    def __missing__(self, number: int) -> str:
        self._walk()
        return self.setdefault(number, self._missing)

    def _walk(self) -> None:
        mounts = cgroup2_mounts() if self._mounts is None else self._mounts
        unread = False
        for root, directory in mounts:
            try:
                top = os.stat(directory).st_ino
            except OSError:
                continue
            if top == _ROOT_ID:
                self._missing = DELETED
            self[top] = root
            waiting = [(directory, root.rstrip("/"))]
            while waiting:
                directory, path = waiting.pop()
                try:
                    with os.scandir(directory) as entries:
                        for entry in entries:
                            if entry.is_dir(follow_symlinks=False):
                                self[entry.inode()] = below = f"{path}/{entry.name}"
                                waiting.append((entry.path, below))
                except FileNotFoundError:
                    continue  # removed just now
                except OSError:
                    unread = True  # at a path that is too long, say
        if unread:
            self._missing = HIDDEN
