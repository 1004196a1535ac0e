"""What a condition is: something that is so in the kernel, or is not, and can be looked at."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from ..render.lines import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..collect.places import Place

_SHOWN = 20


class Sight(NamedTuple):
    """What a look found."""

    found: tuple[Any, ...]
    """The records that make the condition true."""
    problems: tuple[str, ...] = ()
    """What could not be looked at: so there may be more."""
    notes: tuple[str, ...] = ()


class Condition(Protocol):
    """A condition. ``str`` says it in words: "somebody listens on tcp port 80"."""

    @property
    def events(self) -> Mapping[int, Sequence[int]]:
        """Where the kernel tells of changes that matter: netlink protocol and groups (decode.change_groups)."""

    @property
    def told(self) -> bool:
        """Whether it tells of all of them, so that there is no need to look often."""

    def look(self, places: Sequence[Place]) -> Sight:
        """Looks at these namespaces, once. Raises NetinspectError where that cannot be done."""

    def instead(self, places: Sequence[Place]) -> list[str]:
        """Where it is not so: what comes nearest, in lines."""


def shown(heading: str, records: Iterable[Any]) -> list[str]:
    """A heading and records in lines below it; nothing where there are none."""
    texts = [line(record) for record in records]
    if not texts:
        return []
    more = [f"  … and {len(texts) - _SHOWN} more"] if len(texts) > _SHOWN else []
    return [heading, *(f"  {text}" for text in texts[:_SHOWN]), *more]
