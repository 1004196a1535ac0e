"""The names of this machine's containers: from Kubernetes' files and from the engines, asked for as they are met."""

from __future__ import annotations

from time import monotonic

from .cgroups import is_id, short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...environment import Environment
    from ...records import Container

_ASKED_AGAIN = 2.0
"""Seconds after which a container that was not known is asked for once more, by who goes on for long."""


class Containers:
    """What is known of containers, by id. Nothing is read, and no engine is asked, until a container is met."""

    def __init__(self) -> None:
        self._found: dict[str, Container] = {}
        self._unknown: set[str] = set()
        self._asked: float | None = None
        self._failures: dict[str, str] = {}
        self._answered = False
        self._processes: dict[str, int] | None = None

    def about(self, id: str) -> Container | None:
        """What is known of a container; None where nobody tells of it."""
        if id not in self._found and (is_id(id) or id.startswith("pod")) and self._may_ask(id):
            self._ask()
            if id not in self._found and is_id(id):
                from .kubernetes import of_bundle, of_shim

                bundle = of_bundle(id) or of_shim(id, self._first_processes())
                if bundle is None:
                    self._unknown.add(id)
                else:
                    self._found[id] = bundle
        return self._found.get(id)

    def name(self, id: str) -> str:
        """What a container is called: its name, or else as much of its id as is usual."""
        found = self.about(id)
        return short(id) if found is None else found.title

    def all(self) -> Iterable[Container]:
        """All containers that engines and Kubernetes tell of."""
        if self._asked is None:
            self._ask()
        return [container for container in self._found.values() if container.name]

    def missing(self) -> str:
        """Why a container that was met has no name; empty where all have one, or an engine answered."""
        return f"container names: {self.unreachable()}: ids are shown" if self._unknown and not self._answered else ""

    def unreachable(self) -> str:
        """Which engines did not answer, and why; empty where one did."""
        if self._answered or self._asked is None:
            return ""
        reasons = [f"{address} ({reason})" for address, reason in self._failures.items()]
        return f"no engine answers: {', '.join(reasons) or 'none is known'}"

    def _first_processes(self) -> dict[str, int]:
        """The first process in each container, as it was when others were asked."""
        if self._processes is None:
            from .homes import first_processes

            self._processes = first_processes()
        return self._processes

    def _may_ask(self, id: str) -> bool:
        if self._asked is None or monotonic() - self._asked > _ASKED_AGAIN:
            return True
        # An answer that is that young would be the same; files are quickly looked at.
        return id not in self._unknown

    def _ask(self) -> None:
        """Asks for all, unless that was just done."""
        now = monotonic()
        if self._asked is not None and now - self._asked <= _ASKED_AGAIN:
            return
        from . import engines, sources
        from .kubernetes import of_logs, of_pods

        self._asked = now
        self._processes = None
        self._found.update(of_logs())
        self._found.update(of_pods())
        found, self._failures = engines.ask(addresses := sources.sockets())
        self._answered = len(self._failures) < len(addresses)
        self._found |= {id: container for id, container in found.items() if id not in self._found or container.ports}
        self._unknown.difference_update(self._found)


_known: list[Containers] = []


def known() -> Containers:
    """What this process knows: one for all, since an engine should not be asked again for each row or listing."""
    if not _known:
        _known.append(Containers())
    return _known[0]


def complain(environment: Environment) -> None:
    """Says at the end of a listing why containers in it have no names."""
    if missing := known().missing():
        environment.complain(missing)
