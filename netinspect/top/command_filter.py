"""The filter of the tabs of flows: the options of ``netinspect conntrack`` that select entries."""

from __future__ import annotations

from shlex import split

from ..errors import UsageError
from ..nouns.conntrack.command_options import FlowCommand, select_group

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..environment import Environment
    from ..nouns.conntrack.filter import FlowFilter


class _FlowWords(FlowCommand):
    """The options of ``netinspect conntrack`` that select entries."""

    name = "the filter of flows"
    groups = (select_group(),)
    terminal = ()

    def take_operands(self) -> None:
        if self.words:
            raise UsageError(f"the filter of flows takes options, as --source 10.0.0.0/8, not {self.words[0]!r}")


def flow_filter(text: str, environment: Environment) -> FlowFilter:
    """A filter of options, as on a command line. Raises UsageError."""
    try:
        words = split(text)
    except ValueError as error:
        raise UsageError(f"{text!r}: {error}") from None
    command = _FlowWords.read(words, environment)
    if command is None:
        raise UsageError("`netinspect conntrack --help` lists the options that select flows")
    return command.wanted
