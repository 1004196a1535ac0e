"""Protocol statistics, over netlink where possible; the SNMP MIBs come from procfs, their only source."""

from __future__ import annotations

from _functools import partial
from time import monotonic, sleep

from ...engine.columns import Batch
from ...engine.dumps import whole_list
from ...engine.listing import BaseListing
from ...engine.namespaces import inside
from ...engine.netlink.transport import Dump
from ...engine.pieces import in_pieces
from ...engine.places import Place, in_places
from ...errors import NetinspectError, NetlinkError, UsageError
from ...records import Statistic
from ...uapi.netlink import NETLINK_ROUTE
from ..links import decode_statistics as link_statistics
from ..routing import decode_neighbour_tables as neighbour_tables
from . import listing_mibs as mibs
from .counters import meaning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .listing_samples import Sample

    Key = tuple[str, str, str | None]

GROUPS = (
    *("Ip", "Icmp", "IcmpMsg", "Tcp", "Udp", "UdpLite", "TcpExt", "IpExt", "MPTcpExt", "Ip6", "Icmp6", "Udp6"),
    *("UdpLite6", "Sctp", "Xfrm", "Tls", "sockstat", "link", "bridge", "neighbour", "conntrack"),
)
"""Tables, in the order of a listing. A kernel may have others: they are listed too."""

SHORT = {
    "ip": ("Ip", "IpExt"),
    "ip6": ("Ip6",),
    "icmp": ("Icmp", "IcmpMsg"),
    "icmp6": ("Icmp6",),
    "tcp": ("Tcp", "TcpExt"),
    "udp": ("Udp", "Udp6"),
    "udplite": ("UdpLite", "UdpLite6"),
    "mptcp": ("MPTcpExt",),
    "sctp": ("Sctp",),
    "ipsec": ("Xfrm",),
    "tls": ("Tls",),
    "sockets": ("sockstat",),
    "links": ("link",),
    "neighbours": ("neighbour",),
}
"""Names of protocols, and the tables that each is."""


def tables_of(name: str) -> Sequence[str]:
    """The tables of a name: a table (case does not matter) or a protocol. Raises UsageError."""
    by_name = {group.lower(): (group,) for group in GROUPS} | SHORT
    tables = (name,) if name in GROUPS else by_name.get(name.lower())
    if tables is None:
        error = UsageError(f"no table {name!r}: {', '.join(GROUPS)}, or a protocol: {', '.join(SHORT)}")
        error.slip = name, (*SHORT, *GROUPS)
        raise error
    return tables


class Figure:
    """A value, and where it was read."""

    __slots__ = ("source", "value")

    def __init__(self, value: int, source: str) -> None:
        self.value = value
        self.source = source


_NEIGHBOUR_TABLES = ("arp_cache", "ndisc_cache")
"""What is counted by neighbour table has its name in place of an interface's."""


class Query:
    """What to list: these tables and interfaces, all of them where none is named."""

    __slots__ = ("groups", "interfaces")

    def __init__(self, groups: Sequence[str] = (), interfaces: Sequence[str] = ()) -> None:
        self.groups = frozenset(groups)
        self.interfaces = frozenset(interfaces)

    def on(self, interfaces: frozenset[str]) -> Query:
        """The same of these interfaces; of none where there are none."""
        return Query(tuple(self.groups), tuple(interfaces) or ("",))

    def wants(self, group: str, interface: str | None = None) -> bool:
        """Whether this table is asked for, and of this interface."""
        if self.interfaces and interface not in self.interfaces:
            return False
        return self.wants_any(group)

    def wants_any(self, *groups: str) -> bool:
        """Whether any of these tables is asked for."""
        return not self.groups or not self.groups.isdisjoint(groups)


