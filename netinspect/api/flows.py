"""The Python API of connection tracking: what `netinspect conntrack` and `netinspect nat` list, as records."""

from __future__ import annotations

from ..engine.text import digits
from ..errors import UsageError
from ..nouns.conntrack import listing as entries
from ..nouns.conntrack.filter import FlowFilter, mark_of, port_of, prefix_of, protocol_of, state_of, status_of, zone_of
from ..nouns.nat import listing as nat
from .listed import Events, Listed, places_of, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from ..records import (
        ConntrackCount,
        ConntrackStatistic,
        Expectation,
        Flow,
        FlowEvent,
        FlowGroup,
        InsideHost,
        OutsideAddress,
        Translation,
    )

    Texts = str | Iterable[str] | None
    Values = str | int | Iterable[str | int] | None


EVENTS = ("new", "update", "destroy")
_BUFFER = 1 << 23


def flows(
    *,
    families: Texts = None,
    protocols: Values = None,
    states: Texts = None,
    source: Texts = None,
    destination: Texts = None,
    reply_source: Texts = None,
    reply_destination: Texts = None,
    source_port: Values = None,
    destination_port: Values = None,
    reply_source_port: Values = None,
    reply_destination_port: Values = None,
    port: Values = None,
    status: Texts = None,
    marks: Values = None,
    zones: Values = None,
    helpers: Texts = None,
    minimum_bytes: int | None = None,
    translated: bool = False,
    netns: str | Iterable[str] | None = None,
    all_netns: bool = False,
) -> Listed[Flow]:
    """The entries of the connection tracking table, as Flow records, over ctnetlink.

    Selectors, as in `netinspect conntrack`; each takes one value or several, any of which matches.

    - ``families``: inet, inet6; ``protocols``: names or numbers; ``states``: of TCP, SCTP or DCCP
    - ``source``, ``destination``, ``reply_source``, ``reply_destination``: addresses or prefixes
    - ``source_port`` etc.; ``port``: source or destination of the original direction
    - ``status``: bits that must all be set or, with ! before them, not set: ``["ASSURED", "!SRC_NAT"]``
    - ``marks``: ``"0x1/0xff"``; ``zones``; ``helpers``; ``minimum_bytes``
    - ``translated``: only those with SRC_NAT or DST_NAT in their status

    Raises UsageError for an invalid value, and while iterating NamespaceError, ConntrackError (no
    permission, or no connection tracking in this kernel) and NetlinkError. All of them are NetinspectErrors.
    """
    wanted = _filter(
        families=families,
        protocols=protocols,
        states=states,
        source=source,
        destination=destination,
        reply_source=reply_source,
        reply_destination=reply_destination,
        source_port=source_port,
        destination_port=destination_port,
        reply_source_port=reply_source_port,
        reply_destination_port=reply_destination_port,
        port=port,
        status=status,
        marks=marks,
        zones=zones,
        helpers=helpers,
        minimum_bytes=minimum_bytes,
        translated=translated or None,
    )
    return Listed("Flow", entries.FlowListing(wanted, places_of(netns, all_netns)))


def translations(
    *,
    families: Texts = None,
    protocols: Values = None,
    states: Texts = None,
    source: Texts = None,
    destination: Texts = None,
    reply_source: Texts = None,
    reply_destination: Texts = None,
    source_port: Values = None,
    destination_port: Values = None,
    reply_source_port: Values = None,
    reply_destination_port: Values = None,
    port: Values = None,
    status: Texts = None,
    marks: Values = None,
    zones: Values = None,
    helpers: Texts = None,
    minimum_bytes: int | None = None,
    processes: bool = False,
    netns: str | Iterable[str] | None = None,
    all_netns: bool = False,
) -> Listed[Translation]:
    """The translated flows (NAT), as Translation records. Selectors and errors are as in ``flows``.

    ``processes`` adds the owners of ends on this machine (the field of that name).
    """
    wanted = _filter(
        families=families,
        protocols=protocols,
        states=states,
        source=source,
        destination=destination,
        reply_source=reply_source,
        reply_destination=reply_destination,
        source_port=source_port,
        destination_port=destination_port,
        reply_source_port=reply_source_port,
        reply_destination_port=reply_destination_port,
        port=port,
        status=status,
        marks=marks,
        zones=zones,
        helpers=helpers,
        minimum_bytes=minimum_bytes,
    )
    places = places_of(netns, all_netns)
    listing = nat.TranslationListing(wanted, places)
    if not processes:
        return Listed("Translation", listing)
    from ..nouns.nat.listing_state import with_owners

    return Listed("Translation", listing, with_owners(listing.batches(), listing, places))


