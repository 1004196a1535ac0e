"""How a wait ended, as a record and in words: for the command line and the Python API."""

from __future__ import annotations

from ..errors import NetinspectError
from ..records import ConditionResult
from .conditions import shown
from .wait import wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .conditions import Condition
    from .wait import Where


class Ended:
    """The end of a wait: the record, what was waited for, and why it ended."""

    __slots__ = ("process", "result", "timeout")

    def __init__(self, result: ConditionResult, timeout: float, process: int | None) -> None:
        self.result = result
        self.timeout = timeout
        self.process = process
        """The process whose end made waiting pointless."""

    @property
    def claim(self) -> str:
        """One line: what does not hold, or could not be checked."""
        result = self.result
        if result.problems:
            text = f"condition could not be checked: {result.condition}"
        elif result.negated:
            text = f"condition still holds: {result.condition}"
        else:
            text = f"condition does not hold: {result.condition}"
        if self.process is not None:
            return f"{text} (process {self.process} has ended)"
        return text + (f" (waited {result.waited:.3g} s)" if self.timeout else "")


def waited(condition: Condition, where: Where, timeout: float, *, negated: bool, process: int | None = None) -> Ended:
    """Waits, as ``wait.wait`` does, and finds out what is there where the condition does not hold.

    Closes ``where``. Raises NetinspectError.
    """
    nearest: list[str] = []
    try:
        outcome = wait(condition, where, timeout, negated=negated, process=process)
        if not outcome.holds:
            try:
                nearest = (
                    shown("still there:", outcome.found)
                    if negated
                    else [*outcome.unknown, *condition.nearest(where.places())]
                )
            except NetinspectError as error:
                nearest = [f"could not list what is there: {error}"]
    finally:
        where.close()
    result = ConditionResult(
        str(condition),
        negated,
        outcome.holds,
        round(outcome.waited, 6),
        outcome.found,
        tuple(nearest),
        outcome.problems,
    )
    return Ended(result, timeout, outcome.ended)
