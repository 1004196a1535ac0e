"""Saved samples of statistics: what `stats --save` writes, and what has changed since.

A sample handles restarted counters: after a reboot, or with a new network namespace, interface or module.
What is counted from then on is all that is known, so it is given as the change, and marked.
"""

from __future__ import annotations

from time import time
from typing import NamedTuple

from ...engine.files import write_file
from ...engine.namespaces import inside
from ...errors import FileError, NetinspectError, OutputError
from ...procfs import sysctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...engine.places import Place
    from .listing import Figure, Key

_FORMAT = 1
_LIMIT = 1 << 28
"""Bytes of a file: 2,000 counters of a namespace take 100 kB."""


class SavedNamespace(NamedTuple):
    """The figures of one network namespace in a file."""

    name: str | None
    """Its label; None where there is only one."""
    identity: str | None
    """Its identity until the next reboot; None if the kernel does not report one."""
    figures: tuple[tuple[str, str, str | None, int], ...]
    """Table, counter, interface, value."""


class Saved(NamedTuple):
    """What is in a file."""

    netinspect_sample: int
    """The version of the format."""
    time: float
    """Seconds since 1970."""
    boot: str | None
    namespaces: tuple[SavedNamespace, ...]


class Sample:
    """Figures of some namespaces at one time. ``time`` is in seconds since 1970."""

    def __init__(self, saved: Saved) -> None:
        self.time = saved.time
        self._boot = saved.boot
        self._namespaces: dict[str | None, tuple[str | None, dict[Key, int]]] = {}
        for name, known_by, figures in saved.namespaces:
            self._namespaces[name] = known_by, {(row[0], row[1], row[2]): row[3] for row in figures}

    def change(self, place: Place, key: Key, value: int, kind: str) -> tuple[int | None, bool | None]:
        """The change of a figure, and whether it restarted since: the change is then a lower bound.

        A setting has no change, and neither has a namespace that is not in the sample.
        """
        known = self._namespaces.get(place.label)
        if known is None and len(self._namespaces) == 1 and place.label is None:
            (known,) = self._namespaces.values()
        if known is None or kind == "setting":
            return None, None
        known_by, rows = known
        before = rows.get(key)
        if kind == "level":
            return value - (before or 0), False
        same = self._boot == _boot() and known_by == identity(place)
        if not same or before is None or value < before:
            return value, True
        return value - before, False


def load(path: str) -> Sample:
    """Reads a sample. Raises NetinspectError where the file cannot be read, or is none."""
    from ...engine import typed
    from ...engine.files import read

    try:
        found = typed.parse(read(path, _LIMIT))
        if type(found) is dict and found.get("netinspect_sample", _FORMAT) != _FORMAT:
            raise ValueError("it has another format")
        return Sample(typed.maker(Saved)(found))
    except FileError as error:
        from errno import ENOENT

        from ...engine.quoting import shell_line

        # What is there, and cannot be read, would be replaced.
        command = shell_line(["netinspect", "stats", "--save", path]) if error.errno == ENOENT else None
        raise NetinspectError(f"{error}" + (f": `{command}` creates a sample" if command else "")) from None
    except ValueError as error:
        reason = "not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error
        raise NetinspectError(f"{path}: not a sample of `netinspect stats --save`: {reason}") from None


def save(path: str, found: Iterable[tuple[str | None, str | None, dict[Key, Figure]]]) -> None:
    """Writes a sample of namespaces, each with label, identity and figures: the whole file or nothing.

    Raises NetinspectError.
    """
    content = {
        "netinspect_sample": _FORMAT,
        "time": time(),
        "boot": _boot(),
        "namespaces": [
            {
                "name": label,
                "identity": known_by,
                "figures": [[*key, figure.value] for key, figure in figures.items()],
            }
            for label, known_by, figures in found
        ],
    }
    from json import dumps

    text = dumps(content, separators=(",", ":"))
    try:
        write_file(path, lambda put: put(text.encode()))
    except OutputError as error:
        raise OutputError(f"saving the sample: {error}") from None


def _boot() -> str | None:
    """The identity of this boot."""
    return sysctl("kernel.random.boot_id")


def identity(place: Place) -> str | None:
    """The identity of a network namespace until the next reboot; before Linux 5.14 a later one may get the same."""
    from ..sockets.request_copies import own_namespace

    known_by = inside(place.descriptor, own_namespace)
    return None if known_by is None else known_by.hex()
