"""What Kubernetes and its runtimes leave in the file system about containers: names of containers and pods, by id.

The kubelet keeps a link for each container's log, /var/log/containers/POD_NAMESPACE_CONTAINER-ID.log
(pkg/kubelet/kuberuntime/legacy.go). containerd and CRI-O keep the OCI configuration of each container, whose
annotations name it (OCI runtime specification: config.json).
"""

from __future__ import annotations

import os

from ...errors import FileError
from ...records import Container
from ..files import read
from ..text import text
from ..typed import parse
from . import sources
from .cgroups import is_id
from .engines import kubernetes

BUNDLES = (
    "/run/containerd/io.containerd.runtime.v2.task/k8s.io/{}/config.json",
    "/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/{}/config.json",
    "/run/containers/storage/overlay-containers/{}/userdata/config.json",
)
_MOST_LOGS = 20_000
_LARGEST = 1 << 20
"""Bytes of a configuration: usual ones have ten to thirty thousand."""


def of_logs(directory: str | None = None) -> dict[str, Container]:
    """The containers whose logs are linked there, by their ids; none where there is no such directory."""
    found: dict[str, Container] = {}
    try:
        names = os.listdir(os.fsencode(sources.LOGS if directory is None else directory))
    except OSError:
        return found
    for name in names[:_MOST_LOGS]:
        container = _of_log(text(name))
        if container is not None:
            found[container.id] = container
    return found


def _of_log(name: str) -> Container | None:
    stem, _, id = name.removesuffix(".log").rpartition("-")
    pod, _, rest = stem.partition("_")
    namespace, _, container = rest.partition("_")
    if not (name.endswith(".log") and is_id(id) and pod and namespace and container):
        return None
    return Container(id, container, pod, namespace)


def of_bundle(id: str) -> Container | None:
    """The container of that id, as in the bundle of the runtime that Kubernetes uses; None where there is none."""
    for pattern in BUNDLES:
        try:
            data = parse(read(pattern.format(id), _LARGEST))
        except (FileError, ValueError):
            continue
        annotations = data.get("annotations") if isinstance(data, dict) else None
        if isinstance(annotations, dict) and (named := kubernetes(annotations)):
            return Container(id, **named)  # type: ignore[arg-type]
    return None
