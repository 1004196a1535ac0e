"""Which users of a multicast group are the kernel itself, as far as that is certain: they are no sockets."""

from __future__ import annotations

from _socket import AF_INET6, inet_pton

from ...engine.places import Place
from ...errors import NetlinkError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

    from ...records import Membership

    Key = tuple[str, int, str]
    """Family, interface and group."""

_OF_THE_KERNEL = frozenset(
    ("224.0.0.1", "224.0.0.2", "224.0.0.106", "ff01::1", "ff01::2", "ff02::1", "ff02::2", "ff02::6a", "ff05::2")
)
"""Groups that the kernel itself joins: all systems; all routers where it forwards; all snooping switches on bridges."""
_ALL_SYSTEMS = frozenset(("224.0.0.1", "ff01::1", "ff02::1"))
"""Those that it joins on every interface."""
_SOLICITED_NODE = "ff02::1:ff"
_ADDRESSES_ALIKE = 2
"""Users of a neighbour discovery group: a link-local and a global address that end alike are one each."""


def key_of(membership: Membership) -> Key:
    return membership.family, membership.interface_index, membership.group


def users_in_kernel(group: str) -> int:
    """How many of the users of a group may be no sockets."""
    if group.startswith(_SOLICITED_NODE):
        return _ADDRESSES_ALIKE
    return int(group in _OF_THE_KERNEL)


class KernelUsers:
    """How many of the users of a group are the kernel itself, as far as that is certain."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._ends: dict[int, list[bytes]] | None = None

    def at_least(self, key: Key) -> int:
        """How many of them are no sockets."""
        _, index, group = key
        if group in _ALL_SYSTEMS:
            return 1
        if not group.startswith(_SOLICITED_NODE):
            return 0
        if self._ends is None:
            self._ends = self._addresses()
        return self._ends.get(index, []).count(inet_pton(AF_INET6, group)[-3:])

    def _addresses(self) -> dict[int, list[bytes]]:
        """By interface, the last three bytes of each of its IPv6 addresses: each has the group that ends alike."""
        from ..links.listing_addresses import AddressListing
        from ..links.listing_addresses import Query as Wanted

        place = Place(None if self._place.descriptor is None else f"/proc/self/fd/{self._place.descriptor}")
        ends: dict[int, list[bytes]] = {}
        try:
            for batch in AddressListing(Wanted(("inet6",)), (place,)).batches():
                rows = zip(batch.values("interface_index"), batch.values("address"), strict=True)
                for index, address in rows:
                    ends.setdefault(index, []).append(inet_pton(AF_INET6, address.partition("/")[0])[-3:])
        except NetlinkError:
            return {}  # no IPv6
        return ends


def with_other_users(place: Place, memberships: Collection[Membership]) -> set[Key]:
    """The memberships that may have users other than the kernel itself."""
    kernels = KernelUsers(place)
    return {
        key_of(row)
        for row in memberships
        if row.family != "link" and (row.users is None or row.users > kernels.at_least(key_of(row)))
    }
