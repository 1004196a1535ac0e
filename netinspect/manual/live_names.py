"""Names that this machine has now: for completion, and for who misspells one."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NAMED_NAMESPACES = "/run/netns"


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


def services() -> set[str]:
    """The services of TCP and UDP, by name (services(5))."""
    from ..engine.names import ServiceNames

    return {name for protocol in ("tcp", "udp") for name in ServiceNames(protocol).values() if name.isalnum()}
