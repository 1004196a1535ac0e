"""Entry point of the command line: runs the command, and turns any error into one line and an exit status."""

from __future__ import annotations

import sys

from . import know_kinds
from .errors import ExitStatus, NetinspectError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .engine.command import Command
    from .environment import Environment

COMMANDS = {
    "sockets": "sockets of every family, with owners, TCP state and filters in the kernel",
    "top": "what sockets carry: rates by socket, process, remote address, container or state",
    "routes": "routes of every table, the route cache, and the kernel's route to one address",
    "links": "interfaces: settings, counters, rates, and how they are stacked",
    "addresses": "addresses of interfaces",
    "neighbours": "the ARP and neighbour discovery tables, and how full they are",
    "rules": "the rules that choose a routing table",
    "netstat": "net-tools' netstat: the same options, the same output",
    "conntrack": "the connection tracking table: entries, size, counters, largest groups, events",
    "groups": "multicast groups: members by interface, multicast routes, bridge ports",
    "nat": "the masquerade table: translated connections, ports in use, and what is wrong",
    "path": "where a packet would go from here, hop by hop, and the reply to it",
    "drops": "packets that the kernel drops, and why; `drops account` for every drop counter",
    "stats": "every protocol counter with its meaning, rates and changes; `stats health` judges the most important",
    "explain": "what a state or a column means, and what to look at",
    "capabilities": "what this kernel and your privileges support",
    "wait": "wait for a condition: a listener, a connection, a route, a flow, a membership …",
    "assert": "check a condition now, and show what was found if it does not hold",
    "snapshot": "save sockets, routes, links, flows, groups … to a file, to compare with later",
    "diff": "what changed between two snapshots, or since one was taken",
    "lab": "throwaway networks of network namespaces, with real traffic",
    "schema": "the JSON schema of a command's output",
    "completion": "completion of commands, options and values in bash, zsh and fish",
    "help": "help for a command; `help --man` prints the man page",
}
"""Command names and what they do."""

_MODULES = {
    "sockets": "nouns.sockets.command",
    "top": "top.command",
    "routes": "nouns.routing.command",
    "links": "nouns.links.command",
    "addresses": "nouns.links.command_addresses",
    "neighbours": "nouns.routing.command_neighbours",
    "rules": "nouns.routing.command_rules",
    "netstat": "netstat.command",
    "conntrack": "nouns.conntrack.command",
    "groups": "nouns.groups.command",
    "nat": "nouns.nat.command",
    "path": "nouns.path.command",
    "drops": "nouns.drops.command",
    "stats": "nouns.statistics.command",
    "explain": "manual.command_explain",
    "capabilities": "nouns.capabilities.command",
    "wait": "waiting.command",
    "assert": "waiting.command_assert",
    "snapshot": "snapshots.command",
    "diff": "snapshots.command_diff",
    "lab": "lab.command",
    "schema": "manual.command_schema",
    "completion": "completion.command",
    "help": "manual.command_help",
}
"""Where the commands are: each module has ``COMMAND``."""


def command_of(name: str) -> type[Command]:
    """The command of that name."""
    command: type[Command] = __import__(f"netinspect.{_MODULES[name]}", fromlist=("COMMAND",)).COMMAND
    return command


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs one command and returns its exit status.

    Raises only SystemExit, and MemoryError if memory is out even for the error message.
    """
    try:
        return _dispatch(arguments, environment)
    except NetinspectError as error:
        first, *more = error.lines
        environment.complain(first + _instead(arguments, error), *more)
        return _trouble(arguments) if error.status == ExitStatus.FAILED else error.status
    except KeyboardInterrupt:  # if signals are not handled: see main
        environment.complain("interrupted")
        return ExitStatus.INTERRUPTED
    except Exception as error:
        lack = _lack(error)
        if lack:
            environment.complain(f"{lack}: {_REMEDIES[lack]}")
            return _trouble(arguments)
        from os import environ

        if "NETINSPECT_DEBUG" in environ:
            raise
        environment.complain(f"internal error: {error!r}; set NETINSPECT_DEBUG=1 for a traceback")
        return _trouble(arguments)


def _instead(arguments: Sequence[str], error: NetinspectError) -> str:
    """What follows the error: the command that was probably meant, where one is known."""
    from .errors import NamespaceError

    if error.status != ExitStatus.USAGE and not error.slip[0] and not isinstance(error, NamespaceError):
        return ""
    from .manual.slips import instead

    return instead(arguments, error, COMMANDS, command_of)


_MEMORY, _FILES = "out of memory", "too many open files"
_REMEDIES = {
    _MEMORY: "listings without --sort and --peers are streamed and need little",
    _FILES: "raise the limit (ulimit -n)",
}


def _lack(error: Exception) -> str:
    """What ran out, if anything did; when a module is being loaded, this raises other errors."""
    if isinstance(error, ImportError):
        words = str(error)  # dlopen(3)'s
        if "failed to map segment" in words or "annot allocate memory" in words:
            return _MEMORY
        if "oo many open files" in words or "Error 24" in words:
            return _FILES
        output = sys.modules.get("netinspect.engine.output")
        return _lack(output.failed_aside.pop()) if output is not None and output.failed_aside else ""
    if isinstance(error, OSError):
        return {12: _MEMORY, 24: _FILES, 23: _FILES}.get(error.errno or 0, "")  # ENOMEM, EMFILE, ENFILE
    # Where Python has no memory even for a MemoryError, it raises a SystemError: "error return without exception set".
    return _MEMORY if isinstance(error, MemoryError | SystemError) else ""


def _trouble(arguments: Sequence[str]) -> int:
    """The exit status of a failed command: for a few, 1 has another meaning, as in diff(1)."""
    module = sys.modules.get(f"netinspect.{_MODULES.get(arguments[0])}") if arguments else None
    command: type[Command] | None = getattr(module, "COMMAND", None)
    return ExitStatus.FAILED if command is None else command.trouble


def _dispatch(arguments: Sequence[str], environment: Environment) -> int:
    name = arguments[0] if arguments else "help"
    if name in ("--help", "-h"):
        name = "help"
    if name in ("--version", "-V"):
        from . import __version__

        environment.write(f"netinspect {__version__}\n".encode())
        return ExitStatus.OK
    if name not in COMMANDS:
        from .manual.slips import no_command

        raise no_command(arguments, COMMANDS, command_of)
    know_kinds()
    try:
        return command_of(name).main(list(arguments[1:]), environment)
    finally:
        _report_unread_files(environment)


def _report_unread_files(environment: Environment) -> None:
    """Name tables are read on demand: problems with them are reported once, at the end."""
    files = sys.modules.get("netinspect.engine.files")
    for text in () if files is None else files.notes.values():
        environment.complain(text)


def main() -> None:
    """The ``netinspect`` program."""
    from posix import _exit

    try:
        from .engine.signals import Ended, handle, status_of

        handle()
        from .startup import settle

        settle()
        from .environment import of_process

        try:
            status = run(sys.argv[1:], of_process())
        except Ended as ended:
            status = status_of(ended)
    except KeyboardInterrupt:  # before signals were handled
        status = ExitStatus.INTERRUPTED
    except (MemoryError, SystemError, ImportError, OSError) as error:  # outside of a command, or while it was reported
        from os import environ, write

        lack = _lack(error)
        if "NETINSPECT_DEBUG" in environ or not lack:
            raise

        write(2, f"netinspect: {lack}\n".encode())
        status = ExitStatus.FAILED
    # Dump and lookup threads may still run: there is nothing to wait for, and nothing to flush.
    _exit(status)
