"""What the commands of ``netinspect lab`` do: netinspect.lab.command has their tables."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from ..engine.answering import answered
from ..engine.help import show
from ..engine.text import printable
from ..errors import ExitStatus
from . import fault as fault_files
from . import registry
from .errors import LabError
from .lab import Lab
from .processes import MARK
from .topology_file import load, names
from .traffic import fits, scenario, scenario_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ..environment import Environment
    from .command import Break, Down, Exec, List, Mend, OfTopology, Run, Shell, Status, Sweep, Traffic, Up
    from .fault import Fault
    from .topology import Topology

_NOT_EXECUTABLE, _NOT_FOUND = 126, 127
"""As shells have it."""


def list_command(command: List) -> int:
    topologies = {name: load(name) for name in names()}
    scenarios = {name: scenario(name) for name in scenario_names()}
    faults = [fault_files.load(name) for name in fault_files.names()]
    lines = ["Topologies:"]
    for name, topology in topologies.items():
        fitting = ", ".join(known for known, module in scenarios.items() if fits(module, topology))
        lines.append(printable(f"  {name:12} {topology.description}"))
        lines.append(printable(f"  {'':12} hosts: {', '.join(topology.hosts)}"))
        lines.append(f"  {'':12} traffic: {fitting}")
    lines += ["", "Traffic scenarios:"]
    for name, module in scenarios.items():
        # Python leaves docstrings out where it is told to (PYTHONOPTIMIZE=2).
        summary = (module.__doc__ or "").strip().partition("\n")[0]
        lines.append(f"  {name:12} {summary}".rstrip())
        lines.append(f"  {'':12} at most {module.PACKETS:,} packets and {module.SECONDS} s")
    for name in topologies:
        breaking = [fault for fault in faults if name in fault.fits]
        if breaking:
            lines += ["", f"Faults of {name}:"]
            lines += [printable(f"  {fault.name:29} {fault.description}") for fault in breaking]
    return show("".join(f"{line}\n" for line in lines), command.environment)


def break_command(command: Break) -> int:
    name, wanted = command.words
    fault = fault_files.load(wanted)
    state = registry.find(name)
    from .breaking import break_lab

    with registry.attach_to_break(state) as lab:
        break_lab(lab, fault, state.topology)
    _write(command.environment, printable(f"{state.name}: {fault.description}"))
    return ExitStatus.OK


def mend_command(command: Mend) -> int:
    name, *wanted = command.words
    state = registry.find(name)
    from .mending import mend_lab

    with registry.attach_to_break(state) as lab:
        undone = mend_lab(lab, next(iter(wanted), None), state.topology)
    for fault in undone:
        _write(command.environment, printable(f"{state.name}: {fault} is undone"))
    if not undone:
        _write(command.environment, f"{state.name} is not broken")
    return ExitStatus.OK


def _broken(operand: str, command: OfTopology) -> tuple[Topology, list[Fault]]:
    """The topology that an operand names, and the faults behind it."""
    path, slash, last = operand.rpartition("/")
    name, *faults = [operand] if answered(os.path.exists, operand) else last.split("+")
    topology = load(f"{path}{slash}{name}" if faults else operand, dict(command.parameters))
    return topology, list(map(fault_files.load, faults))


def up_command(command: Up) -> int:
    topology, faults = _broken(command.words[0], command)
    state = registry.up(topology, command.called, faults)
    _write(command.environment, printable(f"{state.name}: {', '.join(state.hosts)}"))
    return ExitStatus.OK


def down_command(command: Down) -> int:
    name = next(iter(command.words), None)
    labs = registry.labs()
    if name is not None:
        labs = [state for state in labs if state.name == name]
    elif len(labs) > 1 and not command.all:
        raise LabError(f"{', '.join(state.name for state in labs)} are up: give one, or --all")
    failures = []
    for state in labs:
        try:
            registry.down(state)
            _write(command.environment, f"{state.name} is down")
        except LabError as error:
            failures.append(str(error))
    registry.sweep()
    for failure in failures:
        command.environment.complain(failure)
    if failures:
        return ExitStatus.FAILED
    if not labs:
        _write(command.environment, f"no lab {name!r} is up" if name else "no lab is up")
    return ExitStatus.OK


def status_command(command: Status) -> int:
    environment = command.environment
    labs = [registry.find(command.words[0])] if command.words else registry.labs()
    if command.json:
        _write(environment, json.dumps([_described(state) for state in labs], indent=2))
    elif command.words:
        hosts = labs[0].hosts.items()
        _write(
            environment,
            *(f"{printable(name):12} {labs[0].path(name)}  {' '.join(host['addresses'])}" for name, host in hosts),
        )
    elif labs:
        from tabulate import tabulate

        rows = [
            (
                state.name,
                printable(state.topology),
                _holder(state),
                _age(state.created),
                printable(" ".join(state.hosts)),
            )
            for state in labs
        ]
        headings = ("name", "topology", "holder", "up for", "hosts")
        _write(environment, tabulate(rows, headings, tablefmt="plain", disable_numparse=True))
    else:
        _write(environment, "no lab is up")
    return ExitStatus.OK


def _holder(state: registry.State) -> str:
    """Its process id."""
    local = state.holder.local
    return f"{state.holder.pid} (elsewhere)" if local is None else str(local)


def _described(state: registry.State) -> dict[str, Any]:
    """``holder`` and ``netns`` are null where the holder is in a pid namespace that is not visible here."""
    local = state.holder.local
    return {
        "name": state.name,
        "topology": state.topology,
        "holder": local,
        "created": state.created,
        "hosts": [
            {"name": name, "netns": None if local is None else state.path(name), "addresses": host["addresses"]}
            for name, host in state.hosts.items()
        ],
    }


def _age(created: float) -> str:
    minutes, seconds = divmod(int(time.time() - created), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def exec_command(command: Exec) -> int:
    name, host, *words = command.words
    return _execute(registry.find(name), host, words, command.environment)


def shell_command(command: Shell) -> int:
    state = registry.find(command.words[0])
    host = next(iter(command.words[1:]), None) or _first(state.hosts, state.name)
    shell = os.environ.get("SHELL") or shutil.which("bash") or "/bin/sh"
    command.environment.progress(f"{host} of {state.name}: leave with `exit`")
    return _execute(state, host, [shell], command.environment)


def _first(hosts: Iterable[str], lab: str) -> str:
    """The first host's name. Raises LabError where a lab has none."""
    for host in hosts:
        return host
    raise LabError(f"lab {lab} has no hosts")


