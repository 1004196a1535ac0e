"""What all listings have in common: where they look, and what they say beside their rows."""

from __future__ import annotations

from .places import Place, in_places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..batch import Batch


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

    def _place(self, place: Place) -> Iterator[Batch]:
        raise NotImplementedError
