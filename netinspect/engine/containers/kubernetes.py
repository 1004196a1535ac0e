"""What Kubernetes and its runtimes leave in the file system about containers: names of containers and pods, by id.

The kubelet keeps a link for each container's log, /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log
(pkg/kubelet/kuberuntime/legacy.go). containerd and CRI-O keep the OCI configuration of each container, whose
annotations name it (OCI runtime specification: config.json).
"""

from __future__ import annotations

import os

from ...errors import FileError
from ...procfs import command_name, parent_and_users
from ...records import Container
from ..files import read
from ..text import text
from ..typed import parse
from . import sources
from .cgroups import is_id
from .engines import kubernetes, nerdctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BUNDLES = (
    "/run/containerd/io.containerd.runtime.v2.task/k8s.io/{}/config.json",
    "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{}/config.json",
    "/run/containers/storage/overlay-containers/{}/userdata/config.json",
)
_MOST_LOGS = 20_000
_DEEPEST = 16
"""Ancestors of a process that are looked at for the shim."""
_LARGEST = 1 << 20
"""Bytes of a configuration: usual ones have ten to thirty thousand."""


def of_logs(directory: str | None = None) -> dict[str, Container]:
    """The containers whose logs are linked there, by their ids; none where there is no such directory."""
    return _of_names(sources.LOGS if directory is None else directory, _of_log)


def of_pods(directory: str | None = None) -> dict[str, Container]:
    """The pods whose logs are there, by ``pod`` and their ids, as cgroups call them; none where there are no logs."""
    return _of_names(sources.PODS if directory is None else directory, _of_pod)


def _of_names(directory: str, read_name: Callable[[str], Container | None]) -> dict[str, Container]:
    try:
        names = os.listdir(os.fsencode(directory))
    except OSError:
        return {}
    found = map(read_name, map(text, names[:_MOST_LOGS]))
    return {container.id: container for container in found if container is not None}


def _of_log(name: str) -> Container | None:
    stem, _, id = name.removesuffix(".log").rpartition("-")
    pod, _, rest = stem.partition("_")
    namespace, _, container = rest.partition("_")
    if not (name.endswith(".log") and is_id(id) and pod and namespace and container):
        return None
    return Container(id, container, pod, namespace)


def _of_pod(name: str) -> Container | None:
    """A directory is called NAMESPACE_POD_ID (pkg/kubelet/kuberuntime/helpers.go: BuildPodLogsDirectory)."""
    namespace, _, rest = name.partition("_")
    pod, _, uid = rest.partition("_")
    return Container(f"pod{uid}", "", pod, namespace) if namespace and pod and uid else None


def of_bundle(id: str) -> Container | None:
    """The container of that id, as in the bundle of the runtime that Kubernetes uses; None where there is none."""
    return next(filter(None, (_of_configuration(pattern.format(id), id) for pattern in BUNDLES)), None)


def of_shim(id: str, processes: Mapping[str, int]) -> Container | None:
    """The container of that id, as in the bundle beside the one that its containerd-shim works in.

    This knows it wherever containerd keeps its state, as nerdctl, k0s and MicroK8s choose, and in the file system of a
    node that is a container itself, as kind's are (containerd: runtime/v2, the shim's working directory is the bundle
    of the first of its containers). ``processes`` has a process of each container.
    """
    pid = processes.get(id, 0)
    try:
        parent, _ = parent_and_users(pid)
        for _ in range(_DEEPEST):
            if not (pid := parent):
                break
            parent, users = parent_and_users(pid)
            # The kernel cuts the name to 15 bytes. Anybody may call a process so, and work in a file system that never
            # answers: the shim is root's, or ours.
            if users <= {0, os.geteuid()} and command_name(pid) == "containerd-shim":
                return _of_configuration(f"/proc/{pid}/cwd/../{id}/config.json", id)
    except (OSError, ValueError):
        pass  # one of them has ended
    return None


def _of_configuration(path: str, id: str) -> Container | None:
    try:
        data = parse(read(path, _LARGEST))
    except (FileError, ValueError):
        return None
    annotations = data.get("annotations") if isinstance(data, dict) else None
    if not isinstance(annotations, dict):
        return None
    named = kubernetes(annotations) or nerdctl(annotations)
    return Container(id, **named) if named else None  # type: ignore[arg-type]
