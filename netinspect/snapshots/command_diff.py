"""``netinspect diff``: what changed between two snapshots, or since one was taken."""

from __future__ import annotations

from ..engine.options import Flag, Group, Option
from ..engine.output import NAMESPACES, ListingCommand, output_group
from ..engine.table import Column, Field
from ..errors import ExitStatus, UsageError
from .command import WHAT, OfNouns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..engine.columns import Batch
    from .take import Snapshot


class Diff(ListingCommand, OfNouns):
    """One command line of ``netinspect diff``."""

    name = "diff"
    operands = "FILE [FILE]"
    summary = (
        "Shows the differences between two snapshots, or between a snapshot and the current state. FILE is - for "
        "standard input."
    )
    record = "Difference"
    netns_first = False
    netns_column = 2
    trouble = ExitStatus.USAGE  # FAILED says that there are differences, as diff(1) has it

    all_fields = Flag()

    groups = (
        WHAT,
        Group(
            "Compare",
            Option(
                "",
                "all-fields",
                "also compare fields that change by themselves: queues, counters, timers, ids, process ids",
                to=all_fields.on,
            ),
        ),
        NAMESPACES,
        output_group("diff"),
    )
    notes = (
        "FILE may be a FIFO, as in <(...) of a shell. Refused are a FIFO without data for 30 seconds, numbers of more "
        "than 64 bits, lines of more than 16 MiB and files of more than 2 GiB.\n"
        "Records are matched by their addresses, ports and names: `changed` means that other fields differ. With one "
        "FILE, it is compared with the same network namespaces, unless others are given.\n"
        "Exit status: 0 no differences; 1 differences; 2 error: bad usage, an unreadable file, or something that could "
        "not be listed."
    )

    _before: Snapshot

    def check(self) -> None:
        """Raises UsageError."""
        if len(self.words) not in (1, 2):
            raise UsageError("diff takes one or two files")
        if len(self.words) == 2 and (self.netns or self.all_netns):
            raise UsageError("--netns and --all-netns go with one FILE, not two")
        if self.words == ["-", "-"]:
            raise UsageError("only one FILE can be standard input")

    def run(self) -> int:
        """Compares, once or again and again with --watch. Raises NetinspectError."""
        from .read import read, read_both

        self._after = None
        if len(self.words) == 2 and self.watch is None:
            self._before, self._after = read_both(*self.words)
        else:
            self._before = read(self.words[0])
        return super().run()

    @property
    def labelled(self) -> bool:
        """Whether the rows must say which namespace they are of: as the first snapshot does."""
        return self._before.header.namespaces[0].label is not None

    def once(self) -> int:
        """Compares once, and returns the exit status."""
        from .compare import differences
        from .read import read
        from .take import take

        before, head = self._before, self._before.header
        if len(self.words) == 2:
            after = self._after or read(self.words[1])
        else:
            named = self.netns or self.all_netns
            after = take(
                self.among(head.nouns),
                self.netns if named else head.netns,
                self.all_netns if named else head.all_netns,
            )
        nouns = self.among(noun for noun in head.nouns if noun in after.header.nouns)
        if not nouns:
            raise UsageError("the snapshots have nothing in common to compare")
        single = self.among({*head.nouns} ^ {*after.header.nouns})
        if single and len(self.words) == 2:
            names = ", ".join(sorted(single))
            self.environment.complain(f"not compared, since only one snapshot has them: {names}")
        found = list(differences(before, after, nouns, all_fields=self.all_fields))
        if found or self.format != "table":
            self.write_records(found)
        trouble = False
        for snapshot, name in ((before, self.words[0]), (after, (self.words[1:] or ["now"])[0])):
            for noun, text in ((text.partition(":")[0], text) for text in snapshot.end.problems):
                if noun in nouns:
                    self.environment.complain(f"{name}: {text}")
                    trouble = True
        if trouble:
            return self.trouble
        return ExitStatus.FAILED if found else ExitStatus.OK

    def table_columns(self) -> list[Column]:
        """The columns of a table."""
        return [
            Field("Change", "change"),
            Field("Noun", "noun"),
            Field("What", "what", kept=False),
            Column("Changed", _changes),
        ]

    def column(self, field: str, title: str) -> Column:
        """The column of one field."""
        return Field(title, field, _text, kept=False)


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


COMMAND = Diff
