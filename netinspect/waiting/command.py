"""``netinspect wait``: until something is so."""

from __future__ import annotations

from ..engine.options import Command, Group, Option
from ..engine.output import NAMESPACES
from ..errors import ExitStatus, NetinspectError, UsageError
from .command_words import NOTES, OPTIONS, Words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..environment import Environment
    from .conditions import Condition
    from .wait import Outcome

TROUBLE = ExitStatus.INCOMPLETE
"""What it ends with where it fails: FAILED says that the condition does not hold."""

_TIMEOUT = 10.0

SHOW = Group(
    "Output",
    Option("v", "verbose", "say what was found"),
    Option("j", "json", "the result as JSON (`netinspect schema wait`)"),
)
STATUSES = (
    "Exit status: 0 it is so; 1 it is not, and standard error tells what was there instead; 2 bad usage; 3 it could "
    "not be checked, or not all of it."
)

COMMAND = Command(
    "wait",
    "[not] CONDITION",
    "Waits until a condition on sockets, routes, links, addresses, flows or multicast groups holds. The kernel "
    "tells of changes where it can; where it does not, as of new sockets, the table is looked at again and again, "
    "filtered by the kernel.",
    (
        OPTIONS,
        Group(
            "Time",
            Option(
                "", "timeout", f"wait so long at most: {_TIMEOUT:g} without this option; inf is for ever", "SECONDS"
            ),
        ),
        NAMESPACES,
        SHOW,
    ),
    f"{NOTES}\n{STATUSES}",
)


class Options:
    """The command line of wait or assert, converted."""

    def __init__(self, command: Command, arguments: Sequence[str]) -> None:
        """Raises UsageError."""
        found, operands = command.parse(arguments)
        self.help = any(name == "help" for name, _ in found)
        if self.help:
            return
        self.words = Words(operands)
        self.timeout = _TIMEOUT
        self.netns: list[str] = []
        self.all_netns = False
        self.verbose = False
        self.json = False
        for name, value in found:
            self._take(name, value or "")
        if self.netns and self.all_netns:
            raise UsageError("--netns and --all-netns exclude each other")

    def _take(self, name: str, value: str) -> None:
        if name == "timeout":
            self.timeout = _seconds(value)
        elif name == "netns":
            self.netns.append(value)
        elif name == "all-netns":
            self.all_netns = True
        elif name == "verbose":
            self.verbose = True
        elif name == "json":
            self.json = True
        else:
            self.words.take(name, value)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not seconds >= 0:
        raise UsageError(f"--timeout takes a number of seconds, not {text!r}")
    return seconds


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    options = Options(COMMAND, arguments)
    if options.help:
        environment.write(COMMAND.help().encode())
        return ExitStatus.OK
    return check(options, options.timeout, environment)


def check(options: Options, timeout: float, environment: Environment) -> int:
    """Waits so long, says how it ended, and returns the exit status. Raises NetinspectError."""
    from .wait import Where, wait

    words = options.words
    condition = words.condition()
    where = Where(options.netns, everywhere=options.all_netns)
    try:
        process = words.pids[0] if len(words.pids) == 1 and timeout > 0 else None
        outcome = wait(condition, where, timeout, negated=words.negated, process=process)
        instead: list[str] = []
        if not outcome.holds:
            from .conditions import shown

            try:
                instead = shown("still there:", outcome.found) if words.negated else condition.instead(where.places())
            except NetinspectError as error:
                instead = [f"what is there instead could not be found out: {error}"]
    finally:
        where.close()
    if options.json:
        _write_json(condition, words.negated, outcome, instead, environment)
    elif options.verbose:
        _write_found(outcome, environment)
    if outcome.holds:
        return ExitStatus.OK
    sure = not outcome.problems
    claim = f"it is not so that {condition}" if not words.negated else f"it is still so that {condition}"
    if not sure:
        claim = f"it could not be checked whether {condition}"
    time = f" (waited {outcome.waited:.3g} s)" if timeout else ""
    if outcome.ended is not None:
        time = f" (process {outcome.ended} has ended)"
    environment.complain(claim + time, *outcome.problems, *instead)
    return ExitStatus.FAILED if sure else ExitStatus.INCOMPLETE


def _write_found(outcome: Outcome, environment: Environment) -> None:
    from ..engine.text import printable
    from .render import line

    text = "".join(f"{printable(line(record))}\n" for record in outcome.found)
    environment.write(text.encode("utf-8", "backslashreplace"))


def _write_json(
    condition: Condition, negated: bool, outcome: Outcome, instead: Sequence[str], environment: Environment
) -> None:
    from ..engine.structured import json_document
    from ..records import ConditionResult

    result = ConditionResult(
        str(condition),
        negated,
        outcome.holds,
        round(outcome.waited, 6),
        outcome.found,
        tuple(instead),
        outcome.problems,
    )
    environment.write(json_document([result]))