def flow_count(*, netns: Texts = None, all_netns: bool = False) -> Listed[ConntrackCount]:
    """The size of the connection tracking table and its limits, as one ConntrackCount of each network namespace.

    Errors are as in ``flows``.
    """
    from ..nouns.conntrack.listing_figures import FigureListing
    from ..nouns.conntrack.listing_state import count

    return Listed(
        "ConntrackCount",
        FigureListing("ConntrackCount", lambda place: [count(place)], places_of(netns, all_netns)),
    )


def flow_statistics(*, netns: Texts = None, all_netns: bool = False) -> Listed[ConntrackStatistic]:
    """The counters of connection tracking, their total and by processor, as ConntrackStatistic records.

    Errors are as in ``flows``.
    """
    from ..nouns.conntrack.listing_figures import FigureListing
    from ..nouns.conntrack.listing_state import statistics

    return Listed("ConntrackStatistic", FigureListing("ConntrackStatistic", statistics, places_of(netns, all_netns)))


def expectations(*, netns: Texts = None, all_netns: bool = False) -> Listed[Expectation]:
    """The connections that helpers expect, as Expectation records. Errors are as in ``flows``."""
    from ..nouns.conntrack.listing_expectations import ExpectationListing

    return Listed("Expectation", ExpectationListing(places_of(netns, all_netns)))


def flow_groups(found: Listed[Flow], by: str = "source") -> list[FlowGroup]:
    """The rest of a listing of ``flows``, added up in groups, the largest first.

    ``by``: source, destination, outside, port, protocol, state or zone. Raises UsageError for another word, and what
    iterating raises.
    """
    from ..nouns.conntrack.listing_groups import GROUPINGS, groups

    if by not in GROUPINGS:
        raise UsageError(f"{by!r} is not one of {', '.join(GROUPINGS)}")
    return sorted(groups(found.batches(), by), key=lambda group: -group.flows)


def inside_hosts(found: Listed[Translation]) -> list[InsideHost]:
    """The rest of a listing of ``translations``, added up by inside host, the one with the most flows first.

    Raises what iterating raises.
    """
    from ..nouns.nat.listing_groups import inside_hosts

    return sorted(inside_hosts(found.batches()), key=lambda host: -host.flows)


def outside_addresses(found: Listed[Translation]) -> list[OutsideAddress]:
    """The rest of a listing of ``translations``, by outside address: the ports in use of each, the fullest first.

    Raises what iterating raises.
    """
    from ..nouns.nat.listing_groups import outside_addresses
    from ..nouns.nat.listing_state import port_ranges

    usage = outside_addresses(found.batches(), port_ranges(found.places))
    return sorted(usage, key=lambda address: -(address.percent or 0))


