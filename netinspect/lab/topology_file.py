"""Topologies in TOML files: found by name or path, read, and checked with the line of whatever is wrong."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ..engine import files
from ..errors import FileError
from .errors import TopologyError
from .toml_lines import line_of, lines
from .topology import HostSpec, Interface, Link, Place, Topology, complaints, describe, shown

Result = TypeVar("Result")

PARAMETERS = "parameters"
_LARGEST = 1 << 23
"""Bytes of a file."""
_MOST_DOTS = 200
"""In a line, outside of strings: those of keys, and of numbers."""
_STRING = re.compile(r"\"{3}|'{3}|\"(?:[^\"\\\n]|\\.)*+\"?|'[^'\n]*+'?")


def data_directory() -> Path:
    """Where the topologies and scenarios are: inside the installed package, or in the checkout's ``netns-lab``."""
    installed = Path(__file__).parent / "netns-lab"
    return installed if installed.is_dir() else Path(__file__).parents[2] / "netns-lab"


def names() -> list[str]:
    """The names of the topologies that come with the package."""
    return sorted(path.stem for path in (data_directory() / "topologies").glob("*.toml"))


def load(name: str, parameters: Mapping[str, int] | None = None) -> Topology:
    """The topology of that name, or in that file (with a slash or ``.toml``), its parameters replaced by these.

    Raises TopologyError, with file and line, for whatever is wrong with it.
    """
    if "/" in name or name.endswith(".toml"):
        path = Path(name)
    else:
        path = data_directory() / "topologies" / f"{name}.toml"
        if not os.path.isfile(path):
            error = TopologyError(f"no topology {name!r}: give one of {', '.join(names())}, or the path of a TOML file")
            error.slip = name, names()
            raise error
    return parse(read(path), str(path), path.stem, parameters or {})


def read(path: Path) -> str:
    """The text of a file. Raises TopologyError, also if it is not a regular file or too large."""
    try:
        return files.read(str(path), _LARGEST).decode("utf-8").replace("\r\n", "\n")
    except FileError as error:
        raise TopologyError(str(error)) from None
    except UnicodeDecodeError as error:
        raise TopologyError(f"{path}: {error}") from None


def parse(text: str, source: str, name: str, parameters: Mapping[str, int]) -> Topology:
    """The topology in that text; ``source`` names the text in errors."""

    def make(document: dict[str, Any]) -> Topology:
        topology = _topology(document, name, parameters)
        for place, complaint in complaints(topology):
            raise Wrong(place, complaint)
        return topology

    return parsed(text, source, make)


def parsed(text: str, source: str, make: Callable[[dict[str, Any]], Result]) -> Result:
    """What ``make`` makes of that TOML text. Raises TopologyError, with the line where Wrong says what is wrong."""
    try:
        try:
            # tomllib takes time with the square of a dotted key's parts.
            if any(line.count(".") > _MOST_DOTS for line in _STRING.sub("", text).split("\n")):
                raise RecursionError
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise TopologyError(f"{source}: {error}") from None
        except ValueError:
            raise TopologyError(f"{source}: a number of thousands of digits") from None
        try:
            return make(document)
        except Wrong as wrong:
            line = line_of(lines(text), wrong.place)
            raise TopologyError(f"{source}:{line}: {describe(wrong.place)}: {wrong.complaint}") from None
    except RecursionError:
        raise TopologyError(f"{source}: values are nested too deeply") from None


class Wrong(Exception):
    """An error in a TOML document."""

    def __init__(self, place: Place, complaint: str) -> None:
        self.place = place
        self.complaint = complaint


def _topology(document: dict[str, Any], name: str, given: Mapping[str, int]) -> Topology:
    known = ("description", PARAMETERS, "roles", "hosts", "links")
    for key in document:
        if key not in known:
            raise Wrong((key,), f"not known here: {', '.join(known)} are")
    parameters = dict(typed(document.get(PARAMETERS, {}), dict[str, int], (PARAMETERS,), {}))
    for key in given:
        if key not in parameters:
            choice = f"it has {', '.join(parameters)}" if parameters else "it has none"
            raise TopologyError(f"topology {name!r} has no parameter {key!r}: {choice}")
    parameters.update(given)
    roles = document.get("roles", {})
    if not isinstance(roles, dict):
        raise Wrong(("roles",), "must be a table")
    return Topology(
        name,
        typed(document.get("description", ""), str, ("description",), parameters),
        typed(document.get("hosts", {}), dict[str, HostSpec], ("hosts",), parameters),
        tuple(
            _link(link, ("links", number), parameters)
            for number, link in enumerate(
                typed(document.get("links", []), tuple[dict[str, Any], ...], ("links",), parameters)
            )
        ),
        {
            role: (hosts,) if isinstance(hosts, str) else typed(hosts, tuple[str, ...], ("roles", role), parameters)
            for role, hosts in roles.items()
        },
    )


def _link(table: dict[str, Any], place: Place, parameters: Mapping[str, int]) -> Link:
    ends = typed(table.get("ends", []), tuple[str, ...], (*place, "ends"), parameters)
    if len(ends) != 2:
        raise Wrong((*place, "ends"), 'a link has two ends: ends = ["HOST:INTERFACE", "HOST:INTERFACE"]')
    pairs = []
    for number, end in enumerate(ends):
        host, colon, interface = end.partition(":")
        if not colon:
            raise Wrong((*place, "ends", number), f"{shown(end)} is not HOST:INTERFACE")
        pairs.append((host, interface))
    return typed({**table, "ends": (pairs[0], pairs[1])}, Link, place, parameters)  # type: ignore[no-any-return]


_KINDS = {str: "text", int: "a whole number", bool: "true or false", dict: "a table"}


def typed(value: Any, kind: Any, place: Place, parameters: Mapping[str, int]) -> Any:
    """``value`` as what the annotation ``kind`` asks for, or a complaint."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if type(None) in arguments:
        return typed(value, next(kind for kind in arguments if kind is not type(None)), place, parameters)
    if kind is int and isinstance(value, str) and value.startswith("$"):
        if value[1:] not in parameters:
            raise Wrong(place, f"no parameter {value[1:]!r} in [{PARAMETERS}]")
        return parameters[value[1:]]
    if origin is tuple and isinstance(value, tuple):
        return value  # a link's ends, taken apart before
    if origin is tuple:
        if not isinstance(value, list):
            raise Wrong(place, "must be a list")
        return tuple(typed(item, arguments[0], (*place, number), parameters) for number, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise Wrong(place, "must be a table")
        return {key: typed(item, arguments[1], (*place, key), parameters) for key, item in value.items()}
    if hasattr(kind, "__dataclass_fields__"):
        return _record(value, kind, place, parameters)
    if kind is str and isinstance(value, int) and place[-2:-1] == ("sysctls",):
        return str(int(value))
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Wrong(place, f"must be {_KINDS[kind]}, not {shown(value)}")
    return value


def _record(value: Any, kind: Any, place: Place, parameters: Mapping[str, int]) -> Any:
    if not isinstance(value, dict):
        raise Wrong(place, "must be a table")
    hints = _hints(kind)
    for key in value:
        if key not in hints:
            raise Wrong((*place, key), f"not known here: {', '.join(hints)} are")
    for entry in fields(kind):
        if entry.default is MISSING and entry.default_factory is MISSING and entry.name not in value:
            raise Wrong(place, f"{entry.name} is missing")
    return kind(**{key: typed(item, hints[key], (*place, key), parameters) for key, item in value.items()})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


__all__ = ["Interface", "data_directory", "load", "names", "parse"]
