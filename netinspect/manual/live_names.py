"""Names that this machine has now: for completion, and for who misspells one."""

from __future__ import annotations

import os
from itertools import chain

from ..errors import NetinspectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_NAMED_NAMESPACES = "/run/netns"


def interfaces(of: Sequence[str]) -> Iterable[str]:
    """The interfaces of this network namespace, by their names and their alternative ones."""
    from ..engine.places import Place
    from ..nouns.links.listing import LinkListing, Query

    found: list[str] = []
    try:
        with Place() as here:
            for batch in LinkListing(Query(statistics=False), [here]).batches():
                found += batch.values("name")
                found += chain.from_iterable(batch.values("alternative_names"))
    except NetinspectError:
        from _socket import if_nameindex  # the module socket takes milliseconds to load

        return [name for _, name in if_nameindex()]
    return found


def namespaces(of: Sequence[str]) -> Iterable[str]:
    """The network namespaces that have a name (ip-netns(8)), containers, and hosts of labs."""
    try:
        named = os.listdir(_NAMED_NAMESPACES)
    except OSError:
        named = []
    return {*named, *containers(of), *(f"lab:{lab}/{host}" for lab in labs(()) for host in hosts([lab]))}


def labs(of: Sequence[str]) -> Iterable[str]:
    """The labs of this user, by their files: the lab itself takes a tenth of a second to load."""
    from ..lab_directory import names

    return [name.removesuffix(".json") for name in names() if name.endswith(".json")]


def hosts(of: Sequence[str]) -> Iterable[str]:
    """The hosts of the lab named."""
    if not of:
        return ()
    import json

    from ..lab_directory import record

    try:
        return [*json.loads(record(of[0]))["hosts"]]
    except (OSError, NetinspectError, ValueError, LookupError, TypeError, RecursionError):
        return ()  # it is not up, or its file is not to be trusted: `netinspect lab status` says so


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


def users(of: Sequence[str]) -> Iterable[str]:
    """The users that passwd(5) names."""
    from ..engine.files import table_lines

    return {line.partition(":")[0] for line in table_lines("/etc/passwd")}


def processes(of: Sequence[str]) -> Iterable[str]:
    """What the processes that run are called."""
    from ..procfs import command_name, process_ids

    try:
        return {name for pid in process_ids() if (name := command_name(pid))}
    except NetinspectError:
        return ()  # /proc is not mounted: whoever lists processes says so


def tables(of: Sequence[str]) -> Iterable[str]:
    """The routing tables that have names (rt_tables)."""
    from ..nouns.routing.names import RoutingNames

    return {"all", *RoutingNames("rt_tables").values()}


def scopes(of: Sequence[str]) -> Iterable[str]:
    """The scopes of addresses and routes (rt_scopes)."""
    from ..nouns.routing.names import RoutingNames

    return RoutingNames("rt_scopes").values()


def protocols(of: Sequence[str]) -> Iterable[str]:
    """The protocols that ``--protocol`` of a command takes: those of routes (rt_protos), or of what is tracked."""
    if of == ["routes"]:
        from ..nouns.routing.names import RoutingNames

        return RoutingNames("rt_protos").values()
    from ..nouns.conntrack.decode_names import PROTOCOLS

    return PROTOCOLS.values()


def services() -> set[str]:
    """The services of TCP and UDP, by name (services(5))."""
    from ..engine.names import ServiceNames

    return {name for protocol in ("tcp", "udp") for name in ServiceNames(protocol).values() if name.isalnum()}
