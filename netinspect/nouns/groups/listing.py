"""Multicast memberships: what rtnetlink reports of them, and what of the rest is in procfs."""

from __future__ import annotations

from _functools import partial
from errno import EOPNOTSUPP
from itertools import chain
from time import CLOCK_MONOTONIC, clock_gettime

from ...engine.columns import Batch
from ...engine.dumps import ATTEMPTS, whole_list
from ...engine.listing import BaseListing
from ...engine.namespaces import inside
from ...engine.netlink.changes import Changes
from ...engine.netlink.groups import MEMBERSHIP_EVENTS
from ...engine.netlink.transport import Dump
from ...engine.pieces import in_pieces
from ...engine.places import InterfaceNames, Place
from ...errors import NetinspectError, NetlinkError
from ...procfs import interface_sysctl, network_text
from ...records import Membership
from ...uapi.netlink import NETLINK_ROUTE
from . import decode as multicast
from . import decode_text as multicast_text
from .names import group_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...records import UnknownAttribute
    from .decode import Group
    from .decode_text import Key, ProcfsGroup, SourceFilter
    from .owners import GroupSockets, Holders

FAMILIES = ("link", "inet", "inet6")
"""In the order of a listing, which is that of `ip maddr`."""

_FILES = {"link": "dev_mcast", "inet": "igmp", "inet6": "igmp6"}
_READERS = {"link": multicast_text.link_layer, "inet": multicast_text.igmp, "inet6": multicast_text.igmp6}
_FILTER_FILES = {"inet": "mcfilter", "inet6": "mcfilter6"}
_WHAT = {"inet": "IPv4", "inet6": "IPv6"}
_WRAPPED = 2**32 / 100
"""Seconds after which the kernel's join time wraps to 0."""


class Query:
    """What to list: families of FAMILIES, and of these groups or interfaces only where some are named."""

    __slots__ = ("families", "filters", "groups", "interfaces", "sockets")

    def __init__(
        self,
        families: Sequence[str] = FAMILIES,
        *,
        groups: Sequence[str] = (),
        interfaces: Sequence[str] = (),
        sockets: bool = False,
        filters: bool = True,
    ) -> None:
        """``sockets``: find out which sockets joined each group, or receive it.

        ``filters``: where the kernel's list leaves source filters out, learn them from the sockets that joined.
        """
        self.filters = filters
        self.families = families
        self.groups = frozenset(groups)
        self.interfaces = frozenset(interfaces)
        self.sockets = sockets

    def on(self, interfaces: frozenset[str]) -> Query:
        """The same on these interfaces; on none where there are none."""
        query = Query(self.families, groups=tuple(self.groups), sockets=self.sockets, filters=self.filters)
        query.interfaces = interfaces or frozenset(("",))
        return query

    def wants(self, interface: str, group: str) -> bool:
        """Whether this group on this interface is asked for."""
        return (not self.groups or group in self.groups) and (not self.interfaces or interface in self.interfaces)


class MembershipListing(BaseListing):
    """One listing: ``batches()`` gives it."""

    def __init__(self, query: Query, places: Sequence[Place] = ()) -> None:
        """Without ``places``: the current namespace."""
        self.query = query
        super().__init__(places)
        self._known: Holders | None = None
        self._unexplained = 0
        """Memberships of which not all users are known."""
        self._unfiltered = 0
        """Those of which the source filter is not known."""

    def batches(self) -> Iterator[Batch]:
        yield from super().batches()
        unseen = "; ".join(self._known.unseen()) if self._known is not None else ""
        if self._unexplained:
            self.problems.append(
                f"{unseen}{unseen and ': '}the members of {_groups(self._unexplained)} are not known completely"
            )
        elif unseen and self.query.sockets:
            self.notes.append(f"{unseen}: the members are known completely nevertheless")
        if self._unfiltered:
            # igmp_mcf_get_first in net/ipv4/igmp.c, igmp6_mcf_get_first in net/ipv6/mcast.c
            self.problems.append(
                f"the source filters of {_groups(self._unfiltered)} are unknown: the kernel's list skips interfaces "
                "whose newest group has none and does not count users by filter mode, and not all "
                f"sockets could be queried{unseen and ': '}{unseen}"
            )

    def _holders(self) -> Holders:
        if self._known is None:
            from .owners import Holders

            self._known = Holders()
        return self._known

    def _place(self, place: Place) -> Iterator[Batch]:
        query = self.query
        if query.interfaces:
            query = query.on(self._interface_names(place, query.interfaces))
        unfiltered: set[tuple[str, int, str]] = set()
        found = list(memberships(query, place, self.problems, self.notes, unfiltered))
        asked = found if self.query.sockets else []
        if self.query.filters and unfiltered:
            from .owners_kernel import with_other_users

            unfiltered &= with_other_users(place, found)
            asked = asked or [row for row in found if _identity(row) in unfiltered]
        if asked:
            from .owners import GroupSockets

            sockets = GroupSockets(place, self._holders(), asked, self.problems, self.notes)
            if self.query.filters and unfiltered:
                missing = set(sockets.missing())
                self._unfiltered += len(unfiltered & missing)
                found = [_learned(row, sockets, missing) if _identity(row) in unfiltered else row for row in found]
            if self.query.sockets:
                found = [row._replace(sockets=sockets.of(row)) for row in found]
                self._unexplained += len(sockets.missing())
        yield from in_pieces(found)


