"""``netinspect lab``: its commands as tables; what they do is in netinspect.lab.command_actions."""

from __future__ import annotations

from ..engine.command import Command
from ..engine.options import Flag, Group, Many, One, Option, seconds
from ..engine.signals import Holding
from ..errors import ExitStatus, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..environment import Environment

_TOPOLOGY = (
    "TOPOLOGY is a name from `netinspect lab list`, or the path of a TOML file. Append +FAULT, once or several times, "
    "to start the lab broken: gateway+no-forward-rule."
)
_FAULT = "FAULT is a name from `netinspect lab list`, or the path of a TOML file."
_SCENARIO = "SCENARIO is a name from `netinspect lab list`, or the path of a Python file."
_STATUS = (
    "The exit status is that of the command: 128 plus the signal number if a signal ended it, 127 if the program was "
    "not found, 126 if it cannot be executed."
)

_DIGITS = 18
"""Of the number of a parameter, at most."""
_LONGEST = 1e9
"""Seconds: what sleep(2) takes on every machine, and nobody waits for."""


def _parameter(text: str) -> tuple[str, int]:
    name, equals, number = text.partition("=")
    if not equals or not number.isascii() or not number.isdecimal() or len(number) > _DIGITS:
        raise UsageError(f"--set {text!r}: give PARAMETER=NUMBER")
    return name, int(number)


class LabCommand(Command):
    """A command line of a command of the lab. Its operands are counted by what the help text says of them."""

    def check(self) -> None:
        """Raises UsageError where an operand is missing, or there are too many."""
        words = self.operands.replace("-- ", "").split()
        needed = [word.rstrip(".").partition("[")[0] for word in words if not word.startswith("[")]
        if len(self.words) < len(needed):
            raise self._error(f"{needed[len(self.words)]} is missing")
        if len(self.words) > len(words) and not self.operands.endswith("..."):
            raise self._error(f"unexpected operand {self.words[len(words)]!r}")

    def _error(self, text: str) -> UsageError:
        usage = self.operands or "no operands"
        return UsageError(f"{self.name}: {text}: {usage} (see `netinspect {self.name} --help`)")

    doing = ""
    """What a line on a terminal says while it takes long."""

    def screen(self) -> str:
        """What it shows is shown at once; what takes long has a line until then."""
        return "live" if self.doing else super().screen()

    def run(self) -> int:
        """Does it: each is a function of that name in command_actions. Raises NetinspectError."""
        if self.doing:
            self.environment.doing = self.doing
        from . import command_actions

        with Holding(vital=True):
            status: int = getattr(command_actions, f"{self.name.removeprefix('lab ')}_command")(self)
        return status


class OfTopology(LabCommand):
    """A command that makes a lab of a topology."""

    parameters = Many[tuple[str, int]]()


_SET = Option(
    "",
    "set",
    "set a parameter of the topology, such as sockets=40000; may be repeated",
    "PARAMETER=NUMBER",
    to=OfTopology.parameters.value(_parameter),
)


class List(LabCommand):
    """One command line of ``netinspect lab list``."""

    name = "lab list"
    summary = "Lists the topologies with their hosts, the traffic scenarios for each, and the faults."


class Up(OfTopology):
    """One command line of ``netinspect lab up``."""

    name = "lab up"
    operands = "TOPOLOGY[+FAULT]"
    doing = "building the lab"
    summary = "Starts a lab, which runs until `netinspect lab down`."

    called = One[str | None](None)

    groups = (
        Group(
            "Lab",
            Option(
                "",
                "name",
                "name of the lab; default: the name of the topology",
                "NAME",
                to=called.value(str),
            ),
            _SET,
        ),
    )
    notes = f"{_TOPOLOGY}\nIf a lab of that name is up, the new one is called NAME-2 and so on, unless --name is given."


class Down(LabCommand):
    """One command line of ``netinspect lab down``."""

    name = "lab down"
    operands = "[NAME]"
    doing = "taking labs down"
    summary = (
        "Stops a lab and all its processes. NAME may be left out if only one lab is up. It is no error if the lab is "
        "not up."
    )

    all = Flag()

    groups = (Group("Select", Option("", "all", "all labs of this user", to=all.on)),)

    def check(self) -> None:
        """Raises UsageError."""
        super().check()
        if self.words and self.all:
            raise UsageError("lab down takes a NAME or --all, not both")


class Status(LabCommand):
    """One command line of ``netinspect lab status``."""

    name = "lab status"
    operands = "[NAME]"
    summary = "Shows the labs that are up, or the hosts of one with their addresses and the path of each namespace."

    json = Flag()

    groups = (Group("Output", Option("j", "json", "as JSON", to=json.on)),)


