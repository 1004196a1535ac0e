"""``routes get``: the kernel's own answer for one destination, with the rule and the table entry that gave it."""

from __future__ import annotations

from _operator import itemgetter
from _socket import getprotobyname, inet_pton
from errno import EACCES, EHOSTUNREACH, EINVAL, ENETUNREACH, EXDEV
from posix import geteuid

from ...engine.columns import Constant
from ...engine.files import check_database
from ...engine.listing import BaseListing
from ...engine.netlink.transport import Dump
from ...engine.prefixes import packed, prefix, within
from ...engine.rtnetlink import FAMILY_NUMBERS
from ...engine.text import number
from ...errors import NetlinkError, UsageError
from ...uapi.netlink import NETLINK_ROUTE
from ...uapi.rtnetlink import (
    RTA_DPORT,
    RTA_IIF,
    RTA_IP_PROTO,
    RTA_MARK,
    RTA_OIF,
    RTA_SPORT,
    RTA_UID,
    RTM_F_FIB_MATCH,
    RTM_F_LOOKUP_TABLE,
)
from . import decode as route
from .listing import Prefix, Query, RouteListing, names_of
from .listing_matching import NOBODY, Flow, asks_of_interfaces, deciding_rule
from .listing_rules import rules_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ...engine.columns import Batch
    from ...engine.places import Place
    from ...records import Route, Rule

SELECTORS = ("from", "iif", "oif", "mark", "uid", "tos", "ipproto", "sport", "dport")
_LARGEST = {"mark": 0xFFFFFFFF, "uid": 0xFFFFFFFE, "tos": 0xFF, "ipproto": 0xFF, "sport": 0xFFFF, "dport": 0xFFFF}

_NO_ROUTE = {
    ENETUNREACH: "no route leads there",
    EHOSTUNREACH: "no route, or a route of type unreachable",
    EACCES: "a route or rule of type prohibit applies",
    EINVAL: "a route or rule of type blackhole applies, or the kernel drops packets with this source address",
    # Newer kernels answer EINVAL for this as well.
    EXDEV: "the reverse path filter would drop a packet with this source",
}


_MOST_WAYS = 20_000
"""Addresses that are kept, so that memory stays bounded."""


class Lookup:
    """What to look up: an address, and selectors behind it as `ip route get` takes them."""

    def __init__(self, words: Sequence[str], families: Sequence[str] = ()) -> None:
        """Raises UsageError."""
        if not words or len(words) % 2 == 0:
            raise UsageError(f"routes get takes an address, then selectors with values: {', '.join(SELECTORS)}")
        self.family = "inet6" if ":" in words[0] else "inet"
        if families and self.family not in families:
            raise UsageError(f"{words[0]!r} is of another address family than requested")
        self.destination = self._address(words[0])
        self.flow = Flow(words[0])
        self.flow.uid = geteuid()
        self.source = b""
        self.interfaces: dict[int, str] = {}
        self.numbers: dict[int, int] = {}
        for selector, value in zip(words[1::2], words[2::2], strict=True):
            self._take(selector, value)
        if RTA_IIF in self.interfaces and RTA_UID not in self.numbers:
            self.flow.uid = NOBODY

    def _take(self, selector: str, value: str) -> None:
        flow = self.flow
        if selector == "from":
            self.source = self._address(value)
            flow.source = value
        elif selector == "iif":
            self.interfaces[RTA_IIF] = flow.input_interface = value
        elif selector == "oif":
            self.interfaces[RTA_OIF] = flow.output_interface = value
        elif selector in _LARGEST:
            number = self._number(selector, value)
            kinds = {
                "mark": RTA_MARK,
                "uid": RTA_UID,
                "ipproto": RTA_IP_PROTO,
                "sport": RTA_SPORT,
                "dport": RTA_DPORT,
            }
            if selector in kinds:
                self.numbers[kinds[selector]] = number
            fields = {"ipproto": "ip_protocol", "sport": "source_port", "dport": "destination_port"}
            setattr(flow, fields.get(selector, selector), number)
        else:
            raise UsageError(f"no selector {selector!r}: {', '.join(SELECTORS)}")

    def _address(self, text: str) -> bytes:
        try:
            return inet_pton(FAMILY_NUMBERS[self.family], text)
        except (OSError, ValueError):
            raise UsageError(f"{text!r} is not an {self.family} address") from None

    def _number(self, selector: str, value: str) -> int:
        by_name = selector == "ipproto" and value.isalpha()
        try:
            found = _protocol_number(value) if by_name else number(value)
        except (OSError, ValueError):
            found = None
        if found is None or not 0 <= found <= _LARGEST[selector]:
            raise UsageError(f"{selector} takes a number up to {_LARGEST[selector]}, not {value!r}")
        return found


def _protocol_number(name: str) -> int:
    from ...engine.in_time import in_time

    check_database("protocols")
    return in_time(getprotobyname, name)


class Lookups(BaseListing):
    """The answer in each place. Where there is but one, ``batches`` raises NetlinkError if no route leads there."""

    def __init__(
        self,
        lookup: Lookup,
        places: Sequence[Place] = (),
        explain: Callable[[Place, Flow], str | None] | None = None,
    ) -> None:
        """Without ``places``: the current namespace. ``explain`` adds why there is no route, if known."""
        super().__init__(places)
        self._lookup = lookup
        self._explain = explain
        self.answered = False
        """Whether there was an answer in any place, when all has been listed."""

    def _place(self, place: Place) -> Iterator[Batch]:
        try:
            for batch in _answer(self._lookup, place, self._explain):
                self.answered = True
                yield batch
        except (NetlinkError, UsageError) as error:
            if len(self.places) == 1:
                raise
            # That one of several has no route there, or no such interface, is an answer.
            known = not isinstance(error, NetlinkError) or error.errno in _NO_ROUTE
            (self.notes if known else self.problems).append(f"network namespace {place.label}: {error}")


