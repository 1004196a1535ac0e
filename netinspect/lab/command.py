"""``netinspect lab``: its commands as tables; what they do is in netinspect.lab.command_actions."""

from __future__ import annotations

from ..engine.options import Command, Group, Option
from ..errors import ExitStatus, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..environment import Environment

SET = Option("", "set", "a parameter of the topology, such as sockets=40000; may be repeated", "PARAMETER=NUMBER")
_TOPOLOGY = (
    "TOPOLOGY is a name that `netinspect lab list` shows, or the path of a TOML file. With +FAULT behind it, once or "
    "several times, the lab comes up broken: gateway+no-forward-rule."
)
_FAULT = "FAULT is a name that `netinspect lab list` shows, or the path of a TOML file."
_SCENARIO = "SCENARIO is a name that `netinspect lab list` shows, or the path of a Python file."
_STATUS = (
    "The exit status is the command's own: 128 and the signal's number where one ended it, 127 where there is no such "
    "program, 126 where it cannot be executed."
)

COMMANDS = {
    "list": Command(
        "lab list", "", "Lists the topologies with their hosts, the traffic scenarios that fit, and the faults.", ()
    ),
    "up": Command(
        "lab up",
        "TOPOLOGY[+FAULT]",
        "Brings up a lab, which stays until it is taken down.",
        (Group("Lab", Option("", "name", "what to call it; otherwise it is called like its topology", "NAME"), SET),),
        f"{_TOPOLOGY}\nWhere a lab of that name is up, the next is called NAME-2 and so on, unless --name is given.",
    ),
    "down": Command(
        "lab down",
        "[NAME]",
        "Takes down a lab with all that runs in it; NAME may be left out where only one is up. One that is not up does "
        "no harm.",
        (Group("Select", Option("", "all", "all labs of this user")),),
    ),
    "status": Command(
        "lab status",
        "[NAME]",
        "Shows the labs that are up, or the hosts of one with their addresses and the path that opens each namespace.",
        (Group("Output", Option("j", "json", "as JSON")),),
    ),
    "exec": Command("lab exec", "NAME HOST -- COMMAND...", "Runs a command on a host of a lab.", (), _STATUS),
    "shell": Command(
        "lab shell", "NAME [HOST]", "Starts a shell, that of $SHELL, on a host of a lab; otherwise on its first.", ()
    ),
    "break": Command(
        "lab break",
        "NAME FAULT",
        "Breaks a lab in one way, to practise on, and says what its users see then. To mend it, take it down.",
        (),
        _FAULT,
    ),
    "traffic": Command(
        "lab traffic",
        "NAME SCENARIO",
        "Plays a traffic scenario in a lab, bounded in packets and seconds, and says what was sent.",
        (Group("Time", Option("", "hold", "keep the scenario's sockets open for so long afterwards", "SECONDS")),),
        _SCENARIO,
    ),
    "run": Command(
        "lab run",
        "TOPOLOGY[+FAULT] [SCENARIO] -- COMMAND...",
        "Brings up a lab, plays a scenario, runs a command in it while the scenario's sockets are open, and takes the "
        "lab down: all in one.",
        (
            Group(
                "Lab",
                Option("", "host", "where the command runs; otherwise the lab's first host, or the broken one", "HOST"),
                SET,
            ),
        ),
        f"{_TOPOLOGY}\n{_SCENARIO} Without one, and with a fault, traffic that shows the fault goes on while the "
        f"command runs.\n{_STATUS}",
    ),
    "sweep": Command(
        "lab sweep", "", "Removes what labs left behind that were killed; up, down and run do so as well.", ()
    ),
}
"""Each is a function of that name in netinspect.lab.command_actions."""

COMMAND = Command(
    "lab",
    "COMMAND [arguments]",
    "Throwaway networks of network namespaces, with real traffic, for tests and for learning. Works as root and, where "
    "the system allows user namespaces, without.",
    (),
    "A lab that is up is held by a process; its file is below /run/netinspect/labs for root, else below "
    "$XDG_RUNTIME_DIR/netinspect-labs or, without one, in /tmp. NETINSPECT_LAB_DIRECTORY puts it into a directory "
    "netinspect-labs of its own, below another.",
    tuple(COMMANDS.values()),
)


class Invocation:
    """A command line of one of them, taken apart."""

    def __init__(self, command: Command, arguments: Sequence[str]) -> None:
        """Raises UsageError."""
        self._found, self.operands = command.parse(arguments)
        if self.flag("help"):
            return
        self.ahead: int | None = None
        """How many operands stand before ``--``; None where there is no such word."""
        if "--" in arguments:
            self.ahead = len(command.parse(arguments[: arguments.index("--")])[1])
        words = command.operands.replace("-- ", "").split()
        needed = [word.rstrip(".").partition("[")[0] for word in words if not word.startswith("[")]
        if len(self.operands) < len(needed):
            raise self._error(command, f"{needed[len(self.operands)]} is missing")
        if len(self.operands) > len(words) and not command.operands.endswith("..."):
            raise self._error(command, f"nothing is known to do with {self.operands[len(words)]!r}")

    @staticmethod
    def _error(command: Command, text: str) -> UsageError:
        return UsageError(
            f"{command.name}: {text}: {command.operands or 'no operands'} (see `netinspect {command.name} --help`)"
        )

    def flag(self, name: str) -> bool:
        """Whether an option was given."""
        return any(name == given for given, _ in self._found)

    def values(self, name: str) -> list[str]:
        """The values of an option, in the order in which they were given."""
        return [value or "" for given, value in self._found if name == given]

    def value(self, name: str) -> str | None:
        """The last value of an option; None where it was not given."""
        return next(reversed(self.values(name)), None)


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    if not arguments or arguments[0] in ("-h", "--help"):
        environment.write(COMMAND.help().encode())
        return ExitStatus.OK if arguments else ExitStatus.USAGE
    name = arguments[0]
    if name not in COMMANDS:
        raise UsageError(f"no command {name!r}: {', '.join(COMMANDS)} (see `netinspect lab --help`)")
    invocation = Invocation(COMMANDS[name], arguments[1:])
    if invocation.flag("help"):
        environment.write(COMMANDS[name].help().encode())
        return ExitStatus.OK
    from . import command_actions as cli

    status: int = getattr(cli, f"{name}_command")(invocation, environment)
    return status
