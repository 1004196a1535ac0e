"""Names that an error says are not there, and those that there are: interfaces, namespaces, containers, services …

The system is asked here, after the error, so that no listing carries this along.
"""

from __future__ import annotations

from ..engine.places import Place
from ..errors import NetinspectError
from . import live_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

_NETNS = ("-N", "--netns")
_BREAKS = str.maketrans(",=:/()[]!<>\"'", " " * 13)
"""What may stand around a name within a word."""


def slip(words: Sequence[str], error: NetinspectError) -> tuple[str, Iterable[str]]:
    """The name in a command line that the error is about, and those that it might have been."""
    given, known = error.slip
    if given:
        return given, known
    text = error.lines[0]
    for name in _parts(words):
        for before, after, names in _SAID:
            if f"{before}{name!r}{after}" in text:
                try:
                    return name, [*names(words, text)]
                except (NetinspectError, OSError):
                    return "", ()
    return "", ()


def _parts(words: Sequence[str]) -> Iterator[str]:
    """The words of a command line, and what is in them."""
    for word in words[1:]:
        yield word
        yield from word.rpartition("=")[2].split(",")
        yield from word.translate(_BREAKS).split()


def _interfaces(words: Sequence[str], text: str) -> Iterable[str]:
    """Those of the namespace that was asked for."""
    name = None
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in _NETNS:
            name = following
        elif word.startswith("--netns="):
            name = word.partition("=")[2]
    with Place(name, name) as place:
        return place.call(lambda: live_names.interfaces(()))


def _namespaces(words: Sequence[str], text: str) -> Iterable[str]:
    return live_names.namespaces(())


def _containers(words: Sequence[str], text: str) -> Iterable[str]:
    return live_names.containers(())


def _services(words: Sequence[str], text: str) -> Iterable[str]:
    return live_names.services()


def _protocols(words: Sequence[str], text: str) -> Iterable[str]:
    return live_names.protocols(())


def _routing_names(words: Sequence[str], text: str) -> Iterable[str]:
    from ..nouns.routing.names import RoutingNames

    return RoutingNames(text.partition(": give a name from ")[2].partition(",")[0]).values()


def _listed(words: Sequence[str], text: str) -> Iterable[str]:
    """Those that the error itself lists, behind what was given."""
    return text.rpartition("': ")[2].replace(" or ", " ").split(", ")


def _named_before(words: Sequence[str], text: str) -> Iterable[str]:
    """Those that the error itself lists, before what was given."""
    return text.partition(" takes one of ")[2].partition(", not ")[0].split(", ")


_SAID: tuple[tuple[str, str, Callable[[Sequence[str], str], Iterable[str]]], ...] = (
    ("no interface ", "", _interfaces),
    ("no network namespace ", "", _namespaces),
    ("no container ", "", _containers),
    ("no protocol ", "", _protocols),
    ("", ": give a name from ", _routing_names),
    ("", ": ", _listed),
    ("", " is neither a port", _services),
    ("", " is not a port", _services),
    (", not ", "", _named_before),
)
"""What errors say before and after the name."""