def _groups(count: int) -> str:
    return "1 group" if count == 1 else f"{count} groups"


_FEW = 8
"""Interfaces whose setting is read one by one: the netlink dump has all settings of all of them."""


def _identity(row: Membership) -> tuple[str, int, str]:
    return row.family, row.interface_index, row.group


def _learned(row: Membership, sockets: GroupSockets, missing: set[tuple[str, int, str]]) -> Membership:
    """The membership with the source filter that its users have together, as far as all of them are known."""
    if _identity(row) in missing:
        return row._replace(filter_mode=None)
    joined = sockets.filters(row)
    including = [sources for mode, sources in joined if mode == "include"]
    excluding = [sources for mode, sources in joined if mode == "exclude"]
    included = tuple(dict.fromkeys(chain.from_iterable(including)))
    # The kernel's own users take every source.
    whole = row.users == len(joined)
    mode = "include" if including and not excluding and whole else "exclude"
    refused = [
        source
        for source in (excluding[0] if excluding and whole else ())
        if source not in included and all(source in sources for sources in excluding)
    ]
    return row._replace(
        filter_mode=mode,
        included=included,
        excluded=tuple(refused),
        source=f"{row.source}, sockets",
    )


def memberships(
    query: Query,
    place: Place,
    problems: list[str],
    notes: list[str],
    unfiltered: set[tuple[str, int, str]] | None = None,
) -> Iterator[Membership]:
    """The memberships of one namespace, by interface. Raises NetlinkError, NetinspectError.

    Into ``unfiltered`` come the family, interface and group of those whose source filter the kernel may have left out.
    """
    rows: list[Membership] = []
    names = InterfaceNames(place)
    # Of the others neither names nor settings are worth asking for. By its name a row is chosen at the end.
    only = {place.interface_index(name) for name in query.interfaces} if query.interfaces else None
    known_queriers = {}
    if set(query.families) - {"link"}:
        from .listing_routing import queriers

        known_queriers = queriers(place, problems)
    for family in query.families:
        if family == "link":
            rows += _link_layer(place, problems)
        else:
            rows += _internet(family, place, names, only, known_queriers, problems, notes, unfiltered)
    # A stable sort: of each interface the link layer first, then in the kernel's own order.
    rows.sort(key=lambda row: row.interface_index)
    return (row for row in rows if query.wants(row.interface, row.group))


def from_kernel(family: str, place: Place, problems: list[str]) -> list[Group] | None:
    """The groups of a family over rtnetlink; None where this kernel does not dump them. Raises NetlinkError."""
    operation = f"listing the {_WHAT[family]} multicast groups"

    def dump() -> Dump:
        return Dump(place.connect(NETLINK_ROUTE), multicast.request(family), operation)

    def watch() -> Changes | None:
        try:
            return Changes(place.connect(NETLINK_ROUTE), MEMBERSHIP_EVENTS[family])
        except NetlinkError:
            return None  # before Linux 6.14

    try:
        # The kernel counts the groups that it has returned: one that is left before them hides another.
        return whole_list(operation, dump, multicast.groups, problems.append, watch)
    except NetlinkError as error:
        if error.errno == EOPNOTSUPP:
            return None
        raise


def from_procfs(family: str, place: Place, problems: list[str]) -> dict[Key, ProcfsGroup]:
    """The groups of a family, link among them, in procfs. Where it cannot be read, ``problems`` is reported."""
    text = _text(place, _FILES[family], problems)
    return {} if text is None else _READERS[family](text, problems.append)


def _from_procfs_alone(family: str, place: Place, problems: list[str]) -> dict[Key, ProcfsGroup]:
    """The same, read until it has the same groups twice: the kernel writes a page at a time, and counts lines."""
    found = from_procfs(family, place, problems)
    for _ in range(ATTEMPTS - 1):
        before, found = found, from_procfs(family, place, problems)
        if found.keys() == before.keys():
            break
    else:
        problems.append(f"/proc/net/{_FILES[family]}: it changed during each of {ATTEMPTS} reads: rows may be missing")
    return found


