"""What an administrator should look at first: each check over all that was counted, and over the last minute."""

from __future__ import annotations

from collections import deque
from time import monotonic

from ..records import HealthCheck
from .figures import short
from .frame import Column, Frame
from .source import Line, Places, Source, filtered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence
    from typing import Any

    from ..nouns.statistics.listing_health import Counts

_SECONDS = 60.0
_ORDER = {"critical": 0, "warning": 1, "unknown": 3}


def _state(order: int, state: str) -> str:
    return state


_COLUMNS = (
    Column("recent", "Last minute", _state, fields=("recent_order", "recent"), rank=0, least=8, kind="state"),
    Column("state", "In all", _state, fields=("order", "state"), rank=1, least=8, kind="state"),
    Column("check", "Check", rank=0, least=16, most=40),
    Column("recent_value", "Value", short, rank=1, right=True, least=6),
    Column("value", "In all", short, rank=3, right=True, least=6),
    Column("unit", "Unit", rank=3, least=5),
    Column("recent_found", "Found in the last minute", rank=2, least=16, most=100),
)


class Health(Source):
    """The tab of the checks."""

    title = "Health"
    sort = "recent"

    def __init__(self, places: Places, where: Sequence[str] = (), *, labelled: bool = False) -> None:
        super().__init__(places, where, labelled=labelled)
        self._looks: deque[tuple[float, Counts]] = deque()

    def restart(self) -> None:
        """Counts anew from now on."""
        self._looks.clear()

    def shown(self, group: str) -> Sequence[Column]:
        """The same, however it is grouped."""
        return _COLUMNS

    def history(self, group: str) -> Sequence[tuple[str, str, str]]:
        """Rates, and what they depend on."""
        return (("recent_value", "Value", ""),)

    def sample(self, group: str) -> Frame:
        """Raises NetinspectError."""
        from ..nouns.statistics.listing_health import Health as Looks

        looks = Looks(self._begin())
        now = looks.counts()
        at = monotonic()
        while len(self._looks) > 1 and self._looks[0][0] < at - _SECONDS:
            self._looks.popleft()
        whole = looks.verdicts(now, {})
        recent = looks.verdicts(now, self._looks[0][1]) if self._looks else [None] * len(whole)
        # One look in five seconds will do: a minute's are kept.
        if not self._looks or at - self._looks[-1][0] >= _SECONDS / 12:
            self._looks.append((at, now))
        self.problems, self.notes = looks.problems, looks.notes
        columns: dict[str, Sequence[Any]] = {
            name: [check[number] for check in whole] for number, name in enumerate(HealthCheck._fields)
        }
        for name in ("state", "value", "found"):
            columns[f"recent_{name}"] = [None if check is None else getattr(check, name) for check in recent]
        columns["recent"] = columns["recent_state"]
        columns["order"] = [_ORDER.get(check.state, 2) for check in whole]
        columns["recent_order"] = [None if check is None else _ORDER.get(check.state, 2) for check in recent]
        keys: list[Hashable] = [(check.netns, check.check) for check in whole]
        poor = sum(check is not None and check.state in ("warning", "critical") for check in recent)
        facts = [f"{len(whole):,} checks"]
        if self._looks and recent and recent[0] is not None:
            facts.append(f"{poor} not ok in the last {min(at - self._looks[0][0], _SECONDS):.0f} s")
        frame = Frame(keys, columns, seconds=at if len(self._looks) > 1 else None, facts=facts)
        return filtered(frame, self.columns(group), self.filter)

    def command(self, group: str, sort: str) -> list[str]:
        """The checks over one second."""
        return ["netinspect", "stats", "health", *self.where, "--rates"]

    def look(self, frame: Frame, row: int, group: str) -> list[Line]:
        """What was found, what to do about it, and why the thresholds are what they are."""
        lines = [Line("What it means", kind="heading")]
        texts = (("", "advice"), ("Thresholds: ", "reason"), ("Found in all: ", "found"))
        return [*lines, *(Line("", f"{label}{frame.value(row, name)}", kind="text") for label, name in texts)]
