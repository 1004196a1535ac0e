"""Network namespaces by what is inside: labels for those that have no name of their own, and how to find them again.

A label is one that `--netns` takes: the name of a container, ``pod:default/web-7d9f``, ``unit:web.service``, or
``lab:gateway/lan1`` by whoever knows of labs (see KINDS in environment.py).
"""

from __future__ import annotations

import os

from ...errors import NamespaceError
from ...procfs import process_ids
from .cgroups import is_id, short
from .homes import Homes, first_processes
from .names import known

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Identity = tuple[int, int]

_CONTAINER, _POD, _UNIT = "container", "pod", "unit"
_SERVICE = ".service"
_LOOKED_AT = 32
"""Processes of a namespace that are looked at for their container."""
_LEAST_OF_ID = 6
"""Digits of an id that are taken for one."""


def labels(unnamed: Mapping[Identity, Sequence[int]], pids: Iterable[int]) -> dict[Identity, str]:
    """What to call namespaces, by the processes that are inside; those that nothing is known of are not among them.

    ``pids`` are all processes. No two namespaces have one label.
    """
    homes = Homes()
    found: dict[Identity, str] = {}
    beside = set()
    for identity, inside in unnamed.items():
        containers = [container for pid in inside[:_LOOKED_AT] if (container := homes[pid][1]) is not None]
        if containers:
            # What is in a pod's group and in no container of it, as conmon, may be in another namespace than those.
            container = next(filter(is_id, containers), containers[0])
            found[identity] = _container_label(container)
            if not is_id(container):
                beside.add(identity)
            continue
        unit = homes[inside[0]][0] if inside else None
        # A service may have several, and what it starts may go elsewhere: its first process stands for it.
        if unit is not None and unit.endswith(_SERVICE) and inside[0] == _first_of_unit(pids, unit, homes):
            found[identity] = f"{_UNIT}:{unit}"
    given = list(found.values())
    own = [label for identity, label in found.items() if identity not in beside]
    return {
        identity: label
        for identity, label in found.items()
        if given.count(label) == 1 or (identity not in beside and own.count(label) == 1)
    }


def _container_label(id: str) -> str:
    container = known().about(id)
    if container is None:
        if id.startswith(_POD):
            return f"{_POD}:{id.removeprefix(_POD)}"
        name = short(id)
    elif container.pod_namespace is not None:
        return f"{_POD}:{container.pod_title}"
    else:
        name = container.title
    # A name that something else could have too says what it is the name of.
    return f"{_CONTAINER}:{name}" if name.isdecimal() or "/" in name or ":" in name or _is_named(name) else name


def _is_named(name: str) -> bool:
    return os.path.lexists(f"/run/netns/{name}")


def _first_of_unit(pids: Iterable[int], unit: str, homes: Homes) -> int | None:
    return next((pid for pid in sorted(pids) if homes[pid][0] == unit), None)


def find(name: str) -> str | None:
    """A path to the network namespace of a container, pod or unit; None where no process is in such a one.

    ``container:``, ``pod:`` and ``unit:`` before the name say which of them is meant; without, the first that there is.
    Raises NamespaceError where several containers or pods are called so.
    """
    kind, colon, rest = name.partition(":")
    if colon and kind in (_CONTAINER, _POD, _UNIT):
        kinds, name = [kind], rest
    else:
        kinds = [_CONTAINER, _POD, _UNIT]
    homes = Homes()
    pids = process_ids()
    for kind in kinds:
        if kind == _UNIT:
            pid = _first_of_unit(pids, name, homes) if "." in name else None
        else:
            ids = sorted({id for pid in pids if (id := homes[pid][1]) is not None})
            wanted = matching(name, ids, pods=kind == _POD)
            titles = {known().name(id) for id in wanted}
            if kind == _CONTAINER and len(wanted) > 1:
                if len(titles) < len(wanted):
                    titles = set(map(short, wanted))
                raise NamespaceError(f"several containers are called {name!r}: {', '.join(sorted(titles))}")
            pods = {_pod_of(id) for id in wanted}
            if len(pods) > 1:
                raise NamespaceError(f"several pods are called {name!r}: {', '.join(sorted(map(str, pods)))}")
            inside = sorted((not is_id(id), pid) for pid in pids if (id := homes[pid][1]) in wanted and id is not None)
            pid = inside[0][1] if inside else None
        if pid is not None:
            return f"/proc/{pid}/ns/net"
    return None


def _pod_of(id: str) -> str | None:
    container = known().about(id)
    return id if container is None else container.pod_title


def matching(name: str, ids: Iterable[str], *, pods: bool = False) -> set[str]:
    """The containers, among those with these ids, that are called so: by name, or by six or more digits of the id.

    Or, with ``pods``, all that are in the pod of that name: ``web-7d9f``, ``default/web-7d9f`` or its id.
    """
    found = set()
    ids = frozenset(ids)
    if not pods and is_id(name) and name in ids:
        return {name}  # whatever another one is called
    for id in ids:
        container = known().about(id)
        if pods:
            named = {id.removeprefix(_POD)} if id.startswith(_POD) else set()
            if container is not None and container.pod is not None:
                named |= {container.pod, container.pod_title or ""}
        else:
            named = {id} if container is None or not container.name else {id, container.name, container.title}
            if is_id(id) and len(name) >= _LEAST_OF_ID and id.startswith(name.lower()):
                named.add(name)
        if name in named:
            found.add(id)
    return found


def processes(ids: Iterable[str]) -> list[int]:
    """The processes that are in these containers."""
    wanted = frozenset(ids)
    homes = Homes()
    return [pid for pid in sorted(process_ids()) if homes[pid][1] in wanted]


def of_containers(ids: Iterable[str]) -> set[Identity]:
    """The network namespaces that the processes of these containers are in, by st_dev and st_ino."""
    found = set()
    for pid in processes(ids):
        try:
            status = os.stat(f"/proc/{pid}/ns/net")
        except OSError:
            continue  # ended just now, or not ours to see
        found.add((status.st_dev, status.st_ino))
    return found


def running() -> set[str]:
    """The containers that processes are in."""
    return set(first_processes())
