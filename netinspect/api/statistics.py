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
    - ``interfaces``: counters by interface, for these only
    - ``nonzero``: counters that are not 0; with ``seconds`` or ``since`` those that changed
    - ``seconds``: read twice, ``seconds`` apart, and compute the change per second (``rate``)
    - ``since``: a file from ``save_sample``, to compute the change since then (``change``, ``reset``)

    Raises UsageError for an unknown table, NetinspectError for a sample that cannot be read, and while iterating
    NamespaceError. ``problems`` lists what could not be read.
    """
    groups = [group for name in several(tables) for group in tables_of(name)]
    query = Query(groups, several(interfaces))
    places = places_of(netns, all_netns)
    return Listed("Statistic", StatisticListing(query, places, seconds=seconds, since=_sample(since), nonzero=nonzero))


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
    """A verdict for each health check, as HealthCheck records.

    It covers all counts so far or, with ``seconds`` or ``since`` as in ``statistics``, the changes in that time. Raises
    NamespaceError and NetinspectError. A check whose counters could not be read is ``unknown``.
    """
    from ..nouns.statistics.listing_health import Health

    return Health(places_of(netns, all_netns), seconds=seconds, since=_sample(since)).checks()


def _sample(path: str | None) -> Sample | None:
    if path is None:
        return None
    from ..nouns.statistics.listing_samples import load

    return load(path)