class StatisticListing(BaseListing):
    """Reads statistics, once or twice."""

    def __init__(
        self,
        query: Query,
        places: Sequence[Place] = (),
        *,
        seconds: float | None = None,
        since: Sample | None = None,
        nonzero: bool = False,
    ) -> None:
        """``seconds``: read twice, ``seconds`` apart, and compute rates. ``since``: compute the change since a sample.

        ``nonzero``: leave out what is 0; with rates or changes, what did not change. Without ``places``: the current
        namespace.
        """
        self.query = query
        super().__init__(places)
        self._seconds = seconds
        self._since = since
        self._nonzero = nonzero

    def batches(self) -> Iterator[Batch]:
        """The statistics. Raises NamespaceError, NetinspectError."""
        before: dict[str | None, tuple[float, dict[Key, Figure]]] = {}
        if self._seconds is not None:
            for label, _, figures in self.figures():
                before[label] = monotonic(), figures
            sleep(self._seconds)
            self.problems.clear()
        return self._in_places(lambda place: self._of(place, before))

    def _moves(self, row: Statistic) -> bool:
        """Whether a row is more than 0, or where changes are shown whether it changed."""
        if self._seconds is None and self._since is None:
            return row.value != 0
        return bool(row.rate or row.change)

    def figures(self) -> list[tuple[str | None, str | None, dict[Key, Figure]]]:
        """The figures of each place, with its label and its identity."""
        from .listing_samples import identity

        found: list[tuple[str | None, str | None, dict[Key, Figure]]] = []

        def collect(place: Place) -> Iterator[Batch]:
            found.append((place.label, identity(place), self.read(place)))
            return iter(())

        for _ in in_places(self.places, collect, self.problems.append):
            pass
        return found

    def read(self, place: Place) -> dict[Key, Figure]:
        """The figures of one place."""
        query = self.query
        if query.interfaces:
            tables = query.interfaces.intersection(_NEIGHBOUR_TABLES)
            query = query.on(self._interface_names(place, query.interfaces - tables) | tables)
        return figures(query, place, self.problems, self.notes)

    def _of(self, place: Place, before: dict[str | None, tuple[float, dict[Key, Figure]]]) -> Iterator[Batch]:
        return in_pieces(self._rows(place, before))

    def _rows(self, place: Place, before: dict[str | None, tuple[float, dict[Key, Figure]]]) -> Iterator[Statistic]:
        now = self.read(place)
        elapsed: float | None = None
        first: dict[Key, Figure] = {}
        if place.label in before:
            begun, first = before[place.label]
            elapsed = monotonic() - begun
        for key, figure in now.items():
            row = _statistic(key, figure)
            if elapsed is not None:
                earlier = first.get(key)
                risen = figure.value - (earlier.value if earlier is not None else 0)
                if row.kind == "counter" and risen < 0:
                    risen = figure.value  # it restarted meanwhile
                row = row._replace(rate=round(risen / elapsed, 3) if row.kind != "setting" else None)
            if self._since is not None:
                change, reset = self._since.change(place, key, figure.value, row.kind)
                row = row._replace(change=change, reset=reset)
            if not self._nonzero or self._moves(row):
                yield row


def _statistic(key: Key, figure: Figure) -> Statistic:
    group, counter, interface = key
    known = meaning(group, counter)
    return Statistic(
        group,
        counter,
        interface,
        figure.value,
        known.kind,
        known.unit,
        None,
        None,
        None,
        known.meaning,
        figure.source,
    )


def figures(query: Query, place: Place, problems: list[str], notes: list[str]) -> dict[Key, Figure]:
    """Every figure of a place, by table, counter and interface. What cannot be read is asked to ``problems``."""
    found: dict[Key, Figure] = {}
    if not query.interfaces:
        found |= inside(place.descriptor, partial(_of_procfs, query, problems))
    for read in (_of_links, _of_bridges, _of_neighbours, _of_conntrack):
        try:
            found |= read(query, place, problems, notes)
        except NetinspectError as error:
            problems.append(str(error))
    order = {group: number for number, group in enumerate(GROUPS)}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0][0], len(order))))