def _execute(state: registry.State, host: str, command: list[str], environment: Environment) -> int:
    """Becomes the command."""
    registry.enter(state, host)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # what is ignored stays so in the command
    try:
        os.execvpe(command[0], command, {**os.environ, MARK: state.holder.mark(state.name)})
    except OSError as error:
        return _not_started(command[0], error, environment)


def _not_started(program: str, error: OSError, environment: Environment) -> int:
    environment.complain(f"{program}: {error.strerror}")
    return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE


def traffic_command(command: Traffic) -> int:
    name, played = command.words
    environment = command.environment
    with registry.attach(registry.find(name)) as lab:
        sent = lab.traffic(played, progress=_progress(environment))
        _write(environment, f"{printable(played)}: {sent}")
        time.sleep(command.hold)
    return ExitStatus.OK


def run_command(command: Run) -> int:
    environment = command.environment
    topology, faults = _broken(command.topology, command)
    name = command.host or (faults[0].host if faults else None)
    registry.sweep()
    with ExitStack() as opened:
        with _working(environment, "building the lab"):
            lab = opened.enter_context(Lab[Any](topology))
            host = lab[name or _first(lab.hosts, lab.name)]
            _break(lab, faults, environment)
        for played in command.scenarios:
            with _working(environment, f"playing {played}"):
                sent = lab.traffic(played, progress=_progress(environment))
            environment.progress(f"{played}: {sent}")
        if faults and not command.scenarios:
            opened.enter_context(_asking(lab, faults))
        try:
            process = host.popen(command.program)
        except OSError as error:
            return _not_started(command.program[0], error, environment)
        # No handler runs when the signal comes right before a system call that waits.
        ended = os.pidfd_open(process.pid)
        while not select.select([ended], [], [], 1)[0]:
            pass
        os.close(ended)
        status: int = process.wait()
    return 128 - status if status < 0 else status


@contextmanager
def _working(environment: Environment, doing: str) -> Iterator[None]:
    """On a terminal a line says what is done, until that is done."""
    if not environment.terminal:
        yield
        return
    from ..engine.screen import Screen

    environment.doing = doing
    screen = Screen(environment, [], live=True)
    try:
        yield
    finally:
        screen.close()


def _progress(environment: Environment) -> Callable[[str], object]:
    """Takes what has been sent so far: on a terminal it is the line of what is done, else lines of their own."""

    def show(line: str) -> None:
        if environment.terminal:
            environment.doing = line
        else:
            environment.progress(f"… {line}")

    return show


def _break(lab: Lab[Any], faults: list[Fault], environment: Environment) -> None:
    for fault in faults:
        from .breaking import break_lab

        break_lab(lab, fault)
        environment.progress(fault.description)


@contextmanager
def _asking(lab: Lab[Any], faults: list[Fault]) -> Iterator[None]:
    """Traffic that shows the faults goes on meanwhile."""
    from threading import Event, Thread

    from .probing import keep_asking

    ended = Event()
    threads = [Thread(target=keep_asking, args=(lab, fault.probe, ended.wait), daemon=True) for fault in faults]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def sweep_command(command: Sweep) -> int:
    number = registry.sweep()
    _write(command.environment, f"{number} leftovers removed" if number else "nothing to remove")
    return ExitStatus.OK


def _write(environment: Environment, *lines: str) -> None:
    environment.write("".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
