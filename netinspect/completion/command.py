"""``netinspect completion``."""

from __future__ import annotations

from ..engine.command import Command
from ..engine.options import Group, One, Option, choice
from ..errors import ExitStatus, UsageError

_SHELLS = ("bash", "zsh", "fish")
_KINDS = (
    *("interfaces", "namespaces", "containers", "states", "fields", "topologies", "labs", "hosts", "users"),
    *("processes", "tables", "protocols", "scopes"),
)


class Completion(Command):
    """One command line of ``netinspect completion``."""

    name = "completion"
    operands = "bash|zsh|fish"
    summary = (
        "Prints the completion script of a shell. It has every command, option and fixed value in it; names of "
        "interfaces and the like are asked for when Tab is pressed."
    )

    values = One[str]("")

    groups = (
        Group(
            "For the scripts",
            Option(
                "",
                "values",
                f"print the values of a kind, one a line: {', '.join(_KINDS)}; states, fields and protocols of the "
                "command that follows, hosts of the lab",
                "KIND",
                to=values.value(choice("kind", _KINDS)),
                choices=_KINDS,
            ),
        ),
    )
    notes = (
        "The package installs scripts that load this one when it is first needed. By hand: `source <(netinspect "
        "completion bash)` in ~/.bashrc, the same with zsh in ~/.zshrc after compinit, or `netinspect completion fish "
        "| source` in ~/.config/fish/config.fish."
    )

    def check(self) -> None:
        """Raises UsageError where no shell is named."""
        if not self.values and (len(self.words) != 1 or self.words[0] not in _SHELLS):
            raise UsageError(f"completion takes one of {', '.join(_SHELLS)}, not {' '.join(self.words)!r}")

    def run(self) -> int:
        """Prints the script, or the values."""
        if self.values:
            from .command_values import KINDS, is_offered

            names = sorted(KINDS[self.values](self.words))
            text = "".join(f"{name}\n" for name in names if is_offered(name))
        else:
            from .command_shells import SCRIPTS

            text = SCRIPTS[self.words[0]]()
        self.environment.write(text.encode("utf-8", "backslashreplace"))
        return ExitStatus.OK


COMMAND = Completion
