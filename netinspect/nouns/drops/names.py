"""What reasons and places are called: the types and symbols of the running kernel, and reasons.toml."""

from __future__ import annotations

from bisect import bisect_right
from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PREFIXES = ("SKB_DROP_REASON_SUBSYS_", "SKB_DROP_REASON_", "SKB_")
_PARTS = 16
"""linux/net/dropreason.h: a reason's higher bits are the part of the kernel that it is of."""


@cache
def _file() -> dict[str, dict[str, tuple[str, str]]]:
    import tomllib

    from ...engine.files import package_text

    found = tomllib.loads(package_text(__name__, "reasons.toml"))
    return {kind: {name: (meaning, look) for name, (meaning, look) in of.items()} for kind, of in found.items()}


def texts() -> dict[str, tuple[str, str]]:
    """What each reason means, and what to look at."""
    return _file()["reason"]


def text_of(reason: str | None, place: str) -> tuple[str | None, str | None]:
    """What a drop means, and what to look at: by its reason or, where none is given, by its place if that is known."""
    if reason in (None, "NOT_SPECIFIED"):
        known = _file()["place"].get(place.partition("+")[0])
        if known is not None:
            return known
    return texts().get(reason or "", (None, None))


def short(name: str) -> str:
    """A reason's name as it is shown: SKB_DROP_REASON_NO_SOCKET is NO_SOCKET."""
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name.removeprefix(prefix)
    return name


class Reasons(dict[int, str]):
    """Names of reasons by number, as they are met: one that the kernel has no name for is its number."""

    def __init__(self, core: Mapping[int, str], parts: Mapping[int, str]) -> None:
        super().__init__({number: short(name) for number, name in core.items()})
        self._parts = {number: short(name) for number, name in parts.items()}

    def __missing__(self, number: int) -> str:
        part = number >> _PARTS
        name = f"{self._parts.get(part, part)}.{number & (1 << _PARTS) - 1}" if part else str(number)
        self[number] = name
        return name


class Places(dict[int, str]):
    """Functions of the kernel by address, as they are met."""

    def __init__(self, symbols: Sequence[tuple[int, str]]) -> None:
        """``symbols`` are those of code, in order."""
        super().__init__()
        self._starts = [start for start, _ in symbols]
        self._names = [name for _, name in symbols]

    def __missing__(self, address: int) -> str:
        at = bisect_right(self._starts, address) - 1
        if at < 0 or not self._starts[at]:
            name = f"{address:#x}"
        else:
            name = f"{self._names[at]}+{address - self._starts[at]:#x}"
        self[address] = name
        return name