def flow_events(
    events: str | Iterable[str] = EVENTS,
    *,
    families: Texts = None,
    protocols: Values = None,
    states: Texts = None,
    source: Texts = None,
    destination: Texts = None,
    reply_source: Texts = None,
    reply_destination: Texts = None,
    source_port: Values = None,
    destination_port: Values = None,
    reply_source_port: Values = None,
    reply_destination_port: Values = None,
    port: Values = None,
    status: Texts = None,
    marks: Values = None,
    zones: Values = None,
    helpers: Texts = None,
    minimum_bytes: int | None = None,
    translated: bool = False,
    buffer: int = _BUFFER,
    seconds: float | None = None,
    netns: str | None = None,
) -> Events[FlowEvent]:
    """Connection tracking events as they occur, as FlowEvent records.

    ``events``: any of new, update and destroy; the selectors are those of ``flows``. Runs for ``seconds`` (None: no
    limit) or until ``close``. If the receive ``buffer`` (bytes) overflows, an event ``overrun`` has the
    number of lost events (``lost``).

    Raises UsageError at once, and while iterating NamespaceError, ConntrackError and NetlinkError.
    """
    kinds = several(events)
    for kind in kinds:
        if kind not in EVENTS:
            raise UsageError(f"{kind!r} is not one of {', '.join(EVENTS)}")
    wanted = _filter(
        families=families,
        protocols=protocols,
        states=states,
        source=source,
        destination=destination,
        reply_source=reply_source,
        reply_destination=reply_destination,
        source_port=source_port,
        destination_port=destination_port,
        reply_source_port=reply_source_port,
        reply_destination_port=reply_destination_port,
        port=port,
        status=status,
        marks=marks,
        zones=zones,
        helpers=helpers,
        minimum_bytes=minimum_bytes,
        translated=translated or None,
    )
    return Events("FlowEvent", _followed(kinds, wanted, buffer, seconds, netns))


def _followed(
    kinds: Sequence[str], wanted: FlowFilter, buffer: int, seconds: float | None, netns: str | None
) -> Generator[FlowEvent, None, None]:
    from select import POLLIN, poll
    from time import monotonic

    from ..nouns.conntrack.events import Watch

    with places_of(netns, False)[0] as place:
        watch = Watch(place, wanted, kinds, buffer)
        try:
            waiting = poll()
            waiting.register(watch.fileno(), POLLIN)
            end = None if seconds is None else monotonic() + seconds
            while end is None or monotonic() < end:
                waiting.poll(None if end is None else 1000 * max(end - monotonic(), 0))
                for batch in watch.events():
                    yield from batch
                if lost := watch.newly_lost():
                    yield from watch.overrun(lost)
        finally:
            watch.close()


_ADDRESSES = ("source", "destination", "reply_source", "reply_destination")
_PORTS = tuple(f"{end}_port" for end in _ADDRESSES)


def _filter(**wanted: Values | bool) -> FlowFilter:
    found = FlowFilter()
    for name, values in wanted.items():
        if values is None:
            continue
        texts = [str(value) for value in several(values)]
        if name == "families":
            found.families = _families(texts)
        elif name in _ADDRESSES:
            found.addresses[f"{name}_address"] = list(map(prefix_of, texts))
        elif name in _PORTS:
            found.ports[name] = set(map(port_of, texts))
        elif name == "port":
            found.either_ports = set(map(port_of, texts))
        elif name == "protocols":
            found.protocols = set(map(protocol_of, texts))
        elif name == "states":
            found.states = set(map(state_of, texts))
        elif name == "status":
            for status, on in map(status_of, texts):
                (found.with_status if on else found.without_status).add(status)
        elif name == "marks":
            found.marks = list(map(mark_of, texts))
        elif name == "zones":
            found.zones = set(map(zone_of, texts))
        elif name == "helpers":
            found.helpers = set(texts)
        elif name == "translated":
            found.any_nat = True
        else:
            least = digits(texts[0])
            if least is None:
                raise UsageError(f"{name} takes a whole number, not {texts[0]!r}")
            found.minimum_bytes = least
    found.check()
    return found


def _families(texts: Sequence[str]) -> tuple[str, ...]:
    for text in texts:
        if text not in ("inet", "inet6"):
            raise UsageError(f"{text!r} is not one of inet, inet6")
    return tuple(texts)