def _text(place: Place, file: str, problems: list[str]) -> str | None:
    try:
        text: str | None = inside(place.descriptor, partial(network_text, file))
    except NetinspectError as error:
        if str(error) not in problems:
            problems.append(str(error))
        return None
    return text


def _link_layer(place: Place, problems: list[str]) -> list[Membership]:
    """Link-layer groups have no netlink source."""
    return [
        Membership(
            reported.interface,
            index,
            "link",
            group,
            group_name(group),
            reported.users,
            global_use=reported.global_use,
            source="procfs",
        )
        for (index, group), reported in from_procfs("link", place, problems).items()
    ]


def _internet(
    family: str,
    place: Place,
    names: InterfaceNames,
    only: set[int | None] | None,
    known_queriers: dict[Key, str],
    problems: list[str],
    notes: list[str],
    unfiltered: set[tuple[str, int, str]] | None,
) -> Iterator[Membership]:
    groups = from_kernel(family, place, problems)
    details = (from_procfs if groups is not None else _from_procfs_alone)(family, place, problems)
    text = _text(place, _FILTER_FILES[family], problems)
    filters = {} if text is None else multicast_text.source_filters(text, family, problems.append)
    if unfiltered is not None:
        left_out = multicast_text.without_filters(details, filters) if text is not None and details else None
        unfiltered.update(
            (family, index, address)
            for index, address in (details if groups is None else {(group.index, group.group) for group in groups})
            if left_out is None or (index, address) in left_out
        )
        unfiltered.update(
            (family, *key)
            for key, known in filters.items()
            if key in details and None in (known.mode(details[key].users), known.refused(details[key].users))
        )
    if groups is None and details:
        notes.append(
            f"{_WHAT[family]} multicast groups: this kernel does not dump them over rtnetlink (IPv4: since about Linux "
            "6.15): listed from procfs"
        )
    source = "procfs" if groups is None else "rtnetlink, procfs" if details else "rtnetlink"
    keys: dict[Key, multicast.Group | None] = dict.fromkeys(details)
    if groups is not None:
        keys = {(group.index, group.group): group for group in groups}
    if only is not None:
        keys = {key: group for key, group in keys.items() if key[0] in only}
    versions = {}
    if family == "inet6" and keys:
        versions = _forced_mld(place, names, {index for index, _ in keys} if only else None, problems)
    for (index, address), group in keys.items():
        created = None if group is None else group.created
        reported = details.get((index, address))
        interface = names[index] if groups is not None or reported is None else reported.interface
        yield _membership(
            family,
            (index, address),
            interface,
            reported,
            filters.get((index, address)),
            versions.get(index),
            known_queriers.get((index, family)),
            None if created is None else age(created),
            source,
            () if group is None else group.unknown_attributes,
        )


def _membership(
    family: str,
    key: Key,
    interface: str,
    reported: ProcfsGroup | None,
    filters: SourceFilter | None,
    version: str | None,
    querier: str | None,
    age: float | None,
    source: str,
    unknown_attributes: tuple[UnknownAttribute, ...],
) -> Membership:
    users = None if reported is None else reported.users
    mode = None if reported is None else "exclude" if filters is None else filters.mode(users)
    refused = () if filters is None else filters.refused(users)
    if refused is None:
        mode, refused = None, ()
    return Membership(
        interface,
        key[0],
        family,
        key[1],
        group_name(key[1]),
        users,
        mode,
        () if filters is None else tuple(filters.included),
        refused,
        version if reported is None else reported.version or version,
        querier,
        None if reported is None else reported.reporter,
        None if reported is None else reported.timer,
        age,
        source=source,
        unknown_attributes=unknown_attributes,
    )


def _forced_mld(place: Place, names: InterfaceNames, only: set[int] | None, problems: list[str]) -> dict[int, str]:
    """The version of MLD by interface, which is reported only where it is set by hand; else it is the querier's, as a
    rule 2. ``only``: of these alone, where they are few.
    """
    if only is not None and len(only) <= _FEW:
        texts = {
            index: inside(place.descriptor, partial(interface_sysctl, "ipv6", names[index], "force_mld_version"))
            for index in only
        }
        if None not in texts.values():
            return {index: f"MLDv{text}" for index, text in texts.items() if text in ("1", "2")}
    from .decode_interfaces import forced_versions, request

    operation = "asking interfaces for the MLD version"

    def dump() -> Dump:
        return Dump(place.connect(NETLINK_ROUTE), request(), operation)

    try:
        found = whole_list(operation, dump, forced_versions, problems.append)
    except NetlinkError as error:
        problems.append(str(error))
        return {}
    return {index: f"MLDv{version}" for index, version in found if version in (1, 2)}


def age(created: float) -> float:
    """Seconds since then, both by the kernel's clock since it came up, which runs over after 497 days."""
    return round((clock_gettime(CLOCK_MONOTONIC) - created) % _WRAPPED, 2)
