"""What a condition is: something that is so in the kernel, or is not, and can be looked at."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from ..errors import NamespaceError
from .render import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..engine.places import Place

REPORTED, MOSTLY_REPORTED, UNREPORTED = 1.0, 0.5, 0.05
"""What ``pause`` is if the kernel reports all changes, nearly all, or none of those that are waited for."""
_SHOWN = 20


class Observation(NamedTuple):
    """What a look found."""

    found: tuple[Any, ...]
    """The records that make the condition true."""
    problems: tuple[str, ...] = ()
    """What could not be looked at: so there may be more."""
    notes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    """Interfaces that the condition names and no place has: a mistake, or they are yet to come."""


def named(interface: str | None, places: Sequence[Place]) -> dict[str | None, str]:
    """By the label of each place that has it: the name of an interface that may be given by an alternative one."""
    found = {}
    for place in places:
        try:
            there = None if interface is None else place.interface(interface)
        except NamespaceError:
            continue  # the listing reports it
        if there is not None:
            found[place.label] = there[1]
    return found


class Condition(Protocol):
    """A condition. ``str`` is its description: "somebody listens on tcp port 80"."""

    @property
    def events(self) -> Mapping[int, Sequence[int]]:
        """Where the kernel reports changes that matter: netlink protocol and groups (decode.change_groups)."""

    @property
    def pause(self) -> float:
        """Seconds between two looks at most, as long as the kernel reports what it can of those changes."""

    def look(self, places: Sequence[Place]) -> Observation:
        """Looks at these namespaces, once. Raises NetinspectError where that cannot be done."""

    def nearest(self, places: Sequence[Place]) -> list[str]:
        """Where it is not so: what comes nearest, in lines."""


def shown(heading: str, records: Iterable[Any]) -> list[str]:
    """A heading and records in lines below it; nothing where there are none."""
    texts = [line(record) for record in records]
    if not texts:
        return []
    more = [f"  … and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return [heading, *(f"  {text}" for text in texts[:_SHOWN]), *more]
