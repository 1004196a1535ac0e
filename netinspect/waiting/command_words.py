"""The words of a condition, as ``netinspect wait`` and ``netinspect assert`` take them, made a typed condition."""

from __future__ import annotations

from ..engine.options import Flag, Group, Many, One, Option, choice, within
from ..engine.output import FORMATS, InNamespaces
from ..errors import ExitStatus
from .words import MOST, SUBJECTS, Asked, translation_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..records import ConditionResult
    from .conditions import Condition
    from .endpoint import Endpoint

NOTES = (
    "Conditions; `not` before one negates it:\n" + "\n".join(f"  {subject}" for subject in SUBJECTS) + "\n"
    "listening: a socket accepts connections to that address, bound to it or to a wildcard. closed: no socket except "
    "in TIME_WAIT has that local address and port, or matches FILTER. FILTER is as in `netinspect sockets`.\n"
    "route PREFIX, or `default`: the main table, the named one, or any (`all`), has exactly that route. route ADDRESS: "
    "the kernel's own lookup gives that route, with rules, tables and learned path MTUs.\n"
    "link NAME: the link exists; up: it is up and has a carrier (if it reports one); down: it is not. address: the "
    "address exists and is usable: duplicate address detection is complete.\n"
    "flow: src, dst, sport and dport are of the original direction; reply-src, reply-dst, reply-sport and reply-dport "
    "of the reply direction; also status, mark, zone, helper.\n"
    "With several namespaces, or --all-netns, a condition holds if it holds in one of them.\n"
    "Exit status: 0 the condition holds; 1 it does not (standard error shows what was found); 2 bad usage; 3 it could "
    "not be checked completely."
)

_SOCKETS = ("listening", "established", "closed")


class ConditionCommand(InNamespaces):
    """A command line with a condition: ``wait`` or ``assert``. Its view is what the condition is about."""

    operands = "[not] CONDITION"
    trouble = ExitStatus.INCOMPLETE  # FAILED says that the condition does not hold

    protocol = One[str]("tcp")
    inet = Many[str]()
    processes = Many[str]()
    pids = Many[int]()
    least = One[int](1)
    natted_to = One["Endpoint | None"](None)
    timeout = One[float](0.0)
    """Seconds; 0 says that the condition is to hold now."""
    verbose = Flag()
    format = One[str]("table")

    negated = False

    def take_operands(self) -> None:
        """Takes ``not`` and what the condition is about. Raises UsageError."""
        asked = Asked(self.words)
        self.words, self.view, self.negated = asked.words, asked.subject, asked.negated

    def screen(self) -> str:
        """A line shows what is waited for; what was found follows it."""
        return "live"

    def run(self) -> int:
        """Waits, says how it ended, and returns the exit status. Raises NetinspectError."""
        from .result import waited
        from .wait import Where

        condition = self.condition()
        self.environment.doing = f"waiting{' until not' * self.negated}: {condition}"
        where = Where(self.netns, everywhere=self.all_netns)
        process = self.pids[0] if len(self.pids) == 1 and self.timeout > 0 else None
        ended = waited(condition, where, self.timeout, negated=self.negated, process=process)
        result = ended.result
        if self.format != "table":
            self._write_result(result)
        elif self.verbose:
            self._write_found(result)
        if result.holds:
            return ExitStatus.OK
        self.environment.complain(ended.claim, *result.problems, *result.nearest)
        return ExitStatus.INCOMPLETE if result.problems else ExitStatus.FAILED

    def _write_result(self, result: ConditionResult) -> None:
        from ..engine.schema import rows_of
        from ..engine.structured import writer_of

        writer = writer_of(self.format, result._fields, self.environment.write)
        writer.add(rows_of([result], "ConditionResult"))
        writer.end()

    def _write_found(self, result: ConditionResult) -> None:
        from ..engine.text import printable
        from .render import line

        text = "".join(f"{printable(line(record))}\n" for record in result.found)
        self.environment.write(text.encode("utf-8", "backslashreplace"))

    def condition(self) -> Condition:
        """The condition; what ``negated`` says is not in it. Raises UsageError."""
        asked = Asked(
            [self.view, *self.words],
            protocol=self.protocol,
            families=self.inet,
            process_names=self.processes,
            pids=self.pids,
            least=self.least,
            natted_to=self.natted_to,
        )
        return asked.condition()


def _translation(text: str) -> Endpoint:
    return translation_of(text, "--natted-to")


_OF = ConditionCommand

OPTIONS = Group(
    "Condition",
    Option(
        "t",
        "tcp",
        "listening, established, closed: TCP sockets (the default)",
        to=_OF.protocol.constant("tcp"),
        views=_SOCKETS,
    ),
    Option("u", "udp", "listening, established, closed: UDP sockets", to=_OF.protocol.constant("udp"), views=_SOCKETS),
    Option(
        "x",
        "unix",
        "listening, closed: unix sockets, by name instead of port",
        to=_OF.protocol.constant("unix"),
        views=("listening", "closed"),
    ),
    Option("4", "ipv4", "listening, established, closed: IPv4 only", to=_OF.inet.constant("inet"), views=_SOCKETS),
    Option("6", "ipv6", "listening, established, closed: IPv6 only", to=_OF.inet.constant("inet6"), views=_SOCKETS),
    Option(
        "",
        "process",
        "listening, established: held by a process of this name; `*` and `?` match any text",
        "NAME",
        to=_OF.processes.value(str),
        views=("listening", "established"),
    ),
    Option(
        "",
        "pid",
        "listening, established: held by this process; `wait` fails when it ends",
        "PID",
        to=_OF.pids.value(within(1, MOST)),
        views=("listening", "established"),
    ),
    Option(
        "",
        "count",
        "established, flow: at least NUMBER",
        "NUMBER",
        to=_OF.least.value(within(1, MOST)),
        views=("established", "flow"),
    ),
    Option(
        "",
        "natted-to",
        "flow: source or destination translated to this",
        "ADDRESS[:PORT]",
        to=_OF.natted_to.value(_translation),
        views=("flow",),
    ),
)

SHOW = Group(
    "Output",
    Option("v", "verbose", "report what was found", to=_OF.verbose.on),
    Option(
        "",
        "format",
        "json, ndjson or csv: the result (`netinspect schema wait`); table (the default): only what -v reports",
        "FORMAT",
        to=_OF.format.value(choice("format", FORMATS)),
        choices=FORMATS,
    ),
    Option("j", "json", "the same as --format json", to=_OF.format.constant("json")),
)
