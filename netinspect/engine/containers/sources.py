"""Where names of containers come from. It loads nothing: whether there is any source is asked often, and quickly."""

from __future__ import annotations

import os

LOGS = "/var/log/containers"
"""The kubelet's links."""
PODS = "/var/log/pods"
"""The kubelet's directories, one of each pod."""
_DOCKER, _PODMAN = "DOCKER_HOST", "CONTAINER_HOST"
"""Environment variables of `docker` and `podman` that say where the engine is."""
_SYSTEM = ("/run/docker.sock", "/run/podman/podman.sock")


def sockets() -> list[str]:
    """Where engines may listen: as the environment says, else the system's and this user's own.

    Those of other users are not asked, not even by root: they could give any name to any container.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    found: list[str] = []
    for variable, system, own in zip((_DOCKER, _PODMAN), _SYSTEM, ("docker.sock", "podman/podman.sock"), strict=True):
        chosen = os.environ.get(variable)
        if chosen is not None:
            found += [chosen.removeprefix("unix://")] if chosen.startswith("unix:///") else []
            continue
        found.append(system)
        if runtime:
            found.append(f"{runtime}/{own}")
    return list(dict.fromkeys(found))


def any_source() -> bool:
    """Whether anybody may give names to containers here."""
    return os.path.exists(LOGS) or any(map(may_listen, sockets()))


def may_listen(path: str) -> bool:
    """Whether there is something at that path: also where a file system does not answer for it."""
    return not may_be_reached(path) or os.path.lexists(path)


def may_be_reached(path: str) -> bool:
    """Whether a file system answers for that path; the system's own do."""
    if path in _SYSTEM:
        return True
    from ..answering import answers

    return answers(path)
