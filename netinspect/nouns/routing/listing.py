"""Routes: what to ask of rtnetlink, in which namespaces, and what to make of the answers and refusals."""

from __future__ import annotations

from _functools import partial
from errno import EAFNOSUPPORT, EINVAL, ENODEV, ENOENT, EOPNOTSUPP

from ...engine.columns import NONE
from ...engine.dumps import whole_list, whole_table
from ...engine.listing import BaseListing
from ...engine.netlink.changes import Changes
from ...engine.netlink.groups import IPV6_ROUTE_CHANGES
from ...engine.netlink.transport import Dump
from ...engine.places import InterfaceNames, Place
from ...engine.rtnetlink import FAMILY_NUMBERS, ROUTE_TYPES, Names, of_family
from ...engine.text import digits
from ...errors import NetlinkError, UsageError
from ...uapi.netlink import AF_INET6, NETLINK_ROUTE, NLM_F_DUMP_FILTERED
from . import decode as route
from .names import RoutingNames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from ...engine.columns import Batch, Values
    from ...engine.netlink.messages import Run
    from ...records import NextHopObject

FAMILIES = ("inet", "inet6", "mpls")
MAIN_TABLE = 254
_LAZY_TABLES = frozenset((253, 254, 255))
"""Tables that IPv4 makes when the first route comes: where they do not exist yet they are empty."""
_LOOPBACK = 1
"""The index of lo, by which next hops that drop packets lead (net/ipv4/nexthop.c: nh_create_ipv4)."""
_MADE_TYPES = ("blackhole",)
"""A route to a next-hop object that drops packets is asked to be of this type, but not found by it."""


