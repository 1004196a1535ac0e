"""Links: all interfaces of network namespaces, and what they carry a second."""

from __future__ import annotations

from errno import ENODEV

from ...engine.columns import NONE
from ...engine.dumps import whole_table
from ...engine.listing import BaseListing
from ...engine.netlink.transport import Dump
from ...engine.places import InterfaceNames, Place
from ...errors import NetinspectError, NetlinkError, UsageError
from ...uapi.netlink import NETLINK_ROUTE
from ..routing.names import RoutingNames
from . import decode as links

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ...engine.columns import Batch, Values

OPERATION = "listing links"

_KINDS = (
    "amt bareudp batadv bond bridge caif can dsa dummy erspan geneve gre gretap gtp hsr ifb ip6erspan ip6gre ip6gretap "
    "ip6tnl ipip ipoib ipvlan ipvtap lowpan macsec macvlan macvtap netdevsim netkit nlmon openvswitch ovpn pfcp ppp "
    "rmnet sit team tun vcan veth virt_wifi vlan vrf vsockmon vti vti6 vxcan vxlan wireguard wwan xfrm"
)
KINDS = tuple(_KINDS.split())
"""The kinds of Linux 6.18 (struct rtnl_link_ops: kind). A module may bring others."""


class Query:
    """What to ask. What is empty or None does not matter."""

    __slots__ = ("kind", "master", "names", "statistics", "up")

    def __init__(
        self,
        names: Sequence[str] = (),
        *,
        kind: str | None = None,
        master: str | None = None,
        up: bool = False,
        statistics: bool = True,
    ) -> None:
        """``names`` may be alternative names. ``kind`` and ``master`` are the kernel's to filter by.

        Without ``statistics`` the kernel need not count them together, and they are None.
        """
        self.names = names
        self.kind = kind
        self.master = master
        self.up = up
        self.statistics = statistics


class LinkListing(BaseListing):
    """One listing: ``batches()`` streams it."""

    def __init__(self, query: Query | None = None, places: Sequence[Place] = ()) -> None:
        """Without ``places``: the current namespace."""
        self.query = query or Query()
        super().__init__(places)

    def batches(self) -> Iterator[Batch]:
        """As in every listing. Raises UsageError also for a kind that no kernel has, unless a link is of it."""
        kind, listed = self.query.kind, False
        for batch in super().batches():
            listed = True
            yield batch
        if kind is not None and not listed and kind not in KINDS and not self.problems:
            raise UsageError(f"no kind of link {kind!r}: {', '.join(KINDS)}")

    def _place(self, place: Place) -> Iterator[Batch]:
        query = self.query
        decoder = links.Decoder(InterfaceNames(place), RoutingNames("group"))
        master = None if query.master is None else self._interface(place, query.master)
        if query.master is not None and master is None:
            return
        namespaces = _Namespaces(place)
        for batch in self._found(place, decoder):
            if query.up:
                batch = batch.select(["up" in flags for flags in batch.values("flags")])
            if query.kind is not None:
                batch = batch.select([kind == query.kind for kind in batch.values("kind")])
            if master is not None:
                batch = batch.select([name == master[1] for name in batch.values("master")])
            if batch.count:
                yield batch.joined({"parent_namespace": namespaces.names})

    def _found(self, place: Place, decoder: links.Decoder) -> Iterator[Batch]:
        query = self.query
        if query.names:
            # Two names may be those of one interface.
            for index in dict.fromkeys([self._interface_index(place, name) for name in query.names]):
                if index is not None:
                    yield from self._single(index, place, decoder)
            return
        master = self._interface_index(place, query.master)
        if master is None:
            return
        request = links.request(master=master, kind=query.kind, statistics=query.statistics)

        def dump() -> Dump:
            return Dump(place.connect(NETLINK_ROUTE), request, OPERATION)

        yield from _one_behind(whole_table(OPERATION, dump, decoder.batch, self.problems.append))

    def _single(self, index: int, place: Place, decoder: links.Decoder) -> Iterator[Batch]:
        try:
            for runs in Dump(place.connect(NETLINK_ROUTE), links.single_request(index), OPERATION).answers():
                batch = decoder.batch(runs)
                if batch is not None:
                    yield batch
        except NetlinkError as error:
            if error.errno != ENODEV:
                raise  # otherwise it went just now


def _one_behind(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The same, each when the next has been decoded: what a link is on top of mostly comes soon after."""
    held = None
    for batch in batches:
        if held is not None:
            yield held
        held = batch
    if held is not None:
        yield held


class _Namespaces:
    """The network namespaces that links of one namespace reach into, by their numbers there."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._found: dict[int, str] = {}

    def names(self, batch: Batch) -> Values:
        """The names of the namespaces of the parents."""
        numbers = batch.column("parent_nsid")
        if numbers is NONE:
            return NONE
        wanted = set(batch.values("parent_nsid")) - {None}
        if not wanted <= self._found.keys():
            self._found |= {number: f"nsid {number}" for number in wanted} | self._numbered(wanted)
        return [None if number is None else self._found[number] for number in batch.values("parent_nsid")]

    def _numbered(self, wanted: set[int]) -> dict[int, str]:
        """The labels of namespaces by number, until all that are ``wanted`` are there."""
        import os

        from ...engine.namespaces import every_namespace
        from ...engine.netlink import nsid

        found: dict[int, str] = {}
        try:
            everything = every_namespace()[0]
        except NetinspectError:
            return found  # no /proc: their numbers are shown
        for label, path, _ in everything:
            if wanted <= found.keys():
                break
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                continue  # gone just now, or not ours to see
            try:
                request = nsid.request(descriptor)
                runs = next(Dump(self._place.connect(NETLINK_ROUTE), request, "numbering a namespace").answers(), [])
                number = nsid.number(runs)
            except NetlinkError:
                number = None
            finally:
                os.close(descriptor)
            if number is not None:
                found.setdefault(number, label)
        return found


_WRAP_32, _WRAP_64 = 1 << 32, 1 << 64


def difference(now: int, before: int) -> int:
    """The increase of a counter. One that became smaller has wrapped at 32 bits, as in some drivers, or at 64."""
    if now >= before:
        return now - before
    return (now - before) % (_WRAP_32 if before < _WRAP_32 else _WRAP_64)
