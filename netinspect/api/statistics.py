"""The Python API of protocol statistics: what `netinspect stats` shows, as records."""

from __future__ import annotations

from ..nouns.statistics.listing import Query, StatisticListing, tables_of
from .listed import Listed, places_of, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..nouns.statistics.listing_samples import Sample
    from ..records import HealthCheck, Statistic

    Texts = str | Iterable[str]


def statistics(
    tables: Texts = (),
    *,
    interfaces: Texts = (),
    nonzero: bool = False,
    seconds: float | None = None,
    since: str | None = None,
    netns: Texts | None = None,
    all_netns: bool = False,
) -> Listed[Statistic]:
    """Every protocol counter with its unit and meaning, as Statistic records.

    - ``tables``: as the kernel names them (TcpExt, Ip6, sockstat …) or names of protocols (tcp, ip, links …)
    - ``interfaces``: what is counted by interface, for these alone
    - ``nonzero``: what is not 0; with ``seconds`` or ``since`` what has changed
    - ``seconds``: read twice, ``seconds`` apart, and tell the change in a second (``rate``)
    - ``since``: a file of ``save_sample``, for what has changed since (``change``, ``reset``)

    Raises UsageError for a table that there is not, NetinspectError for a sample that cannot be read, and while
    iterating NamespaceError. ``problems`` has what could not be read.
    """
    groups = [group for name in several(tables) for group in tables_of(name)]
    query = Query(groups, several(interfaces))
    places = places_of(netns, all_netns)
    return Listed(StatisticListing(query, places, seconds=seconds, since=_sample(since), nonzero=nonzero))


def save_sample(path: str, *, netns: Texts | None = None, all_netns: bool = False) -> None:
    """Writes all counters to a file, for ``since``. Raises NetinspectError."""
    from ..nouns.statistics.listing_samples import save

    save(path, StatisticListing(Query(), places_of(netns, all_netns)).figures())


def health(
    *,
    seconds: float | None = None,
    since: str | None = None,
    netns: Texts | None = None,
    all_netns: bool = False,
) -> list[HealthCheck]:
    """What an administrator should look at first: a verdict for each check, as HealthCheck records.

    It is about all that was counted or, with ``seconds`` or ``since`` as for ``statistics``, what happened in that
    time. Raises NamespaceError and NetinspectError. A check whose counters could not be read is ``unknown``.
    """
    from ..nouns.statistics.listing_health import Health

    return Health(places_of(netns, all_netns), seconds=seconds, since=_sample(since)).checks()


def _sample(path: str | None) -> Sample | None:
    if path is None:
        return None
    from ..nouns.statistics.listing_samples import load

    return load(path)