class Exec(LabCommand):
    """One command line of ``netinspect lab exec``."""

    name = "lab exec"
    operands = "NAME HOST -- COMMAND..."
    summary = "Runs a command on a host of a lab."
    notes = _STATUS


class Shell(LabCommand):
    """One command line of ``netinspect lab shell``."""

    name = "lab shell"
    operands = "NAME [HOST]"
    summary = "Starts $SHELL on a host of a lab, by default the first."


class Break(LabCommand):
    """One command line of ``netinspect lab break``."""

    name = "lab break"
    operands = "NAME FAULT"
    doing = "breaking the lab"
    summary = "Breaks a lab in one way, for practice, and shows the symptom. `netinspect lab mend` undoes it."
    notes = _FAULT


class Mend(LabCommand):
    """One command line of ``netinspect lab mend``."""

    name = "lab mend"
    operands = "NAME [FAULT]"
    doing = "mending the lab"
    summary = "Undoes what broke a lab: the fault of that name, or all. It is no error if the lab is not broken."
    notes = (
        "What faults changed becomes what it was before the first of them, whatever was changed by hand since: "
        "interfaces, addresses, routes and rules of the hosts, settings, and nftables rules where a fault changed "
        "these. Learnt neighbours are forgotten, and flows as by `netinspect lab break`."
    )


class Traffic(LabCommand):
    """One command line of ``netinspect lab traffic``."""

    name = "lab traffic"
    operands = "NAME SCENARIO"
    doing = "sending"
    summary = "Plays a traffic scenario in a lab, limited in packets and seconds, and shows what was sent."

    hold = One[float](0.0)

    groups = (
        Group(
            "Time",
            Option(
                "",
                "hold",
                "keep the scenario's sockets open for SECONDS afterwards",
                "SECONDS",
                to=hold.value(seconds(0, _LONGEST)),
            ),
        ),
    )
    notes = _SCENARIO


class Run(OfTopology):
    """One command line of ``netinspect lab run``."""

    name = "lab run"
    operands = "TOPOLOGY[+FAULT] [SCENARIO] -- COMMAND..."
    summary = (
        "Starts a lab, plays a scenario, runs a command while the scenario's sockets are open, and takes the lab down."
    )

    host = One[str | None](None)

    groups = (
        Group(
            "Lab",
            Option(
                "",
                "host",
                "host to run the command on; default: the first host, or the broken one",
                "HOST",
                to=host.value(str),
            ),
            _SET,
        ),
    )
    notes = (
        f"{_TOPOLOGY}\n{_SCENARIO} Without a scenario, a lab with a fault plays traffic that shows the fault while the "
        f"command runs.\n{_STATUS}"
    )

    topology: str
    scenarios: list[str]
    program: list[str]

    def check(self) -> None:
        """Raises UsageError; takes the operands apart."""
        super().check()
        ahead = 2 if self.ahead is None else self.ahead
        (self.topology, *self.scenarios), self.program = self.words[:ahead], self.words[ahead:]
        if not self.program:
            raise self._error("COMMAND is missing")
        if len(self.scenarios) > 1:
            raise self._error(f"unexpected operand {self.scenarios[1]!r}")


class Sweep(LabCommand):
    """One command line of ``netinspect lab sweep``."""

    name = "lab sweep"
    doing = "removing what killed labs left behind"
    summary = "Removes what killed labs left behind; up, down and run do so as well."


_COMMANDS = {
    command.name.removeprefix("lab "): command
    for command in (List, Up, Down, Status, Exec, Shell, Break, Mend, Traffic, Run, Sweep)
}


class LabCommands(Command):
    """``netinspect lab``: the first word says which command of the lab is meant."""

    name = "lab"
    operands = "COMMAND [arguments]"
    summary = (
        "Throwaway networks of network namespaces, with real traffic, for tests and for learning. Needs root or user "
        "namespaces."
    )
    notes = (
        "A process holds each running lab; its state file is in /run/netinspect/labs for root, otherwise in "
        "$XDG_RUNTIME_DIR/netinspect-labs or in /tmp. Set NETINSPECT_LAB_DIRECTORY to keep it in netinspect-labs below "
        "another directory."
    )
    commands = tuple(_COMMANDS.values())

    @classmethod
    def main(cls, arguments: Sequence[str], environment: Environment) -> int:
        """Runs a command line, and returns the exit status. Raises NetinspectError."""
        if not arguments or arguments[0] in ("-h", "--help"):
            cls.show_help(environment)
            return ExitStatus.OK if arguments else ExitStatus.USAGE
        name, *rest = arguments
        if name not in _COMMANDS:
            from ..engine.help import unknown

            raise unknown("command", name, _COMMANDS, " (see `netinspect lab --help`)")
        return _COMMANDS[name].main(rest, environment)


COMMAND = LabCommands
