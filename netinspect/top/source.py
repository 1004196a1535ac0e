"""What all tabs of the live view have in common: they are sampled, grouped, filtered, explained and copied alike."""

from __future__ import annotations

from time import monotonic

from ..engine.places import EveryPlace, Place
from ..errors import UsageError
from .frame import Column, Frame

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

_NETNS = Column("netns", "Namespace", rank=2, least=8, most=24)
_PLACES_SECONDS = 5.0
"""For so long the namespaces that were found are taken for all there are."""


class Line:
    """One line of the details of a row: a heading, a field, a text to be folded, or a history."""

    __slots__ = ("kind", "label", "text", "tone", "values")

    def __init__(
        self, label: str, text: str = "", *, kind: str = "field", tone: str = "", values: Sequence[float | None] = ()
    ) -> None:
        """``kind``: heading, field, text or history. ``tone``: what its colour says (terminal.tone)."""
        self.label = label
        self.text = text
        self.kind = kind
        self.tone = tone
        self.values = values


class Places:
    """The namespaces to look into, found anew every few seconds where they are all there are."""

    def __init__(self, find: Callable[[], Sequence[Place]]) -> None:
        self._find = find
        self._found: Sequence[Place] = ()
        self._at = 0.0

    def now(self) -> Sequence[Place]:
        """Where to look. Raises NetinspectError."""
        if not self._found or (isinstance(self._found, EveryPlace) and monotonic() - self._at > _PLACES_SECONDS):
            self._found = self._find()
            self._at = monotonic()
        return self._found

    def labelled(self, label: str | None) -> Place:
        """The one of this label. Raises UsageError where it is gone."""
        for place in self._found:
            if place.label == label:
                return Place(place.name, place.label)
        raise UsageError(f"the network namespace {label!r} is gone")


class Source:
    """What a tab shows. It is sampled in one thread, and never asked twice at a time."""

    title = ""
    groups: Sequence[str] = ("",)
    """What rows can be added up by; the first is what is shown first, "" is by nothing."""
    sort = ""
    """The name of the column that rows are sorted by at first."""
    hint = "text in any cell"
    """What its filter is."""

    def __init__(self, places: Places, where: Sequence[str] = (), *, labelled: bool = False) -> None:
        """``where`` are the options of a command that looks where this one does; ``labelled``: rows say where."""
        self.places = places
        self.where = [*where]
        self.labelled = labelled
        self.filter = ""
        self.problems: list[str] = []
        """What is missing in the last sample, and why."""
        self.notes: list[str] = []
        """What is worth knowing of it."""

    def columns(self, group: str) -> list[Column]:
        """What is shown of each row: of several namespaces also in which it is."""
        return [_NETNS, *self.shown(group)] if self.labelled else [*self.shown(group)]

    def shown(self, group: str) -> Sequence[Column]:
        """What is shown of each row in any case."""
        raise NotImplementedError

    def history(self, group: str) -> Sequence[tuple[str, str, str]]:
        """Fields whose history is kept, each with a title and a unit."""
        raise NotImplementedError

    def sample(self, group: str) -> Frame:
        """Asks the kernel. Raises NetinspectError."""
        raise NotImplementedError

    def restart(self) -> None:
        """Forgets the sample before: it is too old to compare with."""
        raise NotImplementedError

    def select(self, text: str) -> None:
        """Takes a filter. Raises UsageError for one that is none."""
        self.filter = text

    def command(self, group: str, sort: str) -> list[str]:
        """The words of the command that shows the same once."""
        raise NotImplementedError

    def command_of(self, frame: Frame, row: int, group: str) -> list[str]:
        """The words of the command that shows one row."""
        return self.command(group, "")

    def about(self, frame: Frame, row: int, group: str) -> list[Line]:
        """What is known of a row without asking: its cells."""
        return [Line(column.title.strip(), frame.cell(row, column), tone=column.kind) for column in self.columns(group)]

    def look(self, frame: Frame, row: int, group: str) -> list[Line]:
        """What must be asked for, and what it means: this may take a moment. Raises NetinspectError."""
        return []

    def place_of(self, frame: Frame, row: int) -> Place:
        """The namespace of a row. Raises UsageError where it is gone."""
        return self.places.labelled(frame.value(row, "netns") if self.labelled else None)

    def place_words(self, frame: Frame, row: int) -> list[str]:
        """The options of a command that looks into the namespace of a row alone."""
        if not self.labelled:
            return self.where
        name = self.place_of(frame, row).name
        return [] if name is None else ["-N", name]

    def _begin(self) -> Sequence[Place]:
        self.problems, self.notes = [], []
        return self.places.now()


def filtered(frame: Frame, columns: Sequence[Column], text: str) -> Frame:
    """The rows in which a cell has this text, small letters like large ones; all where there is none."""
    if not text:
        return frame
    wanted = text.casefold()
    rows = [
        row for row in range(frame.count) if any(wanted in frame.cell(row, column).casefold() for column in columns)
    ]
    keys = [frame.keys[row] for row in rows]

    def make(name: str) -> list[Any]:
        column = frame.column(name)
        return [column[row] for row in rows]

    return Frame(keys, {}, make, seconds=frame.seconds, facts=(f"{len(rows):,} of {frame.facts[0]}", *frame.facts[1:]))


def explained(name: str) -> list[Line]:
    """What `netinspect explain` says of a name; nothing where it knows none."""
    from ..manual.explanations import lookup

    try:
        found = lookup(name)
    except UsageError:
        return []
    lines: list[Line] = []
    for explanation in found[:1]:
        lines.append(Line("", explanation.meaning, kind="text"))
        if explanation.next:
            lines.append(Line("", f"Who acts next: {explanation.next}", kind="text"))
        lines.append(Line("", f"Look at: {explanation.look}", kind="text"))
    return lines


_ASIDE = frozenset(("processes", "peers", "owner_reason", "behind", "container", "user", "unknown_attributes"))


def fields_of(record: Any, within: str = "") -> list[Line]:
    """The fields of a record that have a value, those of records within it after its own."""
    lines: list[Line] = []
    for name, value in zip(record._fields, record, strict=True):
        if value is None or value == () or name in _ASIDE:
            continue
        if hasattr(value, "_fields"):
            lines += fields_of(value, f"{within}{name}.")
        else:
            lines.append(Line(f"{within}{name}", str(value)))
    return lines
