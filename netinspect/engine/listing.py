"""What all listings share: their namespaces, problems and notes."""

from __future__ import annotations

from errno import ENODEV

from ..errors import NetlinkError, UsageError
from .places import Place, in_places

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .columns import Batch


class BaseListing:
    """One listing of one noun: ``batches()`` streams it.

    At its end ``problems`` lists what could not be read, and why, and ``notes`` remarks such as a fallback; one line
    each. A noun implements ``_place`` to list one namespace.
    """

    def __init__(self, places: Sequence[Place] = ()) -> None:
        """Without ``places``: the current namespace."""
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.places = places or (Place(),)
        self._interfaces: dict[str, bool] = {}
        """The interfaces requested by name, and whether some place has them."""

    def batches(self) -> Iterator[Batch]:
        """The rows, as they come. Raises NetlinkError where the kernel refuses altogether, and NamespaceError.

        Raises UsageError for an interface that no place has.
        """
        yield from self._in_places(self._place)

    def _in_places(self, collect: Callable[[Place], Iterator[Batch]]) -> Iterator[Batch]:
        yield from in_places(self.places, lambda place: self._unless_gone(place, collect), self.problems.append)
        for name, known in self._interfaces.items():
            if not known:
                text = f"no interface {name!r} in any of these network namespaces"
                if not self.problems:
                    raise UsageError(text)
                self.problems.append(text)  # an unreadable namespace may have it

    def _unless_gone(self, place: Place, collect: Callable[[Place], Iterator[Batch]]) -> Iterator[Batch]:
        # An interface may go between its look-up and the dump that asks for it.
        try:
            yield from collect(place)
        except NetlinkError as error:
            if error.errno != ENODEV or not self._interfaces:
                raise
            if len(self.places) == 1:
                raise UsageError(f"no interface {min(self._interfaces)!r}") from None

    def _interface(self, place: Place, name: str) -> tuple[int, str] | None:
        """The index and the name of an interface inside a place, ``name`` being that or an alternative one.

        None where that place has none so named. Raises UsageError where that is the only place.
        """
        found = place.interface(name)
        if found is None and len(self.places) == 1:
            raise UsageError(f"no interface {name!r}")
        self._interfaces[name] = self._interfaces.get(name, False) or found is not None
        return found

    def _interface_index(self, place: Place, name: str | None) -> int | None:
        """Its index; 0 where none is asked for. Returns and raises as ``_interface`` does."""
        if name is None:
            return 0
        found = self._interface(place, name)
        return None if found is None else found[0]

    def _interface_names(self, place: Place, names: Iterable[str]) -> frozenset[str]:
        """The names of those of these interfaces that a place has. Raises as ``_interface`` does."""
        found = [self._interface(place, name) for name in names]
        return frozenset(interface[1] for interface in found if interface is not None)

    def _place(self, place: Place) -> Iterator[Batch]:
        raise NotImplementedError
