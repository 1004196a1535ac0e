"""Connection tracking as a whole: how full it is, its counters, and why a namespace has no entries."""

from __future__ import annotations

from _functools import partial

from ...engine.namespaces import inside
from ...engine.netlink.transport import Dump
from ...errors import NetinspectError, NetlinkError
from ...procfs import sysctl
from ...records import ConntrackCount, ConntrackStatistic
from ...uapi.netlink import NETLINK_NETFILTER
from . import decode_statistics as conntrack_statistics
from .decode_statistics import COUNTERS, EXPECTATION_COUNTERS
from .request import explained

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...engine.places import Place


def setting(place: Place, name: str) -> int | None:
    """A sysctl of that namespace which is a number; None where it cannot be read."""
    value = inside(place.descriptor, partial(sysctl, name))
    try:
        return int(value) if value is not None else None
    except ValueError:
        return None


def _ask(place: Place, request: bytes, operation: str) -> Dump:
    return Dump(place.connect(NETLINK_NETFILTER), request, operation)


def count(place: Place) -> ConntrackCount:
    """How full the table is. Raises ConntrackError and NetlinkError."""
    try:
        entries, maximum = conntrack_statistics.size(
            _ask(place, conntrack_statistics.size_request(), "counting conntrack entries")
        )
    except NetlinkError as error:
        raise explained(error) from None
    if maximum is None:
        maximum = setting(place, "net.netfilter.nf_conntrack_max")
    from .listing_expectations import number_of_expectations

    return ConntrackCount(
        entries,
        maximum,
        round(100 * entries / maximum, 2) if maximum else None,
        number_of_expectations(place),
        setting(place, "net.netfilter.nf_conntrack_expect_max"),
        setting(place, "net.netfilter.nf_conntrack_buckets"),
        place.label,
    )


def counters(place: Place) -> dict[int, dict[str, int]]:
    """The counters of each processor by name. Raises ConntrackError and NetlinkError."""
    found: dict[int, dict[str, int]] = {}
    for expectations in (False, True):
        request = conntrack_statistics.counters_request(expectations=expectations)
        try:
            answer = _ask(place, request, "reading the counters of connection tracking")
            for cpu, values in conntrack_statistics.counters(answer, expectations=expectations):
                found.setdefault(cpu, {}).update(values)
        except NetlinkError as error:
            if not expectations:
                raise explained(error) from None
    return found


def statistics(place: Place) -> Iterator[ConntrackStatistic]:
    """Every counter, in total and for each processor. Raises ConntrackError and NetlinkError."""
    found = counters(place)
    for name, meaning in (*COUNTERS.values(), *EXPECTATION_COUNTERS.values()):
        values = {cpu: values[name] for cpu, values in sorted(found.items()) if name in values}
        if values:
            yield ConntrackStatistic(name, None, sum(values.values()), meaning, place.label)
            for cpu, value in values.items():
                yield ConntrackStatistic(name, cpu, value, meaning, place.label)


def why_nothing(place: Place) -> str | None:
    """Why a namespace has no entries at all; None where there are some, or no reason is known.

    A namespace tracks nothing until a rule needs it: the hooks of connection tracking are registered with the first.
    """
    from ...netfilter.ruleset import read

    try:
        entries, _ = conntrack_statistics.size(
            _ask(place, conntrack_statistics.size_request(), "counting conntrack entries")
        )
        if entries:
            return None
        if read(place).needs_tracking:
            return None
    except NetinspectError:
        return None
    return (
        "nothing is tracked here: no rule of this network namespace needs connection tracking "
        "(a NAT rule or one with `ct state` starts it)"
    )
