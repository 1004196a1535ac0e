"""Values that a shell asks for when Tab is pressed: each kind in a few milliseconds, without what lists a noun."""

from __future__ import annotations

import os

from ..manual.live_names import (
    containers,
    hosts,
    interfaces,
    labs,
    namespaces,
    processes,
    protocols,
    scopes,
    states,
    tables,
    users,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


def is_offered(name: str) -> bool:
    """Whether a name is a line of its own. The shells put their quotes around what they would take apart.

    One that begins with a dash would be an option; bytes that are no text are nothing that a shell completes.
    """
    return bool(name) and name[0] != "-" and name.isprintable()


def fields(of: Sequence[str]) -> Iterable[str]:
    """The fields of a command's records; without one, those of sockets."""
    from .. import records
    from ..manual.command_schema import RECORDS

    names: tuple[str, ...] = getattr(records, RECORDS.get("-".join(of), "Socket"))._fields
    return names


def topologies(of: Sequence[str]) -> Iterable[str]:
    """The topologies that come with the package."""
    return packaged("topologies", ".toml")


def packaged(kind: str, end: str) -> list[str]:
    """The names of the lab's files of a kind: the lab itself need not be there."""
    here = os.path.dirname(os.path.dirname(__file__))
    for directory in (f"{here}/lab/netns-lab/{kind}", f"{os.path.dirname(here)}/netns-lab/{kind}"):
        try:
            return sorted(name.removesuffix(end) for name in os.listdir(directory) if name.endswith(end))
        except OSError:
            continue
    return []


KINDS: dict[str, Callable[[Sequence[str]], Iterable[str]]] = {
    "interfaces": interfaces,
    "namespaces": namespaces,
    "containers": containers,
    "states": states,
    "fields": fields,
    "topologies": topologies,
    "labs": labs,
    "hosts": hosts,
    "users": users,
    "processes": processes,
    "tables": tables,
    "protocols": protocols,
    "scopes": scopes,
}
"""What makes the values of each kind; it is given what stands behind the kind, such as the command."""