def _of_procfs(query: Query, problems: list[str]) -> dict[Key, Figure]:
    found: dict[Key, Figure] = {}
    for file in mibs.FILES:
        try:
            tables = mibs.tables(file)
        except NetinspectError as error:
            if str(error) not in problems:
                problems.append(str(error))
            continue
        source = f"procfs: /proc/net/{file}"
        for title, counters in tables:
            group = "sockstat" if file.startswith("sockstat") else title
            if query.wants(group):
                prefix = f"{title}." if group == "sockstat" else ""
                found |= {(group, prefix + name, None): Figure(value, source) for name, value in counters}
    return found


def _of_links(query: Query, place: Place, problems: list[str], notes: list[str]) -> dict[Key, Figure]:
    if not query.wants_any("link", "Ip6", "Icmp6"):
        return {}
    operation = "reading the counters of interfaces"

    def dump() -> Dump:
        return Dump(place.connect(NETLINK_ROUTE), link_statistics.links_request(), operation)

    found: dict[Key, Figure] = {}
    unnamed = 0
    for link in whole_list(operation, dump, link_statistics.links, problems.append):
        counters = list(link.counters)
        if query.wants("Ip6", link.name):
            read = partial(mibs.of_interface, link.name)
            named = link_statistics.ip6_counters(link.ip6, partial(_or_none, place, read))
            unnamed += named is None
            counters += named or []
        found |= {
            (group, counter, link.name): Figure(value, "rtnetlink")
            for group, counter, value in counters
            if query.wants(group, link.name)
        }
    if unnamed:
        problems.append(f"the IPv6 counters of {unnamed} interfaces are left out: only /proc/net/dev_snmp6 names them")
    return found


def _or_none(place: Place, read: Callable[[], dict[str, int] | None]) -> dict[str, int] | None:
    try:
        found: dict[str, int] | None = inside(place.descriptor, read)
    except NetinspectError:
        return None  # the caller says what is left out
    return found


def _of_bridges(query: Query, place: Place, problems: list[str], notes: list[str]) -> dict[Key, Figure]:
    if not query.wants_any("bridge"):
        return {}
    from ...engine.places import InterfaceNames

    operation = "reading multicast counters of bridges"

    def dump() -> Dump:
        return Dump(place.connect(NETLINK_ROUTE), link_statistics.bridges_request(), operation)

    try:
        bridges = whole_list(operation, dump, link_statistics.bridges, problems.append)
    except NetlinkError as error:
        notes.append(f"{error}: kernels before 4.7 lack these counters")
        return {}
    names = InterfaceNames(place)
    return {
        (group, counter, names[index]): Figure(value, "rtnetlink")
        for index, counters in bridges
        for group, counter, value in counters
        if query.wants(group, names[index])
    }


def _of_neighbours(query: Query, place: Place, problems: list[str], notes: list[str]) -> dict[Key, Figure]:
    if not query.wants_any("neighbour"):
        return {}
    operation = "reading the counters of the neighbour tables"

    def dump() -> Dump:
        return Dump(place.connect(NETLINK_ROUTE), neighbour_tables.request(), operation)

    return {
        ("neighbour", counter, table): Figure(value, "rtnetlink")
        for table, counters in whole_list(operation, dump, neighbour_tables.tables, problems.append)
        for counter, value in counters
        if query.wants("neighbour", table)
    }


def _of_conntrack(query: Query, place: Place, problems: list[str], notes: list[str]) -> dict[Key, Figure]:
    if not query.wants("conntrack"):
        return {}
    from ..conntrack.listing_state import count, counters

    try:
        size = count(place)
        totals: dict[str, int] = {"entries": size.entries}
        if size.maximum is not None:
            totals["maximum"] = size.maximum
        for values in counters(place).values():
            for name, value in values.items():
                totals[name] = totals.get(name, 0) + value
    except NetinspectError as error:
        # Not a gap in the statistics, as a rule: there is no connection tracking, or it takes root.
        (problems if "conntrack" in query.groups else notes).append(str(error))
        return {}
    return {("conntrack", name, None): Figure(value, "ctnetlink") for name, value in totals.items()}
