"""Containers in listings of sockets: selecting by them, where they are, and the columns with their names."""

from __future__ import annotations

from ...engine.places import Place
from ...errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from ...engine.columns import Batch, Values
    from .owners import Owners
    from .owners_published import Published


def ids_of(names: Iterable[str]) -> frozenset[str]:
    """The containers of these names, or whose ids begin so. Raises UsageError where there is none."""
    from ...engine.containers.names import known
    from ...engine.containers.namespaces import matching, running

    everyone = known()
    ids = {*running(), *(container.id for container in everyone.all())}
    found: set[str] = set()
    for name in names:
        ours = matching(name, ids) or matching(name, ids, pods=True)
        if not ours:
            unreachable = everyone.unreachable()
            raise UsageError(f"no container {name!r}{f' ({unreachable})' if unreachable else ''}")
        found |= ours
    return frozenset(found)


def places_of(ids: Iterable[str]) -> list[Place]:
    """The current network namespace, and those that the processes of these containers are in, with their labels."""
    from ...engine.containers.namespaces import of_containers
    from ...engine.namespaces import every_namespace

    wanted = of_containers(ids)
    return [
        Place(path, label, identity=identity)
        for number, (label, path, identity) in enumerate(every_namespace()[0])
        if number == 0 or identity in wanted
    ]


def named_columns(
    owners: Owners,
) -> tuple[dict[str, Callable[[Batch], Values]], Callable[[Batch, Collection[str]], list[bool]]]:
    """Columns with names of containers and what is behind published ports; and what tells which rows are of some.

    What makes them is loaded when the first is asked for.
    """
    made: list[Published] = []

    def published() -> Published:
        if not made:
            from .owners_published import Published

            made.append(Published(owners))
        return made[0]

    def texts(batch: Batch) -> Values:
        return published().texts(batch) if owners.held_by_helpers(batch) else batch.column("owners")

    columns: dict[str, Callable[[Batch], Values]] = {
        "owners": texts,
        "container": lambda batch: published().names(batch),
        "behind": lambda batch: published().holders(batch),
    }

    def of(batch: Batch, containers: Collection[str]) -> list[bool]:
        return [not set(ids).isdisjoint(containers) for ids in published().containers(batch)]

    return columns, of
