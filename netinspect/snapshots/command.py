"""``netinspect snapshot``."""

from __future__ import annotations

from ..engine.options import Command, Group, Option
from ..engine.output import NAMESPACES
from ..errors import ExitStatus, UsageError
from .nouns import NOUNS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..environment import Environment
    from .take import End

WHAT = Group(
    "What",
    Option("", "only", f"only these, separated by commas: {', '.join(NOUNS)}", "NOUN"),
    Option("", "ignore", "all but these", "NOUN"),
)

COMMAND = Command(
    "snapshot",
    "FILE",
    f"Writes down what the kernel has: {', '.join(NOUNS)}. `netinspect diff` tells later what has changed. FILE is - "
    "for standard output.",
    (WHAT, NAMESPACES),
    "The file is NDJSON: a header, then a record a line, its noun in the field `noun` and the rest as `netinspect "
    "schema` tells, then an end that counts them. Sockets come with the processes that hold them, as far as they may "
    "be seen; netlink sockets are left out. The file appears under its name when it is whole; one that was there "
    "is replaced and keeps its owner and mode. A FIFO or a character device is written to; anything else is refused, "
    "as is what belongs to another user in a directory where everybody may write.\n"
    "Exit status: 0; 1 it failed; 2 bad usage; 3 something could not be listed: standard error and the file say what.",
)


class Chosen:
    """Which nouns are meant: all, the only ones, or all but the ignored ones."""

    def __init__(self) -> None:
        self.only: list[str] = []
        self.ignored: list[str] = []

    def take(self, name: str, value: str) -> bool:
        """Takes one option; False where it is none of these. Raises UsageError."""
        if name not in ("only", "ignore"):
            return False
        nouns = [word.strip() for word in value.split(",")]
        for noun in nouns:
            if noun not in NOUNS:
                raise UsageError(f"no noun {noun!r}: {', '.join(NOUNS)}")
        (self.only if name == "only" else self.ignored).extend(nouns)
        if self.only and self.ignored:
            raise UsageError("--only and --ignore exclude each other")
        return True

    def among(self, nouns: Iterable[str]) -> tuple[str, ...]:
        """Those of these nouns that are meant."""
        return tuple(noun for noun in nouns if noun not in self.ignored and (not self.only or noun in self.only))


def run(arguments: Sequence[str], environment: Environment) -> int:
    """Runs the command. Raises NetinspectError."""
    found, operands = COMMAND.parse(arguments)
    chosen = Chosen()
    netns: list[str] = []
    all_netns = False
    for name, value in found:
        if name == "help":
            environment.write(COMMAND.help().encode())
            return ExitStatus.OK
        if name == "netns":
            netns.append(value or "")
        elif name == "all-netns":
            all_netns = True
        else:
            chosen.take(name, value or "")
    if netns and all_netns:
        raise UsageError("--netns and --all-netns exclude each other")
    if len(operands) != 1:
        raise UsageError("snapshot takes one FILE, or - for standard output")
    nouns = chosen.among(NOUNS)
    if not nouns:
        raise UsageError("no noun is left")
    from .take import Taking, header, places_of, write

    places = places_of(netns, all_netns)
    head = header(nouns, netns, all_netns, places)
    taking = Taking(nouns, places)

    def put_all(put: Callable[[bytes], object]) -> End:
        return write(head, taking, put)

    if operands[0] == "-":
        end = put_all(environment.write)
    else:
        from ..engine.files import write_file

        end = write_file(operands[0], put_all)
    nouns_by_text: dict[str, list[str]] = {}
    for text in end.problems:  # the notes are in the file
        noun, _, text = text.partition(": ")
        nouns_by_text.setdefault(text, []).append(noun)
    for text, told in nouns_by_text.items():
        environment.complain(f"{', '.join(told)}: {text}")
    return ExitStatus.INCOMPLETE if end.problems else ExitStatus.OK