class Ways:
    """By which interface packets leave for an address. Each is asked for once."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._decoder: route.Decoder | None = None
        self._known: dict[str, str | None] = {}

    def interface(self, address: str) -> str | None:
        """Its name; None where packets do not leave: there is no route, or the address is this machine's."""
        if address not in self._known:
            if len(self._known) > _MOST_WAYS:
                self._known.clear()
            self._known[address] = self._ask(address)
        return self._known[address]

    def _ask(self, address: str) -> str | None:
        if self._decoder is None:
            self._decoder = route.Decoder(names_of(self._place))
        family = FAMILY_NUMBERS["inet6" if ":" in address else "inet"]
        request = route.get_request(family, inet_pton(family, address), 0)
        try:
            for runs in Dump(self._place.connect(NETLINK_ROUTE), request, f"looking up {address}").answers():
                for found in self._decoder.batch(runs) or ():
                    return found.interface if found.type == "unicast" else None
        except NetlinkError:
            pass
        return None


def _answer(
    lookup: Lookup, place: Place, explain: Callable[[Place, Flow], str | None] | None = None
) -> Iterator[Batch]:
    decoder = route.Decoder(names_of(place))
    numbers = dict(lookup.numbers)
    for kind, name in lookup.interfaces.items():
        interface = place.interface(name)
        if interface is None:
            raise UsageError(f"no interface {name!r}")
        numbers[kind], primary = interface
        if kind == RTA_IIF:
            lookup.flow.input_interface = primary
        else:
            lookup.flow.output_interface = primary

    def ask(flags: int) -> Batch | None:
        request = route.get_request(
            FAMILY_NUMBERS[lookup.family],
            lookup.destination,
            flags,
            source=lookup.source,
            tos=lookup.flow.tos,
            numbers=numbers,
        )
        dump = Dump(place.connect(NETLINK_ROUTE), request, f"looking up {lookup.flow.destination}")
        for runs in dump.answers():
            return decoder.batch(runs)
        return None

    # IPv6 always sends the table, and does not support the flag.
    table_flag = RTM_F_LOOKUP_TABLE if lookup.family == "inet" else 0
    try:
        answer = ask(table_flag)
    except NetlinkError as error:
        if error.errno in _NO_ROUTE and not error.message:
            why = explain and explain(place, lookup.flow)
            raise NetlinkError(error.operation, error.errno, why or _NO_ROUTE[error.errno]) from None
        raise
    if answer is None:
        return
    entry: Route | None = None
    try:
        matched = ask(RTM_F_FIB_MATCH | table_flag)
        entry = next(iter(matched)) if matched else None
    except NetlinkError:
        pass  # before Linux 5.1 (IPv4), or not for this answer
    found: Route = next(iter(answer))
    rules: list[Rule] = [rule for batch in rules_of(place, lookup.family) for rule in batch]
    if entry is not None and lookup.family == "inet6" and entry.next_hop_id is not None:
        entry = entry_with_object(lookup.flow, place, rules)
    table = (entry or found).table
    rule = _rule(lookup, place, rules, table, entry, found)
    makers: dict[str, object] = {"rule": rule, "entry": entry.destination if entry else None}
    if entry is not None:
        makers |= {"table": entry.table, "protocol": entry.protocol, "metric": entry.metric}
    yield answer.joined({field: lambda _, value=value: Constant(value) for field, value in makers.items()})  # type: ignore[misc]


def entry_with_object(flow: Flow, place: Place, rules: Sequence[Rule]) -> Route | None:
    """The entry of an answer by way of a next-hop object; None where it is not known.

    IPv6 routes whose objects have a next hop in common share what an answer is made of, and so the kernel names any one
    of them, whatever its prefix, table and metric (net/ipv6/route.c: rt6_fill_node goes by the `from` of a shared dst).
    """
    query = Query(("inet6",), table=None, prefix=Prefix(flow.destination, "match"))
    covering: dict[str, list[Route]] = {}
    for batch in RouteListing(query, (place,)).batches():
        for one in batch:
            if one.source is None or (flow.source is not None and within(packed(flow.source), *prefix(one.source))):
                covering.setdefault(one.table, []).append(one)
    asked = []
    for table, found in covering.items():
        best = min(found, key=_closest)
        rule = deciding_rule(rules, flow, table, _length(best))
        if rule is not None and best.type != "throw":
            asked.append((rule.priority, best))
    entry = min(asked, key=itemgetter(0), default=(0, None))[1]
    return None if entry is None or entry.next_hop_id is None else entry


def _closest(route: Route) -> tuple[int, int]:
    return -_length(route), route.metric


def _length(route: Route) -> int:
    return int(route.destination.rpartition("/")[2])


def _rule(
    lookup: Lookup, place: Place, rules: Sequence[Rule], table: str, entry: Route | None, found: Route
) -> Rule | None:
    length = _length(entry) if entry else None
    if any(map(asks_of_interfaces, rules)):
        from .listing_interfaces import look_at_interfaces

        look_at_interfaces(place, lookup.flow, entry, found)
    return deciding_rule(rules, lookup.flow, table, length)
