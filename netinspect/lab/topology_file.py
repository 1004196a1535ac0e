"""Topologies in TOML files: found by name or path, read, and checked with the line of whatever is wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from .errors import TopologyError
from .toml_lines import line_of, lines
from .topology import HostSpec, Interface, Link, Place, Topology, complaints, describe

PARAMETERS = "parameters"


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
        if not path.is_file():
            raise TopologyError(f"no topology {name!r}: give one of {', '.join(names())}, or the path of a TOML file")
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TopologyError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    return parse(text, str(path), path.stem, parameters or {})


def parse(text: str, source: str, name: str, parameters: Mapping[str, int]) -> Topology:
    """The topology in that text; ``source`` names the text in errors."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise TopologyError(f"{source}: {error}") from None
    try:
        topology = _topology(document, name, parameters)
        for place, complaint in complaints(topology):
            raise _Wrong(place, complaint)
    except _Wrong as wrong:
        line = line_of(lines(text), wrong.place)
        raise TopologyError(f"{source}:{line}: {describe(wrong.place)}: {wrong.complaint}") from None
    return topology


class _Wrong(Exception):
    def __init__(self, place: Place, complaint: str) -> None:
        self.place = place
        self.complaint = complaint


def _topology(document: dict[str, Any], name: str, given: Mapping[str, int]) -> Topology:
    known = ("description", PARAMETERS, "roles", "hosts", "links")
    for key in document:
        if key not in known:
            raise _Wrong((key,), f"not known here: {', '.join(known)} are")
    parameters = dict(_typed(document.get(PARAMETERS, {}), dict[str, int], (PARAMETERS,), {}))
    for key in given:
        if key not in parameters:
            choice = f"it has {', '.join(parameters)}" if parameters else "it has none"
            raise TopologyError(f"topology {name!r} has no parameter {key!r}: {choice}")
    parameters.update(given)
    roles = document.get("roles", {})
    if not isinstance(roles, dict):
        raise _Wrong(("roles",), "must be a table")
    return Topology(
        name,
        _typed(document.get("description", ""), str, ("description",), parameters),
        _typed(document.get("hosts", {}), dict[str, HostSpec], ("hosts",), parameters),
        tuple(
            _link(link, ("links", number), parameters)
            for number, link in enumerate(
                _typed(document.get("links", []), tuple[dict[str, Any], ...], ("links",), parameters)
            )
        ),
        {
            role: (hosts,) if isinstance(hosts, str) else _typed(hosts, tuple[str, ...], ("roles", role), parameters)
            for role, hosts in roles.items()
        },
    )


def _link(table: dict[str, Any], place: Place, parameters: Mapping[str, int]) -> Link:
    ends = _typed(table.get("ends", []), tuple[str, ...], (*place, "ends"), parameters)
    if len(ends) != 2:
        raise _Wrong((*place, "ends"), 'a link has two ends: ends = ["HOST:INTERFACE", "HOST:INTERFACE"]')
    pairs = []
    for number, end in enumerate(ends):
        host, colon, interface = end.partition(":")
        if not colon:
            raise _Wrong((*place, "ends", number), f"{end!r} is not HOST:INTERFACE")
        pairs.append((host, interface))
    return _typed({**table, "ends": (pairs[0], pairs[1])}, Link, place, parameters)  # type: ignore[no-any-return]


_KINDS = {str: "text", int: "a whole number", bool: "true or false", dict: "a table"}


def _typed(value: Any, kind: Any, place: Place, parameters: Mapping[str, int]) -> Any:
    """``value`` as what the annotation ``kind`` asks for, or a complaint."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if type(None) in arguments:
        return _typed(value, next(kind for kind in arguments if kind is not type(None)), place, parameters)
    if kind is int and isinstance(value, str) and value.startswith("$"):
        if value[1:] not in parameters:
            raise _Wrong(place, f"there is no parameter {value[1:]!r} in [{PARAMETERS}]")
        return parameters[value[1:]]
    if origin is tuple and isinstance(value, tuple):
        return value  # a link's ends, taken apart before
    if origin is tuple:
        if not isinstance(value, list):
            raise _Wrong(place, "must be a list")
        return tuple(_typed(item, arguments[0], (*place, number), parameters) for number, item in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise _Wrong(place, "must be a table")
        return {key: _typed(item, arguments[1], (*place, key), parameters) for key, item in value.items()}
    if hasattr(kind, "__dataclass_fields__"):
        return _record(value, kind, place, parameters)
    if kind is str and isinstance(value, int) and place[-2:-1] == ("sysctls",):
        return str(int(value))
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _Wrong(place, f"must be {_KINDS[kind]}, not {value!r}")
    return value


def _record(value: Any, kind: Any, place: Place, parameters: Mapping[str, int]) -> Any:
    if not isinstance(value, dict):
        raise _Wrong(place, "must be a table")
    hints = _hints(kind)
    for key in value:
        if key not in hints:
            raise _Wrong((*place, key), f"not known here: {', '.join(hints)} are")
    for entry in fields(kind):
        if entry.default is MISSING and entry.default_factory is MISSING and entry.name not in value:
            raise _Wrong(place, f"{entry.name} is missing")
    return kind(**{key: _typed(item, hints[key], (*place, key), parameters) for key, item in value.items()})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


__all__ = ["Interface", "data_directory", "load", "names", "parse"]
