"""The Python API of dropped packets: what `netinspect drops` shows, as records."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager

from ..errors import NetinspectError
from ..nouns.drops.events import Namespaces, Watch
from ..nouns.drops.filter import Filter, parse
from ..nouns.drops.listing_account import Account
from ..nouns.drops.names import texts
from ..records import DropCount
from .listed import Events, Listed, places_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from ..records import Drop, DropCounter

    Texts = str | Iterable[str]


def drops(
    filter: str = "",
    *,
    seconds: float | None = None,
    netns: str | None = None,
    all_netns: bool = False,
) -> Events[Drop]:
    """Packets as the kernel drops them, as Drop records.

    ``filter`` is as in `netinspect drops`, such as ``tcp port 80 reason NO_SOCKET``. Runs for ``seconds`` (None: no
    limit) or until ``close``. If packets were lost, it ends with a NetinspectError. Raises UsageError at
    once, and while iterating NamespaceError, and NetinspectError if drops cannot be traced (needs root).
    """
    return Events("Drop", _drops(parse([filter], texts()), seconds, netns, all_netns))


def drop_counts(
    filter: str = "",
    *,
    seconds: float = 10.0,
    netns: str | None = None,
    all_netns: bool = False,
) -> list[DropCount]:
    """How many packets are dropped in ``seconds``, by reason, place and interface, largest count first, as DropCount
    records.

    Lost packets are a row without reason and place. Filter and errors are as in ``drops``.
    """
    with _opened(netns, all_netns) as namespaces, Watch(namespaces, parse([filter], texts())) as watch:
        *_, counts = watch.counts(seconds)
        if watch.lost:
            rate = round(watch.lost / seconds, 3)
            counts.append(
                DropCount(watch.lost, rate, None, "", meaning="lost: they arrived faster than they could be read")
            )
    return counts


def drop_account(
    *, seconds: float | None = 1.0, zeros: bool = False, netns: Texts | None = None, all_netns: bool = False
) -> Listed[DropCounter]:
    """Every drop counter from the card to the socket, as DropCounter records, largest rate first.

    Reads twice, ``seconds`` apart; None reads once, without rates. ``zeros`` includes counters that are 0. Needs no
    privilege. Raises NamespaceError while iterating; ``problems`` lists what could not be read.
    """
    return Listed("DropCounter", Account(places_of(netns, all_netns), seconds, zeros=zeros))


def _drops(wanted: Filter, seconds: float | None, netns: str | None, all_netns: bool) -> Generator[Drop, None, None]:
    with _opened(netns, all_netns) as namespaces, Watch(namespaces, wanted) as watch:
        for found in watch.events(seconds):
            yield from found
        if watch.lost:
            raise NetinspectError(
                f"{watch.lost} dropped packets were lost: they arrived faster than they could be read"
            )


@contextmanager
def _opened(netns: str | None, all_netns: bool) -> Iterator[Namespaces]:
    with ExitStack() as stack:
        places = [] if all_netns else [stack.enter_context(place) for place in places_of(netns, False)]
        yield Namespaces(places, every=all_netns)
