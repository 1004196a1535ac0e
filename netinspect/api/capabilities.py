"""The Python API of capabilities: what `netinspect capabilities` shows."""

from __future__ import annotations

from .listed import places_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..records import Capability


def capabilities(*, netns: str | None = None) -> list[Capability]:
    """What this kernel, its configuration and this user's privileges support, as Capability records.

    Each feature is probed; versions are not compared. If a probe is inconclusive, the state is ``unknown``. Raises
    NamespaceError.
    """
    from ..nouns.capabilities.listing import capabilities

    (place,) = places_of(netns, False)
    return place.call(capabilities)
