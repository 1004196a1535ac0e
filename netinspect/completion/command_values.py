"""Values that a shell asks for when Tab is pressed: each kind in a few milliseconds, without what lists a noun."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

_NAMED_NAMESPACES = "/run/netns"


_BESIDE = frozenset("@%+=:,./_-")
"""What stands for itself in every shell, beside letters and digits (POSIX.1, Shell Command Language, 2.2)."""


def is_one_word(name: str) -> bool:
    """Whether a shell takes a name for what it is. No other is offered: bash expands what it is offered, commands too.

    One that begins with a dash would be an option.
    """
    return bool(name) and name[0] != "-" and all(each.isalnum() or each in _BESIDE for each in name)


def interfaces(of: Sequence[str]) -> Iterable[str]:
    """The interfaces of this network namespace."""
    from _socket import if_nameindex  # the module socket takes milliseconds to load

    return [name for _, name in if_nameindex()]


def namespaces(of: Sequence[str]) -> Iterable[str]:
    """The network namespaces that have a name (ip-netns(8)), and containers."""
    try:
        named = os.listdir(_NAMED_NAMESPACES)
    except OSError:
        named = []
    return {*named, *containers(of)}


def containers(of: Sequence[str]) -> Iterable[str]:
    """The containers that run, by name: an engine is asked only where its socket is."""
    from ..engine.containers.sources import any_source

    if not any_source():
        return ()
    from ..engine.containers.names import known

    return {container.title for container in known().all()}


def states(of: Sequence[str]) -> Iterable[str]:
    """The states that ``--state`` of a command takes; without one, those of sockets."""
    if of == ["neighbours"]:
        from ..nouns.routing.decode_neighbours import STATES

        return [name for name in STATES.values() if name]
    if of in (["conntrack"], ["nat"]):
        from ..nouns.conntrack.decode_names import STATES as TRACKED

        return {name for names in TRACKED.values() for name in names}
    from ..nouns.sockets.filter_states import STATE_NAMES

    return STATE_NAMES


def fields(of: Sequence[str]) -> Iterable[str]:
    """The fields of a command's records; without one, those of sockets."""
    from .. import records
    from ..manual.command_schema import RECORDS

    names: tuple[str, ...] = getattr(records, RECORDS.get("-".join(of), "Socket"))._fields
    return names


def topologies(of: Sequence[str]) -> Iterable[str]:
    """The topologies that come with the package."""
    here = os.path.dirname(os.path.dirname(__file__))
    for directory in (f"{here}/lab/netns-lab/topologies", f"{os.path.dirname(here)}/netns-lab/topologies"):
        try:
            return [name.removesuffix(".toml") for name in os.listdir(directory) if name.endswith(".toml")]
        except OSError:
            continue
    return ()


def labs(of: Sequence[str]) -> Iterable[str]:
    """The labs of this user, by their files: the lab itself takes a tenth of a second to load."""
    from ..lab_directory import names

    return [name.removesuffix(".json") for name in names() if name.endswith(".json")]


KINDS: dict[str, Callable[[Sequence[str]], Iterable[str]]] = {
    "interfaces": interfaces,
    "namespaces": namespaces,
    "containers": containers,
    "states": states,
    "fields": fields,
    "topologies": topologies,
    "labs": labs,
}
"""What makes the values of each kind; it is given what stands behind the kind, such as the command."""
