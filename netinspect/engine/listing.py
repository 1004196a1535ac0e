"""What all listings have in common: where they look, and what they say beside their rows."""

from __future__ import annotations

from ..errors import UsageError
from .places import Place, in_places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .columns import Batch


class BaseListing:
    """One listing of one noun: ``batches()`` streams it.

    At its end ``problems`` has what could not be listed, and why, and ``notes`` has things worth knowing that leave
    nothing out, such as a fallback that was taken; a line each. A noun says in ``_place`` what there is in one place.
    """

    def __init__(self, places: Sequence[Place] = ()) -> None:
        """Without ``places``: the current namespace."""
        self.problems: list[str] = []
        self.notes: list[str] = []
        self._places = places or (Place(),)

    def batches(self) -> Iterator[Batch]:
        """The rows, as they come. Raises NetlinkError where the kernel refuses altogether, and NamespaceError."""
        return in_places(self._places, self._place, self.problems.append)

    def _interface_index(self, place: Place, name: str | None) -> int | None:
        """The index of an interface inside a place: 0 where none is asked for, None where that place has none so named.

        Raises UsageError where that is the only place.
        """
        if name is None:
            return 0
        index = place.interface_index(name)
        if index is None and len(self._places) == 1:
            raise UsageError(f"no interface {name!r}")
        return index

    def _place(self, place: Place) -> Iterator[Batch]:
        raise NotImplementedError
