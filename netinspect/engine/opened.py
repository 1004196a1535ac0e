"""The namespaces of a command that watches: open for as long as it does."""

from __future__ import annotations

from ..errors import NamespaceError
from .places import unseen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from .output import ListingCommand
    from .places import Place


class Opened:
    """``with Opened(command) as opened:`` those of its namespaces that can be entered; the others are complained of.

    The only one raises NamespaceError.
    """

    def __init__(self, command: ListingCommand) -> None:
        self._command = command
        self.places: list[Place] = []
        self.incomplete = False
        """Whether some are left out."""

    def __enter__(self) -> Opened:
        every = self._command.places()
        self.incomplete = bool(unseen(every))
        try:
            for place in every:
                self._open(place)
        except BaseException:
            self._close()
            raise
        return self

    def _open(self, place: Place) -> None:
        try:
            place.open()
        except NamespaceError as error:
            if not self._command.labelled:
                raise
            self._command.environment.complain(f"network namespace {place.label} is left out: {error}")
            self.incomplete = True
        else:
            self.places.append(place)

    def _close(self) -> None:
        for place in self.places:
            place.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._close()
