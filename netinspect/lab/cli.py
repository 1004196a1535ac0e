"""``netinspect lab`` and ``netns-lab/lab``: labs on the command line."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from ..errors import ExitStatus, NetinspectError
from ..render.text import printable
from . import registry
from .errors import LabError
from .lab import Lab
from .processes import MARK
from .topology_file import load, names
from .traffic import fits, scenario, scenario_names

_NOT_EXECUTABLE, _NOT_FOUND = 126, 127
"""As shells have it."""


def main(argv: list[str]) -> int:
    """Runs one command line; returns its exit status."""
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except NetinspectError as error:
        print(f"netinspect lab: {printable(str(error))}", file=sys.stderr)
        return error.status
    except BrokenPipeError:
        # Whoever reads has seen enough; Python must not find the pipe broken again when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitStatus.OK
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="netinspect lab",
        description="Throwaway networks of network namespaces, with real traffic. Works as root and, where the system "
        "allows user namespaces, without.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=help[0].upper() + help[1:] + ".")
        added.set_defaults(command=command)
        return added

    add("list", _list, "list the topologies and the traffic scenarios")

    up = add("up", _up, "bring up a lab, which stays until it is taken down")
    up.add_argument("--name", help="what to call it; otherwise it is called like its topology")

    down = add("down", _down, "take down a lab, or all; one that is not up does no harm")
    which = down.add_mutually_exclusive_group()
    which.add_argument("name", nargs="?", metavar="NAME", help="the lab; may be left out where only one is up")
    which.add_argument("--all", action="store_true", help="all labs of this user")

    status = add("status", _status, "show the labs that are up, or the hosts of one")
    status.add_argument("name", nargs="?", metavar="NAME", help="the lab")
    status.add_argument("-j", "--json", action="store_true", help="as JSON")

    run_in = add("exec", _exec, "run a command on a host of a lab")
    shell = add("shell", _shell, "start a shell on a host of a lab")
    traffic = add("traffic", _traffic, "play a traffic scenario in a lab, and say what was sent")
    for command in (run_in, shell, traffic):
        command.add_argument("name", metavar="NAME", help="the lab")
    run_in.add_argument("host", metavar="HOST", help="the host")
    run_in.add_argument("argv", nargs="+", metavar="COMMAND", help="the command, after --")
    shell.add_argument("host", nargs="?", metavar="HOST", help="the host; otherwise the lab's first")
    traffic.add_argument("--hold", type=float, default=0, metavar="SECONDS", help="keep its sockets open for so long")

    run = add("run", _run, "bring up a lab, play a scenario, run a command in it, take it down: all in one")
    run.add_argument("--host", help="the host that the command runs on; otherwise the lab's first")

    for command in (up, run):
        command.add_argument("topology", metavar="TOPOLOGY", help="its name, or the path of a TOML file")
        command.add_argument(
            "--set", action="append", default=[], metavar="PARAMETER=NUMBER", help="a parameter of the topology"
        )
    for command in (traffic, run):
        command.add_argument("scenario", metavar="SCENARIO", help="its name, or the path of a Python file")
    run.add_argument("argv", nargs="+", metavar="COMMAND", help="the command, after --")

    add("sweep", _sweep, "remove what labs left behind that were killed; `up` does so as well")
    return parser


def _list(arguments: argparse.Namespace) -> int:
    topologies = {name: load(name) for name in names()}
    scenarios = {name: scenario(name) for name in scenario_names()}
    print("Topologies:")
    for name, topology in topologies.items():
        fitting = ", ".join(known for known, module in scenarios.items() if fits(module, topology))
        print(f"  {name:12} {topology.description}\n  {'':12} hosts: {', '.join(topology.hosts)}")
        print(f"  {'':12} traffic: {fitting}")
    print("\nTraffic scenarios:")
    for name, module in scenarios.items():
        summary = (module.__doc__ or "").strip().splitlines()[0]
        print(f"  {name:12} {summary}\n  {'':12} at most {module.PACKETS:,} packets and {module.SECONDS} s")
    return ExitStatus.OK


def _parameters(arguments: argparse.Namespace) -> dict[str, int]:
    parameters = {}
    for given in arguments.set:
        name, equals, number = given.partition("=")
        if not equals or not number.isdecimal():
            raise LabError(f"--set {given!r}: give PARAMETER=NUMBER")
        parameters[name] = int(number)
    return parameters


def _up(arguments: argparse.Namespace) -> int:
    state = registry.up(load(arguments.topology, _parameters(arguments)), arguments.name)
    print(f"{state.name}: {', '.join(state.hosts)}")
    return ExitStatus.OK


def _down(arguments: argparse.Namespace) -> int:
    labs = registry.labs()
    if arguments.name is not None:
        labs = [state for state in labs if state.name == arguments.name]
    elif len(labs) > 1 and not arguments.all:
        raise LabError(f"{', '.join(state.name for state in labs)} are up: give one, or --all")
    for state in labs:
        registry.down(state)
        print(f"{state.name} is down")
    registry.sweep()
    if not labs:
        print(f"no lab {printable(arguments.name)!r} is up" if arguments.name else "no lab is up")
    return ExitStatus.OK


def _status(arguments: argparse.Namespace) -> int:
    labs = [registry.find(arguments.name)] if arguments.name else registry.labs()
    if arguments.json:
        print(json.dumps([_described(state) for state in labs], indent=2))
    elif arguments.name:
        for name, host in labs[0].hosts.items():
            print(f"{name:12} {labs[0].path(name)}  {' '.join(host['addresses'])}")
    elif labs:
        from tabulate import tabulate

        rows = [
            (state.name, state.topology, state.holder.pid, _age(time.time() - state.created), " ".join(state.hosts))
            for state in labs
        ]
        print(
            tabulate(rows, ("name", "topology", "holder", "up for", "hosts"), tablefmt="plain", disable_numparse=True)
        )
    else:
        print("no lab is up")
    return ExitStatus.OK


def _described(state: registry.State) -> dict[str, Any]:
    return {
        "name": state.name,
        "topology": state.topology,
        "holder": state.holder.pid,
        "created": state.created,
        "hosts": [
            {"name": name, "netns": state.path(name), "addresses": host["addresses"]}
            for name, host in state.hosts.items()
        ],
    }


def _age(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _exec(arguments: argparse.Namespace) -> int:
    return _execute(registry.find(arguments.name), arguments.host, arguments.argv)


def _shell(arguments: argparse.Namespace) -> int:
    state = registry.find(arguments.name)
    host = arguments.host or next(iter(state.hosts))
    shell = os.environ.get("SHELL") or shutil.which("bash") or "/bin/sh"
    print(f"{host} of {state.name}: leave with `exit`", file=sys.stderr)
    return _execute(state, host, [shell])


def _execute(state: registry.State, host: str, argv: list[str]) -> int:
    """Becomes the command."""
    registry.enter(state, host)
    sys.stdout.flush()
    try:
        os.execvpe(argv[0], argv, {**os.environ, MARK: state.holder.mark(state.name)})
    except OSError as error:
        print(f"netinspect lab: {printable(argv[0])}: {error.strerror}", file=sys.stderr)
        return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE


def _progress(line: str) -> None:
    print(f"… {line}", file=sys.stderr, flush=True)


def _traffic(arguments: argparse.Namespace) -> int:
    with registry.attach(registry.find(arguments.name)) as lab:
        played = lab.traffic(arguments.scenario, progress=_progress)
        print(f"{arguments.scenario}: {played}", flush=True)
        if arguments.hold > 0:
            time.sleep(arguments.hold)
    return ExitStatus.OK


def _run(arguments: argparse.Namespace) -> int:
    registry.sweep()
    # With the default action for SIGTERM the lab would end without a word: here it is taken down in order.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    with Lab[Any](load(arguments.topology, _parameters(arguments))) as lab:
        host = lab[arguments.host] if arguments.host else next(iter(lab.hosts.values()))
        played = lab.traffic(arguments.scenario, progress=_progress)
        print(f"{arguments.scenario}: {played}", file=sys.stderr, flush=True)
        try:
            process = host.popen(arguments.argv)
        except OSError as error:
            print(f"netinspect lab: {printable(arguments.argv[0])}: {error.strerror}", file=sys.stderr)
            return _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
        status: int = process.wait()
    return 128 - status if status < 0 else status


def _sweep(arguments: argparse.Namespace) -> int:
    number = registry.sweep()
    print(f"{number} left behind and removed" if number else "nothing was left behind")
    return ExitStatus.OK
