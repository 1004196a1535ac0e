"""What a control group says of a process: its systemd unit, its container and its pod.

A container runtime or systemd names the cgroup of what it starts; only these names distinguish the two. Sources:
cgroups(7), systemd.unit(5), systemd's "Control Group APIs and Delegation", the Kubernetes kubelet's cgroup drivers.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_UNIT_SUFFIXES = (".service", ".scope", ".socket", ".mount", ".swap")
_HEXADECIMAL = frozenset("0123456789abcdef")
_ID_LENGTH = 64
SHORT = 12
"""Digits of an id that are shown, as the engines do it."""


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
        # conmon is Podman's and CRI-O's own process beside a container; "libpod_parent" has pods of Podman below it.
        return None if (separator and prefix.endswith("conmon")) or (name == last and parent == _PODMAN) else last
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
    if "kubepods" in name and name.endswith(".slice") and "-pod" in bare:
        # A "-" in a slice's name makes another level, so the driver writes "_" in the id instead.
        return "pod" + bare.rpartition("-pod")[2].replace("_", "-")
    return None


_PODMAN = "libpod_parent"
_POD_PARENTS = ("kubepods", "burstable", "besteffort", "guaranteed")


def _unescaped(name: str) -> str:
    r"""systemd.unit(5): ``\x2d`` in a unit's name is a "-" in what it stands for."""
    first, *rest = name.split("\\x")
    try:
        return first + "".join(chr(int(part[:2], 16)) + part[2:] for part in rest)
    except ValueError:
        return name


def is_id(name: str) -> bool:
    """Whether it is an engine's id, and no name."""
    return len(name) == _ID_LENGTH and _HEXADECIMAL.issuperset(name)


def short(container: str) -> str:
    """A container as it is shown where no engine tells its name: twelve digits of an id, or the whole name."""
    return container[:SHORT] if is_id(container) else container