class Prefix:
    """Which destinations to list: ``exact`` that prefix, ``root`` those within it, ``match`` those that cover it."""

    __slots__ = ("_first", "_last", "_uppers", "bits", "family", "length", "mode")

    def __init__(self, text: str, mode: str = "exact") -> None:
        """Raises UsageError for an invalid prefix; an address alone means itself, ``default`` all."""
        self.mode = mode
        self.family, self.bits, self.length = _parsed(text)
        width = 128 if self.family == "inet6" else 32
        # What the column ``destination_upper`` has: for the first and last address within, and for all that may cover.
        below = 64 if self.family == "inet6" else 0
        self._first = self.bits >> below
        self._last = (self.bits | (1 << (width - self.length)) - 1) >> below
        lengths = range(0 if mode == "match" else self.length, self.length + 1)
        self._uppers = {self.bits >> (width - length) << (width - length) >> below for length in lengths}

    def upper_bytes(self) -> bytes:
        """The first bytes of every such destination; empty where nothing can be said, as of one that may be any."""
        if self.mode == "match" or self.length == 0 or self.family is None:
            return b""
        size = 16 if self.family == "inet6" else 4
        return self.bits.to_bytes(size, "big")[: size if self.mode == "exact" else self.length // 8]

    def chosen(self, batch: Batch) -> Batch:
        """The routes of a batch to those destinations."""
        family = batch.column("family")
        if self.family is not None and family.constant and family.value != self.family:
            return batch.take(())
        uppers = batch.values("destination_upper")
        if self.mode != "root":
            return batch.take(()) if self._uppers.isdisjoint(uppers) else batch.select(self._mask(batch))
        if self.family is None:
            return batch
        least, most = min(uppers), max(batch.values("destination_upper"))
        if least > self._last or most < self._first:
            return batch.take(())
        if self._first <= least and most <= self._last and self.length <= min(64, *batch.values("destination_length")):
            return batch
        return batch.select(self._mask(batch))

    def _mask(self, batch: Batch) -> list[bool]:
        rows = zip(batch.values("destination_bits"), batch.values("destination_length"), strict=True)
        bits, least = self.bits, self.length
        if self.mode == "exact":
            return [length == least and found == bits for found, length in rows]
        width = 128 if self.family == "inet6" else 32
        if self.mode == "root":
            shift = width - least
            return [length >= least and (found ^ bits) >> shift == 0 for found, length in rows]
        return [length <= least and (found ^ bits) >> (width - length) == 0 for found, length in rows]


def _parsed(text: str) -> tuple[str | None, int, int]:
    from _socket import inet_pton

    if text == "default":
        return None, 0, 0
    address, separator, length = text.partition("/")
    family = "inet6" if ":" in address else "inet"
    width = 128 if family == "inet6" else 32
    if family == "inet" and separator:
        address += ".0" * (3 - address.count("."))  # 10/8, as ip(8) takes it
    try:
        raw = inet_pton(FAMILY_NUMBERS[family], address)
        prefix_length = digits(length) if separator else width
        if prefix_length is None:
            raise ValueError
    except (OSError, ValueError):
        raise UsageError(f"{text!r} is not a prefix: give an address, ADDRESS/LENGTH or `default`") from None
    if not 0 <= prefix_length <= width:
        raise UsageError(f"{text!r}: the length of a prefix is from 0 to {width}")
    return family, int.from_bytes(raw, "big") >> (width - prefix_length) << (width - prefix_length), prefix_length


def _agree(families: Sequence[str], prefix: Prefix | None, equal: Mapping[str, Any]) -> None:
    """Raises UsageError where no route of these families can have that destination, gateway or source."""
    if prefix is not None and prefix.family not in (None, *families):
        raise UsageError("the prefix is of another address family than requested")
    # Routes of IPv4 and MPLS have gateways of both (RTA_VIA).
    gateway, source = equal.get("gateway"), equal.get("preferred_source")
    if gateway is not None and ":" not in gateway and set(families) == {"inet6"}:
        raise UsageError(f"no IPv6 route has the IPv4 gateway {gateway}")
    if source is not None and ("inet6" if ":" in source else "inet") not in families:
        raise UsageError(f"the source {source} is of another address family than the routes")


class Query:
    """What to ask. What is None does not matter."""

    __slots__ = (
        "advertised", "equal", "exceptions", "explicit", "families", "interface", "kind", "prefix", "protocol", "table"
    )  # fmt: skip

    def __init__(
        self,
        families: Sequence[str] = FAMILIES[:2],
        *,
        table: int | None = MAIN_TABLE,
        protocol: int | None = None,
        kind: str | None = None,
        interface: str | None = None,
        prefix: Prefix | None = None,
        equal: Mapping[str, Any] | None = None,
        exceptions: bool = False,
        advertised: bool = False,
        explicit: bool = False,
    ) -> None:
        """``table``, ``protocol``, ``kind`` and ``interface`` are the kernel's to filter by, ``prefix`` and ``equal``,
        fields with the value they must have, are not. ``exceptions`` asks for what was learned instead of the routes,
        ``advertised`` for IPv6 prefixes of links that routers advertised, and no others. ``explicit`` means that the
        families were named, so that one unknown to this kernel is worth a word.
        """
        if kind is not None and kind not in ROUTE_TYPES:
            raise UsageError(f"no type of route {kind!r}: {', '.join(ROUTE_TYPES[1:12])}")
        _agree(families, prefix, equal or {})
        self.families = families
        self.table = table
        self.protocol = protocol
        self.kind = kind
        self.interface = interface
        self.prefix = prefix
        self.equal = dict(equal or {})
        self.exceptions = exceptions
        self.advertised = advertised
        self.explicit = explicit


class RouteListing(BaseListing):
    """One listing: ``batches()`` streams it."""

    def __init__(self, query: Query, places: Sequence[Place] = ()) -> None:
        """Without ``places``: the current namespace."""
        self.query = query
        self._hop_interface: str | None = None
        self._filtered = True
        """Whether the kernel filters by interface."""
        super().__init__(places)

    def _place(self, place: Place) -> Iterator[Batch]:
        names = names_of(place)
        decoder = route.Decoder(names)
        index = self._interface_index(place, self.query.interface)
        if index is None:
            return
        # The kernel filters by interface, but a gateway has to be on that very one; before 4.20 it does not filter.
        self._hop_interface = names.interfaces[index] if index else None
        missing = []
        objects = NextHopObjects(place, names, self.problems.append)
        for family in self.query.families:
            try:
                yield from self._by_hops(map(objects.resolved, self._family(family, place, decoder, index)))
            except NetlinkError as error:
                if error.errno == ENOENT and self.query.table is not None:
                    missing.append(family)
                elif error.errno == ENODEV and index:
                    raise  # the interface went just now
                elif error.errno in (EAFNOSUPPORT, EOPNOTSUPP, ENODEV) and family != "inet":
                    self._lacking(family)
                else:
                    raise
        if len(missing) == len(self.query.families) and self.query.table not in _LAZY_TABLES:
            where = "" if place.label is None else f" in namespace {place.label}"
            self.notes.append(f"no table {names.tables[self.query.table or 0]}{where}")

    def _family(self, family: str, place: Place, decoder: route.Decoder, index: int) -> Iterator[Batch]:
        query = self.query
        number = FAMILY_NUMBERS[family]
        if family == "mpls" and not has_mpls(place):
            self._lacking(family)
            return iter(())
        request = route.request(
            number,
            # MPLS has but one table, and its dump knows no filter but protocol and interface (net/mpls/af_mpls.c).
            table=0 if family == "mpls" else query.table or 0,
            protocol=query.protocol or 0,
            kind=0 if family == "mpls" or query.kind in (None, *_MADE_TYPES) else ROUTE_TYPES.index(query.kind),
            interface=index,
            exceptions=query.exceptions,
            advertised=query.advertised,
        )
        operation = f"listing {'route exceptions' if query.exceptions else 'routes'} ({family})"

        upper = b"" if query.prefix is None else query.prefix.upper_bytes()
        wanted = partial(route.may_lead_to, upper) if upper else None

        def dump() -> Dump:
            return Dump(place.connect(NETLINK_ROUTE), request, operation, wanted=wanted)

        def decode(runs: list[Run]) -> Batch | None:
            batch: Batch | None = decoder.batch(runs)
            if batch is None:
                return None
            if family != "mpls" and not all(run.data[6] & NLM_F_DUMP_FILTERED for run in runs):
                batch = self._unfiltered(batch, decoder.names)
            chosen = self._chosen(batch)
            return chosen if chosen.count else None

        def watch() -> Changes:
            return Changes(place.connect(NETLINK_ROUTE), IPV6_ROUTE_CHANGES)

        # When a route was added, IPv6 walks its tree from the root again, and skips as many routes as it had sent.
        # IPv4 continues after the last prefix it had sent: nothing is lost or repeated.
        return whole_table(
            operation, dump, of_family(number, decode), self.problems.append, watch if number == AF_INET6 else None
        )

    def _unfiltered(self, batch: Batch, names: Names) -> Batch:
        """What a kernel without strict checking (before 4.20) leaves to us."""
        self._filtered = False
        query = self.query
        wanted: dict[str, Any] = {"table_id": query.table, "protocol_id": query.protocol, "type": query.kind}
        for field, value in wanted.items():
            if value is not None:
                batch = _equal(batch, field, value)
        cloned = ["cloned" in flags for flags in batch.values("flags")]
        if any(cloned) or query.exceptions:
            batch = batch.select([is_cloned == query.exceptions for is_cloned in cloned])
        return batch

    def _chosen(self, batch: Batch) -> Batch:
        """What no kernel filters by, or not well."""
        if self.query.kind is not None:
            batch = _equal(batch, "type", self.query.kind)
        prefix = self.query.prefix
        if prefix is not None:
            batch = prefix.chosen(batch)
        for field, value in self.query.equal.items():
            if field != "gateway":
                batch = _equal(batch, field, value)
        return batch

    def _by_hops(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The routes of which a next hop has that gateway, and that interface where one is asked for.

        That is the route's next hop or one of several, in the route or in a next-hop object.
        """
        gateway, interface = self.query.equal.get("gateway"), self._hop_interface
        for batch in batches:
            if gateway is None and (interface is None or self._filtered):
                yield batch
                continue
            rows = zip(*map(batch.values, ("gateway", "interface", "next_hops")), strict=True)
            chosen = batch.select(
                [
                    any(
                        gateway in (None, via) and interface in (None, device)
                        for via, device in ((own, dev), *((hop.gateway, hop.interface) for hop in hops or ()))
                    )
                    for own, dev, hops in rows
                ]
            )
            if chosen.count:
                yield chosen

    def _lacking(self, family: str) -> None:
        text = {
            "inet6": "this kernel, or this namespace, has no IPv6",
            "mpls": "this kernel has no MPLS routes (CONFIG_MPLS_ROUTING): try `modprobe mpls_router`",
        }[family]
        if self.query.explicit:
            self.problems.append(text)


def _equal(batch: Batch, field: str, value: Any) -> Batch:
    column = batch.column(field)
    if column.is_all(value):
        return batch
    return batch.select([item == value for item in column.values(batch.count)])


def names_of(place: Place) -> Names:
    """What numbers stand for in a namespace."""
    return Names(InterfaceNames(place), RoutingNames("rt_tables"), RoutingNames("rt_protos"), RoutingNames("rt_scopes"))


def has_mpls(place: Place) -> bool:
    """Whether the kernel routes MPLS: only then it has settings for it (linux/netconf.h: RTM_GETNETCONF)."""
    from . import decode_netconf as netconf

    try:
        return netconf.has_mpls(Dump(place.connect(NETLINK_ROUTE), netconf.mpls_request(), "looking for MPLS"))
    except NetlinkError as error:
        if error.errno in (EOPNOTSUPP, EAFNOSUPPORT, EINVAL, ENOENT):
            return False
        raise


class NextHopObjects:
    """The next-hop objects of a namespace, asked for when the first route refers to one."""

    def __init__(self, place: Place, names: Names, problem: Callable[[str], object]) -> None:
        """``problem`` gets what is missing."""
        self._place = place
        self._names = names
        self._problem = problem
        self._found: dict[int, NextHopObject] | None = None

    def resolved(self, batch: Batch) -> Batch:
        """The routes with their objects, and with what only the object has (sysctl nexthop_compat_mode=0)."""
        if batch.column("next_hop_id") is NONE:
            return batch
        return batch.joined(
            {
                "next_hop_object": self._objects,
                "gateway": partial(self._filled, "gateway"),
                "interface": partial(self._filled, "interface"),
                "encapsulation": partial(self._filled, "encapsulation"),
                "flags": partial(self._filled, "flags"),
                "next_hops": self._hops,
            }
        )

    def __getitem__(self, number: int) -> NextHopObject | None:
        if self._found is None:
            from . import decode_nexthops as nexthop

            operation = "listing next-hop objects"

            def dump() -> Dump:
                return Dump(self._place.connect(NETLINK_ROUTE), nexthop.request(), operation)

            objects = whole_list(operation, dump, lambda run: nexthop.objects((run,), self._names), self._problem)
            self._found = {found.id: found for found in objects}
        return self._found.get(number)

    def _objects(self, batch: Batch) -> Values:
        return [None if number is None else self[number] for number in batch.values("next_hop_id")]

    def _filled(self, field: str, batch: Batch) -> Values:
        return [
            self._of(number, field, value) if hops is None and number is not None else value
            for value, hops, number in zip(
                batch.values(field), batch.values("next_hops"), batch.values("next_hop_id"), strict=True
            )
        ]

    def _of(self, number: int, field: str, value: Any) -> Any:
        """The value of a route with that object: the route's own, or else that of the object."""
        single = self[number]
        if single is None:
            return value
        if field == "flags":
            return (*value, *(flag for flag in single.flags if flag not in value))
        if value is not None:
            return value
        if field == "interface" and self._drops(single):
            return self._names.interfaces[_LOOPBACK]  # as where the route has it all
        return getattr(single, field)

    def _drops(self, single: NextHopObject) -> bool:
        """Whether it drops packets: such a one is alone in its group."""
        members = [self[member.id] for member in single.group or ()]
        return single.blackhole or any(member is not None and member.blackhole for member in members)

    def _hops(self, batch: Batch) -> Values:
        return [
            self._members(number) if hops is None and number is not None else hops
            for hops, number in zip(batch.values("next_hops"), batch.values("next_hop_id"), strict=True)
        ]

    def _members(self, number: int) -> tuple[Any, ...] | None:
        from ...records import NextHop

        group = self[number]
        if group is None or group.group is None:
            return None
        found = []
        for member in group.group:
            single = self[member.id]
            if single is not None:
                interface = self._of(member.id, "interface", None)
                found.append(NextHop(single.gateway, interface, member.weight, single.flags, single.encapsulation))
        return tuple(found)
