"""Where names of containers come from. It loads nothing: whether there is any source is asked often, and quickly."""

from __future__ import annotations

import os

LOGS = "/var/log/containers"
"""The kubelet's links."""
_DOCKER, _PODMAN = "DOCKER_HOST", "CONTAINER_HOST"
"""Environment variables of `docker` and `podman` that say where the engine is."""


def sockets() -> list[str]:
    """Where engines may listen: as the environment says, else the system's and this user's own.

    Those of other users are not asked, not even by root: they could give any name to any container.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    found: list[str] = []
    for variable, paths in (
        (_DOCKER, ("/run/docker.sock", "docker.sock")),
        (_PODMAN, ("/run/podman/podman.sock", "podman/podman.sock")),
    ):
        chosen = os.environ.get(variable)
        if chosen is not None:
            found += [chosen.removeprefix("unix://")] if chosen.startswith("unix:///") else []
            continue
        system, own = paths
        found.append(system)
        if runtime:
            found.append(f"{runtime}/{own}")
    return list(dict.fromkeys(found))


def any_source() -> bool:
    """Whether anybody may give names to containers here."""
    return any(map(os.path.exists, (*sockets(), LOGS)))
