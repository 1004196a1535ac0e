"""``netinspect snapshot``."""

from __future__ import annotations

from ..engine.options import Group, Many, Option, choice
from ..engine.output import NAMESPACES, InNamespaces
from ..errors import ExitStatus, UsageError
from .nouns import NOUNS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .take import End


def _noun(text: str) -> str:
    return choice("noun", tuple(NOUNS))(text.strip())


class OfNouns(InNamespaces):
    """A command that goes over nouns: all, the only ones, or all but the ignored ones."""

    only = Many[str]()
    ignored = Many[str]()

    def among(self, nouns: Iterable[str]) -> tuple[str, ...]:
        """Those of these nouns that are meant."""
        return tuple(noun for noun in nouns if noun not in self.ignored and (not self.only or noun in self.only))


WHAT = Group(
    "What",
    Option(
        "",
        "only",
        f"only these, separated by commas: {', '.join(NOUNS)}",
        "NOUN",
        to=OfNouns.only.each(_noun),
        choices=tuple(NOUNS),
        excludes=("ignore",),
    ),
    Option("", "ignore", "all except these", "NOUN", to=OfNouns.ignored.each(_noun), choices=tuple(NOUNS)),
)


class Snapshot(OfNouns):
    """One command line of ``netinspect snapshot``."""

    name = "snapshot"
    operands = "FILE"
    summary = (
        f"Saves the kernel's state: {', '.join(NOUNS)}. `netinspect diff` shows what changed since. FILE is - for "
        "standard output."
    )
    groups = (WHAT, NAMESPACES)
    notes = (
        "The file is NDJSON: a header, one record per line (the field `noun` names its kind, the others follow "
        "`netinspect schema`), and a trailer with their number. Sockets include the processes that hold them, as far "
        "as permissions allow; netlink sockets are left out. The file appears under its name when it is complete; an "
        "existing file is replaced and keeps its owner and mode. FIFOs and character devices are written to; other "
        "special files, and files of another user in a world-writable directory, are refused.\n"
        "Exit status: 0 success; 1 failed; 2 bad usage; 3 incomplete: standard error and the file name what could not "
        "be listed."
    )

    def check(self) -> None:
        """Raises UsageError."""
        if len(self.words) != 1:
            raise UsageError("snapshot takes one FILE, or - for standard output")
        if not self.among(NOUNS):
            raise UsageError("no noun is left")

    def screen(self) -> str:
        """A line shows that it is at work."""
        return "live"

    def run(self) -> int:
        """Takes one, and returns the exit status. Raises NetinspectError."""
        from .take import Taking, header, places_of, write

        self.environment.doing = "taking a snapshot"
        nouns = self.among(NOUNS)
        places = places_of(self.netns, self.all_netns)
        head = header(nouns, self.netns, self.all_netns, places)
        taking = Taking(nouns, places)

        def put_all(put: Callable[[bytes], object]) -> End:
            return write(head, taking, put)

        [path] = self.words
        if path == "-":
            end = put_all(self.environment.write)
        else:
            from ..engine.files import write_file

            end = write_file(path, put_all)
        nouns_by_text: dict[str, list[str]] = {}
        for text in end.problems:  # the notes are in the file
            noun, _, text = text.partition(": ")
            nouns_by_text.setdefault(text, []).append(noun)
        for text, affected in nouns_by_text.items():
            self.environment.complain(f"{', '.join(affected)}: {text}")
        return ExitStatus.INCOMPLETE if end.problems else ExitStatus.OK


COMMAND = Snapshot
