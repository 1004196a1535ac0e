"""Saved samples of statistics: what `stats --save` writes, and what has changed since.

A sample survives that counters begin anew: with the machine, with the network namespace, with an interface or a module.
What is counted from then on is all that is known, so it is given as the change, and marked.
"""

from __future__ import annotations

import json
import os
from time import time

from ...engine.namespaces import inside
from ...errors import NetinspectError
from ...procfs import sysctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from ...engine.places import Place
    from .listing import Figure, Key

_FORMAT = 1


class Sample:
    """Figures of some namespaces at one time. ``time`` is in seconds since 1970."""

    def __init__(self, content: dict[str, Any]) -> None:
        """Raises KeyError, TypeError, ValueError where the content makes no sense."""
        self.time = float(content["time"])
        self._boot = content["boot"]
        self._namespaces: dict[str | None, tuple[str | None, dict[Key, int]]] = {}
        for namespace in content["namespaces"]:
            rows = {(row[0], row[1], row[2]): int(row[3]) for row in namespace["figures"]}
            self._namespaces[namespace["name"]] = namespace["identity"], rows

    def change(self, place: Place, key: Key, value: int, kind: str) -> tuple[int | None, bool | None]:
        """How much a figure has changed, and whether it began anew since, so that this is the least it can be.

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
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
        if content["netinspect_sample"] != _FORMAT:
            raise ValueError
        return Sample(content)
    except OSError as error:
        raise NetinspectError(f"{path}: {error.strerror}: `netinspect stats --save {path}` makes a sample") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        raise NetinspectError(f"{path}: no sample that `netinspect stats --save` has written") from None


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
    temporary = f"{path}.{os.getpid()}.new"
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            json.dump(content, file, separators=(",", ":"))
        os.replace(temporary, path)
    except OSError as error:
        raise NetinspectError(f"saving the sample in {path}: {error.strerror}") from None


def _boot() -> str | None:
    """What tells this start of the machine from others."""
    return sysctl("kernel.random.boot_id")


def identity(place: Place) -> str | None:
    """What tells a network namespace from all others of this start of the machine."""
    from ..sockets.request_copies import namespace_cookie

    cookie = inside(place.descriptor, namespace_cookie)
    return None if cookie is None else cookie.hex()
