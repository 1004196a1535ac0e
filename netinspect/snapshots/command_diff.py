"""``netinspect diff``: what changed between two snapshots, or since one."""

from __future__ import annotations

from ..engine.columns import Batch
from ..engine.options import Command, Group, Option
from ..engine.output import NAMESPACES, OutputOptions, output_group
from ..engine.schema import rows_of
from ..engine.table import Column, Field
from ..errors import ExitStatus, UsageError
from .command import WHAT, Chosen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from ..environment import Environment
    from ..records import Difference
    from .take import Snapshot

TROUBLE = ExitStatus.USAGE
"""What it ends with where it fails: FAILED says that there are differences, as diff(1) has it."""

COMMAND = Command(
    "diff",
    "FILE [FILE]",
    "Shows what is not the same in two snapshots, or in a snapshot and the system as it is now. FILE is - for standard "
    "input.",
    (
        WHAT,
        Group(
            "Compare",
            Option("", "all-fields", "also what changes by itself: queues, counters, timers, ids, process ids"),
        ),
        NAMESPACES,
        output_group("diff"),
    ),
    "FILE may be a FIFO, as of a shell's <(...): one in which nothing comes for 30 seconds is refused, as are numbers "
    "of more than 64 bits, lines of more than 16 MiB and files of more than 2 GiB.\n"
    "Records are the same thing where their addresses, ports and names are: `changed` says that other fields of it are "
    "not as they were. With one FILE, the namespaces that it was taken of are looked at, unless others are given.\n"
    "Exit status: 0 no difference; 1 differences; 2 trouble: bad usage, a file that cannot be read, or something that "
    "could not be listed.",
)


class Options:
    """The command line, converted."""

    def __init__(self, arguments: Sequence[str]) -> None:
        """Raises UsageError."""
        found, self.files = COMMAND.parse(arguments)
        self.help = any(name == "help" for name, _ in found)
        self.output = OutputOptions("Difference")
        self.chosen = Chosen()
        self.all_fields = False
        for name, value in found:
            if name == "all-fields":
                self.all_fields = True
            elif name != "help" and not self.chosen.take(name, value or ""):
                self.output.take(name, value or "")
        if self.help:
            return
        if len(self.files) not in (1, 2):
            raise UsageError("diff takes one or two files")
        if len(self.files) == 2 and (self.output.netns or self.output.all_netns):
            raise UsageError("--netns and --all-netns go with one file: two are compared as they are")
        if self.files == ["-", "-"]:
            raise UsageError("standard input can be one of the files only")


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    options = Options(arguments)
    if options.help:
        environment.write(COMMAND.help().encode())
        return ExitStatus.OK
    from .read import read

    before = read(options.files[0])
    return options.output.run(lambda: _once(options, before, environment), environment)


def _once(options: Options, before: Snapshot, environment: Environment) -> int:
    from .compare import differences
    from .read import read
    from .take import take

    output, head = options.output, before.header
    if len(options.files) == 2:
        after = read(options.files[1])
    else:
        named = output.netns or output.all_netns
        after = take(
            options.chosen.among(head.nouns),
            output.netns if named else head.netns,
            output.all_netns if named else head.all_netns,
        )
    nouns = options.chosen.among(noun for noun in head.nouns if noun in after.header.nouns)
    if not nouns:
        raise UsageError("the snapshots have nothing in common that could be compared")
    single = options.chosen.among({*head.nouns} ^ {*after.header.nouns})
    if single and len(options.files) == 2:
        environment.complain(f"in one of the snapshots only, and so not compared: {', '.join(sorted(single))}")
    found = list(differences(before, after, nouns, all_fields=options.all_fields))
    _write(found, head.namespaces[0].label is not None, output, environment)
    trouble = False
    for snapshot, name in ((before, options.files[0]), (after, (options.files[1:] or ["now"])[0])):
        for noun, text in ((text.partition(":")[0], text) for text in snapshot.end.problems):
            if noun in nouns:
                environment.complain(f"{name}: {text}")
                trouble = True
    if trouble:
        return TROUBLE
    return ExitStatus.FAILED if found else ExitStatus.OK


def _write(found: Sequence[Difference], several: bool, output: OutputOptions, environment: Environment) -> None:
    from ..records import Difference

    fields = output.columns or [name for name in Difference._fields if name != "netns" or several]
    writer = output.writer(fields, lambda: _columns(output, several), environment)
    batches: Iterable[Batch] = [rows_of(found)] if found else []
    if found or output.format != "table":
        for batch in output.sorted(batches):
            writer.add(batch)
        writer.end()


def _columns(output: OutputOptions, several: bool) -> list[Column]:
    if output.columns is not None:
        return [Field(name, name, _text, kept=False) for name in output.columns]
    columns: list[Column] = [Field("Change", "change"), Field("Noun", "noun")]
    if several:
        columns.append(Field("Namespace", "netns"))
    return [*columns, Field("What", "what", kept=False), Column("Changed", _changes)]


def _changes(batch: Batch) -> Iterator[str]:
    """As ``state ESTABLISHED -> CLOSE_WAIT, uid 0 -> 33``."""
    for fields, before, after in zip(*map(batch.values, ("fields", "before", "after")), strict=True):
        yield ", ".join(f"{name} {_text(getattr(before, name))} -> {_text(getattr(after, name))}" for name in fields)


def _text(value: Any) -> str:
    """A value of a record, or a record, in a few words."""
    if value is None or value == ():
        return "-"
    if hasattr(value, "_fields"):
        from ..waiting.render import line

        return line(value)
    return ",".join(map(_text, value)) if isinstance(value, tuple) else str(value)
